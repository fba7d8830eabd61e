"""Ringing: tells due work that there is some, here and, through a Redis that may come later, elsewhere.

Apart from `workers.doorbell`, which knows Redis and arq and takes a while to import: `helpdesk up` is ready before.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import orjson
import structlog

from helpdesk.logs import fault
from helpdesk.services.events import DISTRIBUTE, STREAM
from helpdesk.services.visits import LIVE

log = structlog.get_logger()

_APART, _JOBS_APART = 0.002, 0.02
"""Seconds between what is published, for which people wait, and between jobs, which are found by polling anyway."""

CHANNEL = "helpdesk:aloud"
ALOUD = frozenset({STREAM, DISTRIBUTE, "presence", "relay"})
"""What is published, for every process to hear, and is no job besides: that would be one worker's, who need not be the
one who relays, is late by arq's polling, and costs both sides more than what it wakes."""

_SILENT_AFTER_FAILURE = 5.0


def aloud(names: Iterable[str]) -> set[str]:
    """Those of them that are published, and those alone that are heard when somebody else publishes.

    The name of one conversation is no loop's, and concerns the process that its visitor is at.
    """
    return {name for name in names if name in ALOUD or name.startswith(LIVE)}


def jobs(names: Iterable[str]) -> set[str]:
    """Those of them that are any worker's, of whom one has to be rung."""
    return {name for name in names if name not in ALOUD and not name.startswith(LIVE)}


class _Outgoing:
    """Names on their way. Those that come close together go together, `apart` seconds later; the first ones at once."""

    def __init__(self, send: Callable[[set[str]], Awaitable[bool]], *, apart: float) -> None:
        self._send, self._apart = send, apart
        self._names: set[str] = set()
        self._sent_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def add(self, names: set[str]) -> None:
        if not names:
            return
        self._names |= names
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._names:  # what is rung while others are on their way has nobody else to send it
            await asyncio.sleep(max(0.0, self._sent_at + self._apart - loop.time()))
            self._sent_at = loop.time()
            names, self._names = self._names, set()
            if not await self._send(names):
                return

    async def ended(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class Doorbell:
    """`ring` may be called from anywhere in the event loop, any number of times; it never waits and never raises.

    `alone` says that there is no other process to hear what is rung aloud.
    """

    def __init__(
        self, redis: Callable[[], Any] | None = None, *, here: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        self._connect, self._here, self._alone = redis, here, False
        self.name = f"by:{secrets.token_hex(8)}"
        """Among the names that are published, so that who rang here already does not do it again."""
        self._pool: Any = None
        self._opening = asyncio.Lock()
        self._published = _Outgoing(self._publish, apart=_APART)
        self._queued = _Outgoing(self._enqueue, apart=_JOBS_APART)
        self._silent_until = 0.0

    def ring(self, names: frozenset[str]) -> None:
        if self._here is not None:
            self._here(sorted(names))
        if self._connect is None or asyncio.get_running_loop().time() < self._silent_until:
            return
        if not self._alone:
            self._published.add(aloud(names))
        self._queued.add(jobs(names))

    def hang(self, redis: Callable[[], Any], *, alone: bool = False) -> None:
        """From now on ring through this as well."""
        self._connect, self._alone = redis, alone

    async def _publish(self, names: set[str]) -> bool:
        return await self._tell(lambda pool: pool.publish(CHANNEL, orjson.dumps([self.name, *sorted(names)])))

    async def _enqueue(self, names: set[str]) -> bool:
        return await self._tell(lambda pool: pool.enqueue_job("wake", sorted(names)))

    async def _tell(self, call: Callable[[Any], Awaitable[Any]]) -> bool:
        """Answers whether it was heard."""
        try:
            async with asyncio.timeout(2.0):
                async with self._opening:
                    if self._pool is None and self._connect is not None:
                        self._pool = await self._connect()
                await call(self._pool)
        except Exception as error:  # Redis is a doorbell: losing it costs latency and nothing else
            self._silent_until = asyncio.get_running_loop().time() + _SILENT_AFTER_FAILURE
            log.warning("doorbell.unheard", **fault(error))
            return False
        return True

    async def close(self) -> None:
        await self._published.ended()
        await self._queued.ended()
        if self._pool is not None:
            await self._pool.aclose()
