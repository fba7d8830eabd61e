"""Views: questions to the list of conversations that are kept, one's own, a team's or everybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.filter_tree import Every, Node
from helpdesk.domain.filters import Sort
from helpdesk.domain.values import Actor
from helpdesk.models.desk import views
from helpdesk.services import audit, questions, sharing
from helpdesk.services.house import Services

MOST_OWN: Final = 100
MOST_SHARED: Final = 500

_V: Final = views.c


def seen(actor: Actor) -> ColumnElement[bool]:
    """On `views`."""
    return sharing.seen_in(views, actor)


async def list_views(
    session: AsyncSession, actor: Actor, *, after: tuple[int, UUID] | None = None, limit: int
) -> Sequence[RowMapping]:
    """In their order; `after` is the position and the id of the last one seen."""
    query = select(views).where(seen(actor)).order_by(_V.position, _V.id).limit(limit)
    if after is not None:
        query = query.where(or_(_V.position > after[0], and_(_V.position == after[0], _V.id > after[1])))
    return (await session.execute(query)).mappings().all()


async def get_view(session: AsyncSession, actor: Actor, view_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked, compared, and for one who may change it. Raises `NotFound`, `Stale`, `Forbidden`."""
    return await sharing.get(session, views, actor, view_id, version=version, what="view")


async def ask(
    services: Services, actor: Actor, *, content: Any = None, view_id: UUID | None = None
) -> tuple[Node | None, Sort | None]:
    """What a list is asked for beyond plain parameters: the condition, if there is one, and the sort of the view.

    A filter of one's own narrows a view. Raises `Invalid`, and `NotFound` for the view.
    """
    trees: list[Node] = []
    sort = None
    if content is not None:
        trees.append(questions.read(content))
    if view_id is not None:
        async with services.database.reading() as session:
            view = await get_view(session, actor, view_id)
        trees.append(questions.read(view["filter"]))
        sort = Sort(view["sort"])
    return Every(tuple(trees)) if trees else None, sort


async def create(
    session: AsyncSession,
    *,
    name: str,
    shared: str,
    team_id: UUID | None,
    content: Mapping[str, Any],
    sort: str,
    position: int,
    by: Actor,
    now: datetime,
) -> UUID:
    """For one of `sharing.SHARED`.

    Raises `Forbidden` for one who may not share it so, `Conflict` where there are too many, `Invalid` for a filter that
    says nothing or names what the actor may not see.
    """
    owner_id = await sharing.audience(session, by, shared=shared, team_id=team_id)
    await sharing.refuse_too_many(session, views, owner_id, own=MOST_OWN, shared=MOST_SHARED)
    await questions.check_mentions(session, questions.read(content), by=by)
    view_id = new_id()
    row = {
        "id": view_id,
        "name": name,
        "owner_id": owner_id,
        "team_id": team_id,
        "filter": dict(content),
        "sort": sort,
        "position": position,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    await insert_rows(session, views, [row])
    await audit.record(session, "view.created", subject="view", subject_id=view_id, by=by, now=now)
    return view_id


async def edit(session: AsyncSession, view: RowMapping, given: Mapping[str, Any], *, by: Actor, now: datetime) -> None:
    """Change any of `name filter sort position` of the locked view. Raises `Invalid` as `create` does."""
    if "filter" in given:
        await questions.check_mentions(session, questions.read(given["filter"]), by=by)
    values = {**given, "version": view["version"] + 1, "updated_at": now}
    await session.execute(update(views).where(_V.id == view["id"]).values(values))
    data = {"fields": sorted(given)}
    await audit.record(session, "view.updated", subject="view", subject_id=view["id"], by=by, now=now, data=data)


async def remove(session: AsyncSession, view: RowMapping, *, by: Actor, now: datetime) -> None:
    await session.execute(delete(views).where(_V.id == view["id"]))
    await audit.record(session, "view.removed", subject="view", subject_id=view["id"], by=by, now=now)
