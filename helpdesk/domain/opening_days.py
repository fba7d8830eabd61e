"""Opening hours cut into days of UTC, so that a database can reckon with them: open time until a moment is what had
passed when its day began, and what of the day's intervals lies before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class OpeningDay:
    """`day` counts from 1970; `passed` is the open time before it, in seconds from some beginning.

    `intervals` are seconds of the day, ascending.
    """

    day: int
    passed: int
    intervals: Sequence[tuple[int, int]]

    def until(self, second: int) -> int:
        """Open seconds until a second of the day."""
        return self.passed + sum(min(max(second - opens, 0), closes - opens) for opens, closes in self.intervals)


def opening_days(open_between: Iterable[tuple[datetime, datetime]], *, first: int, last: int) -> list[OpeningDay]:
    """The days from `first` to `last`, by intervals that ascend and lie within them."""
    found: dict[int, list[tuple[int, int]]] = {}
    for day, opens, closes in _pieces(open_between):
        found.setdefault(day, []).append((opens, closes))
    days, passed = [], 0
    for day in range(first, last + 1):
        intervals = found.get(day, [])
        days.append(OpeningDay(day, passed, intervals))
        passed += sum(closes - opens for opens, closes in intervals)
    return days


def _pieces(intervals: Iterable[tuple[datetime, datetime]]) -> Iterator[tuple[int, int, int]]:
    for start, end in intervals:
        at, until = int(start.timestamp()), int(end.timestamp())
        while at < until:
            day = at // DAY
            stop = min(until, (day + 1) * DAY)
            yield day, at - day * DAY, stop - day * DAY
            at = stop
