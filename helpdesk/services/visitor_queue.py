"""What somebody who waits on a live channel can be told: whether anybody is there, his place, and how long it takes.

Each of them only while it is true. A queue is that of a team, or of an inbox where the conversation has no team; it is
served while somebody who may answer in it is on duty and has lately done something.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import Database
from helpdesk.dialects import among
from helpdesk.domain import queueing
from helpdesk.domain.values import InboxStatus, Role
from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visits
from helpdesk.services import accounts, duty, routing
from helpdesk.services.timetables import timetables_of

PRESENT: Final = timedelta(minutes=5)
"""After so long without a sign of life nobody is said to be there."""

_C: Final = conversations.c
_V: Final = visits.c


@dataclass(frozen=True, slots=True)
class Place:
    """The place in the queue, from 1 on; `eta` is seconds, None where nobody can tell."""

    position: int
    eta: int | None


@dataclass(frozen=True, slots=True)
class _Person:
    """Somebody who is there. `inbox_ids` None: all."""

    team_ids: frozenset[UUID]
    inbox_ids: frozenset[UUID] | None

    def serves(self, inbox_id: UUID, team_id: UUID | None = None) -> bool:
        in_team = team_id is None or team_id in self.team_ids
        return in_team and (self.inbox_ids is None or inbox_id in self.inbox_ids)


async def attended(database: Database, inbox_ids: Collection[UUID], *, now: datetime) -> frozenset[UUID]:
    """Of these inboxes those that are open, and in which somebody may answer who is there."""
    if not inbox_ids:
        return frozenset()
    async with database.reading() as session:
        found = await _open(session, inbox_ids, now=now)
        people = await _present(session, now=now) if found else []
    return frozenset(inbox_id for inbox_id in found if any(one.serves(inbox_id) for one in people))


async def places(database: Database, conversation_ids: Collection[UUID], *, now: datetime) -> Mapping[UUID, Place]:
    """Of these conversations those that wait in a queue which is served now."""
    if not conversation_ids:
        return {}
    async with database.reading() as session:
        waiting = await _waiting(session, conversation_ids)
        people = await _present(session, now=now) if waiting else []
        served = [row for row in waiting if any(one.serves(row["inbox_id"], row["team_id"]) for one in people)]
        taken = await _taken(session, {row["queue"] for row in served}, now=now)
    first = {row["queue"]: row["first_since"] for row in served}
    paces = {one: queueing.pace(taken.get(one, ()), first_since=since, now=now) for one, since in first.items()}
    found = {}
    for row in served:
        pace = paces[row["queue"]]
        found[row["id"]] = Place(row["position"], pace.until(row["position"]) if pace else None)
    return found


async def closed(session: AsyncSession, *, now: datetime) -> list[UUID]:
    """Of the inboxes in which somebody waits those that are not open."""
    waited = select(_V.inbox_id).where(_V.queued_at.is_not(None)).distinct()
    inbox_ids = set((await session.execute(waited)).scalars())
    return sorted(inbox_ids - await _open(session, inbox_ids, now=now)) if inbox_ids else []


async def _open(session: AsyncSession, inbox_ids: Collection[UUID], *, now: datetime) -> set[UUID]:
    i = inboxes.c
    query = select(i.id, i.business_hours_id).where(
        among(i.id, list(inbox_ids), "uuid"), i.deleted_at.is_(None), i.state == InboxStatus.ACTIVE.value
    )
    hours = {row.id: row.business_hours_id for row in await session.execute(query)}
    if not hours:
        return set()
    known = await timetables_of(session, set(hours.values()) - {None})
    return {inbox_id for inbox_id, one in hours.items() if known.get(one, known[None]).is_open(now)}


async def _present(session: AsyncSession, *, now: datetime) -> list[_Person]:
    in_session, by_token = routing.seen()
    team_ids, inbox_ids = accounts.sees()
    since = now - PRESENT
    query = (
        select(agents.c.id, agents.c.role, team_ids.label("team_ids"), inbox_ids.label("inbox_ids"))
        .where(agents.c.active, or_(in_session >= since, by_token >= since))
        .order_by(agents.c.id)
    )
    rows = (await session.execute(query)).mappings().all()
    there = set(await duty.on_duty(session, agent_ids=[row["id"] for row in rows], now=now)) if rows else set()
    return [_person(row) for row in rows if row["id"] in there]


def _person(row: RowMapping) -> _Person:
    # The list does not tell who has none from who needs none: the databases differ in what an empty one is.
    inbox_ids = frozenset(row["inbox_ids"] or ()) if row["role"] == Role.AGENT else None
    return _Person(frozenset(row["team_ids"] or ()), inbox_ids)


def _queue() -> ColumnElement[UUID]:
    return func.coalesce(_C.team_id, _C.inbox_id, type_=_C.inbox_id.type)


async def _waiting(session: AsyncSession, conversation_ids: Collection[UUID]) -> Sequence[RowMapping]:
    """Those of these that wait, each with its place among all that wait in its queue, as routing would take them."""
    order: dict[str, Any] = {
        "partition_by": _queue(),
        "order_by": (_C.priority.desc(), _C.waiting_since.asc().nulls_last(), _C.id),
    }
    line = (
        select(_C.id, _C.team_id, _C.inbox_id, _queue().label("queue"))
        .add_columns(func.row_number().over(**order).label("position"))
        .add_columns(func.first_value(_V.queued_at, type_=_V.queued_at.type).over(**order).label("first_since"))
        .join(visits, _V.conversation_id == _C.id)
        .where(_V.queued_at.is_not(None), routing.QUEUED)
        .subquery()
    )
    return (
        (await session.execute(select(line).where(among(line.c.id, list(conversation_ids), "uuid")))).mappings().all()
    )


async def _taken(
    session: AsyncSession, queues: Collection[UUID], *, now: datetime
) -> Mapping[UUID, Sequence[tuple[datetime, datetime]]]:
    """Of each queue those who were joined last: when they began to wait, and when they were joined."""
    if not queues:
        return {}
    place = func.row_number().over(partition_by=_queue(), order_by=_V.joined_at.desc()).label("place")
    since = now - queueing.WITHIN
    lately = (
        select(_queue().label("queue"), _V.created_at, _V.joined_at, place)
        .join(conversations, _C.id == _V.conversation_id)
        .where(_V.created_at > since, _V.joined_at > since, among(_queue(), list(queues), "uuid"))
        .subquery()
    )
    found: dict[UUID, list[tuple[datetime, datetime]]] = {}
    query = select(lately).where(lately.c.place <= queueing.LATEST + 1)
    for row in await session.execute(query):
        found.setdefault(row.queue, []).append((row.created_at, row.joined_at))
    return found
