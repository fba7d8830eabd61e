"""Tags: a list of names that conversations carry. Using a new one makes it known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, new_id
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, NotFound, Stale
from helpdesk.models.conversations import conversation_tags, tags
from helpdesk.services import audit


async def ensure(session: AsyncSession, names: Sequence[str], *, now: datetime) -> None:
    """Make the names known that are not. Until the transaction ends, nobody renames or removes one of them."""
    missing = sorted(set(names))
    while missing:
        for name in missing:
            statement = insert_ignoring(session, tags, on=["name"])
            await session.execute(statement.values(id=new_id(), name=name, version=1, created_at=now))
        held = select(tags.c.name).where(tags.c.name.in_(names)).order_by(tags.c.id)
        there = set((await session.execute(held.with_for_update(read=True, key_share=True))).scalars())
        # One that was there may be gone again by the time it could be held.
        missing = [name for name in missing if name not in there]


async def list_tags(session: AsyncSession, *, after: str | None, limit: int) -> Sequence[RowMapping]:
    """By name, after `after`."""
    query = select(tags).order_by(tags.c.name).limit(limit)
    if after is not None:
        query = query.where(tags.c.name > after)
    return (await session.execute(query)).mappings().all()


async def get_tag(session: AsyncSession, tag_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(tags).where(tags.c.id == tag_id)
    found = (
        (await session.execute(query if version is None else query.with_for_update(key_share=True)))
        .mappings()
        .one_or_none()
    )
    if found is None:
        raise NotFound("there is no such tag")
    if version is not None and found["version"] != version:
        raise Stale
    return found


async def create(session: AsyncSession, *, name: str, by: Actor, now: datetime) -> RowMapping:
    """Raises `Conflict` for a name that is taken."""
    tag_id = new_id()
    made = insert_ignoring(session, tags, on=["name"]).values(id=tag_id, name=name, version=1, created_at=now)
    if (await session.execute(made.returning(tags.c.id))).first() is None:
        raise Conflict("there is a tag of this name", slug="name_taken")
    await audit.record(session, "tag.created", subject="tag", subject_id=tag_id, by=by, now=now)
    return await get_tag(session, tag_id)


async def rename(session: AsyncSession, tag: RowMapping, *, name: str, by: Actor, now: datetime) -> RowMapping:
    """Everywhere at once. Raises `Conflict` for a name that is taken."""
    try:
        async with session.begin_nested():
            await session.execute(
                update(tags).where(tags.c.id == tag["id"]).values(name=name, version=tag["version"] + 1)
            )
    except IntegrityError:
        raise Conflict("there is a tag of this name", slug="name_taken") from None
    await session.execute(update(conversation_tags).where(conversation_tags.c.tag == tag["name"]).values(tag=name))
    await audit.record(session, "tag.renamed", subject="tag", subject_id=tag["id"], by=by, now=now)
    return await get_tag(session, tag["id"])


async def remove(session: AsyncSession, tag: RowMapping, *, by: Actor, now: datetime) -> None:
    """From the list and from every conversation."""
    # The list first: it waits for whoever is using the tag, and then finds what he has done with it.
    await session.execute(delete(tags).where(tags.c.id == tag["id"]))
    await session.execute(delete(conversation_tags).where(conversation_tags.c.tag == tag["name"]))
    await audit.record(session, "tag.removed", subject="tag", subject_id=tag["id"], by=by, now=now)
