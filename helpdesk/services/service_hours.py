"""Is somebody there, and when will somebody be: for whoever writes to us, and for the acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.business_hours import Timetable
from helpdesk.domain.values import InboxStatus
from helpdesk.models.inboxes import inboxes
from helpdesk.services.timetables import hours_for, timetable, timetables_of

MAX_INBOXES: Final = 500
_MAX_STRETCHES: Final = 2_000


@dataclass(frozen=True, slots=True)
class ServiceHours:
    """While it is open, `next_open_at` is the opening after the next closing. Both are empty where it never closes.

    `zone` is the calendar's own, or that of the first of several.
    """

    open: bool
    next_open_at: datetime | None
    next_close_at: datetime | None
    zone: str


@dataclass(frozen=True, slots=True)
class Everywhere:
    """`inboxes` are rows of id, name and channel; a channel is open while any of its inboxes is."""

    inboxes: list[tuple[RowMapping, ServiceHours]] = field(default_factory=list)
    channels: dict[str, ServiceHours] = field(default_factory=dict)


async def of_inbox(session: AsyncSession, inbox: RowMapping, *, now: datetime) -> ServiceHours:
    """By the inbox's calendar, or by the default."""
    hours = await hours_for(session, inbox["business_hours_id"])
    return together([await timetable(session, hours["id"], hours["version"])], now=now)


async def everywhere(session: AsyncSession, *, now: datetime) -> Everywhere:
    """Of every active inbox, and of every channel that has one."""
    query = (
        select(inboxes.c.id, inboxes.c.name, inboxes.c.channel, inboxes.c.business_hours_id)
        .where(inboxes.c.deleted_at.is_(None), inboxes.c.state == InboxStatus.ACTIVE.value)
        .order_by(inboxes.c.channel, inboxes.c.id)
        .limit(MAX_INBOXES)
    )
    rows = (await session.execute(query)).mappings().all()
    known = await timetables_of(session, {row["business_hours_id"] for row in rows} - {None})
    found, by_channel = Everywhere(), dict[str, dict[int, Timetable]]()
    for row in rows:
        table = known.get(row["business_hours_id"], known[None])
        found.inboxes.append((row, together([table], now=now)))
        by_channel.setdefault(row["channel"], {})[id(table)] = table
    for channel, tables in by_channel.items():
        found.channels[channel] = together(list(tables.values()), now=now)
    return found


def together(tables: Sequence[Timetable], *, now: datetime) -> ServiceHours:
    """Of several calendars as of one that is open while any of them is."""
    opens = min(table.next_open(now) for table in tables)
    closes = _closing(tables, opens)
    again = opens if opens > now else closes and min(table.next_open(closes) for table in tables)
    return ServiceHours(opens <= now, again, closes, tables[0].calendar.zone)


def _closing(tables: Sequence[Timetable], at: datetime) -> datetime | None:
    """When none of them is open any more, from a time on at which one is. None where they relieve each other for
    years."""
    for _ in range(_MAX_STRETCHES):
        ends = [table.next_close(at) for table in tables if table.is_open(at)]
        if not ends:
            return at
        if None in ends:
            return None
        at = max(end for end in ends if end is not None)
    return None
