"""Files: uploaded first, then taken into a message; handed out only with the message's conversation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.filenames import display_name
from helpdesk.domain.media_types import HEAD_BYTES, safe_type
from helpdesk.domain.values import Actor
from helpdesk.errors import NotFound, TooMany
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import blobs as blob_rows
from helpdesk.models.messages import attachments, messages
from helpdesk.services import blobs
from helpdesk.services.access import scoped
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys

MAX_WAITING: Final = 200
_FORGOTTEN_AFTER: Final = timedelta(days=1)


async def store(
    services: Services,
    *,
    filename: str,
    content_type: str,
    body: bytes,
    most: int = MAX_WAITING,
    by: Actor,
    now: datetime,
) -> dict[str, Any]:
    """Keep an upload until it is sent. The bytes are written before the transaction that names them.

    Raises `TooMany` while `most` of his uploads of the last day wait to be sent.
    """
    attachment_id = new_id()
    staged = await blobs.stage(services, [body])
    keys = Keys(services.keyring)
    # An owner of its own, so that the blob is shared with nobody and can be handed to the contact as a whole.
    owner = f"upload:{services.keyring.current}:{attachment_id}"
    async with services.database.transaction() as session:
        waiting = await session.scalar(
            select(func.count()).where(
                attachments.c.uploaded_by == by.id,
                attachments.c.message_id.is_(None),
                attachments.c.created_at > now - _FORGOTTEN_AFTER,
            )
        )
        if (waiting or 0) >= most:
            raise TooMany("too many uploads wait to be sent", extra={"retry_after": 3600})
        await keys.load(session, owner)
        (blob_id,) = await blobs.adopt(services, session, keys, [(owner, blob) for blob in staged], now=now)
        kind = safe_type(content_type, filename, body[:HEAD_BYTES])
        row = {
            "id": attachment_id,
            "message_id": None,
            "blob_id": blob_id,
            "filename": display_name(filename, content_type=kind),
            "content_type": kind,
            "size": len(body),
            "inline": False,
            "content_id": "",
            "uploaded_by": by.id,
            "created_at": now,
        }
        await insert_rows(session, attachments, [row])
    return row


async def take(
    services: Services,
    session: AsyncSession,
    attachment_ids: Sequence[UUID],
    *,
    message_id: UUID,
    contact_id: UUID,
    by: Actor,
) -> None:
    """Put uploads of `by` into a message. Raises `NotFound` for one that is not his, or is sent already."""
    wanted = set(attachment_ids)
    free = (
        attachments.c.id.in_(wanted),
        attachments.c.message_id.is_(None),
        attachments.c.uploaded_by == by.id,
    )
    taken = await session.execute(
        update(attachments).where(*free).values(message_id=message_id).returning(attachments.c.blob_id)
    )
    blob_ids = taken.scalars().all()
    if len(blob_ids) != len(wanted):
        raise NotFound("there is no such upload")
    keys = Keys(services.keyring)
    await keys.load(session, f"contact:{contact_id}")
    owners = await session.execute(select(blob_rows.c.key_owner).where(blob_rows.c.id.in_(blob_ids)))
    for owner in owners.scalars():
        await keys.load(session, owner)
    await blobs.hand_over(session, keys, dict.fromkeys(blob_ids, f"contact:{contact_id}"))


async def get_attachment(session: AsyncSession, actor: Actor, attachment_id: UUID) -> RowMapping:
    """One of a message that the actor may see, or his own upload. Raises `NotFound`."""
    seen = scoped(
        select(messages.c.id).join(conversations, conversations.c.id == messages.c.conversation_id), actor
    ).where(messages.c.id == attachments.c.message_id)
    own = attachments.c.message_id.is_(None) & (attachments.c.uploaded_by == actor.id)
    query = select(attachments).where(attachments.c.id == attachment_id, or_(own, seen.exists()))
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such attachment")
    return found


async def of_messages(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, list[RowMapping]]:
    """The files of messages, in the order of the messages' parts."""
    found: dict[UUID, list[RowMapping]] = {}
    if message_ids:
        query = select(attachments).where(attachments.c.message_id.in_(message_ids)).order_by(attachments.c.id)
        for row in (await session.execute(query)).mappings():
            found.setdefault(row["message_id"], []).append(row)
    return found
