"""Inboxes of live channels as visitors find them: open or not, somebody there or not, and what they can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Channel
from helpdesk.domain.categories import NAMES
from helpdesk.domain.values import InboxStatus
from helpdesk.errors import HelpdeskError
from helpdesk.live import Hours, LiveInbox
from helpdesk.logs import fault
from helpdesk.models.inboxes import inboxes
from helpdesk.services import categories, inbox_settings, service_hours, timetables, visitor_mail, visitor_queue
from helpdesk.services.house import Services

log = structlog.get_logger()

MOST: Final = 200


async def read(services: Services, channel: Channel, *, now: datetime) -> list[LiveInbox]:
    """The active ones of a channel, the oldest first. One that cannot be used is left out, and the log says why."""
    async with services.database.reading() as session:
        rows = await _active(session, channel.name)
        if not rows:
            return []
        ids = [row["id"] for row in rows]
        continued = await visitor_mail.inboxes_for(services, session, ids)
        hours = await _hours(session, rows, now=now)
        named = {**NAMES} | {
            one["key"]: one["names"] for one in await categories.list_own(session) if not one["archived"]
        }
    attended = await visitor_queue.attended(services.database, ids, now=now)
    found = []
    for row in rows:
        try:
            config = inbox_settings.load_config(services, row)
        except HelpdeskError as error:
            log.error("live_inbox.unusable", inbox_id=str(row["id"]), **fault(error))
            continue
        found.append(
            LiveInbox(
                inbox_id=row["id"],
                name=row["name"],
                config=config,
                hours=hours[row["id"]],
                attended=row["id"] in attended,
                continued=row["id"] in continued,
                categories=named,
            )
        )
    return found


async def _active(session: AsyncSession, channel: str) -> Sequence[RowMapping]:
    i = inboxes.c
    alive = i.channel == channel, i.state == InboxStatus.ACTIVE.value, i.deleted_at.is_(None)
    return (
        (await session.execute(select(inboxes).where(*alive).order_by(i.created_at, i.id).limit(MOST))).mappings().all()
    )


async def _hours(session: AsyncSession, rows: Sequence[RowMapping], *, now: datetime) -> Mapping[object, Hours]:
    known = await timetables.timetables_of(session, {row["business_hours_id"] for row in rows} - {None})
    found = {}
    for row in rows:
        hours = service_hours.together([known.get(row["business_hours_id"], known[None])], now=now)
        found[row["id"]] = Hours(hours.open, hours.next_open_at, hours.next_close_at)
    return found
