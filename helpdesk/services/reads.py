"""How far each agent has read. It is his own: nobody's version of a conversation is made stale by it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import is_postgresql
from helpdesk.domain.values import Actor
from helpdesk.errors import Invalid
from helpdesk.models.conversations import conversation_reads, mentions
from helpdesk.models.messages import messages
from helpdesk.services.conversations import Conversation


async def mark_read(
    session: AsyncSession, conversation: Conversation, *, seq: int | None = None, by: Actor, now: datetime
) -> int:
    """The actor has read up to `seq`, or all that there is; answers how far he has read by now.

    It never goes back: of two windows, the one that shows more counts. Raises `Invalid` beyond the conversation's end.
    """
    if seq is not None and seq > conversation["seq"]:
        raise Invalid.field("seq", f"the conversation ends at {conversation['seq']}")
    if by.id is None:
        return 0
    return await advance(session, conversation["id"], by.id, conversation["seq"] if seq is None else seq, now=now)


async def mark_unread(session: AsyncSession, conversation: Conversation, *, by: Actor) -> None:
    """As if the actor had never seen it. Idempotent."""
    r = conversation_reads.c
    await session.execute(
        delete(conversation_reads).where(r.agent_id == by.id, r.conversation_id == conversation["id"])
    )


async def advance(session: AsyncSession, conversation_id: UUID, agent_id: UUID, seq: int, *, now: datetime) -> int:
    """Keep that he has read that far, and that he knows where he is mentioned until there."""
    row: dict[str, Any] = {"agent_id": agent_id, "conversation_id": conversation_id, "seq": seq, "updated_at": now}
    maker = postgresql.insert if is_postgresql(session) else sqlite.insert
    statement = maker(conversation_reads).values(row)
    further = case((conversation_reads.c.seq > seq, conversation_reads.c.seq), else_=seq)
    statement = statement.on_conflict_do_update(
        index_elements=["agent_id", "conversation_id"], set_={"seq": further, "updated_at": now}
    )
    reached: int = (await session.execute(statement.returning(conversation_reads.c.seq))).scalar_one()
    m = mentions.c
    until = select(messages.c.id).where(messages.c.conversation_id == conversation_id, messages.c.seq <= reached)
    mine = m.agent_id == agent_id, m.conversation_id == conversation_id, m.read_at.is_(None)
    await session.execute(update(mentions).where(*mine, m.message_id.in_(until)).values(read_at=now))
    return reached
