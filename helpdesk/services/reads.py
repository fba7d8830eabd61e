"""How far each agent has read. It is his own: nobody's version of a conversation is made stale by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, RowMapping, Update, Uuid, bindparam, case, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import is_postgresql
from helpdesk.domain.values import Actor
from helpdesk.errors import Invalid
from helpdesk.models.conversations import conversation_reads, conversations, mentions
from helpdesk.models.messages import messages
from helpdesk.services.access import scoped
from helpdesk.services.conversations import Conversation
from helpdesk.statements import Statement
from helpdesk.writes import Insert


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


async def mark_many(
    session: AsyncSession, conversation_ids: Sequence[UUID], *, read: bool, by: Actor, now: datetime
) -> list[RowMapping]:
    """The same of all of these that the actor may see: to the end, or as if never seen. Answers these, by id."""
    c, r, m = conversations.c, conversation_reads.c, mentions.c
    query = scoped(select(c.id, c.seq, c.last_incoming_seq).where(c.id.in_(conversation_ids)), by)
    found = list((await session.execute(query.order_by(c.id))).mappings())
    if not found or by.id is None:
        return found
    those = [one["id"] for one in found]
    if not read:
        await session.execute(delete(conversation_reads).where(r.agent_id == by.id, r.conversation_id.in_(those)))
        return found
    rows = [{"agent_id": by.id, "conversation_id": one["id"], "seq": one["seq"], "updated_at": now} for one in found]
    maker = postgresql.insert if is_postgresql(session) else sqlite.insert
    await session.execute(_further(maker(conversation_reads).values(rows)))
    known = select(messages.c.id).join(conversation_reads, r.conversation_id == messages.c.conversation_id)
    known = known.where(messages.c.id == m.message_id, messages.c.seq <= r.seq, r.agent_id == by.id)
    mine = m.agent_id == by.id, m.conversation_id.in_(those), m.read_at.is_(None)
    await session.execute(update(mentions).where(*mine, known.correlate(mentions).exists()).values(read_at=now))
    return found


async def advance(session: AsyncSession, conversation_id: UUID, agent_id: UUID, seq: int, *, now: datetime) -> int:
    """Keep that he has read that far, and that he knows where he is mentioned until there."""
    whose: dict[str, Any] = {"agent": agent_id, "conversation": conversation_id, "at": now}
    reached: int = (await _ADVANCED[is_postgresql(session)].rows(session, **whose, until=seq))[0]["seq"]
    await know(session, conversation_id, agent_id, reached, now=now)
    return reached


def to_the_end(conversation: Conversation, agent_id: UUID, seq: int, *, now: datetime) -> Insert:
    """For whoever has just written `seq`, the conversation's end, under its lock: further nobody can have read."""
    row = {"agent_id": agent_id, "conversation_id": conversation["id"], "seq": seq, "updated_at": now}
    return Insert(conversation_reads, [row], unless=("agent_id", "conversation_id"), replacing=("seq", "updated_at"))


async def know(session: AsyncSession, conversation_id: UUID, agent_id: UUID, seq: int, *, now: datetime) -> None:
    """Keep that he knows where he is mentioned up to `seq`."""
    await _KNOWN.rows(session, agent=agent_id, conversation=conversation_id, at=now, until=seq)


def is_mentioned(conversation_id: Any, agent_id: Any) -> ColumnElement[bool]:
    """Whether he is mentioned where he has not read yet."""
    m = mentions.c
    return exists().where(m.agent_id == agent_id, m.conversation_id == conversation_id, m.read_at.is_(None))


def _advanced(maker: Callable[..., Any]) -> Any:
    r = conversation_reads.c
    row = {r.agent_id: _AGENT, r.conversation_id: _CONVERSATION, r.seq: _UNTIL, r.updated_at: _AT}
    return _further(maker(conversation_reads).values({c.name: value for c, value in row.items()})).returning(r.seq)


def _further(made: Any) -> Any:
    """It never goes back."""
    seq = conversation_reads.c.seq
    moved = {"seq": case((seq > made.excluded.seq, seq), else_=made.excluded.seq)}
    moved["updated_at"] = made.excluded.updated_at
    return made.on_conflict_do_update(index_elements=["agent_id", "conversation_id"], set_=moved)


def _known() -> Update:
    m = mentions.c
    until = select(messages.c.id).where(messages.c.conversation_id == _CONVERSATION, messages.c.seq <= _UNTIL)
    mine = m.agent_id == _AGENT, m.conversation_id == _CONVERSATION, m.read_at.is_(None)
    return update(mentions).where(*mine, m.message_id.in_(until)).values(read_at=_AT)


_AGENT: Final = bindparam("agent", type_=Uuid())
_CONVERSATION: Final = bindparam("conversation", type_=Uuid())
_UNTIL: Final = bindparam("until", type_=Integer())
_AT: Final = bindparam("at", type_=conversation_reads.c.updated_at.type)
_ADVANCED: Final = {
    True: Statement(lambda: _advanced(postgresql.insert)),
    False: Statement(lambda: _advanced(sqlite.insert)),
}
"""By whether it is PostgreSQL."""

_KNOWN: Final = Statement(_known)
