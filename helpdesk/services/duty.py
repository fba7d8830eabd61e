"""Who is on duty: rosters of teams and of everybody, the fallback list, and what agents say of themselves.

A team with rosters goes by these, one without by those for everybody. Where there are none either, everybody is on
duty. Whoever says that he is on or off duty is, whatever a roster says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain import duty as domain
from helpdesk.domain.values import Actor, Duty, Role
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.agents import agents, team_members
from helpdesk.models.alerts import duty_schedules
from helpdesk.services import audit, versions

MOST_SCHEDULES: Final = 200
"""Whoever is called is looked up in all of them."""

_D: Final = duty_schedules.c

# -- the question -------------------------------------------------------------------------------------------------


async def on_duty(
    session: AsyncSession,
    *,
    agent_ids: Sequence[UUID] | None = None,
    team_id: UUID | None = None,
    role: Role | None = None,
    now: datetime,
) -> list[UUID]:
    """Who is on duty of the active agents that all of what is given is true of; of all of them if nothing is.

    With `team_id` it is that team's rosters which count, otherwise those of all the agent's teams.
    """
    a, m = agents.c, team_members.c
    query = select(a.id, a.duty, a.duty_until, m.team_id).where(a.active).order_by(a.id)
    query = query.select_from(agents.outerjoin(team_members, m.agent_id == a.id))
    if agent_ids is not None:
        query = query.where(a.id.in_(agent_ids))
    if team_id is not None:
        query = query.where(m.team_id == team_id)
    if role is not None:
        query = query.where(a.role == role.value)
    words: dict[UUID, Duty] = {}
    teams: dict[UUID, set[UUID | None]] = {}
    for agent_id, word, until, team in await session.execute(query):
        words[agent_id], _ = domain.standing(word, until, now)
        teams.setdefault(agent_id, set()).add(team)
    rosters = await _rosters(session, now=now) if Duty.AUTO in words.values() else {}
    return [
        agent_id
        for agent_id, word in words.items()
        if word is Duty.ON or (word is Duty.AUTO and _is_in_shift(agent_id, teams[agent_id], rosters))
    ]


async def on_duty_by_team(session: AsyncSession, team_ids: Sequence[UUID], *, now: datetime) -> set[tuple[UUID, UUID]]:
    """`(team, agent)` for the active members of these teams who are on duty there, as `on_duty` with `team_id`."""
    a, m = agents.c, team_members.c
    query = select(m.team_id, a.id, a.duty, a.duty_until).join_from(team_members, agents, m.agent_id == a.id)
    words = {
        (team_id, agent_id): domain.standing(word, until, now)[0]
        for team_id, agent_id, word, until in await session.execute(query.where(a.active, m.team_id.in_(team_ids)))
    }
    rosters = await _rosters(session, now=now) if Duty.AUTO in words.values() else {}
    return {
        (team_id, agent_id)
        for (team_id, agent_id), word in words.items()
        if word is Duty.ON or (word is Duty.AUTO and _is_in_shift(agent_id, {team_id}, rosters))
    }


async def fallback(session: AsyncSession) -> list[UUID]:
    """Whom to call when nobody is on duty, in the order in which they are listed; empty where there is no list."""
    content = await session.scalar(select(_D.content).where(_D.is_fallback))
    listed = [UUID(agent_id) for agent_id in content["agent_ids"]] if content else []
    active = await session.execute(select(agents.c.id).where(agents.c.id.in_(listed), agents.c.active))
    there = set(active.scalars())
    return [agent_id for agent_id in listed if agent_id in there]


async def quiet_until_of(session: AsyncSession, agent_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, datetime]:
    """When the quiet ends of those who want it now."""
    a = agents.c
    found = await session.execute(select(a.id, a.quiet_hours).where(a.id.in_(agent_ids), a.quiet_hours.is_not(None)))
    ends = {agent_id: domain.quiet_until(quiet_hours, now) for agent_id, quiet_hours in found}
    return {agent_id: end for agent_id, end in ends.items() if end is not None}


async def names_of(session: AsyncSession, agent_ids: Sequence[UUID]) -> list[RowMapping]:
    """Their ids and names, in this order."""
    found = await session.execute(select(agents.c.id, agents.c.name).where(agents.c.id.in_(agent_ids)))
    by_id = {row["id"]: row for row in found.mappings()}
    return [by_id[agent_id] for agent_id in agent_ids if agent_id in by_id]


async def _rosters(session: AsyncSession, *, now: datetime) -> dict[UUID | None, set[UUID]]:
    """Who is in a shift now, by team; None is everybody's."""
    found: dict[UUID | None, set[UUID]] = {}
    for team_id, content in await session.execute(select(_D.team_id, _D.content).where(_D.is_fallback.is_(False))):
        found.setdefault(team_id, set()).update(domain.on_duty(content, now))
    return found


