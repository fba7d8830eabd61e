"""What happened, told to promises: the same clocks as if they had been given at the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain.clocks import Clock, Kind, Origin, State, Terms
from helpdesk.domain.replay import Answered, Asked, Became, Happening, Joined, Reclassified, Story, Wrote, replay
from helpdesk.domain.tallies import Tally, overdue

START = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ONE, OTHER, DESK, POLICY = (UUID(int=number) for number in range(1, 5))
FIRST, NEXT, RESOLUTION = ("first_response", 1), ("next_response", 1), ("resolution", 1)


def terms(policy: UUID = POLICY, **hours: float) -> Terms:
    given = hours or {"first_response": 4, "next_response": 4}
    return Terms((policy, 1), {Kind(kind): timedelta(hours=count) for kind, count in given.items()})


def asked(hours: float, seq: int, *, noticed: float | None = None, channel: str = "email") -> Asked:
    origin = Origin(START + hours * HOUR, seq, channel, DESK)
    return Asked(noticed=START + (hours if noticed is None else noticed) * HOUR, seq=seq, origin=origin)


def answered(hours: float, seq: int) -> Answered:
    return Answered(noticed=START + hours * HOUR, seq=seq, message_id=UUID(int=1000 + seq))


def wrote(hours: float, seq: int) -> Wrote:
    return Wrote(noticed=START + hours * HOUR, seq=seq, origin=Origin(START + hours * HOUR, 0, "email", DESK))


def became(hours: float, seq: int, status: str) -> Became:
    return Became(noticed=START + hours * HOUR, seq=seq, status=status)


def reclassified(hours: float, seq: int, **values: Any) -> Reclassified:
    return Reclassified(noticed=START + hours * HOUR, seq=seq, values=values)


def story(*happenings: Happening, identifier: UUID = ONE) -> Story:
    return Story(identifier, "open", 1, None, happenings)


def always(found: Terms) -> Any:
    return lambda origin, priority, category: found


def told(*stories: Story, by: Any = None, until: float = 100) -> dict[tuple[str, int], Clock]:
    clocks = replay(stories, by or always(terms()), until=START + until * HOUR)
    return {(clock.kind.value, clock.cycle): clock for clock in clocks}


def states(found: dict[tuple[str, int], Clock]) -> dict[tuple[str, int], str]:
    return {key: clock.state.value for key, clock in found.items()}


def test_an_answer_in_time_meets_and_a_late_one_meets_late() -> None:
    found = told(story(asked(0, 1), answered(3, 2), asked(5, 3), answered(10, 4)))
    assert states(found) == {FIRST: "met", NEXT: "met_late"}
    assert found[NEXT].breached_at == START + 9 * HOUR
    assert overdue(found[NEXT], until=START + 99 * HOUR) == HOUR


def test_happenings_are_told_in_order_of_time_however_they_are_given() -> None:
    forwards = [asked(0, 1), answered(3, 2), asked(5, 3), answered(10, 4)]
    assert told(story(*reversed(forwards))) == told(story(*forwards))


def test_what_nobody_answered_is_broken_at_its_due_time_and_only_then() -> None:
    assert states(told(story(asked(0, 1)), until=4)) == {FIRST: "running"}
    (clock,) = told(story(asked(0, 1)), until=5).values()
    assert (clock.state, clock.breached_at) == (State.BREACHED, START + 4 * HOUR)
    assert overdue(clock, until=START + 5 * HOUR) == HOUR


def test_what_comes_after_the_end_is_not_told() -> None:
    assert states(told(story(asked(0, 1), answered(3, 2)), until=2)) == {FIRST: "running"}


def test_several_messages_in_a_row_are_one_cycle_from_the_earliest_on() -> None:
    found = told(story(asked(2, 1), asked(0, 2, noticed=2.5), asked(3, 3), answered(5, 4)))
    assert states(found) == {FIRST: "met_late"}, "the second came in earlier, and was filed later"
    assert found[FIRST].origin.at == START


def test_whoever_wrote_before_the_answer_was_accepted_and_after_it_was_written_waits_for_the_next() -> None:
    found = told(story(asked(0, 1), asked(2, 3), answered(3, 2)), until=5)
    assert states(found) == {FIRST: "met", NEXT: "running"}
    assert found[NEXT].origin.at == START + 2 * HOUR


def test_a_resolved_conversation_owes_nothing_until_it_is_opened_again() -> None:
    begun = (asked(0, 1), became(1, 2, "resolved"))
    assert states(told(story(*begun))) == {FIRST: "stopped"}
    found = told(story(*begun, asked(50, 3), became(50, 4, "open")), until=54)
    assert states(found) == {FIRST: "breached"}
    assert found[FIRST].breached_at == START + 53 * HOUR, "the 49 hours between do not count"


def test_pending_pauses_the_resolution_and_no_answer() -> None:
    by = always(terms(first_response=4, resolution=10))
    found = told(story(asked(0, 1), became(1, 2, "pending"), became(11, 3, "open"), became(19, 4, "resolved")), by=by)
    assert states(found) == {FIRST: "breached", RESOLUTION: "met"}
    assert found[RESOLUTION].elapsed(START + 99 * HOUR) == 9 * HOUR


def test_what_an_agent_starts_has_no_first_response() -> None:
    by = always(terms(first_response=4, next_response=4, resolution=48))
    found = told(story(wrote(0, 1), answered(0, 1), asked(20, 2)), by=by, until=21)
    assert states(found) == {RESOLUTION: "running", NEXT: "running"}
    assert found[RESOLUTION].origin.at == START
    assert states(told(story(wrote(0, 1), asked(20, 2)), until=21)) == {NEXT: "running"}


def test_another_category_changes_the_terms_from_the_first_start_on() -> None:
    def judge(origin: Origin, priority: int, category: str | None) -> Terms:
        return terms(OTHER, first_response=1, resolution=8) if category == "security" else terms()

    found = told(story(asked(0, 1), reclassified(3, 2, category="security")), by=judge, until=3.5)
    assert (found[FIRST].state, found[FIRST].breached_at) == (State.BREACHED, START + 3 * HOUR)
    assert (found[RESOLUTION].state, found[RESOLUTION].origin.at) == (State.RUNNING, START)


def test_a_priority_without_a_promise_calls_the_clock_off() -> None:
    def judge(origin: Origin, priority: int, category: str | None) -> Terms | None:
        return terms() if priority else None

    happened = asked(0, 1), reclassified(1, 2, priority=0), reclassified(2, 3, priority=3)
    assert states(told(story(*happened[:2]), by=judge)) == {FIRST: "cancelled"}
    again = told(story(*happened), by=judge, until=3)
    assert states(again) == {FIRST: "cancelled", ("first_response", 2): "running"}


def test_each_cycle_takes_the_terms_of_where_it_began() -> None:
    def judge(origin: Origin, priority: int, category: str | None) -> Terms:
        return terms(OTHER, next_response=1) if origin.channel == "chat" else terms()

    found = told(story(asked(0, 1), answered(1, 2), asked(2, 3, channel="chat"), answered(4, 4)), by=judge)
    assert states(found) == {FIRST: "met", NEXT: "met_late"}


def test_what_was_merged_away_is_called_off_and_whoever_waited_there_waits_in_the_target() -> None:
    source = story(asked(0, 1), became(3, 2, "closed"), identifier=OTHER)
    target = story(asked(2, 1), Joined(noticed=START + 3 * HOUR, seq=2, source=OTHER), answered(5, 3))
    clocks = replay([target, source], always(terms()), until=START + 99 * HOUR)
    assert sorted(clock.state.value for clock in clocks) == ["cancelled", "met_late"]
    kept = next(clock for clock in clocks if not clock.cancelled)
    assert (kept.origin.at, kept.breached_at) == (START, START + 4 * HOUR)


def test_an_answer_that_was_written_before_the_merge_does_not_answer_whom_it_brought() -> None:
    source = story(asked(1, 1), identifier=OTHER)
    joined = Joined(noticed=START + 2 * HOUR, seq=4, source=OTHER)
    target = story(asked(0, 1), answered(0.5, 2), joined, answered(3, 3))
    clocks = replay([target, source], always(terms()), until=START + 4 * HOUR)
    assert [(one.kind, one.origin.at) for one in clocks if one.live] == [(Kind.NEXT_RESPONSE, START + HOUR)]


def test_an_answer_from_before_the_merge_that_is_accepted_after_it_answers_whom_it_was_for() -> None:
    source = story(asked(0, 1), answered(3, 2), identifier=OTHER)
    target = story(asked(1, 1), answered(1.5, 2), Joined(noticed=START + 2 * HOUR, seq=3, source=OTHER))
    clocks = replay([target, source], always(terms()), until=START + 9 * HOUR)
    found = sorted((one.kind.value, one.state.value, one.ended_at) for one in clocks if not one.cancelled)
    assert found == [("first_response", "met", START + 1.5 * HOUR), ("next_response", "met", START + 3 * HOUR)]


def test_a_tally_counts_what_ended_and_how_long_it_took() -> None:
    tally = Tally()
    for hours in (1, 2, 3, 6):
        (clock,) = told(story(asked(0, 1), answered(hours, 2))).values()
        tally.add(clock)
    for until in (2, 5):
        (clock,) = told(story(asked(0, 1)), until=until).values()
        tally.add(clock)
    assert (tally.cycles, tally.met, tally.met_late, tally.breached, tally.open) == (6, 3, 1, 1, 1)
    assert tally.share_met == pytest.approx(3 / 5)
    assert (tally.median, tally.ninetieth) == (2.5 * HOUR, 6 * HOUR)


def test_a_tally_of_nothing_promises_nothing() -> None:
    tally = Tally()
    assert (tally.share_met, tally.median, tally.ninetieth, tally.open) == (None, None, None, 0)
