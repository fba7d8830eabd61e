"""Agents who watch a conversation: they want to know what becomes of it, whether or not it is theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows
from helpdesk.domain.values import Actor, Role
from helpdesk.errors import Invalid, NotFound
from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversation_watchers
from helpdesk.services.access import seen_by
from helpdesk.services.conversations import Conversation, note

MAX_WATCHERS: Final = 50

_W: Final = conversation_watchers.c


async def list_watchers(session: AsyncSession, conversation_id: UUID) -> Sequence[RowMapping]:
    """Ids and names; whoever has watched longest comes first."""
    query = (
        select(agents.c.id, agents.c.name)
        .join(conversation_watchers, _W.agent_id == agents.c.id)
        .where(_W.conversation_id == conversation_id)
        .order_by(_W.created_at, agents.c.id)
    )
    return (await session.execute(query)).mappings().all()


async def add(
    session: AsyncSession, conversation: Conversation, agent_id: UUID, *, by: Actor, now: datetime
) -> Conversation:
    """Let him watch the locked conversation; answers its row as it is now. Idempotent.

    Raises `NotFound` for one who is not active, `Invalid` for one who may not see it, or who is one too many.
    """
    there = [row["id"] for row in await list_watchers(session, conversation["id"])]
    if agent_id in there:
        return conversation
    await _check_sees(session, conversation, agent_id)
    if len(there) >= MAX_WATCHERS:
        raise Invalid.field("agent_id", f"at most {MAX_WATCHERS} watch a conversation")
    row = {"conversation_id": conversation["id"], "agent_id": agent_id, "added_by": by.id, "created_at": now}
    await insert_rows(session, conversation_watchers, [row])
    return await _note(session, conversation, there, [*there, agent_id], by=by, now=now)


async def add_several(
    session: AsyncSession, conversation: Conversation, agent_ids: Sequence[UUID], *, by: Actor, now: datetime
) -> Conversation:
    """The same for some who are active and may see it. Raises `Invalid` where they are too many."""
    there = [row["id"] for row in await list_watchers(session, conversation["id"])]
    new = [agent_id for agent_id in agent_ids if agent_id not in there]
    if not new:
        return conversation
    if len(there) + len(new) > MAX_WATCHERS:
        raise Invalid.field("mentions", f"at most {MAX_WATCHERS} watch a conversation")
    row = {"conversation_id": conversation["id"], "added_by": by.id, "created_at": now}
    await insert_rows(session, conversation_watchers, [{**row, "agent_id": agent_id} for agent_id in new])
    return await _note(session, conversation, there, [*there, *new], by=by, now=now)


async def remove(
    session: AsyncSession, conversation: Conversation, agent_id: UUID, *, by: Actor, now: datetime
) -> Conversation:
    """He watches the locked conversation no longer. Idempotent."""
    there = [row["id"] for row in await list_watchers(session, conversation["id"])]
    if agent_id not in there:
        return conversation
    mine = _W.conversation_id == conversation["id"], _W.agent_id == agent_id
    await session.execute(delete(conversation_watchers).where(*mine))
    return await _note(session, conversation, there, [one for one in there if one != agent_id], by=by, now=now)


async def _check_sees(session: AsyncSession, conversation: Conversation, agent_id: UUID) -> None:
    role = await session.scalar(select(agents.c.role).where(agents.c.id == agent_id, agents.c.active))
    if role is None:
        raise NotFound("there is no such active agent")
    if not await seen_by(session, agent_id, Role(role), [conversation["id"]]):
        raise Invalid.field("agent_id", "he may not see this conversation")


async def _note(
    session: AsyncSession,
    conversation: Conversation,
    before: Sequence[UUID],
    after: Sequence[UUID],
    *,
    by: Actor,
    now: datetime,
) -> Conversation:
    """It is not the conversation's own state: nobody's change of that is made stale by it."""
    changes = {"watchers": [list(map(str, before)), list(map(str, after))]}
    return await note(session, conversation, changes, by=by, now=now, versioned=False)
