"""Calendars to reckon with: read from their stored version once, then kept, since a version never changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, RowMapping, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import calendars
from helpdesk.domain.business_hours import Timetable
from helpdesk.errors import NotFound
from helpdesk.models.sla import business_hours, setting_versions

KEPT = 256
"""Timetables of one database. One that covers ten years has some hundred kB."""

_kept: WeakKeyDictionary[Engine | Connection, OrderedDict[tuple[UUID, int], Timetable]] = WeakKeyDictionary()


async def timetable(session: AsyncSession, hours_id: UUID, version: int) -> Timetable:
    """The calendar as it was in `version`. Raises `NotFound`.

    Ask for versions that are committed: one that is rolled back would be remembered, and its number is given again.
    """
    kept = _kept.setdefault(session.get_bind(), OrderedDict())
    found = kept.get((hours_id, version))
    if found is None:
        content = await session.scalar(
            select(setting_versions.c.content).where(
                setting_versions.c.subject_id == hours_id, setting_versions.c.version == version
            )
        )
        if content is None:
            raise NotFound("there is no such version of a calendar")
        found = kept[hours_id, version] = Timetable(calendars.read(content))
        if len(kept) > KEPT:
            kept.popitem(last=False)
    kept.move_to_end((hours_id, version))
    return found


async def hours_for(session: AsyncSession, hours_id: UUID | None) -> RowMapping:
    """The calendar that is named, or the default where none is, or the named one was removed."""
    if hours_id is not None:
        query = select(business_hours).where(business_hours.c.id == hours_id, business_hours.c.deleted_at.is_(None))
        found = (await session.execute(query)).mappings().one_or_none()
        if found is not None:
            return found
    return await default_hours(session)


async def timetables_of(session: AsyncSession, named: Collection[UUID | None]) -> dict[UUID | None, Timetable]:
    """Those that are named and still there, as they are today, and the default as None."""
    h = business_hours.c
    query = select(h.id, h.version, h.is_default).where(h.deleted_at.is_(None), or_(h.id.in_(named), h.is_default))
    known: dict[UUID | None, Timetable] = {}
    for hours_id, version, is_default in (await session.execute(query)).all():
        known[hours_id] = await timetable(session, hours_id, version)
        if is_default:
            known[None] = known[hours_id]
    return known


async def default_hours(session: AsyncSession) -> RowMapping:
    """The calendar of whatever names none. There always is one: it can be replaced and not removed."""
    query = select(business_hours).where(business_hours.c.is_default, business_hours.c.deleted_at.is_(None))
    return (await session.execute(query)).mappings().one()
