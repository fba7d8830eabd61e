"""How well promises were kept, in figures."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import Final

from helpdesk.domain.clocks import Clock, State

_SECOND: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Tally:
    """Of some cycles: how many ended in time and late, how many are broken and still open.

    The rest is `open`: it runs, or stands still, and is not overdue. Cycles that were called off are not for here.
    """

    cycles: int = 0
    met: int = 0
    met_late: int = 0
    breached: int = 0
    _took: array[float] = field(default_factory=lambda: array("d"))

    def add(self, clock: Clock) -> None:
        self.cycles += 1
        self.met += clock.state is State.MET
        self.met_late += clock.state is State.MET_LATE
        self.breached += clock.state is State.BREACHED
        if clock.ended_at is not None:
            self._took.append(clock.elapsed(clock.ended_at) / _SECOND)

    @property
    def open(self) -> int:
        return self.cycles - self.met - self.met_late - self.breached

    @property
    def broken(self) -> int:
        """Also those that were answered afterwards."""
        return self.met_late + self.breached

    @property
    def share_met(self) -> float | None:
        """Of those that are decided; None before any is."""
        decided = self.met + self.broken
        return self.met / decided if decided else None

    @property
    def median(self) -> timedelta | None:
        """How long it took, in the clocks' own time, where it has ended."""
        return timedelta(seconds=median(self._took)) if self._took else None

    @property
    def ninetieth(self) -> timedelta | None:
        """Nine in ten took as long at most: the least such time that one of them took."""
        return timedelta(seconds=sorted(self._took)[ceil(0.9 * len(self._took)) - 1]) if self._took else None


def overdue(clock: Clock, *, until: datetime) -> timedelta:
    """By how much of its own time a clock has, or had, gone beyond its target."""
    return clock.elapsed(until) - clock.target
