"""What waits in a team's queue, and why its members are given it or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import assignment
from helpdesk.domain.assignment import Idle, Member
from helpdesk.domain.values import Actor
from helpdesk.errors import NotFound
from helpdesk.models.conversations import conversations
from helpdesk.services import duty, routing, teams
from helpdesk.services.house import Services

MOST_KINDS: Final = 500
"""Kinds of queued conversations (inbox, language, category) that are looked through for what suits a member."""

_C: Final = conversations.c


@dataclass(frozen=True, slots=True)
class MemberStanding:
    member: Member
    name: str
    load: int
    idle: Idle | None
    live_load: int
    live_idle: Idle | None


@dataclass(frozen=True, slots=True)
class Standing:
    team: RowMapping
    queued: int
    oldest_waiting_since: datetime | None
    members: Sequence[MemberStanding]


async def standing(
    services: Services, session: AsyncSession, actor: Actor, team_id: UUID, *, now: datetime
) -> Standing:
    """Of one's own team; supervisors and administrators see all. Raises `NotFound`."""
    if not actor.sees_all and team_id not in actor.team_ids:
        raise NotFound("there is no such team")
    team = await teams.get_team(session, team_id)
    how = assignment.read(team["routing"])
    board = await routing.board(services, session, {team_id: how}, now=now)
    mine = routing.QUEUED, _C.team_id == team_id
    oldest = func.min(_C.waiting_since, type_=_C.waiting_since.type)
    count, waiting_since = (await session.execute(select(func.count(), oldest).where(*mine))).one()
    kinds = select(_C.inbox_id, _C.language, _C.category).where(*mine).distinct().limit(MOST_KINDS)
    asked = [(inbox_id, language, category) for inbox_id, language, category in await session.execute(kinds)]
    members = board.teams[team_id].members
    names = await duty.names_of(session, [one.agent_id for one in members])
    found = []
    for one, named in zip(members, names, strict=True):
        unsuited = assignment.unsuited(how, one, asked) if asked else None
        idle, live_idle = (board.idle(board.teams[team_id], one, live=live, now=now) for live in (False, True))
        load, live_load = (board.load(one, live=live) for live in (False, True))
        found.append(MemberStanding(one, named["name"], load, idle or unsuited, live_load, live_idle or unsuited))
    return Standing(team, count, waiting_since, found)
