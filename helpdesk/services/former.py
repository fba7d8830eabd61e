"""The state that a conversation had before it was put away: noted in the audit, and found there again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import Status
from helpdesk.models.events import audit


def state_of(conversation: Mapping[str, Any] | RowMapping) -> dict[str, Any]:
    """What an audit row has to say of it, so that `status_in` can tell how it was."""
    until = conversation["snoozed_until"]
    return {"status": conversation["status"], "snoozed_until": until.isoformat() if until else None}


async def find_noted(session: AsyncSession, conversation_id: UUID, *, action: str) -> dict[str, Any] | None:
    """What was noted when that was last done to it."""
    a = audit.c
    query = (
        select(a.data)
        .where(a.subject_type == "conversation", a.subject_id == conversation_id, a.action == action)
        .order_by(a.occurred_at.desc(), a.id.desc())
        .limit(1)
    )
    return await session.scalar(query)


def status_in(noted: Mapping[str, Any], now: datetime) -> tuple[Status, datetime | None]:
    """The status from before. Whoever would have been woken meanwhile is."""
    status, until = Status(noted["status"]), noted["snoozed_until"]
    if until is None:
        return status, None
    wakes = datetime.fromisoformat(until)
    return (status, wakes) if wakes > now else (Status.OPEN, None)
