"""A loop of due work: it looks every tick, and at once when it is rung."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from helpdesk.logs import fault

log = structlog.get_logger()

Step = Callable[[], Awaitable[int]]
"""Does one batch of work and answers how much there was; zero means: nothing is due."""


class Loop:
    """Repeats a step until nothing is due, then waits for the bell or the tick.

    A step that raises is logged and tried again after a growing pause: the database may be away. Without the bell
    work is late by a tick; it is never lost. For a `watched` loop `workers.watch` looks every tick, and rings.
    """

    def __init__(self, name: str, step: Step, *, tick: float, watched: bool = False) -> None:
        self.name = name
        self._step, self._tick, self._watched = step, tick, watched
        self._bell = asyncio.Event()
        self._stopping = False

    def ring(self) -> None:
        self._bell.set()

    def stop(self) -> None:
        """Finish the step at hand, then end."""
        self._stopping = True
        self._bell.set()

    async def run(self) -> None:
        failures = 0
        while not self._stopping:
            self._bell.clear()
            try:
                while await self._step() and not self._stopping:
                    failures = 0
                failures, pause = 0, None if self._watched else self._tick
            except Exception as error:  # the loop outlives whatever its step runs into
                failures += 1
                pause = min(self._tick * 2 ** min(failures, 5), 30.0) * random.uniform(0.5, 1.0)  # noqa: S311
                log.error("loop.failed", loop=self.name, attempt=failures, **fault(error))
            if not self._stopping:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._bell.wait()
