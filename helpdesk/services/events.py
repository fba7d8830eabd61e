"""Writing events: rows in the transaction that makes them true."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import new_id, ring
from helpdesk.domain.events import DomainEvent
from helpdesk.models.events import events
from helpdesk.writes import insert


def row(event: DomainEvent, *, now: datetime) -> dict[str, Any]:
    """The event as a row of the outbox."""
    return {
        "id": new_id(),
        "position": None,
        "type": event.type,
        "occurred_at": now,
        "conversation_id": event.conversation_id,
        "seq": event.seq,
        "data": event.data(),
    }


async def record(session: AsyncSession, *happened: DomainEvent, now: datetime) -> None:
    """Add events to the outbox; the relay is rung after the commit."""
    await insert(session, events, [row(event, now=now) for event in happened])
    ring(session, "relay")


async def list_events(
    session: AsyncSession, conversation_id: UUID, *, after: UUID | None = None, limit: int
) -> Sequence[RowMapping]:
    """A conversation's events, oldest first, after the event `after`."""
    statement = select(events).where(events.c.conversation_id == conversation_id).order_by(events.c.id).limit(limit)
    if after is not None:
        statement = statement.where(events.c.id > after)
    return (await session.execute(statement)).mappings().all()
