"""Business time: how much of the time a desk is open, and when so much of it has passed.

A `Calendar` says what is open in local time; a `Timetable` is the same as instants, computed once and asked by
bisection, so that a target of ten years costs what one of an hour does. All is integer microseconds since 1970 inside,
and nothing is rounded. Time across a change of the clocks is real elapsed time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from operator import sub
from typing import Protocol
from zoneinfo import ZoneInfo

Interval = tuple[int, int]
"""`[open, close)` in minutes after local midnight; 1440 is the next one. Overnight is two intervals."""

MINUTES = 1440
HORIZON_YEARS = 50
"""How far ahead, or back, enough open time is looked for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times are counted from it
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class NeverOpen(Exception):
    """There is not so much open time within `HORIZON_YEARS`."""


class BusinessTime(Protocol):
    """What a clock runs by. Spans are real time; `due` and `before` raise `NeverOpen`."""

    def due(self, at: datetime, target: timedelta) -> datetime:
        """The first instant by which `target` of open time has passed since `at`."""

    def before(self, at: datetime, span: timedelta) -> datetime:
        """The last instant from which `span` of open time passes until `at`."""

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Open time in `[start, end)`; none when `end` is not after `start`."""

    def open_between(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The open intervals of `[start, end)`, cut to it, in order."""

    def is_open(self, at: datetime) -> bool:
        """Whether `at` is in an interval; an interval's end is not."""

    def next_open(self, at: datetime) -> datetime:
        """The first open instant from `at` on."""

    def prev_close(self, at: datetime) -> datetime:
        """The last instant up to `at` right before which it was open."""


