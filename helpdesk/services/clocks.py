"""Since when a contact waits, worked out from what the channel accepted."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import waiting
from helpdesk.domain.events import ConversationStatusChanged
from helpdesk.domain.values import AuthorKind, DeliveryStatus, MessageType, Status
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.services.events import record
from helpdesk.services.house import Services


async def settle(services: Services, session: AsyncSession, conversation_id: UUID, *, now: datetime) -> None:
    """Set `waiting_since` and `next_due_at` from the messages.

    Only a public reply of a person that the channel accepted is an answer; it answers what stands before it. Automatic,
    private and backfilled messages wait for nothing. Called when a reply was accepted, and when it proves it was not.
    """
    of_this = messages.c.conversation_id == conversation_id
    answered = (
        select(func.coalesce(func.max(messages.c.seq), 0))
        .where(
            of_this,
            messages.c.type == MessageType.OUTGOING.value,
            messages.c.author_kind == AuthorKind.AGENT.value,
            messages.c.private.is_(False),
            messages.c.auto_submitted.is_(None),
            messages.c.delivery_status == DeliveryStatus.SENT.value,
        )
        .scalar_subquery()
    )
    waits = await session.execute(
        select(messages.c.received_at, messages.c.channel)
        .where(
            of_this,
            messages.c.type == MessageType.INCOMING.value,
            messages.c.private.is_(False),
            messages.c.auto_submitted.is_(None),
            messages.c.backfilled.is_(False),
            messages.c.received_at.is_not(None),
            messages.c.seq > answered,
        )
        .order_by(messages.c.received_at, messages.c.seq)
        .limit(1)
    )
    since, channel = waits.one_or_none() or (None, "")
    promise = services.channel(channel).capabilities.promise if channel else None
    await session.execute(
        update(conversations)
        .where(conversations.c.id == conversation_id)
        .values(waiting_since=since, next_due_at=waiting.due(since, promise=promise), updated_at=now)
    )


async def reopen(session: AsyncSession, conversation_id: UUID, *, now: datetime) -> bool:
    """Open a conversation whose answer did not arrive. Answers whether it was anything but open; closed is final."""
    locked = select(conversations.c.status).where(conversations.c.id == conversation_id).with_for_update()
    before = await session.scalar(locked)
    if before not in {Status.RESOLVED, Status.PENDING, Status.SNOOZED}:
        return False
    done = await session.execute(
        update(conversations)
        .where(conversations.c.id == conversation_id)
        .values(
            status=Status.OPEN.value,
            snoozed_until=None,
            seq=conversations.c.seq + 1,
            version=conversations.c.version + 1,
            updated_at=now,
        )
        .returning(conversations.c.seq)
    )
    event = ConversationStatusChanged(
        conversation_id=conversation_id,
        seq=done.scalar_one(),
        before=before,
        after=Status.OPEN.value,
        by=AuthorKind.SYSTEM.value,
    )
    await record(session, event, now=now)
    return True
