"""Waiting for an agent on a live channel: how it begins and ends, and what can be said of how long it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Final, Self

FEWEST: Final = 5
"""Of fewer nobody can say how long it takes."""
LATEST: Final = 20
WITHIN: Final = timedelta(hours=1)
"""What is older says nothing of now."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How one visit waits. `queued_at` is since when he waits, None while he does not; `joined_at` when he was joined
    first; `abandoned_at` when he went before that. `waited_seconds` are those of waits that are over.
    """

    queued_at: datetime | None = None
    joined_at: datetime | None = None
    abandoned_at: datetime | None = None
    missed: bool = False
    waited_seconds: int = 0

    def queue(self, at: datetime) -> Self:
        """Nobody has it, or has it any more."""
        return self if self.queued_at is not None else replace(self, queued_at=at)

    def join(self, at: datetime) -> Self:
        """Somebody is there. Who was missed, and comes back and is served, was not missed in the end.

        Who was missed and does not wait is answered later, and by other ways: that is no joining.
        """
        if self.missed and self.queued_at is None:
            return self
        joined = replace(self.stop(at), joined_at=self.joined_at or at)
        return replace(joined, missed=False, abandoned_at=None)

    def stop(self, at: datetime) -> Self:
        """He waits no longer: it is resolved, or put off."""
        if self.queued_at is None:
            return self
        waited = max(0, int((at - self.queued_at).total_seconds()))
        return replace(self, queued_at=None, waited_seconds=self.waited_seconds + waited)

    def go(self, at: datetime) -> Self:
        """He goes while he waits. Whoever was joined before has not gone in vain."""
        left = self.queued_at is not None and self.joined_at is None
        return replace(self.stop(at), abandoned_at=at if left else self.abandoned_at)

    def miss(self, at: datetime, *, gone: bool) -> Self:
        """Nobody came, and nobody will: he is gone, or the desk is closed. It may be that somebody was there before."""
        return replace(self.go(at) if gone else self.stop(at), missed=True)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a queue goes: for how many seconds its first place is `held` as a rule, and has been by now."""

    held: float
    so_far: float

    def until(self, position: int) -> int:
        """In how many seconds it may be the turn of whoever is at this place, from 1 on. It is rounded up."""
        seconds = max(0.0, position * self.held - min(self.so_far, self.held))
        step = 10 if seconds <= 120 else 60
        return ceil(seconds / step) * step


def pace(taken: Iterable[tuple[datetime, datetime]], *, first_since: datetime, now: datetime) -> Pace | None:
    """How fast a queue goes; None where nobody can tell.

    `taken` are those who were joined last, when each began to wait and when he was joined; `first_since` is since when
    whoever is first now waits. What counts is how long the first place was held: from the one before him, or from his
    own coming, until he was joined. It holds however many agents there are. Where the first has held his place for
    longer than any of these did, something has changed, and they say nothing any more.
    """
    lately = sorted((one for one in taken if one[1] > now - WITHIN), key=lambda one: one[::-1])[-LATEST - 1 :]
    held = [(joined - max(since, before)).total_seconds() for (_, before), (since, joined) in pairwise(lately)]
    if len(lately) <= LATEST and lately:
        since, joined = lately[0]
        held.insert(0, (joined - since).total_seconds())
    if len(held) < FEWEST:
        return None
    so_far = max(0.0, (now - max(first_since, lately[-1][1])).total_seconds())
    return Pace(median(held), so_far) if so_far <= max(held) else None
