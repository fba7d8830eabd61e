"""The promise on a conversation, one target per channel: since when the contact waits, and until when he may."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum


class SlaState(StrEnum):
    OK = "ok"
    DUE_SOON = "due_soon"
    BREACHED = "breached"
    PAUSED = "paused"
    NONE = "none"


DUE_SOON = timedelta(hours=4)
"""How long before the due time a conversation counts as due soon."""


def due(waiting_since: datetime | None, *, promise: timedelta | None) -> datetime | None:
    """When the answer is due; None when nobody waits or the channel promises nothing."""
    return waiting_since + promise if waiting_since is not None and promise is not None else None


def state(next_due_at: datetime | None, *, now: datetime) -> SlaState:
    """How the promise stands now."""
    if next_due_at is None:
        return SlaState.NONE
    if now > next_due_at:
        return SlaState.BREACHED
    return SlaState.DUE_SOON if next_due_at - now <= DUE_SOON else SlaState.OK
