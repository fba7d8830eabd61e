"""How often is looked, so that the reads of a month last for the month. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.x.limits import until_next_month
from helpdesk.channels import BudgetSpent

LONGEST_SECONDS = 900.0
QUIET_SECONDS = 120.0
WEBHOOK_SECONDS = 300.0
"""How far an account's silence stretches it, without a webhook and with one."""
FIRST_DAYS, FIRST_READS = 0.1, 0.2
"""Shares of a month and of its reads within which nobody can tell yet whether they will last."""
SWEEPS_BELOW = 0.8
"""Looking for deletions is a nicety: it ends while this much of the month's reads is left to what is new."""


@dataclass(slots=True)
class Budget:
    """What was read this month. A post that is read again on the same day (UTC) is not counted again."""

    limit: int
    month: str = ""
    reads: int = 0
    day: str = ""
    seen: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, limit: int, kept: Mapping[str, Any]) -> Budget:
        return cls(limit, month=str(kept.get("month", "")), reads=int(kept.get("reads", 0)))

    def kept(self) -> dict[str, Any]:
        """For the cursor. What was seen today is not kept: after a restart a few are counted twice."""
        return {"month": self.month, "reads": self.reads}

    def read(self, ids: Collection[str], now: datetime) -> None:
        self._turn(now)
        fresh = set(ids) - self.seen
        self.seen |= fresh
        self.reads += len(fresh)

    def check(self, now: datetime) -> None:
        """Raises BudgetSpent when nothing is left to read."""
        self._turn(now)
        if self.reads >= self.limit:
            raise BudgetSpent(
                "The month's reads are used up: raise the plan and monthly_reads, or wait for the first",
                retry_after=until_next_month(now),
            )

    def spare(self, now: datetime) -> bool:
        self._turn(now)
        return self.reads < self.limit * SWEEPS_BELOW

    def interval(self, wanted: float, quiet: float, now: datetime) -> float:
        """Seconds to the next look. `quiet`: how far it is stretched since nothing came.

        Who has used up more than the month's share so far looks that much more rarely: what comes in a flood is then
        read late, and not at the price of what comes after it.
        """
        self._turn(now)
        left, whole = until_next_month(now), until_next_month(now.astimezone(UTC).replace(day=1, hour=0, minute=0))
        spent = self.reads / self.limit
        ahead = spent / max(1 - left / whole, FIRST_DAYS) if spent > FIRST_READS else 1.0
        return min(max(wanted * max(ahead, 1.0), quiet), LONGEST_SECONDS)

    def _turn(self, now: datetime) -> None:
        month, day = f"{now.astimezone(UTC):%Y-%m}", f"{now.astimezone(UTC):%Y-%m-%d}"
        if month != self.month:
            self.month, self.reads = month, 0
        if day != self.day:
            self.day = day
            self.seen.clear()


def quieter(quiet: float, wanted: float, *, found: bool, longest: float) -> float:
    """The stretch after a look: a hit ends it, each empty look doubles it."""
    return 0.0 if found else min(max(quiet, wanted) * 2, max(longest, wanted))
