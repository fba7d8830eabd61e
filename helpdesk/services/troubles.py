"""Clocks that cannot be scheduled, or whose due time nobody can vouch for: somebody has to be told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.actions import Alert
from helpdesk.domain.business_hours import Timetable
from helpdesk.domain.clocks import Clock, Trouble
from helpdesk.models.conversations import conversations
from helpdesk.services import alerts
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services
from helpdesk.statements import Row

_UNSCHEDULABLE = Alert(who=("admins",), agent_ids=(), severity="critical", acknowledge=None)
_UNKNOWN = Alert(who=("admins",), agent_ids=(), severity="warning", acknowledge=None)


async def tell(
    services: Services, session: AsyncSession, found: Sequence[tuple[UUID, Clock]], *, now: datetime
) -> set[UUID]:
    """An alert for each clock that has no due time, and one for each year whose holidays nobody has reviewed.

    The caller holds the clocks. An alert refers to its conversation, whose row is not waited for: whoever has it may be
    waiting for these very clocks. Answers those of which nothing could be told for that reason.
    """
    stuck = [one for one, clock in found if clock.trouble == Trouble.UNSCHEDULABLE]
    free = select(conversations).where(conversations.c.id.in_(stuck)).order_by(conversations.c.id)
    free = free.with_for_update(read=True, key_share=True, skip_locked=True)
    there = {row["id"]: row for row in (await session.execute(free)).mappings()} if stuck else {}
    years: dict[tuple[UUID, int], Clock] = {}
    for conversation_id, clock in found:
        if clock.trouble != Trouble.UNSCHEDULABLE and clock.terms.hours is not None:
            years.setdefault((clock.terms.hours[0], _year(clock)), clock)
        elif conversation_id in there:
            await _unschedulable(services, session, there[conversation_id], clock, now=now)
    for (hours_id, year), clock in sorted(years.items(), key=lambda one: one[0]):
        subject = Subject(f"{Trouble.UNKNOWN_HOLIDAYS}:{hours_id}:{year}", Trouble.UNKNOWN_HOLIDAYS)
        data = {**_calendar(clock), "year": year}
        await alerts.call(services, session, subject, [_UNKNOWN], None, data=data, now=now)
    return set(stuck) - there.keys()


async def _unschedulable(
    services: Services, session: AsyncSession, conversation: Row, clock: Clock, *, now: datetime
) -> None:
    key = f"{clock.trouble}:{conversation['id']}:{clock.kind}:{clock.cycle}"
    subject = Subject(key, Trouble.UNSCHEDULABLE, clock.kind.value, clock.cycle)
    data = {**_calendar(clock), "number": conversation["number"]}
    await alerts.call(services, session, subject, [_UNSCHEDULABLE], conversation, data=data, now=now)


def _calendar(clock: Clock) -> dict[str, Any]:
    hours_id, version = clock.terms.hours or (None, 0)
    return {"calendar_id": str(hours_id), "calendar_version": version}


def _year(clock: Clock) -> int:
    """The calendar's year that it is due in, or would be if it were not halted."""
    due = clock.after(clock.target)
    time = clock.terms.time
    return due.astimezone(ZoneInfo(time.calendar.zone)).year if isinstance(time, Timetable) else due.year
