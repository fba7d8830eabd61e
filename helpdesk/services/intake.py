"""The one way in: raw items, stored with the cursor in one commit, encrypted, before anybody is told.

Reading them (`reading`) and filing them (`filing`) are later steps that may fail, be repeated or wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import failpoints
from helpdesk.channels import RawInbound
from helpdesk.crypto import decrypt, encrypt, new_key
from helpdesk.db import new_id, ring
from helpdesk.domain.values import RawState
from helpdesk.models.inboxes import inbox_states, raw_items
from helpdesk.services import blobs
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import Row
from helpdesk.writes import Holding, Insert, write

IN_ROW = 256 * 1024
"""Bodies up to this many bytes stay in the row."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who has an item in hand, and for how many seconds from now."""

    worker: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is stored with items that are filed as they arrive: the cursor behind them, under the inbox's lease.

    The inbox's key is open in `keys`.
    """

    cursor: Mapping[str, Any]
    holding: Holding
    keys: Keys


async def stage(services: Services, batch: Sequence[RawInbound]) -> list[blobs.Staged | None]:
    """Write what is too large for a row to the blob store, before the transaction that accepts it."""
    large = [raw.body for raw in batch if len(raw.body) > IN_ROW]
    written = iter(await blobs.stage(services, large))
    return [next(written) if len(raw.body) > IN_ROW else None for raw in batch]


async def accept(
    services: Services,
    session: AsyncSession,
    keys: Keys,
    batch: Sequence[RawInbound],
    *,
    inbox_id: UUID,
    staged: Sequence[blobs.Staged | None],
    cursor: Mapping[str, Any] | None,
    claim: Claim | None = None,
    holding: Holding | None = None,
    now: datetime,
) -> list[dict[str, Any]]:
    """Store raw items and the cursor. A position that is there already is a no-op. Answers the rows that are new.

    With a `claim` they are the caller's from the first moment, as if `filing.claim` had given them to it. Nothing else
    may follow in the transaction. Raises `NotHeld` when `holding` does not.
    """
    # A large one that is there already must not be adopted again. Small ones tell by themselves.
    known = await _held(session, inbox_id, batch) if any(staged) else frozenset()
    fresh = [(raw, blob) for raw, blob in zip(batch, staged, strict=True) if raw.position not in known]
    owner = f"inbox:{inbox_id}"
    rows: list[dict[str, Any]] = []
    if fresh:
        await keys.load(session, owner)
        large = [(owner, blob) for _, blob in fresh if blob is not None]
        identifiers = iter(await blobs.adopt(services, session, keys, large, now=now))
        rows = [
            row(
                raw,
                inbox_id=inbox_id,
                blob_id=None if blob is None else next(identifiers),
                content="" if blob is None else blob.content,
                keys=keys,
                claim=claim,
                now=now,
            )
            for raw, blob in fresh
        ]
    count, _ = await write(
        session,
        Insert(raw_items, rows, unless=("inbox_id", "position"), from_now=("claimed_until",) if claim else ()),
        advanced(inbox_id, cursor),
        holding=[holding] if holding else [],
        last=True,
    )
    if count and claim is None:
        ring(session, "process")
    return rows if count == len(rows) else await _stored(session, rows)


async def take(services: Services, keys: Keys, inbox_id: UUID, batch: Sequence[RawInbound], *, now: datetime) -> int:
    """Store what was handed in, which has no cursor: it is committed when this returns. Answers how many are new."""
    staged = await stage(services, batch)
    async with services.database.transaction() as session:
        new = await accept(services, session, keys, batch, inbox_id=inbox_id, staged=staged, cursor=None, now=now)
    failpoints.reached("raw.committed")
    return len(new)


def advanced(inbox_id: UUID, cursor: Mapping[str, Any] | None) -> Insert:
    """The part of a `write` that moves the cursor, if there is one."""
    rows = [] if cursor is None else [{"inbox_id": inbox_id, "cursor": cursor, "error_kind": "", "error_detail": ""}]
    return Insert(inbox_states, rows, unless=("inbox_id",), replacing=("cursor",))


async def _held(session: AsyncSession, inbox_id: UUID, batch: Sequence[RawInbound]) -> frozenset[str]:
    found = await session.execute(
        select(raw_items.c.position).where(
            raw_items.c.inbox_id == inbox_id, raw_items.c.position.in_([raw.position for raw in batch])
        )
    )
    return frozenset(found.scalars())


async def _stored(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of `rows` that are in the table, since their positions were not."""
    found = await session.execute(select(raw_items.c.id).where(raw_items.c.id.in_([row["id"] for row in rows])))
    stored = set(found.scalars())
    return [row for row in rows if row["id"] in stored]


