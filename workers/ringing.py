"""Ringing: tells due work that there is some, here and, through a Redis that may come later, elsewhere.

Apart from `workers.doorbell`, which knows Redis and arq and takes a while to import: `helpdesk up` is ready before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from helpdesk.logs import fault

log = structlog.get_logger()

_GATHER = 0.02
_SILENT_AFTER_FAILURE = 5.0


class Doorbell:
    """`ring` may be called from anywhere in the event loop, any number of times; it never waits and never raises."""

    def __init__(
        self, redis: Callable[[], Any] | None = None, *, here: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        self._connect, self._here = redis, here
        self._pool: Any = None
        self._names: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._silent_until = 0.0

    def ring(self, names: frozenset[str]) -> None:
        if self._here is not None:
            self._here(sorted(names))
        if self._connect is None or asyncio.get_running_loop().time() < self._silent_until:
            return
        self._names |= names
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(self._connect))

    def hang(self, redis: Callable[[], Any]) -> None:
        """From now on ring through this as well."""
        self._connect = redis

    async def _send(self, connect: Callable[[], Any]) -> None:
        # Rings that come close together become one job.
        await asyncio.sleep(_GATHER)
        names, self._names = sorted(self._names), set()
        try:
            async with asyncio.timeout(2.0):
                if self._pool is None:
                    self._pool = await connect()
                await self._pool.enqueue_job("wake", names)
        except Exception as error:  # Redis is a doorbell: losing it costs latency and nothing else
            self._silent_until = asyncio.get_running_loop().time() + _SILENT_AFTER_FAILURE
            log.warning("doorbell.unheard", **fault(error))

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._pool is not None:
            await self._pool.aclose()
