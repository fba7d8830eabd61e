"""Clocks by calendars that end: what nobody can schedule is marked, wherever it turns out, and stops nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from helpdesk.domain.business_hours import Calendar, Timetable
from helpdesk.domain.clocks import UNTOLD, Clock, Kind, Origin, Schedule, State, Terms, Trouble
from helpdesk.domain.sla import Ledger

HOUR = timedelta(hours=1)
DAY = date(2026, 11, 2)
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
HALTED = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
NEXT = datetime(2026, 11, 3, 10, 0, tzinfo=UTC)
BOTH = frozenset({Kind.FIRST_RESPONSE, Kind.RESOLUTION})


def ledger(*, reviewed: frozenset[int] | None = None, target: timedelta = 4 * HOUR, open_days: int = 1) -> Ledger:
    """A desk that opens from nine to five on a few days, and never again; everything halts while it is pending."""
    days = {DAY + timedelta(days=day): [(9 * 60, 17 * 60)] for day in range(open_days)}
    time = Timetable(Calendar("UTC", [()] * 7, frozenset(), days, {}, reviewed))
    promised = dict.fromkeys(BOTH, target)
    warnings = dict.fromkeys(BOTH, (HOUR / 2,))
    terms = Terms((UUID(int=1), 1), promised, time, hours=(UUID(int=2), 1), pauses=BOTH, warnings=warnings)
    found = Ledger(now=START)
    found.opened(Origin(START, 1, "email", UUID(int=3)), terms)
    return found


def states(found: Ledger) -> set[tuple[State, str, int]]:
    return {(clock.state, clock.trouble, clock.warned) for clock in found.clocks}


@pytest.mark.parametrize("halted", ["pending", "resolved"])
def test_a_clock_that_goes_on_when_nobody_will_be_there_any_more_is_marked(halted: str) -> None:
    found = ledger()
    assert states(found) == {(State.RUNNING, "", 0)}
    found.became(HALTED, halted)
    found.became(NEXT, "open")
    assert states(found) == {(State.RUNNING, Trouble.UNSCHEDULABLE.value, UNTOLD)}
    for clock in found.clocks:
        assert clock.schedule() == Schedule(None, None, START), "the sweep is to look at it"
        assert clock.settled(NEXT + HOUR, now=NEXT + HOUR) == clock


def test_what_cannot_be_scheduled_can_be_halted_again_and_ended() -> None:
    found = ledger()
    for at, status in ((HALTED, "pending"), (NEXT, "open"), (NEXT, "pending"), (NEXT, "open"), (NEXT, "resolved")):
        found.became(at, status)
    assert {(clock.kind, clock.state) for clock in found.clocks} == {
        (Kind.FIRST_RESPONSE, State.STOPPED),
        (Kind.RESOLUTION, State.MET),
    }


def test_a_clock_that_goes_on_into_a_year_that_nobody_has_reviewed_is_marked() -> None:
    found = ledger(reviewed=frozenset({2026}), open_days=62 + 2)  # the last of them are in January
    found.became(HALTED, "pending")
    found.became(datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "open")
    assert states(found) == {(State.RUNNING, Trouble.UNKNOWN_HOLIDAYS.value, UNTOLD)}


def test_whoever_was_warned_is_not_warned_again_for_the_year() -> None:
    found = ledger(reviewed=frozenset({2026}), open_days=62 + 2)
    found.clocks = [replace(clock, warned=1) for clock in found.clocks]
    found.became(HALTED, "pending")
    found.became(datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "open")
    assert states(found) == {(State.RUNNING, "", 1)}


def test_a_clock_that_has_ended_is_not_looked_at() -> None:
    found = ledger()
    found.became(HALTED, "pending")
    found.answered(NEXT)
    ended = [clock for clock in found.clocks if not clock.live]
    assert [(clock.kind, clock.trouble) for clock in ended] == [(Kind.FIRST_RESPONSE, "")]
    assert isinstance(ended[0], Clock)
