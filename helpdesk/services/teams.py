"""Teams: agents who share conversations and inboxes, and who of them lead."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain import assignment
from helpdesk.domain.contents import Wrong
from helpdesk.domain.values import Actor, TeamRole
from helpdesk.errors import Conflict, Invalid, NotFound
from helpdesk.models.agents import agents, team_members, teams
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.services import audit, escalation_rules, versions


async def list_teams(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first."""
    query = select(teams).order_by(teams.c.id).limit(limit)
    if after is not None:
        query = query.where(teams.c.id > after)
    return (await session.execute(query)).mappings().all()


async def get_team(session: AsyncSession, team_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(teams).where(teams.c.id == team_id)
    return await versions.get(session, query, missing="there is no such team", version=version)


async def members_of(session: AsyncSession, team_ids: Sequence[UUID]) -> dict[UUID, dict[UUID, str]]:
    """By team, what each member is there (`TeamRole`)."""
    found: dict[UUID, dict[UUID, str]] = {}
    t = team_members.c
    query = select(t.team_id, t.agent_id, t.role).where(t.team_id.in_(team_ids)).order_by(t.agent_id)
    for team_id, agent_id, role in await session.execute(query):
        found.setdefault(team_id, {})[agent_id] = role
    return found


async def create(
    session: AsyncSession,
    *,
    name: str,
    description: str = "",
    members: Sequence[UUID] = (),
    leads: Collection[UUID] = (),
    routing: Mapping[str, Any] | None = None,
    by: Actor,
    now: datetime,
) -> UUID:
    """Raises `Conflict` for a taken name, `NotFound` for a member who is no agent, `Invalid` for a lead who is none.

    So it does for a `routing` that `domain.assignment` does not know.
    """
    _check_leads(leads, members)
    _check_routing(routing)
    team_id = new_id()
    row = {"id": team_id, "name": name, "description": description, "version": 1, "created_at": now, "updated_at": now}
    row |= {"routing": routing}
    try:
        async with session.begin_nested():
            await insert_rows(session, teams, [row])
    except IntegrityError:
        raise Conflict("there is a team of this name", slug="name_taken") from None
    await _set_members(session, team_id, members, leads, {})
    await audit.record(session, "team.created", subject="team", subject_id=team_id, by=by, now=now)
    return team_id


async def edit(
    session: AsyncSession,
    team: RowMapping,
    *,
    name: str | None = None,
    description: str | None = None,
    members: Sequence[UUID] | None = None,
    leads: Collection[UUID] | None = None,
    routing: Mapping[str, Any] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given. Raises as `create` does. Without `leads`, those who stay members stay leads."""
    _check_routing(routing)
    given = (("name", name), ("description", description), ("routing", routing))
    values = {k: v for k, v in given if v is not None}
    try:
        async with session.begin_nested():
            await session.execute(
                update(teams)
                .where(teams.c.id == team["id"])
                .values(**values, version=team["version"] + 1, updated_at=now)
            )
    except IntegrityError:
        raise Conflict("there is a team of this name", slug="name_taken") from None
    fields = [name for name, given in (("members", members), ("leads", leads)) if given is not None]
    if fields:
        await _replace_members(session, team["id"], members, leads)
    data = {"fields": sorted([*values, *fields])}
    await audit.record(session, "team.updated", subject="team", subject_id=team["id"], by=by, now=now, data=data)


async def remove(session: AsyncSession, team: RowMapping, *, by: Actor, now: datetime) -> None:
    """Raises `Conflict` while a conversation or an inbox belongs to it: that would open it to everybody.

    So it does while an escalation rule names it, which would call nobody. Whoever is giving something to the team at
    this moment has done so before it is looked for, or finds no team any more.
    """
    await session.execute(select(teams.c.id).where(teams.c.id == team["id"]).with_for_update())
    used = select(
        exists().where(inboxes.c.team_id == team["id"]) | exists().where(conversations.c.team_id == team["id"])
    )
    if await session.scalar(used):
        raise Conflict("conversations or inboxes belong to this team", slug="in_use")
    versions.refuse_in_use("escalation rules", await escalation_rules.naming(session, team["id"]))
    await session.execute(delete(teams).where(teams.c.id == team["id"]))
    await audit.record(session, "team.removed", subject="team", subject_id=team["id"], by=by, now=now)


def _check_routing(routing: Mapping[str, Any] | None) -> None:
    if routing is None:
        return
    try:
        assignment.check(routing)
    except Wrong as error:
        raise Invalid.field(f"routing.{error.field}", error.reason) from None


def _check_leads(leads: Collection[UUID], members: Collection[UUID]) -> None:
    if set(leads) - set(members):
        raise Invalid.field("lead_ids", "each lead has to be one of the members")


async def _replace_members(
    session: AsyncSession, team_id: UUID, members: Sequence[UUID] | None, leads: Collection[UUID] | None
) -> None:
    """None leaves the members, or those leads who stay members, as they are. Who stays keeps his turn."""
    before = (await members_of(session, [team_id])).get(team_id, {})
    after = list(before) if members is None else members
    if leads is None:
        leads = [one for one in after if before.get(one) == TeamRole.LEAD]
    _check_leads(leads, after)
    gone = delete(team_members).where(team_members.c.team_id == team_id)
    found = await session.execute(gone.returning(team_members.c.agent_id, team_members.c.last_assigned_at))
    turns = {row.agent_id: row.last_assigned_at for row in found}
    await _set_members(session, team_id, after, leads, turns)


async def _set_members(
    session: AsyncSession,
    team_id: UUID,
    members: Sequence[UUID],
    leads: Collection[UUID],
    turns: Mapping[UUID, datetime | None],
) -> None:
    wanted = list(dict.fromkeys(members))
    if not wanted:
        return
    known = set((await session.execute(select(agents.c.id).where(agents.c.id.in_(wanted)))).scalars())
    if known != set(wanted):
        raise NotFound("there is no such agent")
    roles = {agent_id: TeamRole.LEAD if agent_id in leads else TeamRole.MEMBER for agent_id in wanted}
    rows = [
        {"team_id": team_id, "agent_id": one, "role": role.value, "last_assigned_at": turns.get(one)}
        for one, role in roles.items()
    ]
    await insert_rows(session, team_members, rows)
