"""`helpdesk inbox ...`."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO
from uuid import UUID

import orjson
from rich.progress import Progress
from sqlalchemy import RowMapping, select

import connectors
from helpdesk.channels import Authorizes, Backfills, Misconfigured
from helpdesk.clock import now
from helpdesk.commands.opened import opened
from helpdesk.config import Settings
from helpdesk.domain.values import SYSTEM, InboxStatus
from helpdesk.errors import Conflict, Invalid, NotFound
from helpdesk.models.inboxes import inboxes
from helpdesk.services import inbox_connecting, inbox_settings, leases
from helpdesk.services import inboxes as service
from helpdesk.services.house import Services
from helpdesk.wiring import open_guard
from workers.hosts import InboxHost

_LEASE_WAIT = 30.0


def read_settings(given: Sequence[str], from_stdin: str | None, stdin: TextIO) -> dict[str, str]:
    """`key=value` and `key=@FILE` pairs, and one key whose value comes by standard input. Raises `Invalid`."""
    settings: dict[str, str] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Invalid(f"--set {pair.split('=')[0]}: use key=value or key=@FILE")
        if value.startswith("@"):
            try:
                value = Path(value[1:]).read_text(encoding="utf-8").rstrip("\n")
            except (OSError, UnicodeDecodeError):
                detail = "what follows @ is a file, which cannot be read; give the value itself without @"
                raise Invalid.field(key, detail) from None
        settings[key] = value
    if from_stdin:
        settings[from_stdin] = stdin.readline().rstrip("\n")
    return settings


def schema(channel: str) -> str:
    found = connectors.discover().get(channel)
    if found is None:
        raise Invalid.field("channel", f"use one of {', '.join(connectors.discover())}")
    return orjson.dumps(found.load_config().model_json_schema(), option=orjson.OPT_INDENT_2).decode()


async def add(settings: Settings, *, channel: str, name: str, given: Mapping[str, str]) -> list[str]:
    async with opened(settings) as services, services.database.transaction() as session:
        inbox_id = await service.add(
            services, session, channel=channel, name=name, settings=given, by=SYSTEM, now=now()
        )
    return [str(inbox_id)]


async def listing(settings: Settings) -> list[str]:
    async with opened(settings) as services, services.database.reading() as session:
        found = await session.execute(
            select(inboxes).where(inboxes.c.deleted_at.is_(None)).order_by(inboxes.c.created_at)
        )
        rows = found.mappings().all()
    return [f"{row['id']}  {row['channel']}  {row['state']}  {row['handle']}  {row['name']}" for row in rows]


async def check(settings: Settings, inbox: str, *, send: bool) -> tuple[list[str], bool]:
    """One line per thing tried; whether all of it worked."""
    async with opened(settings) as services:
        row = await find(services, inbox)
        checks = await inbox_connecting.check(services, row, send=send)
    lines = [f"{'ok  ' if one.ok else 'FAIL'} {one.name}{': ' if one.detail else ''}{one.detail}" for one in checks]
    return lines, all(one.ok for one in checks)


async def authorize(settings: Settings, inbox: str, *, tell: Callable[[str], None]) -> list[str]:
    async with opened(settings) as services:
        row = await find(services, inbox)
        connector = inbox_connecting.connect(services, open_guard(settings), row)
        if not isinstance(connector, Authorizes):
            raise Misconfigured("this channel needs no authorization")
        changed = await connector.authorize(tell)
        async with services.database.transaction() as session:
            await inbox_settings.save_secrets(services, session, row["id"], changed)
    return ["authorized"]


async def set_state(settings: Settings, inbox: str, *, state: str) -> list[str]:
    async with opened(settings) as services, services.database.transaction() as session:
        row = await find(services, inbox)
        locked = await service.get_inbox(session, SYSTEM, row["id"], version=row["version"])
        await service.edit(services, session, locked, state=InboxStatus(state), by=SYSTEM, now=now())
    return [f"{row['id']} {state}"]


async def backfill(settings: Settings, inbox: str, *, since: str | None, dry_run: bool) -> list[str]:
    """Under a lease of its own: it reads beside the worker that polls, and positions keep both from filing twice."""
    start = _date(since)
    async with opened(settings) as services:
        row = await find(services, inbox)
        guard = open_guard(settings)
        connector = inbox_connecting.connect(services, guard, row)
        if not isinstance(connector, Backfills):
            raise Misconfigured("this channel has no older messages to fetch")
        async with leased(services, f"backfill:{row['id']}") as (name, fence):
            host = InboxHost(services, guard, inbox=row, lease=name, fence=fence)
            with progress("mails") as tell:
                count = await connector.backfill(host, since=start, dry_run=dry_run, tell=tell)
    return [f"{count} mails {'would be filed' if dry_run else 'received'}"]


@asynccontextmanager
async def leased(services: Services, name: str) -> AsyncIterator[tuple[str, int]]:
    """A lease for a long command, renewed while it lasts. Raises `Conflict` when the same command is running."""
    seconds = _LEASE_WAIT
    async with services.database.transaction() as session:
        fence = await leases.acquire(session, name, owner=f"command:{secrets.token_hex(4)}", seconds=seconds)
    if fence is None:
        raise Conflict("the same command is running already")

    async def keep(fence: int) -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            async with services.database.transaction() as session:
                await leases.renew(session, {name: fence}, seconds=seconds)

    keeper = asyncio.create_task(keep(fence))
    try:
        yield name, fence
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        async with services.database.transaction() as session:
            await leases.release(session, name, fence=fence)


class progress:  # noqa: N801 - used as a function
    """`with progress("mails") as tell: tell(done, total)`: a bar on a terminal, some plain lines elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar = Progress() if sys.stderr.isatty() else None
        self._told = 0

    def __enter__(self) -> Callable[[int, int], None]:
        if self._bar is None:
            return self._line
        self._bar.start()
        task = self._bar.add_task(self._what)
        return lambda done, total: self._bar.update(task, completed=done, total=total) if self._bar else None

    def _line(self, done: int, total: int) -> None:
        if done == total or done >= self._told + max(100, total // 100):
            self._told = done
            sys.stderr.write(f"{self._what}: {done} of {total}\n")

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _date(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if text else None
    except ValueError:
        raise Invalid.field("since", "use a date such as 2026-01-31") from None


async def find(services: Services, inbox: str) -> RowMapping:
    """The inbox with this id. Raises `NotFound`."""
    try:
        identifier = UUID(inbox)
    except ValueError:
        raise NotFound("there is no such inbox") from None
    async with services.database.reading() as session:
        query = select(inboxes).where(inboxes.c.id == identifier, inboxes.c.deleted_at.is_(None))
        found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such inbox")
    return found


async def only_inbox(services: Services) -> RowMapping:
    """The one inbox that takes raw items. Raises `Invalid` where there are several, or none."""
    channels = [name for name, channel in services.channels.items() if channel.parse]
    query = select(inboxes).where(inboxes.c.deleted_at.is_(None), inboxes.c.channel.in_(channels)).limit(2)
    async with services.database.reading() as session:
        found = await session.execute(query)
        rows = found.mappings().all()
    if len(rows) != 1:
        raise Invalid.field(
            "inbox", "name one of several, as `helpdesk inbox list` shows them" if rows else "add one first"
        )
    return rows[0]
