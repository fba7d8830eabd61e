"""Whom an alert calls, level by level, so that it never ends in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from helpdesk.domain.actions import Alert


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class AlertStatus(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


LADDER: Final = ("assignee", "lead", "team", "supervisors", "admins", "fallback", "anybody")
"""Who is called when those who were asked for are not there, or say nothing. `anybody`: active administrators, on duty
or not."""

REPEATS: Final = 12
"""How often the last level is called again before it is left at that; the alert stays open."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How an alert goes on: who was asked for, who comes next, how long each level has, how often it was repeated."""

    who: tuple[str, ...]
    agent_ids: tuple[UUID, ...] = ()
    acknowledge: timedelta | None = None
    repeats: int = 0

    @classmethod
    def of(cls, calls: Sequence[Alert]) -> Reach:
        """Several steps that are taken at once call once: everybody they name, within the shortest of their times."""
        waits = [call.acknowledge for call in calls if call.acknowledge is not None]
        return cls(
            who=tuple(dict.fromkeys(word for call in calls for word in call.who)),
            agent_ids=tuple(dict.fromkeys(agent for call in calls for agent in call.agent_ids)),
            acknowledge=min(waits, default=None),
        )

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Reach:
        seconds = stored["acknowledge_seconds"]
        return cls(
            tuple(stored["who"]),
            tuple(map(UUID, stored["agent_ids"])),
            None if seconds is None else timedelta(seconds=seconds),
            stored["repeats"],
        )

    def stored(self) -> dict[str, Any]:
        return {
            "who": list(self.who),
            "agent_ids": list(map(str, self.agent_ids)),
            "acknowledge_seconds": None if self.acknowledge is None else int(self.acknowledge.total_seconds()),
            "repeats": self.repeats,
        }

    def beyond(self) -> tuple[str, ...]:
        """The groups above the highest that was asked for."""
        asked = [LADDER.index(word) for word in self.who if word in LADDER]
        return LADDER[max(asked, default=LADDER.index("team")) + 1 :]

    def next_call(self, at: datetime) -> datetime | None:
        """When the next level is called, if nobody says anything."""
        return None if self.acknowledge is None or self.repeats >= REPEATS else at + self.acknowledge


def severest(calls: Sequence[Alert]) -> Severity:
    return max((Severity(call.severity) for call in calls), key=lambda severity: severity.rank)
