"""The desk as it stands now, for whoever leads it: what waits with whom, who is there, and how promises are kept today.

Nine queries whatever the size. Those of conversations walk what is open, which an index holds apart from what is over;
that of today's promises reads clocks from where the day begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping, String, and_, func, literal_column, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.clocks import State
from helpdesk.domain.values import Status
from helpdesk.models.agents import agents, teams
from helpdesk.models.alerts import alerts
from helpdesk.models.conversations import conversations
from helpdesk.models.sla import sla_clocks
from helpdesk.services import duty, routing
from helpdesk.services.house import Services

MOST_AGENTS: Final = 500

_C: Final = conversations.c
_LIVE: Final = _C.status.in_(
    [literal_column(f"'{one.value}'", String()) for one in (Status.OPEN, Status.PENDING, Status.SNOOZED)]
)
_OPEN: Final = _C.status == literal_column(f"'{Status.OPEN.value}'", String())


@dataclass(frozen=True, slots=True)
class Post:
    """An agent, when he last did something, and the open conversations that he has, on live channels beside others."""

    agent: RowMapping
    on_duty: bool
    last_seen_at: datetime | None
    open: int
    live_open: int


@dataclass(frozen=True, slots=True)
class Queue:
    """What is open of a team, or of none. `waiting` are those whose contact waits for an answer."""

    team: RowMapping | None
    open: int
    queued: int
    waiting: int
    oldest_waiting_since: datetime | None


@dataclass(frozen=True, slots=True)
class Promises:
    """`met` and `broken` are of waits that began today, as in the report; the others are of now."""

    met: int
    broken: int
    due_soon: int
    breached: int


@dataclass(frozen=True, slots=True)
class Board:
    queues: Sequence[Queue]
    agents: Sequence[Post]
    promises: Promises
    alerts: int


async def look(services: Services, session: AsyncSession, *, zone: ZoneInfo, now: datetime) -> Board:
    """Of everything: it is for those who see everything. `zone` says when today began."""
    return Board(
        queues=await _queues(session),
        agents=await _agents(services, session, now=now),
        promises=await _promises(session, since=_today(zone, now), now=now),
        alerts=await session.scalar(select(func.count()).where(alerts.c.status == literal_column("'open'"))) or 0,
    )


def _today(zone: ZoneInfo, now: datetime) -> datetime:
    return datetime.combine(now.astimezone(zone).date(), time(), zone)


async def _queues(session: AsyncSession) -> list[Queue]:
    """Each team, and at last what is of none."""
    waiting = _C.waiting_since
    figures: list[Any] = [
        func.count(),
        func.count().filter(_C.assignee_id.is_(None)),
        func.count(waiting),
        func.min(waiting, type_=waiting.type),
    ]
    query = select(_C.team_id, *figures).where(_OPEN, not_(_C.spam), _C.merged_into_id.is_(None))
    found = {team_id: rest for team_id, *rest in await session.execute(query.group_by(_C.team_id))}
    named = (await session.execute(select(teams.c.id, teams.c.name).order_by(teams.c.name))).mappings().all()
    nothing = [0, 0, 0, None]
    return [*(Queue(one, *found.get(one["id"], nothing)) for one in named), Queue(None, *found.get(None, nothing))]


async def _agents(services: Services, session: AsyncSession, *, now: datetime) -> list[Post]:
    """Who is on duty or has something in hand, by name."""
    a = agents.c
    in_session, by_token = routing.seen()
    seen = in_session.label("in_session"), by_token.label("by_token")
    query = select(a.id, a.name, *seen).where(a.active).order_by(a.name, a.id).limit(MOST_AGENTS)
    rows = (await session.execute(query)).mappings().all()
    ids = [row["id"] for row in rows]
    on_duty = set[UUID](await duty.on_duty(session, agent_ids=ids, now=now))
    loads = await routing.loads(services, session, ids)
    posts = [
        Post(
            row,
            row["id"] in on_duty,
            routing.latest(row["in_session"], row["by_token"]),
            loads.get((row["id"], False), 0),
            loads.get((row["id"], True), 0),
        )
        for row in rows
    ]
    return [one for one in posts if one.on_duty or one.open or one.live_open]


async def _promises(session: AsyncSession, *, since: datetime, now: datetime) -> Promises:
    k = sla_clocks.c
    late = k.breached_at.is_not(None)
    ways = func.count().filter(and_(k.ended_at.is_not(None), not_(late))), func.count().filter(late)
    kept = await session.execute(select(*ways).where(k.started_at >= since, k.state != State.CANCELLED.value))
    met, broken = kept.one()
    due = _C.next_due_at
    standing = func.count().filter(and_(due >= now, _C.due_soon_at <= now)), func.count().filter(due < now)
    due_soon, breached = (await session.execute(select(*standing).where(_LIVE, not_(_C.spam)))).one()
    return Promises(met, broken, due_soon, breached)