def _is_in_shift(agent_id: UUID, teams: set[UUID | None], rosters: Mapping[UUID | None, set[UUID]]) -> bool:
    theirs = [rosters[team] for team in teams if team is not None and team in rosters]
    if not theirs and None in rosters:
        theirs = [rosters[None]]
    return not theirs or any(agent_id in one for one in theirs)


# -- the schedules ------------------------------------------------------------------------------------------------


async def list_schedules(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first."""
    query = select(duty_schedules).order_by(_D.id).limit(limit)
    if after is not None:
        query = query.where(_D.id > after)
    return (await session.execute(query)).mappings().all()


async def get_schedule(session: AsyncSession, schedule_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(duty_schedules).where(_D.id == schedule_id)
    return await versions.get(session, query, missing="there is no such duty schedule", version=version)


async def create(
    session: AsyncSession,
    *,
    name: str,
    team_id: UUID | None = None,
    is_fallback: bool = False,
    content: Mapping[str, Any],
    by: Actor,
    now: datetime,
) -> UUID:
    """`content` is what `domain.duty.check` lets through, or `check_fallback` for the fallback list.

    Raises `Invalid` naming the field that is wrong or names somebody who is gone; `Conflict` for a name that is taken,
    for a second fallback list, and where there are too many.
    """
    if (await session.scalar(select(func.count()).select_from(duty_schedules)) or 0) >= MOST_SCHEDULES:
        raise Conflict(f"there are {MOST_SCHEDULES} of these already", slug="too_many")
    await _check(session, content, team_id, is_fallback=is_fallback)
    schedule_id = new_id()
    row = {"id": schedule_id, "name": name, "team_id": team_id, "is_fallback": is_fallback, "content": dict(content)}
    row |= {"version": 1, "created_at": now, "updated_at": now}
    try:
        async with session.begin_nested():
            await insert_rows(session, duty_schedules, [row])
    except IntegrityError:
        raise await _taken(session, name) from None
    await audit.record(
        session, "duty_schedule.created", subject="duty_schedule", subject_id=schedule_id, by=by, now=now
    )
    return schedule_id


async def edit(
    session: AsyncSession,
    schedule: RowMapping,
    wanted: Mapping[str, Any],
    *,
    content: Mapping[str, Any] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Set `name` and `team_id`; `content` holds only the fields that change. Raises as `create` does."""
    values = {name: value for name, value in wanted.items() if value is not None or name == "team_id"}
    fields = sorted([*values, *(content or {})])
    if content:
        values["content"] = {**schedule["content"], **content}
    # What is not changed stays good, even if somebody whom it names has left since.
    team_id = values.get("team_id", schedule["team_id"])
    await _check(session, values.get("content"), team_id, is_fallback=schedule["is_fallback"])
    values |= {"version": schedule["version"] + 1, "updated_at": now}
    try:
        async with session.begin_nested():
            await session.execute(update(duty_schedules).where(_D.id == schedule["id"]).values(values))
    except IntegrityError:
        raise await _taken(session, values.get("name", "")) from None
    await audit.record(
        session,
        "duty_schedule.updated",
        subject="duty_schedule",
        subject_id=schedule["id"],
        by=by,
        now=now,
        data={"fields": fields},
    )


async def remove(session: AsyncSession, schedule: RowMapping, *, by: Actor, now: datetime) -> None:
    await session.execute(delete(duty_schedules).where(_D.id == schedule["id"]))
    await audit.record(
        session, "duty_schedule.removed", subject="duty_schedule", subject_id=schedule["id"], by=by, now=now
    )


async def _check(
    session: AsyncSession, content: Mapping[str, Any] | None, team_id: UUID | None, *, is_fallback: bool
) -> None:
    if is_fallback and team_id is not None:
        raise Invalid.field("team_id", "the fallback list is everybody's")
    mentions = [("team_id", "team", team_id)] if team_id is not None else []
    if content is not None:
        versions.checked(domain.check_fallback if is_fallback else domain.check, content)
        mentions += domain.mentions(content)
    await versions.check_mentions(session, mentions)


async def _taken(session: AsyncSession, name: str) -> Conflict:
    """Which of the two things that there is only one of was there already."""
    if await session.scalar(select(_D.id).where(_D.name == name)):
        return Conflict("there is a duty schedule of this name", slug="name_taken")
    return Conflict("there is a fallback list already", slug="fallback_exists")
