"""Business time in reports: how long somebody waited while the desk of the inbox was open, by its calendar of today.

Calendars are a matter of Python and waits one of the database, and there are too many waits to fetch. So the calendars
travel: as days of UTC with their open intervals, to which every wait is joined at its beginning and at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Integer, Select, Subquery, case, column, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain.business_hours import Timetable
from helpdesk.domain.opening_days import DAY, opening_days
from helpdesk.errors import Invalid
from helpdesk.models.inboxes import inboxes
from helpdesk.services.timetables import timetables_of

MOST_DAYS: Final = 20_000
"""Of all calendars together: fifty of them for a year."""

_APART: Final = 1_000_000
"""More days than there are."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def with_business_time(session: AsyncSession, rows: Subquery) -> Select[Any]:
    """All columns of `rows`, and `worked`: seconds of business time from `started` to `ended`.

    `rows` have `inbox_id`, and `started` and `ended` in seconds since 1970. Raises `Invalid` where there are too many
    calendars for so long a time.
    """
    r = rows.c
    asked = select(r.inbox_id, func.min(r.started), func.max(r.ended)).group_by(r.inbox_id)
    found = (await session.execute(asked)).all()
    if not found:
        return select(*r, r.ended.label("worked"))
    first, last = min(row[1] for row in found) // DAY, max(row[2] for row in found) // DAY
    tables = await _tables(session, [row[0] for row in found])
    if len(tables) * (last - first + 1) > MOST_DAYS:
        raise Invalid.field("inbox_id", "too many calendars for so long a time: ask for fewer inboxes or days")
    days, most = _days([table for table, _ in tables], first, last)
    base = _base_of(r.inbox_id, [inbox_ids for _, inbox_ids in tables])
    began, ended = days.alias("began"), days.alias("ended")
    a_day = literal_column(str(DAY), Integer())
    worked = _passed(ended, r.ended, most) - _passed(began, r.started, most)
    query = select(*r, worked.label("worked")).select_from(rows)
    query = query.join(began, began.c.column1 == base + r.started // a_day)
    return query.join(ended, ended.c.column1 == base + r.ended // a_day)


async def _tables(session: AsyncSession, inbox_ids: Sequence[UUID]) -> list[tuple[Timetable, list[UUID]]]:
    """The calendars of some inboxes, each once, with whose they are; the default one is the last."""
    query = select(inboxes.c.id, inboxes.c.business_hours_id).where(among(inboxes.c.id, inbox_ids, "uuid"))
    named = {row[0]: row[1] for row in await session.execute(query)}
    known = await timetables_of(session, set(named.values()) - {None})
    default = known[None]
    whose: dict[int, tuple[Timetable, list[UUID]]] = {}
    for inbox_id, hours_id in named.items():
        table = known.get(hours_id, default)
        if table is not default:
            whose.setdefault(id(table), (table, []))[1].append(inbox_id)
    return [*whose.values(), (default, [])]


def _base_of(inbox_id: ColumnElement[Any], whose: Sequence[Sequence[UUID]]) -> ColumnElement[int]:
    """What the days of the inbox's calendar count from."""
    places = [literal_column(str(place * _APART), Integer()) for place in range(len(whose))]
    named = [(among(inbox_id, ids, "uuid"), place) for ids, place in zip(whose, places, strict=True) if ids]
    return case(*named, else_=places[-1]) if named else places[-1]


def _days(tables: Sequence[Timetable], first: int, last: int) -> tuple[CTE, int]:
    """Rows of a day, what had passed, and the day's intervals; and how many of these there are at most.

    Each calendar's days are apart from those of the others: of two conditions, one of which is the same for most rows,
    PostgreSQL thinks that next to nothing fulfils them, and looks through all waits for each day. They are numbers of
    ours, written into the text: as parameters there would be more of them than a statement may have.
    """
    start, end = (_EPOCH + timedelta(days=day) for day in (first, last + 1))
    cut = [opening_days(table.open_between(start, end), first=first, last=last) for table in tables]
    most = max((len(day.intervals) for days in cut for day in days), default=0)
    lines = []
    for place, days in enumerate(cut):
        for day in days:
            flat = [second for interval in day.intervals for second in interval]
            numbers = (place * _APART + day.day, day.passed, *flat, *[0] * (2 * most - len(flat)))
            lines.append(f"({','.join(map(str, numbers))})")
    columns = [column(f"column{n}", Integer()) for n in range(1, 3 + 2 * most)]
    return text(f"VALUES {','.join(lines)}").columns(*columns).cte("days"), most


def _passed(day: Any, at: ColumnElement[int], most: int) -> ColumnElement[int]:
    """As `OpeningDay.until`."""
    second = at % literal_column(str(DAY), Integer())
    found: ColumnElement[int] = day.c.column2
    for place in range(most):
        opens, closes = day.c[f"column{3 + 2 * place}"], day.c[f"column{4 + 2 * place}"]
        found = found + case((second <= opens, 0), (second >= closes, closes - opens), else_=second - opens)
    return found
