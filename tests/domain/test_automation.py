"""Automation rules as content: what may be in one, and when rules would go in circles."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from helpdesk.api.schemas.automation_rules import EventWord
from helpdesk.domain import automation
from helpdesk.domain.automation import Origin
from helpdesk.domain.contents import Wrong

RULE: dict[str, Any] = {
    "when": {"events": ["message.received"]},
    "if": {},
    "do": [{"do": "tag", "add": ["seen"]}],
    "stop": False,
}
TEXT = {"field": "message.text", "op": "contains", "value": "phrase"}


def test_a_rule_is_read_as_it_was_checked() -> None:
    watchers = [str(uuid4()), str(uuid4())]
    content = {**RULE, "if": TEXT, "do": [{"do": "watch", "agent_ids": watchers}]}
    automation.check(content)
    found = automation.read(uuid4(), 3, content)
    assert found.of_messages
    assert [str(one.agent_ids[0]) for one in found.actions] == watchers


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"when": {"events": []}}, "when.events"),
        ({"when": {"events": ["message.received", "message.received"]}}, "when.events.1"),
        ({"when": {"events": ["alert.raised"]}}, "when.events.0"),
        ({"when": {"elapsed": {}}}, "when.elapsed"),
        ({"when": {"events": ["message.received", "message.sent"]}, "if": TEXT}, "if"),
        ({"if": {"field": "assignee_id", "op": "eq", "value": "me"}}, "if"),
        ({"if": {"field": "unread", "op": "eq", "value": True}}, "if"),
        ({"if": {"field": "dance", "op": "eq", "value": 1}}, "if.field"),
        ({"do": []}, "do"),
        ({"do": [{"do": "reply", "text": "Hello"}]}, "do.0.do"),
        ({"do": [{"do": "assign", "agent_id": "me"}]}, "do.0.agent_id"),
        ({"stop": 1}, "stop"),
        ({"then": []}, "then"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as refused:
        automation.check(RULE | given)
    assert refused.value.field == field


def test_a_rule_never_answers_itself_and_others_only_so_deep() -> None:
    rule = automation.read(uuid4(), 1, RULE)
    assert automation.depth_after(rule, None) == 0
    assert automation.depth_after(rule, Origin(rule.id, 0)) is None
    assert automation.depth_after(rule, Origin(uuid4(), 2)) == 3
    assert not automation.goes_in_circles(depth=3, this_hour=19)
    assert automation.goes_in_circles(depth=4, this_hour=0)
    assert automation.goes_in_circles(depth=0, this_hour=20)


def test_the_reference_names_every_event_that_rules_answer() -> None:
    assert EventWord.__args__ == automation.EVENTS  # type: ignore[attr-defined]
