"""Colleagues whom a note names: they watch the conversation from then on, and find the note among their mentions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows
from helpdesk.domain.values import Actor
from helpdesk.errors import FieldError, Invalid
from helpdesk.models.conversations import conversations, mentions
from helpdesk.models.messages import messages
from helpdesk.services import watchers
from helpdesk.services.access import scoped, who_sees
from helpdesk.services.conversations import Conversation

_T: Final = mentions.c


async def check(session: AsyncSession, conversation_id: UUID, agent_ids: Sequence[UUID]) -> None:
    """Raises `Invalid` naming those who are not active, or may not see the conversation."""
    seeing = await who_sees(session, conversation_id, agent_ids) if agent_ids else set()
    wrong = [place for place, agent_id in enumerate(agent_ids) if agent_id not in seeing]
    if wrong:
        errors = [FieldError(f"mentions.{place}", "is nobody who may see this conversation") for place in wrong]
        raise Invalid(errors=errors)


async def write(
    session: AsyncSession,
    conversation: Conversation,
    message_id: UUID,
    agent_ids: Sequence[UUID],
    *,
    by: Actor,
    now: datetime,
) -> Conversation:
    """Note whom the message names, who were checked, and let them watch; answers the conversation as it is now."""
    row = {"message_id": message_id, "conversation_id": conversation["id"], "created_at": now, "read_at": None}
    named = list(dict.fromkeys(agent_ids))
    await insert_rows(session, mentions, [{**row, "agent_id": agent_id} for agent_id in named])
    return await watchers.add_several(session, conversation, named, by=by, now=now)


async def list_mentions(
    session: AsyncSession, actor: Actor, *, unread: bool, after: tuple[bool, UUID] | None, limit: int
) -> Sequence[RowMapping]:
    """The actor's own in conversations that he may see: those he has not read first, each kind the newest first.

    `after` is whether the last one was read, and its message.
    """
    c, m, was_read = conversations.c, messages.c, _T.read_at.is_not(None)
    query = (
        select(_T.message_id, _T.conversation_id, _T.created_at, _T.read_at, c.number, c.subject, m.seq, m.text)
        .add_columns(m.author_kind, m.author_id, m.author_name)
        .join_from(mentions, conversations, c.id == _T.conversation_id)
        .join(messages, m.id == _T.message_id)
        .where(_T.agent_id == actor.id)
        .order_by(was_read, _T.message_id.desc())
    )
    if unread:
        query = query.where(_T.read_at.is_(None))
    if after is not None:
        read, last = after
        later = (was_read if read else _T.read_at.is_(None)) & (_T.message_id < last)
        query = query.where(later if read else or_(later, was_read))
    return (await session.execute(scoped(query, actor).limit(limit))).mappings().all()
