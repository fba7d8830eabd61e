"""Reading an unreadable message again: what is read takes the place of the entry that stood for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows
from helpdesk.domain.admission import Admitted
from helpdesk.domain.events import MessageReceived
from helpdesk.domain.values import RawState
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations, participants
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import attachments, messages
from helpdesk.services import blobs, rows
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.reader import Reading


async def replace(
    services: Services,
    session: AsyncSession,
    keys: Keys,
    inbox: RowMapping,
    raw: RowMapping,
    reading: Reading,
    staged: Sequence[blobs.Staged],
    *,
    now: datetime,
) -> None:
    """Fill the entry in place. Its conversation, number and clock stay; it joins no other, whatever its tokens say."""
    if not isinstance(reading, Admitted):
        await _end(session, raw, RawState.FAILED, error=reading.reason)
        return
    message = (await session.execute(select(messages).where(messages.c.id == raw["message_id"]))).mappings().one()
    conversation = (
        (
            await session.execute(
                select(conversations).where(conversations.c.id == message["conversation_id"]).with_for_update()
            )
        )
        .mappings()
        .one()
    )
    handle = reading.sender.handle.lower()
    owner_id = await session.scalar(
        select(contact_identities.c.contact_id).where(
            contact_identities.c.channel == inbox["channel"], contact_identities.c.handle == handle
        )
    )
    contact_id = owner_id or message["author_id"]
    await keys.load(session, f"contact:{contact_id}")
    if owner_id is None and handle and not reading.suspect:
        await _identify(session, inbox, conversation, reading, now=now)
    identifiers = await blobs.adopt(services, session, keys, staged, owner=f"contact:{contact_id}", now=now)
    files = zip(reading.files, identifiers, staged, strict=True)
    await insert_rows(
        session,
        attachments,
        [rows.attachment(message["id"], file, blob_id=blob, size=one.size, now=now) for file, blob, one in files],
    )
    await session.execute(
        update(messages).where(messages.c.id == message["id"]).values(author_id=contact_id, **rows.content(reading))
    )
    await session.execute(
        update(conversations)
        .where(conversations.c.id == conversation["id"])
        .values(
            contact_id=contact_id,
            contact_handle=handle,
            subject=reading.subject,
            preview=reading.preview,
            language=reading.language,
            updated_at=now,
            version=conversations.c.version + 1,
        )
    )
    await record(
        session,
        MessageReceived(
            conversation_id=conversation["id"],
            seq=message["seq"],
            message_id=message["id"],
            inbox_id=inbox["id"],
            channel=inbox["channel"],
            first=message["seq"] == 1,
            silent=bool(reading.automatic or reading.suspect or message["backfilled"]),
        ),
        now=now,
    )
    await _end(session, raw, RawState.FILED, error="")


async def _identify(
    session: AsyncSession, inbox: RowMapping, conversation: RowMapping, reading: Admitted, *, now: datetime
) -> None:
    """The contact that was made for the unreadable entry turns out to be this sender."""
    contact_id = conversation["contact_id"]
    await session.execute(update(contacts).where(contacts.c.id == contact_id).values(name=reading.sender.name))
    await session.execute(
        insert_ignoring(session, contact_identities, on=["channel", "handle"]).values(
            rows.identity(
                contact_id,
                channel=inbox["channel"],
                handle=reading.sender.handle,
                display=reading.sender.name,
                now=now,
            )
        )
    )
    await session.execute(
        insert_ignoring(session, participants, on=["conversation_id", "channel", "handle"]).values(
            rows.participant(dict(conversation), reading.sender, contact_id, now=now)
        )
    )


async def _end(session: AsyncSession, raw: RowMapping, state: RawState, *, error: str) -> None:
    await session.execute(
        update(raw_items).where(raw_items.c.id == raw["id"]).values(state=state.value, error=error, claimed_until=0.0)
    )
