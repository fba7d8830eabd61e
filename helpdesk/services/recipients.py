"""Who the people are that an alert asks for: on duty, and there at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.alerting import LADDER, Reach
from helpdesk.domain.values import Role, TeamRole
from helpdesk.models.agents import agents, team_members
from helpdesk.models.conversations import conversation_watchers
from helpdesk.services import duty
from helpdesk.statements import Row

Found = dict[UUID, str]
"""Agents, and why each of them."""


async def first(session: AsyncSession, reach: Reach, conversation: Row | None, *, now: datetime) -> Found:
    """Those who are asked for; where none of them is on duty, the nearest who are, up to anybody at all.

    Asking for the assignee of what nobody is assigned to must not mean silence.
    """
    found: Found = {}
    named = await duty.on_duty(session, agent_ids=reach.agent_ids, now=now) if reach.agent_ids else []
    found.update(dict.fromkeys(named, "named"))
    for word in reach.who:
        for agent_id in await _GROUPS[word](session, conversation, now):
            found.setdefault(agent_id, word)
    if found:
        return found
    lowest = min((LADDER.index(word) for word in reach.who if word in LADDER), default=0)
    return await _climb(session, LADDER[lowest:], conversation, without=(), now=now)


async def beyond(
    session: AsyncSession, reach: Reach, conversation: Row | None, *, called: Container[UUID], now: datetime
) -> Found:
    """The next level: the first group above those asked for that has somebody who was not called yet."""
    return await _climb(session, reach.beyond(), conversation, without=called, now=now)


async def _climb(
    session: AsyncSession, words: Sequence[str], conversation: Row | None, *, without: Container[UUID], now: datetime
) -> Found:
    for word in words:
        found = [one for one in await _GROUPS[word](session, conversation, now) if one not in without]
        if found:
            return dict.fromkeys(found, word)
    return {}


async def _assignee(session: AsyncSession, conversation: Row | None, now: datetime) -> Sequence[UUID]:
    assignee = conversation["assignee_id"] if conversation else None
    return await duty.on_duty(session, agent_ids=[assignee], now=now) if assignee else ()


async def _team(session: AsyncSession, conversation: Row | None, now: datetime) -> Sequence[UUID]:
    team = conversation["team_id"] if conversation else None
    return await duty.on_duty(session, team_id=team, now=now) if team else ()


async def _lead(session: AsyncSession, conversation: Row | None, now: datetime) -> Sequence[UUID]:
    team = conversation["team_id"] if conversation else None
    if team is None:
        return ()
    lead = team_members.c.role == TeamRole.LEAD.value
    query = select(team_members.c.agent_id).where(team_members.c.team_id == team, lead)
    leads = (await session.execute(query)).scalars().all()
    on_duty = set(await duty.on_duty(session, team_id=team, now=now)) if leads else set()
    return [one for one in leads if one in on_duty]


async def _supervisors(session: AsyncSession, _conversation: Row | None, now: datetime) -> Sequence[UUID]:
    return await duty.on_duty(session, role=Role.SUPERVISOR, now=now)


async def _admins(session: AsyncSession, _conversation: Row | None, now: datetime) -> Sequence[UUID]:
    return await duty.on_duty(session, role=Role.ADMIN, now=now)


async def _watchers(session: AsyncSession, conversation: Row | None, now: datetime) -> Sequence[UUID]:
    if conversation is None:
        return ()
    w = conversation_watchers.c
    query = select(w.agent_id).where(w.conversation_id == conversation["id"]).order_by(w.created_at)
    watching = (await session.execute(query)).scalars().all()
    return await duty.on_duty(session, agent_ids=watching, now=now) if watching else ()


async def _fallback(session: AsyncSession, _conversation: Row | None, _now: datetime) -> Sequence[UUID]:
    return await duty.fallback(session)


async def _anybody(session: AsyncSession, _conversation: Row | None, _now: datetime) -> Sequence[UUID]:
    """Administrators, whether they are on duty or not; there is always one."""
    query = select(agents.c.id).where(agents.c.active, agents.c.role == Role.ADMIN.value).order_by(agents.c.id)
    return (await session.execute(query.limit(50))).scalars().all()


_GROUPS: Mapping[str, Callable[[AsyncSession, Any, datetime], Awaitable[Sequence[UUID]]]] = {
    "assignee": _assignee,
    "team": _team,
    "lead": _lead,
    "supervisors": _supervisors,
    "admins": _admins,
    "watchers": _watchers,
    "fallback": _fallback,
    "anybody": _anybody,
}
