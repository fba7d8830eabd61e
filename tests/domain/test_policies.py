"""Which policy a message falls under, when its warnings come, and what is refused as a policy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain.contents import Wrong
from helpdesk.domain.policies import Policy, check, choose, mentions, read, thresholds

DESK, OTHER_DESK, HOURS = UUID(int=101), UUID(int=102), UUID(int=103)
DAY, HOUR = 86_400, 3_600


def content(**given: Any) -> dict[str, Any]:
    return {
        "clock": "calendar",
        "business_hours_id": None,
        "inbox_ids": [],
        "channels": [],
        "priorities": [],
        "categories": [],
        "targets": {"first_response": DAY},
        "warnings": [{"fraction": 0.75}],
        "pauses": ["resolution"],
        "pause_states": ["pending"],
        "next_response_from_creation": False,
    } | given


def policy(number: int, position: int = 0, **given: Any) -> Policy:
    made = content(**given)
    check(made)
    return read(UUID(int=number), 1, position, made)


def chosen(*policies: Policy, **asked: Any) -> int | None:
    about: dict[str, Any] = {"channel": "email", "inbox_id": DESK, "inbox_policy_id": None}
    about |= {"priority": "normal", "category": None}
    found = choose(policies, **(about | asked))
    return found.id.int if found else None


def test_a_policy_is_read_as_it_was_written() -> None:
    found = policy(
        1,
        7,
        clock="business",
        business_hours_id=str(HOURS),
        inbox_ids=[str(DESK)],
        channels=["email"],
        priorities=["high"],
        categories=["security"],
        targets={"first_response": HOUR, "resolution": DAY},
        warnings=[{"before": 60}, {"fraction": 0.5}],
        pause_states=["pending", "snoozed"],
        next_response_from_creation=True,
    )
    assert (found.id, found.version, found.position) == (UUID(int=1), 1, 7)
    assert (found.clock, found.business_hours_id) == ("business", HOURS)
    assert (found.inbox_ids, found.channels) == ({DESK}, {"email"})
    assert (found.priorities, found.categories) == ({"high"}, {"security"})
    assert found.targets == {"first_response": timedelta(hours=1), "resolution": timedelta(days=1)}
    assert [warning.before for warning in found.warnings] == [timedelta(minutes=1), None]
    assert (found.pauses, found.pause_states) == ({"resolution"}, {"pending", "snoozed"})
    assert found.next_response_from_creation


def test_the_lowest_position_wins_and_then_the_oldest() -> None:
    assert chosen(policy(1, 20), policy(3, 10), policy(2, 10)) == 2


def test_all_conditions_must_hold() -> None:
    narrow = policy(1, channels=["email"], inbox_ids=[str(DESK)], priorities=["high", "urgent"], categories=["theft"])
    fits: dict[str, Any] = {"priority": "urgent", "category": "theft"}
    assert chosen(narrow, **fits) == 1
    for other in (
        {"channel": "chat"},
        {"inbox_id": OTHER_DESK},
        {"priority": "low"},
        {"category": "fees"},
        {"category": None},
    ):
        assert chosen(narrow, **(fits | other)) is None


def test_what_it_is_about_beats_the_inbox_and_the_inbox_beats_the_rest() -> None:
    security = policy(1, 90, categories=["security"])
    urgent = policy(2, 80, priorities=["urgent"])
    own = policy(3, 70, channels=["chat"])
    rest = policy(4, 1)
    everything = (security, urgent, own, rest)
    own_id = UUID(int=3)
    assert chosen(*everything) == 4
    assert chosen(*everything, inbox_policy_id=own_id) == 3, "whatever channel it names"
    assert chosen(*everything, inbox_policy_id=own_id, category="security") == 1
    assert chosen(*everything, inbox_policy_id=own_id, category="security", priority="urgent") == 2
    assert chosen(*everything, inbox_policy_id=UUID(int=9)) == 4, "its policy is gone or switched off"


def test_an_inbox_policy_about_something_else_is_passed_over() -> None:
    own, rest = policy(1, 1, categories=["security"], channels=["chat"]), policy(2, 2)
    assert chosen(own, rest, inbox_policy_id=UUID(int=1)) == 2
    assert chosen(own, rest, inbox_policy_id=UUID(int=1), category="security") == 1


def test_nothing_is_promised_where_nothing_matches() -> None:
    assert chosen() is None
    assert chosen(policy(1, channels=["chat"])) is None


def test_warnings_come_in_order_and_once_each() -> None:
    warned = policy(
        1,
        targets={"first_response": HOUR, "next_response": 2 * HOUR},
        warnings=[{"before": 900}, {"fraction": 0.75}, {"fraction": 0.1}],
    )
    assert thresholds(warned, "first_response") == [timedelta(minutes=6), timedelta(minutes=45)]
    assert thresholds(warned, "next_response") == [timedelta(minutes=12), timedelta(minutes=90), timedelta(minutes=105)]
    assert thresholds(warned, "resolution") == []


def test_a_fraction_is_rounded_to_whole_microseconds_and_never_to_the_start_or_the_end() -> None:
    odd = policy(
        1, targets={"resolution": 1}, warnings=[{"fraction": 1 / 3}, {"fraction": 1e-9}, {"fraction": 1 - 1e-9}]
    )
    assert thresholds(odd, "resolution") == [timedelta(microseconds=333_333)]


def test_what_a_policy_mentions_is_named_with_its_field() -> None:
    found = content(business_hours_id=str(HOURS), inbox_ids=[str(DESK), str(OTHER_DESK)])
    assert list(mentions(found)) == [
        ("business_hours_id", "business_hours", HOURS),
        ("inbox_ids.0", "inbox", DESK),
        ("inbox_ids.1", "inbox", OTHER_DESK),
    ]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"clock": "lunar"}, "clock"),
        ({"clock": None}, "clock"),
        ({"business_hours_id": "noon"}, "business_hours_id"),
        ({"inbox_ids": ["x"]}, "inbox_ids.0"),
        ({"inbox_ids": [str(DESK), str(DESK)]}, "inbox_ids.1"),
        ({"inbox_ids": str(DESK)}, "inbox_ids"),
        ({"channels": ["E-Mail"]}, "channels.0"),
        ({"channels": [7]}, "channels.0"),
        ({"priorities": ["high", "higher"]}, "priorities.1"),
        ({"priorities": ["high", "high"]}, "priorities.1"),
        ({"categories": [" "]}, "categories.0"),
        ({"categories": ["x" * 61]}, "categories.0"),
        ({"categories": [str(n) for n in range(101)]}, "categories"),
        ({"targets": {}}, "targets"),
        ({"targets": [DAY]}, "targets"),
        ({"targets": {"third_response": DAY}}, "targets.third_response"),
        ({"targets": {"first_response": 0}}, "targets.first_response"),
        ({"targets": {"first_response": True}}, "targets.first_response"),
        ({"targets": {"first_response": 1.5}}, "targets.first_response"),
        ({"targets": {"first_response": 3650 * DAY + 1}}, "targets.first_response"),
        ({"targets": {"first_response": DAY, "resolution": DAY - 1}}, "targets.resolution"),
        ({"targets": {"next_response": DAY, "resolution": HOUR}}, "targets.resolution"),
        ({"warnings": [{}]}, "warnings.0"),
        ({"warnings": [{"fraction": 0.5, "before": 60}]}, "warnings.0"),
        ({"warnings": [{"after": 60}]}, "warnings.0.after"),
        ({"warnings": [{"fraction": 0}]}, "warnings.0.fraction"),
        ({"warnings": [{"fraction": 1.0}]}, "warnings.0.fraction"),
        ({"warnings": [{"fraction": float("nan")}]}, "warnings.0.fraction"),
        ({"warnings": [{"before": 0}]}, "warnings.0.before"),
        ({"warnings": [{"before": DAY}]}, "warnings.0.before"),
        ({"warnings": [{"fraction": 0.5}, {"before": 60}, {"fraction": 0.50}]}, "warnings.2"),
        ({"warnings": [{"before": n} for n in range(1, 12)]}, "warnings"),
        ({"pauses": ["lunch"]}, "pauses.0"),
        ({"pause_states": ["resolved"]}, "pause_states.0"),
        ({"next_response_from_creation": 1}, "next_response_from_creation"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field_and_a_reason(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as refused:
        check(content(**given))
    assert refused.value.field == field
    assert refused.value.reason


def test_a_field_that_is_missing_is_named() -> None:
    whole = content()
    check(whole)
    for name in whole:
        with pytest.raises(Wrong) as refused:
            check({key: value for key, value in whole.items() if key != name})
        assert refused.value.field == name
    with pytest.raises(Wrong):
        check([])
