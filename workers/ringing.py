"""Ringing: tells due work that there is some, here and, through a Redis that may come later, elsewhere.

Apart from `workers.doorbell`, which knows Redis and arq and takes a while to import: `helpdesk up` is ready before.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
import structlog

from helpdesk.logs import fault
from helpdesk.services.visits import LIVE

log = structlog.get_logger()

_GATHER = 0.02
CHANNEL = "helpdesk:aloud"
ALOUD = frozenset({"stream", "presence", "relay"})
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
        self._sent_at = 0.0
        self._pool: Any = None
        self._names: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._silent_until = 0.0

    def ring(self, names: frozenset[str]) -> None:
        if self._here is not None:
            self._here(sorted(names))
        if self._connect is None or asyncio.get_running_loop().time() < self._silent_until:
            return
        if self._alone and not jobs(names):
            return
        self._names |= names
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(self._connect))

    def hang(self, redis: Callable[[], Any], *, alone: bool = False) -> None:
        """From now on ring through this as well."""
        self._connect, self._alone = redis, alone

    async def _send(self, connect: Callable[[], Any]) -> None:
        # Rings that come close together become one job; the first one goes at once.
        loop = asyncio.get_running_loop()
        while self._names:  # what is rung while others are on their way has nobody else to send it
            await asyncio.sleep(max(0.0, self._sent_at + _GATHER - loop.time()))
            self._sent_at = loop.time()
            names, self._names = self._names, set()
            published = [] if self._alone else sorted(aloud(names))
            try:
                async with asyncio.timeout(2.0):
                    if self._pool is None:
                        self._pool = await connect()
                    if published:
                        await self._pool.publish(CHANNEL, orjson.dumps([self.name, *published]))
                    if loops := sorted(jobs(names)):
                        await self._pool.enqueue_job("wake", loops)
            except Exception as error:  # Redis is a doorbell: losing it costs latency and nothing else
                self._silent_until = loop.time() + _SILENT_AFTER_FAILURE
                log.warning("doorbell.unheard", **fault(error))
                return

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._pool is not None:
            await self._pool.aclose()
