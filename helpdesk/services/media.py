"""Files that are still with the vendor when their message is filed: claimed, fetched outside any transaction, kept.

A claim is a lease with a fence. What was fetched twice is kept once, since only the one who still has the claim may
record it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.db import claimable, insert_rows, new_id
from helpdesk.dialects import epoch
from helpdesk.domain.filenames import display_name
from helpdesk.domain.media_types import HEAD_BYTES, safe_type
from helpdesk.domain.values import SYSTEM
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import attachments, messages
from helpdesk.models.social import inbound_media
from helpdesk.services import blobs
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import Row

MOST_ATTEMPTS: Final = 5
GONE: Final = "media_gone"
"""The note of a message that had a file which could not be fetched."""

_M: Final = inbound_media.c
_WAITS: Final = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))


def waiting(
    message_id: UUID, inbox_id: UUID, *, source: str, filename: str, content_type: str, now: datetime
) -> dict[str, Any]:
    """A file of a message as a row, to be fetched at once."""
    return {
        "id": new_id(),
        "message_id": message_id,
        "inbox_id": inbox_id,
        "source": source,
        "filename": filename,
        "content_type": content_type,
        "state": "waiting",
        "attempts": 0,
        "error": "",
        "created_at": now,
        "next_attempt_at": now,
        "claimed_by": "",
        "claimed_until": 0.0,
        "claim": 0,
    }


def due() -> Select[tuple[UUID]]:
    """Files of which `claim` would take some at the time `:now`."""
    return _due(bindparam("now", type_=_M.next_attempt_at.type))


def _due(now: Any) -> Select[tuple[UUID]]:
    waits = _M.state == literal_column("'waiting'")
    return select(_M.id).where(waits, _M.next_attempt_at <= now, _M.claimed_until < epoch())


async def claim(
    session: AsyncSession, *, worker: str, limit: int, lease_seconds: float, now: datetime
) -> Sequence[Row]:
    """Take files that are due, the longest due first; an attempt counts from here."""
    chosen = claimable(_due(now).order_by(_M.next_attempt_at, _M.id).limit(limit))
    taken = await session.execute(
        update(inbound_media)
        .where(_M.id.in_(chosen.scalar_subquery()))
        .values(
            claimed_by=worker,
            claimed_until=epoch() + lease_seconds,
            claim=_M.claim + 1,
            attempts=_M.attempts + 1,
        )
        .returning(*_M)
    )
    return taken.mappings().all()


async def kept(services: Services, medium: Row, body: bytes, *, now: datetime) -> None:
    """Make the bytes a file of the message, and tell. Raises `LeaseLost` when another worker has taken over."""
    (staged,) = await blobs.stage(services, [body])
    kind = safe_type(medium["content_type"], medium["filename"], body[:HEAD_BYTES])
    async with services.database.transaction() as session:
        conversation = await _locked(session, medium)
        await _end(session, medium, state="done", error="")
        keys, owner = Keys(services.keyring), f"contact:{conversation['contact_id']}"
        await keys.load(session, owner)
        (blob_id,) = await blobs.adopt(services, session, keys, [(owner, staged)], now=now)
        row = {
            "id": new_id(),
            "message_id": medium["message_id"],
            "blob_id": blob_id,
            "filename": display_name(medium["filename"], content_type=kind),
            "content_type": kind,
            "size": len(body),
            "inline": False,
            "content_id": "",
            "uploaded_by": None,
            "created_at": now,
        }
        await insert_rows(session, attachments, [row])
        mine = update(messages).where(messages.c.id == medium["message_id"])
        await session.execute(mine.values(attachment_count=messages.c.attachment_count + 1))
        await _tell(session, conversation, medium, "attachments", now=now)


async def refused(services: Services, medium: Row, *, error: str, final: bool, now: datetime) -> None:
    """Not fetched: again after a while, unless `final` or tried often enough; then the message says that it is gone.

    `error` is a word of ours. Raises `LeaseLost`.
    """
    async with services.database.transaction() as session:
        if not final and medium["attempts"] < MOST_ATTEMPTS:
            wait = _WAITS[min(medium["attempts"], len(_WAITS)) - 1]
            await _end(session, medium, error=error, next_attempt_at=now + wait)
            return
        conversation = await _locked(session, medium)
        await _end(session, medium, state="failed", error=error)
        notes: list[str] = (
            await session.execute(select(messages.c.notes).where(messages.c.id == medium["message_id"]))
        ).scalar_one()
        if GONE not in notes:
            noted = update(messages).where(messages.c.id == medium["message_id"]).values(notes=[*notes, GONE])
            await session.execute(noted)
        await _tell(session, conversation, medium, "notes", now=now)


async def _locked(session: AsyncSession, medium: Row) -> Row:
    """The conversation that the message is in by now. Raises `LeaseLost` where it was deleted meanwhile."""
    place = select(messages.c.conversation_id).where(messages.c.id == medium["message_id"]).scalar_subquery()
    query = select(conversations).where(conversations.c.id == place).with_for_update(key_share=True)
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise LeaseLost("the message is gone, and its files with it")
    return found


async def _tell(session: AsyncSession, conversation: Row, medium: Row, what: str, *, now: datetime) -> None:
    changes = {"messages": {str(medium["message_id"]): [what]}}
    await conversation_verbs.note(session, conversation, changes, by=SYSTEM, now=now, versioned=False)


async def _end(session: AsyncSession, medium: Row, **values: Any) -> None:
    mine = update(inbound_media).where(_M.id == medium["id"], _M.claim == medium["claim"])
    done = await session.execute(mine.values(**values, claimed_until=0.0).returning(_M.id))
    if done.scalar_one_or_none() is None:
        raise LeaseLost("another worker has taken this file over")
