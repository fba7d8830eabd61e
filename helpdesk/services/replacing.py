"""Reading an unreadable message again: what is read takes the place of the entry that stood for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows
from helpdesk.domain.admission import Admitted, here
from helpdesk.domain.events import MessageReceived
from helpdesk.domain.matching import Facts, Placement, place
from helpdesk.domain.values import SYSTEM, RawState
from helpdesk.models.agents import agents
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations, participants
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import attachments, messages
from helpdesk.services import blobs, changes, rows, sla, spam, threads
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.reader import Failure
from helpdesk.statements import Row
from helpdesk.writes import write


async def replace(
    services: Services,
    session: AsyncSession,
    keys: Keys,
    inbox: Row,
    raw: Row,
    reading: Admitted | Failure,
    staged: Sequence[blobs.Staged],
    *,
    now: datetime,
) -> None:
    """Fill the entry in place. Its conversation and number stay; it joins no other, whatever its tokens say.

    Its clock goes on from when it came in, unless nobody waits after all: a mail of a program, or of a colleague.
    """
    if isinstance(reading, Failure):
        await _end(session, raw, RawState.FAILED, error=reading.reason)
        return
    # Before its conversation, as a split locks them.
    mine = select(messages).where(messages.c.id == raw["message_id"]).with_for_update(key_share=True)
    message = (await session.execute(mine)).mappings().one()
    locked = (
        select(conversations).where(conversations.c.id == message["conversation_id"]).with_for_update(key_share=True)
    )
    conversation = (await session.execute(locked)).mappings().one()
    placement = await _placement(session, reading)
    contact_id = await _contact(session, inbox, conversation, reading, placement, now=now)
    owner = f"contact:{contact_id}"
    await keys.load(session, owner)
    await keys.load(session, raw["key_owner"])
    identifiers = await blobs.adopt(services, session, keys, [(owner, one) for one in staged], now=now)
    files = zip(here(reading.files), identifiers, staged, strict=True)
    await insert_rows(
        session,
        attachments,
        [rows.attachment(message["id"], file, blob_id=blob, size=one.size, now=now) for file, blob, one in files],
    )
    await _fill(session, message, conversation, reading, placement, contact_id, now=now)
    if reading.thread:
        await _lead(session, inbox, reading, conversation["id"], now=now)
    await _end(session, raw, RawState.FILED, error="")
    wrapped = keys.rewrap(raw["data_key"], owner=raw["key_owner"], to=owner, row=f"raw:{raw['id']}")
    taken = update(raw_items).where(raw_items.c.id == raw["id"]).values(data_key=wrapped, key_owner=owner)
    await session.execute(taken)
    if raw["blob_id"] is not None:
        await blobs.hand_over(session, keys, {raw["blob_id"]: owner})
    await _forget(session, conversation["contact_id"])
    blocked = await session.scalar(select(contacts.c.blocked).where(contacts.c.id == contact_id))
    if blocked and not placement.private:
        filled = (await session.execute(locked)).mappings().one()
        await spam.mark(services, session, filled, by=SYSTEM, now=now)
    await sla.reconsidered(services, session, conversation["id"], now=now)
    await record(
        session,
        MessageReceived(
            conversation_id=conversation["id"],
            seq=message["seq"],
            message_id=message["id"],
            inbox_id=inbox["id"],
            channel=inbox["channel"],
            first=message["seq"] == 1,
            silent=bool(
                reading.automatic
                or placement.quarantined
                or placement.private
                or message["backfilled"]
                or blocked
                or conversation["spam"]
            ),
        ),
        now=now,
    )


async def _placement(session: AsyncSession, reading: Admitted) -> Placement:
    """What matching says of the sender, asked without tokens."""
    handle = reading.sender.handle.lower()
    colleague = await session.scalar(select(agents.c.id).where(agents.c.email == handle, agents.c.active))
    return place(
        Facts(
            sender=handle,
            authentication=reading.authentication,
            suspect=reading.suspect,
            colleague_sees=frozenset() if colleague else None,
        )
    )


async def _contact(
    session: AsyncSession,
    inbox: Row,
    conversation: Row,
    reading: Admitted,
    placement: Placement,
    *,
    now: datetime,
) -> UUID:
    """Whose the handle is; else the contact that was made for the entry turns out to be this sender."""
    handle, given = reading.sender.handle.lower(), conversation["contact_id"]
    mine = (contact_identities.c.channel == inbox["channel"]) & (contact_identities.c.handle == handle)
    contact_id: UUID = await session.scalar(select(contact_identities.c.contact_id).where(mine)) or given
    if contact_id == given:
        await session.execute(update(contacts).where(contacts.c.id == given).values(name=reading.sender.name))
    if placement.identifies and handle:
        identity = rows.identity(
            contact_id, channel=inbox["channel"], handle=handle, display=reading.sender.name, now=now
        )
        insert = insert_ignoring(session, contact_identities, on=["channel", "handle"])
        await session.execute(insert.values(identity))
        person = rows.participant(dict(conversation), reading.sender, contact_id, now=now)
        insert = insert_ignoring(session, participants, on=["conversation_id", "channel", "handle"])
        await session.execute(insert.values(person))
    return contact_id


async def _lead(session: AsyncSession, inbox: Row, reading: Admitted, conversation_id: UUID, *, now: datetime) -> None:
    """His thread leads here where it has led nowhere so far."""
    found = await threads.look_up(session, inbox["id"], [reading])
    if found.place_of(reading) is None:
        found.lead(reading, conversation_id, now=now)
        await write(session, *found.parts())
    await changes.catch_up(session, inbox["id"], {reading.external_id}, now=now)


async def _fill(
    session: AsyncSession,
    message: Row,
    conversation: Row,
    reading: Admitted,
    placement: Placement,
    contact_id: UUID,
    *,
    now: datetime,
) -> None:
    trust = {
        "author_id": contact_id,
        "private": placement.private,
        "sender_verified": placement.verified,
        "trust_reasons": list(dict.fromkeys(placement.reasons)),
    }
    filled = update(messages).where(messages.c.id == message["id"]).values(**trust, **rows.content(reading))
    await session.execute(filled)
    await session.execute(
        update(conversations)
        .where(conversations.c.id == conversation["id"])
        .values(
            contact_id=contact_id,
            contact_handle=reading.sender.handle.lower(),
            subject=reading.subject,
            preview=reading.preview,
            language=reading.language,
            quarantined=placement.quarantined,
            updated_at=now,
            version=conversations.c.version + 1,
        )
    )


async def _forget(session: AsyncSession, contact_id: UUID) -> None:
    """The stand-in contact, once it stands for nobody."""
    used = (
        exists().where(conversations.c.contact_id == contact_id),
        exists().where(contact_identities.c.contact_id == contact_id),
        exists().where(participants.c.contact_id == contact_id),
    )
    await session.execute(delete(contacts).where(contacts.c.id == contact_id, *(~one for one in used)))


async def _end(session: AsyncSession, raw: Row, state: RawState, *, error: str) -> None:
    await session.execute(
        update(raw_items).where(raw_items.c.id == raw["id"]).values(state=state.value, error=error, claimed_until=0.0)
    )
