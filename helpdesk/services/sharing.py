"""What people keep for themselves, for their team or for everybody: texts, macros. Who sees it, who may change it.

`owner_id` is whose it is; with `team_id` it is a team's; with neither it is everybody's.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Table, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import Actor, Role, Scope, TeamRole
from helpdesk.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from helpdesk.models.agents import team_members, teams
from helpdesk.services.access import require_scope

PERSONAL, TEAM, EVERYBODY = SHARED = ("personal", "team", "everybody")


def seen_in(table: Table, actor: Actor) -> ColumnElement[bool]:
    """One's own, those of one's teams (supervisors: of any), everybody's. Nobody else's own, whatever one's role."""
    shared = and_(table.c.owner_id.is_(None), or_(table.c.team_id.is_(None), table.c.team_id.in_(actor.team_ids)))
    if actor.sees_all:
        shared = table.c.owner_id.is_(None)
    return shared if actor.id is None else or_(table.c.owner_id == actor.id, shared)


async def find(
    session: AsyncSession, table: Table, actor: Actor, subject_id: UUID, *, lock: bool = False
) -> RowMapping | None:
    query = select(table).where(table.c.id == subject_id, seen_in(table, actor))
    return (await session.execute(query.with_for_update(key_share=True) if lock else query)).mappings().one_or_none()


async def get(
    session: AsyncSession, table: Table, actor: Actor, subject_id: UUID, *, version: int | None = None, what: str
) -> RowMapping:
    """With `version`, locked, compared, and for one who may change it. Raises `NotFound`, `Stale`, `Forbidden`."""
    found = await find(session, table, actor, subject_id, lock=version is not None)
    if found is None:
        raise NotFound(f"there is no such {what}")
    if version is not None:
        await require_keeper(session, actor, found["owner_id"], found["team_id"])
        if found["version"] != version:
            raise Stale(extra={"version": found["version"]})
    return found


async def audience(session: AsyncSession, actor: Actor, *, shared: str, team_id: UUID | None) -> UUID | None:
    """The owner of something new that is for one of `SHARED`. Raises `Invalid`, `Forbidden`."""
    if (shared == TEAM) != (team_id is not None):
        raise Invalid.field("team_id", "is needed for what a team shares, and only there")
    if team_id is not None and await session.scalar(select(teams.c.id).where(teams.c.id == team_id)) is None:
        raise Invalid.field("team_id", "there is no such team")
    owner_id = actor.id if shared == PERSONAL else None
    await require_keeper(session, actor, owner_id, team_id)
    return owner_id


async def require_keeper(session: AsyncSession, actor: Actor, owner_id: UUID | None, team_id: UUID | None) -> None:
    """Raises `Forbidden`: what is shared is kept by supervisors, and a team's by its leads as well."""
    if owner_id is not None and owner_id == actor.id:
        return
    require_scope(actor, Scope.SETTINGS_WRITE)
    if actor.sees_all:
        return
    m = team_members.c
    leads = select(m.agent_id).where(m.team_id == team_id, m.agent_id == actor.id, m.role == TeamRole.LEAD.value)
    if team_id is None or await session.scalar(leads) is None:
        raise Forbidden(f"this needs the role {Role.SUPERVISOR.value}" + (", or a lead of the team" if team_id else ""))


async def refuse_too_many(session: AsyncSession, table: Table, owner_id: UUID | None, *, own: int, shared: int) -> None:
    """Raises `Conflict` where somebody has `own` of these already, or there are as many `shared` ones."""
    most = shared if owner_id is None else own
    mine = table.c.owner_id.is_(None) if owner_id is None else table.c.owner_id == owner_id
    if (await session.scalar(select(func.count()).select_from(table).where(mine)) or 0) >= most:
        raise Conflict(f"there are {most} of these already", slug="too_many")
