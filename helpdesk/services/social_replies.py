"""Answers that an integration gives on a channel: it knows the id of what it answers, not the conversation.

What an agent may not do there it may not do either: one set of rules, `replies.reply`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import Actor, DeliveryStatus, MessageType
from helpdesk.errors import NotFound
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import deliveries, messages
from helpdesk.models.social import conversation_threads
from helpdesk.services import inboxes, replies
from helpdesk.services.access import get_conversation, scoped
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft, Person, Stored
from helpdesk.statements import Row

_WORST_FIRST: Final = (
    DeliveryStatus.FAILED,
    DeliveryStatus.UNCERTAIN,
    DeliveryStatus.CANCELLED,
    DeliveryStatus.SENDING,
    DeliveryStatus.QUEUED,
    DeliveryStatus.SENT,
)


async def reply(
    services: Services,
    session: AsyncSession,
    inbox_id: UUID,
    in_reply_to: str,
    text: str,
    *,
    visibility: str | None,
    by: Actor,
    now: datetime,
) -> Stored:
    """Answer the message with this external id, which came in through this inbox.

    Raises `NotFound` for an inbox that is not the actor's, and for a message that is not there
    (`reply_target_unknown`); otherwise what `replies.reply` raises.
    """
    await inboxes.get_inbox(session, by, inbox_id)
    asked = await _asked(session, inbox_id, in_reply_to)
    conversation = await get_conversation(session, by, asked["conversation_id"], lock=True)
    to = await _author(session, conversation, asked)
    draft = Draft(text=text, inbox_id=inbox_id, visibility=visibility, in_reply_to=in_reply_to, to=to)
    return await replies.reply(services, session, conversation, draft, by=by, now=now)


async def _asked(session: AsyncSession, inbox_id: UUID, external_id: str) -> RowMapping:
    m = messages.c
    query = (
        select(m.conversation_id, m.inbox_id, m.channel, m.thread, m.author_id)
        .where(m.external_id == external_id, m.inbox_id == inbox_id)
        .where(m.type == MessageType.INCOMING.value, m.private.is_(False))
        .order_by(m.created_at.desc())
        .limit(1)
    )
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("nothing with this in_reply_to came in through this inbox", slug="reply_target_unknown")
    return found


async def _author(session: AsyncSession, conversation: Row, asked: RowMapping) -> Sequence[Person]:
    """Who wrote it, unless that is whom an answer goes to anyway: in a merged conversation it may be somebody else."""
    t, i = conversation_threads.c, contact_identities.c
    query = (
        select(t.handle)
        .join(contact_identities, (i.handle == t.handle) & (i.channel == asked["channel"]))
        .where(t.conversation_id == asked["conversation_id"], t.inbox_id == asked["inbox_id"])
        .where(t.thread == asked["thread"])
        .order_by((i.contact_id == asked["author_id"]).desc())
        .limit(1)
    )
    handle = await session.scalar(query) if asked["thread"] else None
    return [] if handle in (None, conversation["contact_handle"]) else [{"handle": handle, "name": ""}]


async def state(session: AsyncSession, message_id: UUID, *, by: Actor) -> Sequence[RowMapping]:
    """What became of an answer of the actor's: its parts, in order. Raises `NotFound`."""
    m = messages.c
    mine = m.type == MessageType.OUTGOING.value, m.author_kind == by.kind.value, m.author_id == by.id
    whole = select(m.conversation_id).where(m.id == message_id, m.part_of.is_(None), *mine).scalar_subquery()
    columns = m.id, m.delivery_status, m.external_id, m.external_url, deliveries.c.error
    query = (
        select(*columns)
        .select_from(messages.join(conversations, conversations.c.id == m.conversation_id))
        .join(deliveries, deliveries.c.message_id == m.id)
        .where(m.conversation_id == whole, or_(m.id == message_id, m.part_of == message_id))
        .order_by(m.seq)
    )
    found = (await session.execute(scoped(query, by))).mappings().all()
    if not found:
        raise NotFound("there is no such reply of yours")
    return found


def status_of(statuses: Sequence[str]) -> str:
    """Of an answer in several parts: that of the part that went worst, and `sent` once they all are."""
    return min(statuses, key=lambda status: _WORST_FIRST.index(DeliveryStatus(status)))
