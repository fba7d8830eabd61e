"""A clock's story: every stretch of time since its start, whether it counted, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from helpdesk.domain.business_hours import BusinessTime
from helpdesk.domain.clocks import Clock

MOST: Final = 500
COUNTED, CLOSED = "counted", "closed"


@dataclass(frozen=True, slots=True)
class Stretch:
    """`why`: counted, closed (outside of hours), paused or stopped."""

    start: datetime
    end: datetime
    why: str


def tell(clock: Clock, *, now: datetime) -> tuple[Sequence[Stretch], bool]:
    """The first `MOST` stretches from the start to the end, or to `now`; and whether there are more."""
    found = list(islice(_stretches(clock, now), MOST + 1))
    return found[:MOST], len(found) > MOST


def _stretches(clock: Clock, now: datetime) -> Iterator[Stretch]:
    until = clock.ended_at or now
    at = clock.origin.at
    for span in clock.spans:
        yield from _between(clock.terms.time, at, min(span.start, until))
        start, end = max(at, span.start), min(span.end or until, until)
        if start < end:
            yield Stretch(start, end, span.why.value)
        at = max(at, end)
    yield from _between(clock.terms.time, at, until)


def _between(time: BusinessTime, start: datetime, end: datetime) -> Iterator[Stretch]:
    """Open and closed by turns."""
    at = start
    for opens, closes in time.open_between(start, end):
        if at < opens:
            yield Stretch(at, opens, CLOSED)
        yield Stretch(opens, closes, COUNTED)
        at = closes
    if at < end:
        yield Stretch(at, end, CLOSED)
