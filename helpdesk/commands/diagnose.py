"""`helpdesk doctor`: what is configured, reachable, behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import RowMapping, Table, func, select

from helpdesk import migrate
from helpdesk.clock import now
from helpdesk.config import Settings
from helpdesk.domain.calendars import knows
from helpdesk.domain.values import DeliveryStatus, InboxStatus, RawState
from helpdesk.errors import HelpdeskError
from helpdesk.models.alerts import alert_notices
from helpdesk.models.events import audit, events, pending_work
from helpdesk.models.inboxes import inbox_states, inboxes, raw_items
from helpdesk.models.messages import deliveries
from helpdesk.models.sla import escalations, sla_clocks
from helpdesk.services import inbox_connecting, notices, visitor_mail
from helpdesk.services.house import Services
from helpdesk.wiring import open_guard, open_services
from workers import doorbell

_BEHIND = timedelta(minutes=5)
_UNCHAINED = timedelta(minutes=10)
_REVIEWED_BEFORE = timedelta(days=30)


class Report:
    """Lines for people, and whether all is well."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.well = True

    def ok(self, name: str, detail: str) -> None:
        self.lines.append(f"ok   {name}: {detail}")

    def warn(self, name: str, detail: str) -> None:
        """It works, and not as somebody may think that it does."""
        self.lines.append(f"warn {name}: {detail}")

    def bad(self, name: str, detail: str) -> None:
        self.lines.append(f"FAIL {name}: {detail}")
        self.well = False


async def doctor(settings: Settings) -> tuple[list[str], bool]:
    report = Report()
    report.ok("settings", f"{settings.env}, data in {settings.data}")
    services = open_services(settings)
    try:
        if await _database(services, report):
            await _work(services, report)
            await _holidays(services, report)
            await _inboxes(services, report)
    finally:
        await services.database.close()
    await _redis(settings, report)
    await _blobs(services, report)
    try:
        open_guard(settings)
    except HelpdeskError as error:
        report.bad("allow_hosts", error.detail)
    return report.lines, report.well


async def _database(services: Services, report: Report) -> bool:
    try:
        await migrate.check(services.database)
    except HelpdeskError as error:
        report.bad("database", error.detail)
        return False
    report.ok("database", services.database.url.get_backend_name())
    return True


async def _redis(settings: Settings, report: Report) -> None:
    if not settings.redis_url:
        report.ok("redis", "not set: workers look for work every couple of seconds")
        return
    try:
        async with asyncio.timeout(3):
            pool = await doorbell.connector(settings.redis_url)()
            await pool.ping()
            await pool.aclose()
    except Exception:  # redis-py raises many kinds; each means: not reachable
        report.bad("redis", "cannot be reached; work is late by seconds until it can")
    else:
        report.ok("redis", "answers")


async def _blobs(services: Services, report: Report) -> None:
    name = "0" * 32
    try:
        await services.blobs.put(name, b"doctor")
        await services.blobs.delete(name)
    except HelpdeskError as error:
        report.bad("blobs", error.detail)
    else:
        report.ok("blobs", "can be written")


async def _work(services: Services, report: Report) -> None:
    """What waits longer than it should."""
    late = now() - _BEHIND
    waiting: tuple[tuple[str, Table, object], ...] = (
        (
            "received mail not filed",
            raw_items,
            (raw_items.c.state == RawState.RECEIVED.value) & (raw_items.c.next_attempt_at < late),
        ),
        ("events not relayed", events, (events.c.position.is_(None)) & (events.c.occurred_at < late)),
        (
            "audit entries not chained",
            audit,
            (audit.c.position.is_(None)) & (audit.c.occurred_at < now() - _UNCHAINED),
        ),
        ("work given up", pending_work, pending_work.c.given_up),
        ("promises not looked at", sla_clocks, sla_clocks.c.next_due_at < late),
        ("ladders not climbed", escalations, escalations.c.next_due_at < late),
        (
            "alerts not delivered",
            alert_notices,
            (alert_notices.c.status == notices.QUEUED) & (alert_notices.c.next_attempt_at < late),
        ),
        ("alerts that could not be delivered", alert_notices, alert_notices.c.status == notices.FAILED),
        (
            "messages not sent",
            deliveries,
            deliveries.c.status.in_([DeliveryStatus.QUEUED.value, DeliveryStatus.SENDING.value])
            & (deliveries.c.next_attempt_at < late),
        ),
    )
    async with services.database.reading() as session:
        for name, table, condition in waiting:
            count = await session.scalar(select(func.count()).select_from(table).where(condition))  # type: ignore[arg-type]
            if count:
                report.bad(name, f"{count}; is a worker running?")
            else:
                report.ok(name, "none")


async def _holidays(services: Services, report: Report) -> None:
    """Calendars whose next months nobody has reviewed: due times would be wrong, and alerts say so only then."""
    soon = now() + _REVIEWED_BEFORE
    async with services.database.reading() as session:
        book = await services.promises.book(session)
    for hours in book.hours.values():
        calendar = hours.timetable.calendar
        years = [year for year in sorted({now().year, soon.year}) if not knows(calendar, year)]
        if years:
            missing = ", ".join(map(str, years))
            report.bad(f"calendar {hours.id}", f"nobody has reviewed the holidays of {missing}; import them")
        else:
            report.ok(f"calendar {hours.id}", "its holidays are known")


async def _inboxes(services: Services, report: Report) -> None:
    async with services.database.reading() as session:
        found = await session.execute(
            select(inboxes, inbox_states.c.failing_since, inbox_states.c.error_kind, inbox_states.c.error_detail)
            .outerjoin(inbox_states, inbox_states.c.inbox_id == inboxes.c.id)
            .where(inboxes.c.deleted_at.is_(None))
            .order_by(inboxes.c.created_at)
        )
        rows = found.mappings().all()
    if not rows:
        report.ok("inboxes", "none yet: helpdesk inbox add")
    for row in rows:
        name = f"inbox {row['name']}"
        if row["state"] == InboxStatus.PAUSED:
            report.ok(name, "paused")
        elif row["failing_since"] is not None:
            report.bad(name, f"{row['error_kind']}: {row['error_detail']}")
        else:
            report.ok(name, "works")
            if services.channel(row["channel"]).capabilities.live:
                await _live(services, row, report)


async def _live(services: Services, row: RowMapping, report: Report) -> None:
    """What visitors find is up to the settings alone: there is no other side that could be asked."""
    for one in await inbox_connecting.check(services, row, send=False):
        (report.ok if one.ok else report.warn)(f"inbox {row['name']}, {one.name}", one.detail)
    async with services.database.reading() as session:
        continued = await visitor_mail.inboxes_for(services, session, [row["id"]])
    if not continued:
        report.warn(
            f"inbox {row['name']}", "what a visitor does not read in time stays there: no inbox carries letters"
        )