def row(
    raw: RawInbound,
    *,
    inbox_id: UUID,
    keys: Keys,
    now: datetime,
    blob_id: UUID | None = None,
    content: str = "",
    claim: Claim | None = None,
) -> dict[str, Any]:
    """The item as a row. `blob_id` and `content`, its digest, are those of a body that is too large for the row."""
    identifier, data_key = new_id(), new_key()
    place, owner = f"raw:{identifier}", f"inbox:{inbox_id}"
    return {
        "id": identifier,
        "inbox_id": inbox_id,
        "position": raw.position,
        "digest": content or sha256(raw.body).hexdigest(),
        "size": len(raw.body),
        "body": encrypt(data_key, raw.body, row=place) if blob_id is None else None,
        "blob_id": blob_id,
        "data_key": keys.wrap(data_key, owner=owner, row=place),
        "key_owner": owner,
        "hints": dict(raw.hints),
        "backfilled": raw.backfilled,
        # A vendor's clock may run ahead; nobody's promise may start in the future.
        "received_at": min(raw.received_at, now),
        "created_at": now,
        "state": RawState.RECEIVED.value,
        "error": "",
        "attempts": int(claim is not None),
        "next_attempt_at": now,
        "claimed_by": claim.worker if claim else "",
        "claimed_until": claim.seconds if claim else 0.0,
        "claim": int(claim is not None),
        "message_id": None,
    }


async def cursor_of(session: AsyncSession, inbox_id: UUID) -> Mapping[str, Any]:
    """The cursor of the last commit, `{}` for an inbox that has none."""
    found = await session.scalar(select(inbox_states.c.cursor).where(inbox_states.c.inbox_id == inbox_id))
    return found or {}


async def known_positions(session: AsyncSession, inbox_id: UUID, *, prefix: str) -> frozenset[str]:
    """Every position of the inbox that starts with `prefix`."""
    found = await session.execute(
        select(raw_items.c.position).where(
            raw_items.c.inbox_id == inbox_id, raw_items.c.position.startswith(prefix, autoescape=True)
        )
    )
    return frozenset(found.scalars())


async def known_digests(session: AsyncSession, inbox_id: UUID, digests: Sequence[str]) -> frozenset[str]:
    """Which of these SHA-256 digests of raw bytes the inbox already holds."""
    found = await session.execute(
        select(raw_items.c.digest).where(raw_items.c.inbox_id == inbox_id, raw_items.c.digest.in_(list(digests)))
    )
    return frozenset(found.scalars())


async def body_of(services: Services, session: AsyncSession, keys: Keys, row: Row) -> bytes:
    """The plain bytes of a raw item's row. Raises `CannotOpen` when they were erased."""
    if row["blob_id"] is not None:
        return await blobs.get(services, session, row["blob_id"])
    await keys.load(session, row["key_owner"])
    place = f"raw:{row['id']}"
    data_key = keys.unwrap(row["data_key"], owner=row["key_owner"], row=place)
    return decrypt(data_key, row["body"] or b"", row=place)


async def reprocess(session: AsyncSession, inbox_id: UUID, *, message_id: UUID | None, now: datetime) -> int:
    """Read failed items again: those of the inbox, or the one behind a message. Answers how many."""
    statement = update(raw_items).where(raw_items.c.inbox_id == inbox_id, raw_items.c.state == RawState.FAILED)
    if message_id is not None:
        statement = statement.where(raw_items.c.message_id == message_id)
    done = await session.execute(
        statement.values(state=RawState.RECEIVED.value, attempts=0, error="", next_attempt_at=now).returning(
            raw_items.c.id
        )
    )
    ring(session, "process")
    return len(done.all())
