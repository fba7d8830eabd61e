"""Adding holidays to a calendar: what somebody has reviewed already is never changed by an import."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import anyio.to_thread
from sqlalchemy import RowMapping

from helpdesk.domain import calendars
from helpdesk.domain.values import Actor
from helpdesk.services import business_hours
from helpdesk.services.holiday_sources import Found
from helpdesk.services.house import Services


@dataclass(frozen=True, slots=True)
class Added:
    """Rows as calendars have them, and the years that become known.

    `present` counts the dates that were there already and stay as they are. `overridden` are the new holidays on dates
    whose hours are overridden: the override goes first, so the desk does not close on them.
    """

    holidays: Sequence[Mapping[str, Any]]
    overrides: Sequence[Mapping[str, Any]]
    years: Sequence[int]
    present: int
    overridden: Sequence[str]


async def import_holidays(
    services: Services, hours_id: UUID, source: Callable[[], Found], *, dry_run: bool, by: Actor, now: datetime
) -> tuple[RowMapping, Added]:
    """The calendar after it, and what was added, or would be in a `dry_run`.

    `source` runs in a thread, with no transaction open. Where all is there already no new version is made, so that
    importing twice is importing once. Raises `NotFound`, `Invalid` as the source does, or when it becomes too much.
    """
    async with services.database.reading() as session:
        await business_hours.get_hours(session, hours_id)
    found = await anyio.to_thread.run_sync(source)
    async with services.database.transaction() as session:
        hours = await business_hours.lock_hours(session, hours_id)
        added = _added(hours["content"], found)
        if dry_run or not (added.holidays or added.overrides or added.years):
            return hours, added
        content = hours["content"]
        changes = {
            "holidays": sorted([*content["holidays"], *added.holidays], key=_date),
            "overrides": sorted([*content["overrides"], *added.overrides], key=_date),
        }
        if added.years:
            changes["holiday_years"] = sorted([*(content["holiday_years"] or ()), *added.years])
        await business_hours.edit(session, hours, changes=changes, by=by, now=now)
        return await business_hours.get_hours(session, hours_id), added


def _added(content: Mapping[str, Any], found: Found) -> Added:
    """Make-up working days get the hours of the calendar's normal working day (`calendars.working_day`)."""
    closed, opened = set(map(_date, content["holidays"])), set(map(_date, content["overrides"]))
    hours = calendars.working_day(content)
    holidays = [{"date": day, "name": name} for day, name in _texts(found.holidays) if day not in closed]
    overrides = [
        {"date": day, "hours": hours, "name": name} for day, name in _texts(found.working_days) if day not in opened
    ]
    return Added(
        holidays,
        overrides,
        [year for year in found.years if year not in (content["holiday_years"] or ())],
        len(found.holidays) - len(holidays) + len(found.working_days) - len(overrides),
        [row["date"] for row in holidays if row["date"] in opened],
    )


def _texts(days: Mapping[date, str]) -> Sequence[tuple[str, str]]:
    return [(day.isoformat(), name) for day, name in days.items()]


def _date(row: Mapping[str, Any]) -> str:
    found: str = row["date"]
    return found
