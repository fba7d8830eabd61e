"""Days, weeks and hours of a zone as arithmetic on seconds since 1970, which every database can do alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = 86_400
_STEP: Final = 6 * 3600
_FIRST: Final = date(1970, 1, 1)

Steps = Sequence[tuple[int, int]]
"""`(from, value)`, ascending: what holds from there on. The first holds before, too."""


def _offset(zone: ZoneInfo, at: int) -> int:
    found = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    assert found is not None
    return int(found.total_seconds())


def offsets(zone: ZoneInfo, after: int, before: int) -> Steps:
    """How far a zone is ahead of UTC, in seconds, between two instants. Finds each change that lasts six hours."""
    found = [(after, _offset(zone, after))]
    for at in range(after + _STEP, before + _STEP, _STEP):
        if _offset(zone, at) == found[-1][1]:
            continue
        low, high = at - _STEP, at
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == found[-1][1] else (low, middle)
        found.append((high, _offset(zone, high)))
    return found


def months(first: int, last: int) -> Steps:
    """The months (year times twelve, and months since January) from one day since 1970 to another."""
    start = day_of(first)
    number = start.year * 12 + start.month - 1
    found = []
    while (at := (date(number // 12, number % 12 + 1, 1) - _FIRST).days) <= last:
        found.append((at, number))
        number += 1
    return found


def day_of(number: int) -> date:
    return _FIRST + timedelta(days=number)


def monday_of(week: int) -> date:
    """Where a week begins; they are counted from the one that has the first of January 1970, a Thursday."""
    return day_of(week * 7 - 3)
