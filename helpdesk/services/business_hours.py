"""Calendars: when the desk works. A change makes a new version, and what runs by an older one goes on by it.

Times that are due already stay as they are, since they were promised; clocks follow a new version only when asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain import calendars, policies
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, NotFound, Stale
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import business_hours, sla_policies
from helpdesk.services import audit, versions

MOST_CALENDARS: Final = 200
"""Each of them may be kept in memory, and all are asked when somebody wants to know who is open."""


async def list_hours(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first, without those that were removed."""
    query = (
        select(business_hours).where(business_hours.c.deleted_at.is_(None)).order_by(business_hours.c.id).limit(limit)
    )
    if after is not None:
        query = query.where(business_hours.c.id > after)
    return (await session.execute(query)).mappings().all()


async def get_hours(session: AsyncSession, hours_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    found = await _find(session, hours_id, lock=version is not None)
    if version is not None and found["version"] != version:
        raise Stale(extra={"version": found["version"]})
    return found


async def lock_hours(session: AsyncSession, hours_id: UUID) -> RowMapping:
    """Whatever its version, for a change that adds to what is there. Raises `NotFound`."""
    return await _find(session, hours_id, lock=True)


async def _find(session: AsyncSession, hours_id: UUID, *, lock: bool) -> RowMapping:
    query = select(business_hours).where(business_hours.c.id == hours_id, business_hours.c.deleted_at.is_(None))
    found = (await session.execute(query.with_for_update(key_share=True) if lock else query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such calendar")
    return found


async def list_versions(
    session: AsyncSession, hours_id: UUID, *, before: int | None, limit: int
) -> Sequence[RowMapping]:
    """The newest first, also of a removed calendar: clocks that ran by it still name it. Raises `NotFound`."""
    if await session.scalar(select(business_hours.c.id).where(business_hours.c.id == hours_id)) is None:
        raise NotFound("there is no such calendar")
    return await versions.list_versions(session, hours_id, before=before, limit=limit)


async def get_version(session: AsyncSession, hours_id: UUID, version: int) -> RowMapping:
    """Raises `NotFound`."""
    found = await list_versions(session, hours_id, before=version + 1, limit=1)
    if not found or found[0]["version"] != version:
        raise NotFound("there is no such version")
    return found[0]


async def create(
    session: AsyncSession, *, name: str, content: Mapping[str, Any], by: Actor, now: datetime, default: bool = False
) -> UUID:
    """`content` is what `domain.calendars` describes.

    Raises `Invalid` for what no calendar can say, `Conflict` where there are too many, and as `edit` does.
    """
    await versions.refuse_too_many(session, business_hours, most=MOST_CALENDARS)
    versions.checked(calendars.check, content)
    if default:
        await _relieve(session, by=by, now=now)
    hours_id = new_id()
    row = {"id": hours_id, "name": name, "is_default": default, "content": dict(content), "version": 1}
    times = {"created_at": now, "updated_at": now, "deleted_at": None}
    async with _one_default(session):
        await insert_rows(session, business_hours, [row | times])
    await versions.add_version(session, business_hours, row, by=by, now=now)
    await audit.record(session, "business_hours.created", subject="business_hours", subject_id=hours_id, by=by, now=now)
    return hours_id


async def edit(
    session: AsyncSession,
    hours: RowMapping,
    *,
    name: str | None = None,
    changes: Mapping[str, Any] | None = None,
    default: bool = False,
    by: Actor,
    now: datetime,
) -> None:
    """A new version. `changes` replace parts of the content; `default` makes it the calendar of whatever names none.

    The row is locked by `get_hours(..., version=)` or `lock_hours`. Raises `Invalid` as `create` does, `Conflict` when
    another calendar became the default meanwhile.
    """
    content = {**hours["content"], **(changes or {})}
    versions.checked(calendars.check, content)
    values: dict[str, Any] = {"content": content}
    if name is not None:
        values["name"] = name
    if default and not hours["is_default"]:
        await _relieve(session, by=by, now=now)
        values["is_default"] = True
    await _write(session, hours, values, by=by, now=now)
    fields = sorted([*(values.keys() - {"content"}), *(changes or {})])
    await audit.record(
        session,
        "business_hours.updated",
        subject="business_hours",
        subject_id=hours["id"],
        by=by,
        now=now,
        data={"fields": fields, "version": hours["version"] + 1},
    )


async def remove(session: AsyncSession, hours: RowMapping, *, by: Actor, now: datetime) -> None:
    """Its versions stay, for what ran by them. Raises `Conflict` while it is the default, or anything names it."""
    if hours["is_default"]:
        raise Conflict("this is the default: make another calendar the default first", slug="in_use")
    mine = select(inboxes.c.name).where(inboxes.c.business_hours_id == hours["id"], inboxes.c.deleted_at.is_(None))
    versions.refuse_in_use("inboxes", (await session.execute(mine.order_by(inboxes.c.id))).scalars().all())
    named = await versions.naming(session, sla_policies, policies.mentions, hours["id"])
    versions.refuse_in_use("SLA policies", named)
    await _write(session, hours, {"deleted_at": now}, by=by, now=now)
    await audit.record(
        session, "business_hours.removed", subject="business_hours", subject_id=hours["id"], by=by, now=now
    )


async def _relieve(session: AsyncSession, *, by: Actor, now: datetime) -> None:
    """Take the default from whoever has it: there is never more than one."""
    query = select(business_hours).where(business_hours.c.is_default).with_for_update(key_share=True)
    before = (await session.execute(query)).mappings().one_or_none()
    if before is not None:
        await _write(session, before, {"is_default": False}, by=by, now=now)


@asynccontextmanager
async def _one_default(session: AsyncSession) -> AsyncIterator[None]:
    """When two are made the default at the same time, whoever comes second is told so."""
    try:
        async with session.begin_nested():
            yield
    except IntegrityError:
        raise Conflict("another calendar has just become the default") from None


async def _write(
    session: AsyncSession, hours: RowMapping, values: Mapping[str, Any], *, by: Actor, now: datetime
) -> None:
    values = {**values, "version": hours["version"] + 1, "updated_at": now}
    async with _one_default(session):
        await session.execute(update(business_hours).where(business_hours.c.id == hours["id"]).values(values))
    await versions.add_version(session, business_hours, {**hours, **values}, by=by, now=now)