class Always:
    """The clock on the wall."""

    def due(self, at: datetime, target: timedelta) -> datetime:
        return at + target

    def before(self, at: datetime, span: timedelta) -> datetime:
        return at - span

    def between(self, start: datetime, end: datetime) -> timedelta:
        return max(end - start, timedelta())

    def open_between(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        if start < end:
            yield start, end

    def is_open(self, at: datetime) -> bool:
        return True

    def next_open(self, at: datetime) -> datetime:
        return at

    def prev_close(self, at: datetime) -> datetime:
        return at


ALWAYS = Always()


@dataclass(frozen=True)
class Calendar:
    """Opening hours in local time. `weekly` has seven days, Monday first; intervals of a day ascend and do not overlap.

    `overrides` replace a date's hours (short days, make-up working days, extra shifts), also on a holiday; `breaks` are
    taken out of whatever the date has. `reviewed` are the years whose holidays are known to be complete, or None where
    nobody needs to know (`calendars.knows`).
    """

    zone: str
    weekly: Sequence[Sequence[Interval]]
    holidays: frozenset[date] = frozenset()
    overrides: Mapping[date, Sequence[Interval]] = field(default_factory=dict)
    breaks: Mapping[date, Sequence[Interval]] = field(default_factory=dict)
    reviewed: frozenset[int] | None = None

    def on(self, day: date) -> Sequence[Interval]:
        """The intervals of one date."""
        hours = self.overrides.get(day)
        if hours is None:
            hours = () if day in self.holidays else self.weekly[day.weekday()]
        breaks = self.breaks.get(day)
        return _without(hours, breaks) if breaks else hours


def _without(hours: Sequence[Interval], breaks: Sequence[Interval]) -> Sequence[Interval]:
    left = list(hours)
    for start, end in breaks:
        left = [
            part
            for opens, closes in left
            for part in ((opens, min(closes, start)), (max(opens, end), closes))
            if part[0] < part[1]
        ]
    return left


class Timetable:
    """A calendar as instants: built year by year as it is asked for, and kept."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._zone = ZoneInfo(calendar.zone)
        self._years: range = range(0)
        self._opens: list[int] = []
        self._closes: list[int] = []
        self._passed: list[int] = []
        """Open time from the table's beginning to each close."""

    def due(self, at: datetime, target: timedelta) -> datetime:
        start, wanted = _micros(at), target // _MICROSECOND
        if wanted <= 0:
            return at
        self._cover(at.year)
        for _ in range(HORIZON_YEARS):
            goal = self._passed_at(start) + wanted
            place = bisect_left(self._passed, goal)
            if place < len(self._passed):
                return _instant(self._closes[place] - (self._passed[place] - goal))
            self._cover(self._years.stop)
        raise NeverOpen

    def before(self, at: datetime, span: timedelta) -> datetime:
        end, wanted = _micros(at), span // _MICROSECOND
        if wanted <= 0:
            return at
        self._cover(at.year)
        for _ in range(HORIZON_YEARS):
            goal = self._passed_at(end) - wanted
            if goal >= 0:
                place = bisect_right(self._passed, goal)
                return _instant(self._closes[place] - (self._passed[place] - goal))
            self._cover(self._years.start - 1)
        raise NeverOpen

    def between(self, start: datetime, end: datetime) -> timedelta:
        if end <= start:
            return timedelta()
        self._cover(start.year)
        self._cover(end.year)
        return (self._passed_at(_micros(end)) - self._passed_at(_micros(start))) * _MICROSECOND

    def open_between(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        if start >= end:
            return
        self._cover(start.year)
        self._cover(end.year)
        first, last = _micros(start), _micros(end)
        for place in range(bisect_right(self._closes, first), bisect_left(self._opens, last)):
            yield _instant(max(self._opens[place], first)), _instant(min(self._closes[place], last))

    def is_open(self, at: datetime) -> bool:
        self._cover(at.year)
        instant = _micros(at)
        place = bisect_right(self._opens, instant) - 1
        return place >= 0 and instant < self._closes[place]

    def next_open(self, at: datetime) -> datetime:
        self._cover(at.year)
        instant = _micros(at)
        for _ in range(HORIZON_YEARS):
            place = bisect_right(self._closes, instant)
            if place < len(self._closes):
                return _instant(max(instant, self._opens[place]))
            self._cover(self._years.stop)
        raise NeverOpen

    def next_close(self, at: datetime) -> datetime | None:
        """The end of the open time that `at` is in, or that comes next; None where it stays open for two years.

        Intervals that adjoin are one, also over midnight.
        """
        first = self.next_open(at)
        self._cover(first.year + 1)
        place = bisect_right(self._opens, _micros(first)) - 1
        while place + 1 < len(self._opens) and self._opens[place + 1] == self._closes[place]:
            place += 1
        return _instant(self._closes[place]) if place + 1 < len(self._opens) else None

    def prev_close(self, at: datetime) -> datetime:
        self._cover(at.year)
        instant = _micros(at)
        for _ in range(HORIZON_YEARS):
            place = bisect_left(self._opens, instant) - 1
            if place >= 0:
                return _instant(min(instant, self._closes[place]))
            self._cover(self._years.start - 1)
        raise NeverOpen

    def _passed_at(self, instant: int) -> int:
        place = bisect_right(self._opens, instant) - 1
        if place < 0:
            return 0
        return self._passed[place] - max(self._closes[place] - instant, 0)

    def _cover(self, year: int) -> None:
        """Have the years around `year`, and all between them and those that are there already."""
        have = self._years
        wanted = range(year - 1, year + 2)
        if have and have.start <= wanted.start and wanted.stop <= have.stop:
            return
        if not have:
            have = range(wanted.start, wanted.start)
        earlier = self._instants(range(wanted.start, have.start))
        later = self._instants(range(have.stop, wanted.stop))
        opens, closes = [one[0] for one in later], [one[1] for one in later]
        if earlier:
            self._opens[:0], self._closes[:0] = [one[0] for one in earlier], [one[1] for one in earlier]
        self._opens += opens
        self._closes += closes
        self._passed = list(accumulate(map(sub, self._closes, self._opens)))
        self._years = range(min(have.start, wanted.start), max(have.stop, wanted.stop))

    def _instants(self, years: range) -> list[tuple[int, int]]:
        """What is open in these local years, ascending. What the clocks skip is nothing."""
        found = []
        day, end = date(years.start, 1, 1), date(years.stop, 1, 1)
        while day < end:
            for opens, closes in self.calendar.on(day):
                interval = _local(self._zone, day, opens), _local(self._zone, day, closes)
                if interval[0] < interval[1]:
                    found.append(interval)
            day += _DAY
        return found


def moment(zone: ZoneInfo, day: date, minute: int) -> datetime:
    """A local minute as an instant: the first of two that are called so, the moment of the change if none is."""
    return _instant(_local(zone, day, minute))


def _local(zone: ZoneInfo, day: date, minute: int) -> int:
    local = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 - on local clocks
    first = local.replace(tzinfo=zone)
    before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
    assert before is not None
    assert after is not None
    naive = (local - _NAIVE_EPOCH) // _MICROSECOND
    if before >= after:
        return naive - before // _MICROSECOND
    return _change(zone, naive - after // _MICROSECOND, naive - before // _MICROSECOND)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _instant(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The moment in `(low, high]` at which the zone's offset changes, to the second, by bisection."""
    before = _instant(low).astimezone(zone).utcoffset()
    while high - low > 1_000_000:
        middle = (low + high) // 2 // 1_000_000 * 1_000_000
        if _instant(middle).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
