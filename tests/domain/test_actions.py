"""What can be done to a conversation: how it is written, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain import actions
from helpdesk.domain.actions import (
    OF_BULK,
    OF_LADDERS,
    OF_MACROS,
    OF_RULES,
    Assign,
    Categorise,
    HandOver,
    Reply,
    SetField,
    SetStatus,
    Tag,
)
from helpdesk.domain.contents import Wrong
from helpdesk.domain.values import Status

ANNA, TEAM, TEXT = (UUID(int=number) for number in range(1, 4))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"do": "assign", "agent_id": str(ANNA)}, Assign(ANNA)),
        ({"do": "assign", "agent_id": "me"}, Assign("me")),
        ({"do": "assign", "agent_id": None}, Assign(None)),
        ({"do": "team", "team_id": None}, HandOver(None)),
        ({"do": "status", "to": "resolved"}, SetStatus(Status.RESOLVED)),
        (
            {"do": "status", "to": "snoozed", "snooze_seconds": 3600},
            SetStatus(Status.SNOOZED, timedelta(hours=1)),
        ),
        ({"do": "category", "to": "theft"}, Categorise("theft")),
        ({"do": "category", "to": None}, Categorise(None)),
        ({"do": "tag", "add": ["vip"], "remove": ["new"]}, Tag(("vip",), ("new",))),
        ({"do": "tag", "remove": ["new"]}, Tag((), ("new",))),
        ({"do": "custom_field", "key": "chain", "value": ["eth"]}, SetField("chain", ["eth"])),
        ({"do": "reply", "text": "Hello {{contact.name}}"}, Reply("Hello {{contact.name}}")),
        ({"do": "reply", "text": None, "canned_response_id": str(TEXT)}, Reply(None, TEXT)),
    ],
)
def test_an_action_is_read_as_it_was_written(given: dict[str, Any], meant: Any) -> None:
    actions.check(given, "actions.0", allowed=OF_MACROS, me=True)
    assert actions.read(given) == meant
    assert meant.do == given["do"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("assign", "0.do"),
        ({"do": "dance"}, "0.do"),
        ({"do": "webhook", "webhook_id": str(ANNA)}, "0.do"),
        ({"do": "assign", "agent_id": "you"}, "0.agent_id"),
        ({"do": "assign"}, "0.agent_id"),
        ({"do": "status", "to": "lost"}, "0.to"),
        ({"do": "status", "to": "snoozed"}, "0.snooze_seconds"),
        ({"do": "status", "to": "snoozed", "snooze_seconds": 59}, "0.snooze_seconds"),
        ({"do": "status", "to": "open", "snooze_seconds": 60}, "0.snooze_seconds"),
        ({"do": "category", "to": ""}, "0.to"),
        ({"do": "tag"}, "0.add"),
        ({"do": "tag", "add": ["a"], "remove": ["b", "a"]}, "0.remove.1"),
        ({"do": "tag", "add": ["x" * 61]}, "0.add.0"),
        ({"do": "custom_field", "key": "", "value": 1}, "0.key"),
        ({"do": "custom_field", "key": "a", "value": {"b": 1}}, "0.value"),
        ({"do": "custom_field", "key": "a", "value": "x" * 2001}, "0.value"),
        ({"do": "reply"}, "0.text"),
        ({"do": "reply", "text": "Hi", "canned_response_id": str(TEXT)}, "0.text"),
        ({"do": "reply", "text": " "}, "0.text"),
        ({"do": "reply", "text": "Hi {{contact.nmae}}"}, "0.text"),
        ({"do": "reply", "text": "Please send us your recovery phrase."}, "0.text"),
        ({"do": "reply", "canned_response_id": "thanks"}, "0.canned_response_id"),
        ({"do": "note", "text": "x", "loud": True}, "0.loud"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field(given: Any, field: str) -> None:
    with pytest.raises(Wrong) as refused:
        actions.check_all([given], "", allowed=OF_MACROS, me=True)
    assert refused.value.field == field
    assert refused.value.reason


def test_me_is_somebody_only_where_somebody_runs_it() -> None:
    given = {"do": "assign", "agent_id": "me"}
    for allowed in (OF_LADDERS, OF_RULES):
        with pytest.raises(Wrong):
            actions.check(given, "0", allowed=allowed)
    actions.check(given, "0", allowed=OF_BULK, me=True)


def test_what_actions_mention_is_named_with_its_field() -> None:
    given = [
        {"do": "assign", "agent_id": "me"},
        {"do": "assign", "agent_id": None},
        {"do": "team", "team_id": str(TEAM)},
        {"do": "watch", "agent_ids": [str(ANNA)]},
        {"do": "reply", "text": None, "canned_response_id": str(TEXT)},
    ]
    assert list(actions.mentions(given)) == [
        ("actions.2.team_id", "team", TEAM),
        ("actions.3.agent_ids.0", "agent", ANNA),
        ("actions.4.canned_response_id", "canned_response", TEXT),
    ]
