"""Automation rules as content: what may be in one, and when rules would go in circles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from helpdesk.api.schemas.automation_rules import EventWord
from helpdesk.domain import automation
from helpdesk.domain.automation import Elapsed, Origin
from helpdesk.domain.business_hours import ALWAYS, Calendar, Timetable
from helpdesk.domain.contents import Wrong

RULE: dict[str, Any] = {
    "when": {"events": ["message.received"]},
    "if": {},
    "do": [{"do": "tag", "add": ["seen"]}],
    "stop": False,
}
HOUR: dict[str, Any] = {"since": "waiting_since", "minutes": 60}
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
        ({"when": {}}, "when"),
        ({"when": {"events": ["message.received"], "elapsed": HOUR}}, "when"),
        ({"when": {"elapsed": {}}}, "when.elapsed.since"),
        ({"when": {"elapsed": HOUR | {"since": "snoozed_until"}}}, "when.elapsed.since"),
        ({"when": {"elapsed": HOUR | {"minutes": 14}}}, "when.elapsed.minutes"),
        ({"when": {"elapsed": HOUR | {"minutes": 366 * 1440 + 1}}}, "when.elapsed.minutes"),
        ({"when": {"elapsed": HOUR | {"business_time": 1}}}, "when.elapsed.business_time"),
        ({"when": {"elapsed": HOUR}, "if": TEXT}, "if"),
        ({"when": {"elapsed": HOUR}, "stop": True}, "stop"),
        ({"when": {"events": ["message.received", "message.sent"]}, "if": TEXT}, "if"),
        ({"if": {"field": "assignee_id", "op": "eq", "value": "me"}}, "if"),
        ({"if": {"field": "unread", "op": "eq", "value": True}}, "if"),
        ({"if": {"field": "dance", "op": "eq", "value": 1}}, "if.field"),
        ({"do": []}, "do"),
        ({"do": [{"do": "assign", "agent_id": "me"}]}, "do.0.agent_id"),
        ({"stop": 1}, "stop"),
        ({"then": []}, "then"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as refused:
        automation.check(RULE | given)
    assert refused.value.field == field


def test_a_rule_on_time_says_since_when_and_how_long_and_by_which_clock() -> None:
    content = {**RULE, "when": {"elapsed": HOUR}}
    automation.check(content)
    found = automation.read(uuid4(), 1, content).elapsed
    assert found == Elapsed("waiting_since", timedelta(hours=1))
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    nine_to_five = Timetable(Calendar("UTC", [[(540, 1020)]] * 5 + [[], []]))
    assert found.latest(ALWAYS, noon) == noon - timedelta(hours=1)
    assert found.latest(nine_to_five, noon.replace(hour=9, minute=30)) == datetime(2026, 2, 27, 16, 30, tzinfo=UTC)
    assert found.latest(Timetable(Calendar("UTC", [[]] * 7)), noon) is None


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
