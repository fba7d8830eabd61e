"""Public: when somebody is there. Asked by websites and apps without a login, so it tells nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import Reading
from helpdesk.api.problems import documented
from helpdesk.api.queries import Query, word
from helpdesk.api.schemas.hours import ServiceHoursShown
from helpdesk.domain.calendars import WrongCalendar, check_zone
from helpdesk.errors import Invalid
from helpdesk.services import service_hours
from helpdesk.services.service_hours import ServiceHours

router = APIRouter(prefix="/api/v1/service-hours", tags=["business hours"])
QUERY = Query(word("tz", "The time zone to answer in, such as Asia/Shanghai; default UTC", most=64))
FRESH_SECONDS: Final = 60


@router.get(
    "",
    summary="Say when the desk is open",
    response_model=ServiceHoursShown,
    responses=documented(),
    openapi_extra=QUERY.openapi,
)
async def read_service_hours(request: Request, session: Reading) -> Response:
    """Needs no token. Of every active inbox, and of every channel: it is open while any of its inboxes is."""
    name = QUERY.read(request).get("tz", "UTC")
    try:
        zone = check_zone(name, "tz")
    except WrongCalendar as wrong:
        raise Invalid.field(wrong.field, wrong.reason) from None
    now = clock.now()
    found = await service_hours.everywhere(session, now=now)
    inboxes = [
        {"inbox_id": row["id"], "name": row["name"], "channel": row["channel"], **_shown(hours, zone)}
        for row, hours in found.inboxes
    ]
    channels = [{"channel": channel, **_shown(hours, zone)} for channel, hours in found.channels.items()]
    shown = answer({"zone": name, "now": now.astimezone(zone), "inboxes": inboxes, "channels": channels})
    shown.headers["Cache-Control"] = f"public, max-age={FRESH_SECONDS}"
    return shown


def _shown(hours: ServiceHours, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "open": hours.open,
        "next_open_at": _local(hours.next_open_at, zone),
        "next_close_at": _local(hours.next_close_at, zone),
    }


def _local(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    return at and at.astimezone(zone)
