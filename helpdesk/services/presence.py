"""Who looks at a conversation just now, or writes in it: rows that run out by themselves.

Whoever looks says so again and again; who stops saying so is gone a little later. Only changes are told, to those who
look at the same conversation, in passing: by the stream, without a position, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import Database, insert_ignoring, ring
from helpdesk.dialects import among
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, TooMany
from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversations, presence
from helpdesk.services.access import scoped

LASTS: Final = timedelta(seconds=45)
"""To be said again within 30 seconds: one repetition may be lost."""

PLACES: Final = 50
"""In so many conversations one agent can be at a time."""

EVERYBODY: Final = 5000

BELL: Final = "presence"


class State(StrEnum):
    VIEWING = "viewing"
    TYPING = "typing"
    NOTING = "noting"
    """Writes a note: the visitor of a live channel, who is told of `typing`, is not to know."""


@dataclass(frozen=True, slots=True)
class There:
    """Somebody at a conversation."""

    agent_id: UUID
    name: str
    state: str
    since: datetime

    def shown(self) -> dict[str, Any]:
        return {"agent": {"id": self.agent_id, "name": self.name}, "state": self.state, "since": self.since}


Places = Mapping[UUID, tuple[There, ...]]
"""By conversation; one where nobody is is not among them."""


async def note(session: AsyncSession, conversation_id: UUID, state: State, *, by: Actor, now: datetime) -> None:
    """He is there and does this, for a while. `since` stays while he goes on with the same.

    Raises `Forbidden` for who is no agent, `TooMany` for one who is in too many places.
    """
    row: dict[str, Any] = {"state": state.value, "since": now, "expires_at": now + LASTS}
    mine = presence.c.agent_id == _agent(by)
    here = mine, presence.c.conversation_id == conversation_id
    same = presence.c.state == state.value, presence.c.expires_at > now
    kept = update(presence).where(*here, *same).values(expires_at=row["expires_at"])
    if (await session.execute(kept.returning(presence.c.agent_id))).first():
        return
    await session.execute(delete(presence).where(mine, presence.c.expires_at <= now))
    other = update(presence).where(*here).values(row).returning(presence.c.agent_id)
    if (await session.execute(other)).first() is None:
        if (await session.scalar(select(func.count()).where(mine)) or 0) >= PLACES:
            raise TooMany("this agent looks at too many conversations", extra={"retry_after": LASTS.seconds})
        row |= {"conversation_id": conversation_id, "agent_id": by.id}
        await session.execute(insert_ignoring(session, presence, on=["conversation_id", "agent_id"]).values(row))
    ring(session, BELL)


async def leave(session: AsyncSession, conversation_id: UUID, *, by: Actor) -> None:
    """He is there no longer. Idempotent."""
    mine = presence.c.agent_id == _agent(by), presence.c.conversation_id == conversation_id
    if (await session.execute(delete(presence).where(*mine).returning(presence.c.agent_id))).first():
        ring(session, BELL)


def _agent(by: Actor) -> UUID:
    if by.id is None:
        raise Forbidden("only an agent can be somewhere")
    return by.id


async def at(session: AsyncSession, conversation_id: UUID, *, now: datetime) -> Sequence[There]:
    """Who is at a conversation, whoever came first before the others."""
    found = await session.execute(_there(now).where(presence.c.conversation_id == conversation_id))
    return [There(*row[1:]) for row in found]


async def at_some(
    session: AsyncSession, actor: Actor, conversation_ids: Sequence[UUID], *, now: datetime
) -> dict[UUID, list[There]]:
    """The same of each of these that the actor may see and where somebody is."""
    query = _there(now).join(conversations, conversations.c.id == presence.c.conversation_id)
    query = scoped(query.where(among(presence.c.conversation_id, conversation_ids, "uuid")), actor)
    places: dict[UUID, list[There]] = {}
    for conversation_id, *rest in await session.execute(query):
        places.setdefault(conversation_id, []).append(There(*rest))
    return places


async def everywhere(database: Database, *, now: datetime) -> Places:
    """Who is where, of those who said so last at most `EVERYBODY`."""
    places: dict[UUID, tuple[There, ...]] = {}
    for conversation_id, *rest in await database.fetch(database.prepared("presence", _everywhere), {"now": now}):
        places[conversation_id] = (*places.get(conversation_id, ()), There(*rest))
    return places


def moved(before: Places, after: Places) -> dict[UUID, frozenset[UUID]]:
    """The conversations where something is different now, each with the agents who came, left or do something else."""
    found = {}
    for conversation_id in before.keys() | after.keys():
        was, now = set(before.get(conversation_id, ())), set(after.get(conversation_id, ()))
        if was != now:
            found[conversation_id] = frozenset(there.agent_id for there in was ^ now)
    return found


def _there(now: Any) -> Select[Any]:
    p = presence.c
    return (
        select(p.conversation_id, p.agent_id, agents.c.name, p.state, p.since)
        .join(agents, agents.c.id == p.agent_id)
        .where(p.expires_at > now)
        .order_by(p.since, p.agent_id)
    )


def _everywhere() -> Select[Any]:
    now = bindparam("now", type_=presence.c.expires_at.type)
    return _there(now).limit(literal_column(str(EVERYBODY)))


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop what has run out."""
    await session.execute(delete(presence).where(presence.c.expires_at <= now))
