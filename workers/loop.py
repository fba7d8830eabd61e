"""A loop of due work: it looks every tick, and at once when it is rung."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from helpdesk.logs import fault

log = structlog.get_logger()

Step = Callable[[], Awaitable[int]]
"""Does one batch of work and answers how much there was; zero means: nothing is due."""

Due = Callable[[], Awaitable[bool]]
"""Whether a step would find anything, asked without a transaction."""


class Loop:
    """Repeats a step until nothing is due, then waits for the bell or the tick.

    A step that raises is logged and tried again after a growing pause: the database may be away. Without the bell
    work is late by a tick; it is never lost. `due` is a cheap look that a tick without a bell takes before the step.
    """

    def __init__(self, name: str, step: Step, *, tick: float, due: Due | None = None) -> None:
        self.name = name
        self._step, self._tick, self._due = step, tick, due
        self._bell = asyncio.Event()
        self._stopping = False

    def ring(self) -> None:
        self._bell.set()

    def stop(self) -> None:
        """Finish the step at hand, then end."""
        self._stopping = True
        self._bell.set()

    async def run(self) -> None:
        failures, rung = 0, True
        while not self._stopping:
            self._bell.clear()
            try:
                if rung or self._due is None or await self._due():
                    while await self._step() and not self._stopping:
                        failures = 0
                failures = 0
                pause = self._tick
            except Exception as error:  # the loop outlives whatever its step runs into
                failures += 1
                pause = min(self._tick * 2 ** min(failures, 5), 30.0) * random.uniform(0.5, 1.0)  # noqa: S311
                log.error("loop.failed", loop=self.name, attempt=failures, **fault(error))
            if not self._stopping:
                rung = await self._wait(pause) or failures > 0

    async def _wait(self, seconds: float) -> bool:
        """Whether the bell rang within `seconds`, or in the very moment when they were over."""
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            pass
        return self._bell.is_set()
