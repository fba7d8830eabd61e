"""The house as this connector sees it, in memory: `accept` is one commit, and idempotent as the real one is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from connectors.x.config import XConfig
from connectors.x.connector import XConnector
from connectors.x.parse import parse
from connectors.x.tests.fake import FakeX
from helpdesk.channels import ChannelError, House, Inbound, RawInbound, Unreadable
from helpdesk.db import new_id
from helpdesk.net import AllowList, Guard

GUARD = Guard(AllowList.parse(["127.0.0.0/8"]))


class Store:
    """Secrets, as several processes share them."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.saved = 0

    async def save(self, changed: Mapping[str, str]) -> None:
        self.saved += 1
        self.secrets |= changed

    async def stored(self) -> Mapping[str, str]:
        return dict(self.secrets)

    def house(self) -> House:
        return House(GUARD, new_id(), "", self.save, self.stored)


class Crash(Exception):
    """The process ends here."""


class Host:
    """`obstacle` is called before each commit, and may raise."""

    def __init__(self) -> None:
        self.inbox_id = new_id()
        self.guard = GUARD
        self.items: dict[str, RawInbound] = {}
        self.place: Mapping[str, Any] = {}
        self.errors: list[ChannelError] = []
        self.commits = 0
        self.wells = 0
        self.obstacle: Callable[[], None] = lambda: None
        self._changed = asyncio.Condition()

    async def accept(self, batch: Sequence[RawInbound], *, cursor: Mapping[str, Any] | None = None) -> int:
        self.obstacle()
        new = {item.position: item for item in batch if item.position not in self.items}
        self.items |= new
        self.place = dict(cursor or self.place)
        self.commits += 1
        await self._tell()
        return len(new)

    async def cursor(self) -> Mapping[str, Any]:
        return dict(self.place)

    async def known(self, prefix: str) -> frozenset[str]:
        return frozenset(position for position in self.items if position.startswith(prefix))

    async def digests(self, digests: Sequence[str]) -> frozenset[str]:
        return frozenset()

    async def save_secrets(self, changed: Mapping[str, str]) -> None:
        raise AssertionError(changed)

    async def succeeded(self) -> None:
        self.wells += 1
        await self._tell()

    async def failed(self, error: ChannelError) -> None:
        self.errors.append(error)
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(true)

    def parsed(self) -> list[Inbound]:
        return [parse(item, {}) for item in self.items.values()]

    def parsed_or_refused(self) -> list[Inbound | None]:
        found: list[Inbound | None] = []
        for item in self.items.values():
            try:
                found.append(parse(item, {}))
            except Unreadable:
                found.append(None)
        return found


def connector(x: FakeX, *, keys: str = "oauth1", store: Store | None = None, **more: Any) -> XConnector:
    given = {**getattr(x.tokens, keys), "api_url": x.origin, "username": "desk", **more}
    return XConnector(XConfig.model_validate(given), (store or Store()).house())


@asynccontextmanager
async def polling(x: FakeX, host: Host, **more: Any) -> AsyncIterator[XConnector]:
    """The connector runs inside the block, which begins when it has looked once."""
    made = connector(x, **{"poll_seconds": 1, **more})
    task = asyncio.create_task(made.run(host))
    try:
        wells, errors = host.wells, len(host.errors)
        waiting = asyncio.ensure_future(host.until(lambda: host.wells > wells or len(host.errors) > errors))
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Crash):
            await task
        await made.close()


async def nothing() -> None:
    """What the house does before the last moment, in tests that are not about it."""
