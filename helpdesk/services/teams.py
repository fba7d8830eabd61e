"""Teams: agents who share conversations and inboxes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, NotFound, Stale
from helpdesk.models.agents import agents, team_members, teams
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.services import audit


async def list_teams(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first."""
    query = select(teams).order_by(teams.c.id).limit(limit)
    if after is not None:
        query = query.where(teams.c.id > after)
    return (await session.execute(query)).mappings().all()


async def get_team(session: AsyncSession, team_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(teams).where(teams.c.id == team_id)
    found = (await session.execute(query if version is None else query.with_for_update())).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such team")
    if version is not None and found["version"] != version:
        raise Stale(extra={"version": found["version"]})
    return found


async def members_of(session: AsyncSession, team_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    query = select(team_members.c.team_id, team_members.c.agent_id).where(team_members.c.team_id.in_(team_ids))
    for team_id, agent_id in await session.execute(query.order_by(team_members.c.agent_id)):
        found.setdefault(team_id, []).append(agent_id)
    return found


async def create(
    session: AsyncSession, *, name: str, description: str = "", members: Sequence[UUID] = (), by: Actor, now: datetime
) -> UUID:
    """Raises `Conflict` for a name that is taken, `NotFound` for a member who is no agent."""
    team_id = new_id()
    row = {"id": team_id, "name": name, "description": description, "version": 1, "created_at": now, "updated_at": now}
    try:
        async with session.begin_nested():
            await insert_rows(session, teams, [row])
    except IntegrityError:
        raise Conflict("there is a team of this name", slug="name_taken") from None
    await _set_members(session, team_id, members)
    await audit.record(session, "team.created", subject="team", subject_id=team_id, by=by, now=now)
    return team_id


async def edit(
    session: AsyncSession,
    team: RowMapping,
    *,
    name: str | None = None,
    description: str | None = None,
    members: Sequence[UUID] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given. Raises as `create` does."""
    values = {k: v for k, v in (("name", name), ("description", description)) if v is not None}
    try:
        async with session.begin_nested():
            await session.execute(
                update(teams)
                .where(teams.c.id == team["id"])
                .values(**values, version=team["version"] + 1, updated_at=now)
            )
    except IntegrityError:
        raise Conflict("there is a team of this name", slug="name_taken") from None
    if members is not None:
        await session.execute(delete(team_members).where(team_members.c.team_id == team["id"]))
        await _set_members(session, team["id"], members)
    fields = sorted([*values, *(["members"] if members is not None else [])])
    await audit.record(
        session, "team.updated", subject="team", subject_id=team["id"], by=by, now=now, data={"fields": fields}
    )


async def remove(session: AsyncSession, team: RowMapping, *, by: Actor, now: datetime) -> None:
    """Raises `Conflict` while a conversation or an inbox belongs to it: that would open it to everybody."""
    used = select(
        exists().where(inboxes.c.team_id == team["id"]) | exists().where(conversations.c.team_id == team["id"])
    )
    if await session.scalar(used):
        raise Conflict("conversations or inboxes belong to this team", slug="in_use")
    await session.execute(delete(teams).where(teams.c.id == team["id"]))
    await audit.record(session, "team.removed", subject="team", subject_id=team["id"], by=by, now=now)


async def _set_members(session: AsyncSession, team_id: UUID, members: Sequence[UUID]) -> None:
    wanted = list(dict.fromkeys(members))
    if not wanted:
        return
    known = set((await session.execute(select(agents.c.id).where(agents.c.id.in_(wanted)))).scalars())
    if known != set(wanted):
        raise NotFound("there is no such agent")
    await insert_rows(session, team_members, [{"team_id": team_id, "agent_id": agent_id} for agent_id in wanted])
