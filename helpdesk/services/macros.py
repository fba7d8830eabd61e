"""Macros: several actions at once, kept under a name, for oneself, a team or everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.actions import OF_MACROS
from helpdesk.domain.values import Actor
from helpdesk.models.desk import macros
from helpdesk.services import actions as verbs
from helpdesk.services import audit, sharing

MOST_OWN: Final = 100
MOST_SHARED: Final = 500

_M: Final = macros.c


async def list_macros(
    session: AsyncSession, actor: Actor, *, after: tuple[str, UUID] | None, limit: int
) -> Sequence[RowMapping]:
    """By name, those that the actor sees."""
    query = select(macros).where(sharing.seen_in(macros, actor)).order_by(_M.name, _M.id).limit(limit)
    if after is not None:
        query = query.where(or_(_M.name > after[0], and_(_M.name == after[0], _M.id > after[1])))
    return (await session.execute(query)).mappings().all()


async def get_macro(session: AsyncSession, actor: Actor, macro_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked, compared, and for one who may change it. Raises `NotFound`, `Stale`, `Forbidden`."""
    return await sharing.get(session, macros, actor, macro_id, version=version, what="macro")


async def create(
    session: AsyncSession,
    *,
    name: str,
    description: str = "",
    actions: Sequence[Mapping[str, Any]],
    shared: str = sharing.PERSONAL,
    team_id: UUID | None = None,
    by: Actor,
    now: datetime,
) -> UUID:
    """For the actor himself, for a team or for everybody: `sharing.SHARED`.

    Raises `Invalid` naming the action that is wrong or names what is gone, `Conflict`, `Forbidden`.
    """
    owner_id = await sharing.audience(session, by, shared=shared, team_id=team_id)
    await sharing.refuse_too_many(session, macros, owner_id, own=MOST_OWN, shared=MOST_SHARED)
    await verbs.check(session, actions, "actions", allowed=OF_MACROS, me=True, by=by)
    macro_id = new_id()
    row = {
        "id": macro_id,
        "name": name,
        "description": description,
        "owner_id": owner_id,
        "team_id": team_id,
        "actions": list(actions),
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    await insert_rows(session, macros, [row])
    await audit.record(session, "macro.created", subject="macro", subject_id=macro_id, by=by, now=now)
    return macro_id


async def edit(
    session: AsyncSession,
    macro: RowMapping,
    *,
    name: str | None = None,
    description: str | None = None,
    actions: Sequence[Mapping[str, Any]] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given; `actions` replaces them all. Raises as `create` does."""
    given = {"name": name, "description": description, "actions": None if actions is None else list(actions)}
    values = {field: value for field, value in given.items() if value is not None}
    if actions is not None:
        await verbs.check(session, actions, "actions", allowed=OF_MACROS, me=True, by=by)
    mine = update(macros).where(_M.id == macro["id"])
    await session.execute(mine.values(**values, version=macro["version"] + 1, updated_at=now))
    what: dict[str, Any] = {"subject": "macro", "subject_id": macro["id"], "data": {"fields": sorted(values)}}
    await audit.record(session, "macro.updated", by=by, now=now, **what)


async def remove(session: AsyncSession, macro: RowMapping, *, by: Actor, now: datetime) -> None:
    await session.execute(delete(macros).where(_M.id == macro["id"]))
    await audit.record(session, "macro.removed", subject="macro", subject_id=macro["id"], by=by, now=now)
