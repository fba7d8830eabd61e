"""Since when a contact waits, worked out from what the channel accepted."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import waiting
from helpdesk.domain.values import AuthorKind, DeliveryStatus, MessageType, Status
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
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
    since, channel = (
        await session.execute(
            select(func.min(messages.c.received_at), func.min(messages.c.channel)).where(
                of_this,
                messages.c.type == MessageType.INCOMING.value,
                messages.c.private.is_(False),
                messages.c.auto_submitted.is_(None),
                messages.c.backfilled.is_(False),
                messages.c.seq > answered,
            )
        )
    ).one()
    promise = services.channel(channel).capabilities.promise if channel else None
    await session.execute(
        update(conversations)
        .where(conversations.c.id == conversation_id)
        .values(waiting_since=since, next_due_at=waiting.due(since, promise=promise), updated_at=now)
    )


async def reopen(session: AsyncSession, conversation_id: UUID) -> bool:
    """Open a conversation whose answer did not arrive. Answers whether it was anything but open."""
    done = await session.execute(
        update(conversations)
        .where(
            conversations.c.id == conversation_id,
            conversations.c.status.in_([Status.RESOLVED.value, Status.PENDING.value, Status.SNOOZED.value]),
        )
        .values(status=Status.OPEN.value, version=conversations.c.version + 1)
        .returning(conversations.c.id)
    )
    return done.scalar_one_or_none() is not None
