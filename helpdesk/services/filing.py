"""Filing: identify the contact, match the conversation, write the message, start the clock, tell – one transaction.

A backlog is filed in sets, one statement per table; a batch that fails is filed again one by one by its caller, so
that one bad row never holds the next mail up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable, epoch
from helpdesk.domain.admission import Admitted
from helpdesk.domain.values import InboxStatus, RawState
from helpdesk.models.inboxes import inboxes, raw_items
from helpdesk.services import blobs, bounces, placing, replacing
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.lookups import look_up
from helpdesk.services.reader import Failure, Reading

MAX_ATTEMPTS = 3
"""A message that took its worker down this often is shown as unreadable instead of being tried again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A claimed raw item, what reading made of it, and its files, staged."""

    row: RowMapping
    reading: Reading
    staged: Sequence[blobs.Staged] = ()


async def claim(
    session: AsyncSession, *, worker: str, limit: int, bytes_limit: int, lease_seconds: float, now: datetime
) -> list[RowMapping]:
    """Take up to `limit` raw items of one active inbox, the oldest first, and at most about `bytes_limit` of them.

    A claim that is not renewed runs out. What came in while an inbox is paused waits for it.
    """
    active = select(inboxes.c.id).where(inboxes.c.state == InboxStatus.ACTIVE.value)
    due = await session.execute(
        claimable(
            select(raw_items.c.id, raw_items.c.inbox_id, raw_items.c.size)
            .where(
                raw_items.c.state == RawState.RECEIVED.value,
                raw_items.c.next_attempt_at <= now,
                raw_items.c.claimed_until < epoch(session),
                raw_items.c.inbox_id.in_(active),
            )
            .order_by(raw_items.c.id)
            .limit(limit)
        )
    )
    chosen: list[UUID] = []
    first: UUID | None = None
    for identifier, inbox_id, size in due:
        first = first or inbox_id
        bytes_limit -= size
        if inbox_id == first and (bytes_limit >= 0 or not chosen):
            chosen.append(identifier)
    if not chosen:
        return []
    found = await session.execute(
        update(raw_items)
        .where(raw_items.c.id.in_(chosen))
        .values(
            claimed_by=worker,
            claimed_until=epoch(session) + lease_seconds,
            claim=raw_items.c.claim + 1,
            attempts=raw_items.c.attempts + 1,
        )
        .returning(*raw_items.c)
    )
    return sorted(found.mappings().all(), key=lambda row: row["id"])


async def file(services: Services, session: AsyncSession, entries: Sequence[Entry], *, now: datetime) -> int:
    """File a batch of one inbox. Answers how many messages came of it; entries whose claim was lost are left alone."""
    held = await _still_claimed(session, entries)
    entries = [entry for entry in entries if entry.row["id"] in held]
    if not entries:
        return 0
    inbox = (await session.execute(select(inboxes).where(inboxes.c.id == entries[0].row["inbox_id"]))).mappings().one()
    keys = Keys(services.keyring)
    keys.add(f"inbox:{inbox['id']}", inbox["key"])
    again = [entry for entry in entries if entry.row["message_id"] is not None]
    for entry in again:
        await replacing.replace(services, session, keys, inbox, entry.row, entry.reading, entry.staged, now=now)
    fresh = [entry for entry in entries if entry.row["message_id"] is None]
    admitted = [entry.reading for entry in fresh if isinstance(entry.reading, Admitted)]
    known = await look_up(
        services,
        session,
        keys,
        admitted,
        channel=inbox["channel"],
        inbox_id=inbox["id"],
        digests=[entry.row["digest"] for entry in fresh],
        now=now,
    )
    batch = placing.Batch(services, session, keys, inbox, known, now=now)
    for entry in fresh:
        if isinstance(entry.reading, Failure):
            batch.add_unreadable(entry.row, entry.reading)
        else:
            batch.add(entry.row, entry.reading, entry.staged)
    await batch.write()
    await _settle(session, batch.settled)
    for notice in batch.bounces:
        await bounces.apply(services, session, notice.bounce, original=notice.original, now=now)
    return len(batch.messages)


async def _still_claimed(session: AsyncSession, entries: Sequence[Entry]) -> set[UUID]:
    claims = {entry.row["id"]: entry.row["claim"] for entry in entries}
    found = await session.execute(
        select(raw_items.c.id, raw_items.c.claim)
        .where(raw_items.c.id.in_(claims), raw_items.c.state == RawState.RECEIVED.value)
        .order_by(raw_items.c.id)
        .with_for_update()
    )
    return {identifier for identifier, number in found if claims[identifier] == number}


async def _settle(session: AsyncSession, settled: Sequence[dict[str, Any]]) -> None:
    """The raw rows' ends, in one statement."""
    if settled:
        statement = (
            update(raw_items)
            .where(raw_items.c.id == bindparam("raw_id"))
            .values(
                state=bindparam("to_state"),
                error=bindparam("to_error"),
                message_id=bindparam("to_message"),
                data_key=bindparam("to_key"),
                key_owner=bindparam("to_owner"),
                claimed_until=0.0,
            )
        )
        await (await session.connection()).execute(statement, list(settled))


async def postpone(session: AsyncSession, row: RowMapping, *, now: datetime, until: datetime) -> None:
    """Filing failed for a reason that is not the message's (a conflict, a lost database): try it again later."""
    await session.execute(
        update(raw_items)
        .where(raw_items.c.id == row["id"], raw_items.c.claim == row["claim"])
        .values(claimed_until=0.0, next_attempt_at=until)
    )


async def release(session: AsyncSession, *, worker: str) -> None:
    """Free the claims of a worker that is known to be gone."""
    await session.execute(
        update(raw_items)
        .where(raw_items.c.claimed_by == worker, raw_items.c.state == RawState.RECEIVED.value)
        .values(claimed_until=0.0)
    )


async def renew(session: AsyncSession, *, worker: str, lease_seconds: float) -> None:
    """Keep what a living worker has claimed."""
    await session.execute(
        update(raw_items)
        .where(
            raw_items.c.claimed_by == worker,
            raw_items.c.state == RawState.RECEIVED.value,
            raw_items.c.claimed_until > 0.0,
        )
        .values(claimed_until=epoch(session) + lease_seconds)
    )
