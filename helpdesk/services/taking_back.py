"""Taking back: what people have who are not there goes back to the queue of its team, to be routed anew.

Of those who left everything that is open; of those who are off duty or away only what a contact waits for. Nothing is
taken that somebody was given within the time after which his team takes him for away, or that he has before him now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable
from helpdesk.dialects import among
from helpdesk.domain import assignment
from helpdesk.domain.assignment import Idle, Routing
from helpdesk.domain.values import SYSTEM
from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversations, presence
from helpdesk.services import conversations as verbs
from helpdesk.services import duty, routing
from helpdesk.services.house import Services

BATCH: Final = 25

_C: Final = conversations.c


@dataclass(frozen=True, slots=True)
class Absences:
    """Why who is not there, by team, for what is live and what is not: only those from whom that team takes back."""

    routings: Mapping[UUID, Routing]
    why: Mapping[tuple[UUID, bool], Mapping[UUID, Idle]]
    live_channels: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any(self.why.values())


async def absences(services: Services, session: AsyncSession, *, now: datetime) -> Absences:
    """Of all agents, for all teams that route. Off duty is who is on duty in none of his teams."""
    routings = await routing.routings(session)
    if not routings:
        return Absences({}, {})
    in_session, by_token = routing.seen()
    there = set(await duty.on_duty(session, now=now))
    # One team's shifts say nothing of another that has none: whom routing would give it to again is not away.
    there.update(agent_id for _, agent_id in await duty.on_duty_by_team(session, list(routings), now=now))
    people = (await session.execute(select(agents.c.id, agents.c.active, in_session, by_token))).all()
    channels = services.live_channels()
    kinds = [(team_id, live) for team_id in routings for live in ((False, True) if channels else (False,))]
    why: dict[tuple[UUID, bool], dict[UUID, Idle]] = {kind: {} for kind in kinds}
    for agent_id, active, *times in people:
        here = {"active": active, "on_duty": agent_id in there, "seen_at": routing.latest(*times)}
        for team_id, live in kinds:
            absence = assignment.absence(routings[team_id], live=live, **here, now=now)
            if absence is not None and assignment.loses(routings[team_id], absence, live=live):
                why[team_id, live][agent_id] = absence
    return Absences(routings, why, channels)


async def anything(session: AsyncSession, found: Absences, *, now: datetime) -> bool:
    """Whether `take_back` would find anything to take."""
    return bool(found) and await session.scalar(_taken(select(_C.id), found, now=now).limit(1)) is not None


async def take_back(services: Services, session: AsyncSession, found: Absences, *, now: datetime) -> int:
    """A batch of it, and none that somebody has in hand; answers how many that were."""
    live = routing.of_kind(found.live_channels, live=True).label("live")
    query = _taken(select(conversations, live), found, now=now).order_by(_C.id).limit(BATCH)
    rows = (await session.execute(claimable(query))).mappings().all()
    for row in rows:
        reason = found.why[row["team_id"], bool(row["live"])][row["assignee_id"]]
        await verbs.change(services, session, row, {"assignee_id": None}, by=SYSTEM, now=now, reason=reason.value)
    return len(rows)


def _taken(query: Select[Any], found: Absences, *, now: datetime) -> Select[Any]:
    absent = sorted({agent_id for people in found.why.values() for agent_id in people})
    of_teams = [_of_team(*kind, found, now=now) for kind, people in found.why.items() if people]
    return query.where(routing.COUNTED, among(_C.assignee_id, absent, "uuid"), or_(*of_teams))


def _of_team(team_id: UUID, live: bool, found: Absences, *, now: datetime) -> ColumnElement[bool]:
    people = found.why[team_id, live]
    left = sorted(agent_id for agent_id, why in people.items() if why is Idle.LEFT)
    others = sorted(agent_id for agent_id, why in people.items() if why is not Idle.LEFT)
    taken: list[ColumnElement[bool]] = [among(_C.assignee_id, left, "uuid")] if left else []
    pause = found.routings[team_id].patience(live=live)
    if others and pause is not None:
        p = presence.c
        before_him = exists().where(p.conversation_id == _C.id, p.agent_id == _C.assignee_id, p.expires_at > now)
        long_since = or_(_C.assigned_at.is_(None), _C.assigned_at <= now - pause)
        of_others = among(_C.assignee_id, others, "uuid"), _C.waiting_since.is_not(None), long_since
        taken.append(and_(*of_others, not_(before_him)))
    return and_(_C.team_id == team_id, routing.of_kind(found.live_channels, live=live), or_(*taken))
