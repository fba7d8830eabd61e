"""Who waits for an answer, and which answers arrived: asked of the messages, which are the truth of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.clocks import Origin
from helpdesk.domain.values import AuthorKind, DeliveryStatus, MessageType
from helpdesk.models.messages import messages

MOST_REPLIES = 200
"""Later replies that are looked at when one did not arrive."""

_M = messages.c
ASKING = (
    _M.type == MessageType.INCOMING.value,
    _M.private.is_(False),
    _M.auto_submitted.is_(None),
    _M.backfilled.is_(False),
    _M.received_at.is_not(None),
)
"""A message that wants an answer: automatic, private and backfilled ones do not."""

ANSWERING = (
    _M.type == MessageType.OUTGOING.value,
    or_(_M.author_kind == AuthorKind.AGENT.value, _M.answers),
    _M.private.is_(False),
    _M.auto_submitted.is_(None),
    _M.delivery_status == DeliveryStatus.SENT.value,
)
"""A reply of a person, or of a bot whose replies count, that the channel has accepted. Nothing else is an answer."""


async def answer(session: AsyncSession, message_id: UUID) -> RowMapping | None:
    """The message, if it is an answer that has arrived."""
    query = select(messages).where(_M.id == message_id, *ANSWERING)
    return (await session.execute(query)).mappings().one_or_none()


async def answered_since(session: AsyncSession, conversation_id: UUID, since: datetime) -> bool:
    query = select(exists().where(_M.conversation_id == conversation_id, *ANSWERING, _M.sent_at > since))
    return bool(await session.scalar(query))


async def unanswered(session: AsyncSession, conversation_id: UUID) -> Origin | None:
    """The oldest message that nobody has answered. An answer answers what stands before it."""
    of_this = _M.conversation_id == conversation_id
    answered = select(func.coalesce(func.max(_M.seq), 0)).where(of_this, *ANSWERING).scalar_subquery()
    return await _origin(session, of_this, *ASKING, _M.seq > answered)


async def first(session: AsyncSession, conversation_id: UUID) -> Origin | None:
    return await _origin(session, _M.conversation_id == conversation_id, *ASKING)


async def _origin(session: AsyncSession, *which: ColumnElement[bool]) -> Origin | None:
    query = select(_M.received_at, _M.seq, _M.channel, _M.inbox_id).where(*which).order_by(_M.received_at, _M.seq)
    found = (await session.execute(query.limit(1))).one_or_none()
    return None if found is None else Origin(*found)


async def replies(session: AsyncSession, conversation_id: UUID, *, after: int) -> list[tuple[datetime, int, UUID]]:
    """Answers that arrived, with a `seq` after this one, in the order of their arrival."""
    query = (
        select(func.coalesce(_M.sent_at, _M.created_at, type_=_M.created_at.type), _M.seq, _M.id)
        .where(_M.conversation_id == conversation_id, *ANSWERING, _M.seq > after)
        .order_by(_M.sent_at, _M.seq)
        .limit(MOST_REPLIES)
    )
    return [(at, seq, message_id) for at, seq, message_id in await session.execute(query)]
