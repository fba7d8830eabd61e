"""`helpdesk export`: conversations, contacts and reports into a file, by the code that the API answers with.

The file is there when it is whole, and only its owner may read it: it is written beside its place and moved there.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.api.answers import to_json
from helpdesk.api.schemas import exports as shapes
from helpdesk.api.schemas.exports import Form
from helpdesk.clock import now
from helpdesk.commands.inboxes import find, progress
from helpdesk.commands.opened import opened
from helpdesk.config import Settings
from helpdesk.domain import csv_cells
from helpdesk.domain.calendars import WrongCalendar, check_zone
from helpdesk.domain.filters import ConversationFilter
from helpdesk.domain.values import SYSTEM, Actor
from helpdesk.errors import Invalid, Unavailable
from helpdesk.folders import sync_folder
from helpdesk.services import chat_reports, custom_fields, exporting, listing
from helpdesk.services import reports as figures
from helpdesk.services.exporting import End, Found, Message, Part, Source
from helpdesk.services.house import Services
from helpdesk.services.reporting import Asked, GroupBy, Report

_EVERYTHING: Final = 10**12
_DAYS: Final = timedelta(days=28)

_Make = Callable[[AsyncSession, Actor, Asked], Awaitable[Report]]
REPORTS: Final[Mapping[str, _Make]] = {
    "volume": figures.volume,
    "response-times": figures.responses,
    "sla": figures.sla,
    "ratings": figures.ratings,
    "chats": chat_reports.chats,
}


@dataclass(frozen=True, slots=True)
class Given:
    """What every export takes: days in UTC, `since` included and `until` not, as YYYY-MM-DD."""

    out: Path
    form: Form = Form.JSONL
    since: str | None = None
    until: str | None = None
    inbox: str | None = None
    bom: bool = True

    def day(self, name: str) -> datetime | None:
        """Raises `Invalid`."""
        text: str | None = getattr(self, name)
        try:
            return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if text else None
        except ValueError:
            raise Invalid.field(name, "use a date such as 2026-01-31") from None


async def conversations(settings: Settings, given: Given, *, messages: bool = False) -> list[str]:
    """Spam is left out. Raises `Invalid`, `NotFound` for an inbox, `Unavailable` where the file cannot be written."""
    if messages and given.form is Form.CSV:
        raise Invalid.field("messages", "are lines of their own, and only in the format jsonl")
    async with opened(settings) as services:
        inboxes = ((await find(services, given.inbox))["id"],) if given.inbox else ()
        filters = ConversationFilter(
            inbox_id=inboxes, created_after=given.day("since"), created_before=given.day("until")
        )
        asked = await listing.question(services, SYSTEM, filters, tree=None, now=now())
        source, part = exporting.of_conversations(asked), Part(most=_EVERYTHING)
        found = exporting.read_conversations(services, source, part, messages=messages)
        return await _export(services, "conversations", given, source, part, found)


async def contacts(settings: Settings, given: Given) -> list[str]:
    """Raises `Invalid`, `Unavailable`."""
    if given.inbox:
        raise Invalid.field("inbox", "contacts are of no inbox")
    async with opened(settings) as services:
        part = Part(most=_EVERYTHING)
        source = await exporting.of_contacts(
            services, SYSTEM, created_after=given.day("since"), created_before=given.day("until")
        )
        return await _export(services, "contacts", given, source, part, exporting.read_contacts(services, source, part))


async def report(
    settings: Settings, given: Given, *, name: str = "volume", group_by: str | None = None, zone: str = "UTC"
) -> list[str]:
    """Of 28 days unless days are given. Raises `Invalid`, `NotFound` for an inbox, `Unavailable`."""
    make = REPORTS.get(name)
    if make is None:
        raise Invalid.field("report", f"use one of {', '.join(REPORTS)}")
    if group_by is not None and group_by not in list(GroupBy):
        raise Invalid.field("group-by", f"use one of {', '.join(GroupBy)}")
    before = given.day("until") or now()
    async with opened(settings) as services:
        asked = Asked(
            after=given.day("since") or before - _DAYS,
            before=before,
            zone=_zone(zone),
            group_by=GroupBy(group_by) if group_by else None,
            filters={"inbox_id": [(await find(services, given.inbox))["id"]]} if given.inbox else {},
        )
        async with services.database.reading() as session:
            rows = await make(session, SYSTEM, asked)
    with _written(given.out) as file:
        file.write(_lines(given, ("group", "name", *figures.COLUMNS[name]), rows))
    return [f"{len(rows)} lines written to {given.out}"]


def _lines(given: Given, columns: Sequence[str], rows: Report) -> bytes:
    if given.form is Form.JSONL:
        end = {"end": True, "count": len(rows)}
        return b"".join(to_json(row) + b"\n" for row in (*rows, end))
    lines = [csv_cells.line(columns), *(csv_cells.line(row[column] for column in columns) for row in rows)]
    return ((csv_cells.BOM if given.bom else "") + "".join(lines)).encode()


async def _export(
    services: Services, what: str, given: Given, source: Source, part: Part, found: AsyncIterator[Sequence[Found]]
) -> list[str]:
    at, count = now(), 0
    total = await exporting.count(services, source, part)
    first, lines = await _shape(services, what, given)
    asked = {name: getattr(given, name) for name in ("since", "until", "inbox") if getattr(given, name)}
    async with services.database.transaction() as session:
        data = {"format": given.form.value, "asked": asked}
        export_id = await exporting.begin(services, session, what, data, by=SYSTEM, now=at)
    whole = False
    try:
        with _written(given.out) as file, progress(what) as tell:
            file.write(first)
            async for some in found:
                file.write(lines(some, at))
                count += sum(not isinstance(one, Message | End) for one in some)
                tell(count, max(count, total))
        whole = True
    finally:
        async with services.database.transaction() as session:
            await exporting.end(session, export_id, count, whole=whole, by=SYSTEM, now=now())
    return [f"{count} {what} written to {given.out}"]


async def _shape(services: Services, what: str, given: Given) -> tuple[bytes, shapes.Lines]:
    if given.form is Form.JSONL:
        return b"", shapes.jsonl
    async with services.database.reading() as session:
        return shapes.csv(what, await custom_fields.keys_of(session, what.removesuffix("s")), bom=given.bom)


def _zone(name: str) -> ZoneInfo:
    try:
        return check_zone(name)
    except WrongCalendar:
        raise Invalid.field("zone", "use a time zone, such as Asia/Shanghai") from None


@contextmanager
def _written(out: Path) -> Iterator[BinaryIO]:
    """A new file for `out`, which takes its place when it is whole and safe on the disk; otherwise nothing is left."""
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Unavailable(f"{out} cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(out)
    except OSError as error:
        raise Unavailable(f"{out} cannot be written ({error.strerror})") from None
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(out.parent)
