"""An agent, or an integration, starts a conversation: contact, conversation and the first message in one go."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Address
from helpdesk.db import insert_rows, new_id
from helpdesk.domain.events import ConversationCreated
from helpdesk.domain.values import SYSTEM, Actor, Status
from helpdesk.errors import Invalid
from helpdesk.models.conversations import conversation_inboxes, conversations, participants
from helpdesk.services import contacts, replies, rows, sla
from helpdesk.services.access import get_conversation
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from helpdesk.statements import next_numbers


async def start(
    services: Services,
    session: AsyncSession,
    *,
    inbox_id: UUID,
    handle: str,
    name: str,
    subject: str,
    text: str,
    status: Status | None,
    by: Actor,
    now: datetime,
) -> UUID:
    """The new conversation's id. Raises `NotFound` for an inbox that the actor may not use."""
    inbox = await replies.usable_inbox(session, inbox_id, inbox_id, by=by)
    capabilities = services.channel(inbox["channel"]).capabilities
    if capabilities.live:
        raise Invalid.field("inbox_id", "on this channel visitors begin the conversations")
    if capabilities.subject and not subject:
        raise Invalid.field("subject", "is needed on this channel")
    if status in (Status.SNOOZED, Status.CLOSED):
        raise Invalid.field("status", "a new conversation is open, pending or resolved")
    handle = handle.lower()
    if handle == inbox["handle"]:
        raise Invalid.field("contact.handle", "this is the inbox itself")
    contact_id = await contacts.find_or_create(
        services, session, channel=inbox["channel"], handle=handle, name=name, by=by, now=now
    )
    conversation_id = new_id()
    row = rows.conversation(
        conversation_id,
        inbox=inbox,
        contact_id=contact_id,
        handle=handle,
        subject=subject if capabilities.subject else "",
        preview="",
        language="",
        quarantined=False,
        activity=now,
        now=now,
    )
    (row["number"],) = await next_numbers(session, 1)
    await insert_rows(session, conversations, [row])
    touched = {"conversation_id": conversation_id, "inbox_id": inbox["id"]}
    await insert_rows(session, conversation_inboxes, [touched])
    person = rows.participant(row, Address(handle, name), contact_id, now=now)
    await insert_rows(session, participants, [person])
    created = ConversationCreated(
        conversation_id=conversation_id,
        seq=row["seq"],
        number=row["number"],
        channel=inbox["channel"],
        inbox_id=inbox["id"],
        contact_id=contact_id,
    )
    await record(session, created, now=now)
    # As the system: an agent who may use the inbox sees what he starts in it, and this saves asking.
    conversation = await get_conversation(session, SYSTEM, conversation_id, lock=True)
    await sla.opened_by_agent(services, session, conversation, now=now)
    await replies.reply(services, session, conversation, Draft(text=text, status=status), by=by, now=now)
    return conversation_id
