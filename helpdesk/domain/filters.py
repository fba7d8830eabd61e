"""What a list of conversations can be asked for: closed sets, each mapped to a column by the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Sort(StrEnum):
    """A minus means: the greatest first. Ties go by id, in the same direction."""

    LAST_ACTIVITY = "-last_activity_at"
    NEXT_DUE = "next_due_at"
    CREATED = "created_at"
    PRIORITY = "-priority"
    WAITING = "waiting_since"


class SlaState(StrEnum):
    """How the promise on a conversation stands: its clock that is due first, or that all of them pause."""

    OK = "ok"
    DUE_SOON = "due_soon"
    BREACHED = "breached"
    PAUSED = "paused"
    NONE = "none"


class SlaAsked(StrEnum):
    """The states that can be asked for."""

    DUE_SOON = "due_soon"
    BREACHED = "breached"
    PAUSED = "paused"


def sla_state(*, due: datetime | None, soon: datetime | None, paused: bool, now: datetime) -> SlaState:
    """By what a conversation repeats of its clocks: when it is due, and from when on that is soon."""
    if due is None:
        return SlaState.PAUSED if paused else SlaState.NONE
    if now > due:
        return SlaState.BREACHED
    return SlaState.DUE_SOON if soon is not None and now >= soon else SlaState.OK


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Each empty tuple and each None is no condition; several values of one field are alternatives.

    `assignee_id` and `team_id` hold None for "nobody". `sla` holds words of SlaAsked. `spam` finds nothing else when
    true; it is left out otherwise, unless conversations are named by `id`.
    """

    id: tuple[UUID, ...] = ()
    status: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    inbox_id: tuple[UUID, ...] = ()
    assignee_id: tuple[UUID | None, ...] = ()
    team_id: tuple[UUID | None, ...] = ()
    priority: tuple[int, ...] = ()
    category: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    contact_id: tuple[UUID, ...] = ()
    sla: tuple[str, ...] = ()
    spam: bool | None = None
    q: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None


def like(text: str) -> str:
    """A LIKE pattern for `text` anywhere, with `\\` as the escape."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
