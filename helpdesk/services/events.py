"""Writing events: rows in the transaction that makes them true.

Whoever writes them among other things puts `outbox` into his `write` and calls `told` after it; `record` does both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import new_id, ring
from helpdesk.domain.events import DomainEvent
from helpdesk.models.events import events, followers, undistributed
from helpdesk.statements import Row
from helpdesk.writes import Holding, Insert, Numbering, write


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
    part = outbox(session, [row(event, now=now) for event in happened])
    (last,) = await write(session, part)
    told(session, part, last)


STREAM: Final = "stream"
DISTRIBUTE: Final = "distribute"
"""Rung for events that have their positions: at once for who listens, and soon for the relay to hand them on."""

NUMBERED: Final = "numbered"
"""The follower that is the last position that was given."""

_COUNTER: Final = Holding(followers, {"name": NUMBERED}, written=True)


def outbox(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> Insert:
    """What a `write` has to hold to tell of what it does."""
    return Insert(events, rows, numbering=session.info.get("numbering"))


def outbox_ahead(rows: Sequence[Mapping[str, Any]]) -> Insert:
    """The same for what people wait for: numbered by who writes it, ahead of the relay, if that can be done at once.

    For events of one conversation, at the end of the last statement of a transaction: until that ends nobody else can
    number any. None is numbered while an earlier one of the conversation waits for the relay.
    """
    like = {"conversation_id": rows[0]["conversation_id"]}
    return Insert(events, rows, numbering=Numbering("position", _COUNTER, like=like, noted=undistributed))


def told(session: AsyncSession, part: Insert, last: int) -> None:
    """What became of an `outbox`: `write` answered this for it. The relay is rung after the commit."""
    if part.numbering and part.numbering.noted is not None and last:
        ring(session, STREAM)
        ring(session, DISTRIBUTE)
        return
    if part.numbering and last:
        session.info.setdefault("numbered", []).extend(part.rows)
    elif part.rows:
        session.info["unnumbered"] = True
    ring(session, "relay")


def number(session: AsyncSession, holding: Holding) -> None:
    """Give the events of this session their positions as they are written, while the relay's lease holds.

    Not for sessions with savepoints: what is rolled back to one would be taken for told.
    """
    session.info["numbering"] = Numbering("position", _COUNTER, holding)


def take_numbered(session: AsyncSession) -> tuple[list[Row], bool]:
    """What was told with a position since the last call, in order, and whether anything was told without one."""
    return session.info.pop("numbered", []), session.info.pop("unnumbered", False)


async def list_events(
    session: AsyncSession,
    conversation_id: UUID,
    *,
    types: Collection[str] = (),
    within: tuple[datetime | None, datetime | None] = (None, None),
    latest_first: bool = False,
    behind: UUID | None = None,
    limit: int,
) -> Sequence[RowMapping]:
    """A conversation's events, of some `types` if any are named, and in that order behind the event `behind`.

    `within` are the time from which on they happened and the one before which they did.
    """
    e, (since, until) = events.c, within
    statement = select(events).where(e.conversation_id == conversation_id)
    statement = statement.order_by(e.id.desc() if latest_first else e.id).limit(limit)
    if types:
        statement = statement.where(e.type.in_(types))
    if since is not None:
        statement = statement.where(e.occurred_at >= since)
    if until is not None:
        statement = statement.where(e.occurred_at < until)
    if behind is not None:
        statement = statement.where(e.id < behind if latest_first else e.id > behind)
    return (await session.execute(statement)).mappings().all()
