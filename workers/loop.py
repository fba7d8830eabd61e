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

    After a step that did something, but less than `full`, it rests for `rest` seconds: of a steady stream it would
    find a little each time it looks, and a look costs as much for a little as for a lot. What is rung for after a
    while of quiet is done at once.
    """

    def __init__(
        self, name: str, step: Step, *, tick: float, watched: bool = False, full: int = 1, rest: float = 0.0
    ) -> None:
        self.name = name
        self._step, self._tick, self._watched = step, tick, watched
        self._full, self._rest = full, rest
        self._bell, self._over = asyncio.Event(), asyncio.Event()

    def ring(self) -> None:
        self._bell.set()

    def stop(self) -> None:
        """Finish the step at hand, then end."""
        self._over.set()
        self._bell.set()

    async def run(self) -> None:
        failures = 0
        while not self._over.is_set():
            self._bell.clear()
            try:
                while not self._over.is_set() and (done := await self._step()):
                    failures = 0
                    if done < self._full:
                        await _within(self._rest, self._over)
                failures, pause = 0, None if self._watched else self._tick
            except Exception as error:  # the loop outlives whatever its step runs into
                failures += 1
                pause = min(self._tick * 2 ** min(failures, 5), 30.0) * random.uniform(0.5, 1.0)  # noqa: S311
                log.error("loop.failed", loop=self.name, attempt=failures, **fault(error))
            if not self._over.is_set():
                await _within(pause, self._bell)


async def _within(seconds: float | None, bell: asyncio.Event) -> None:
    """Wait for it, but no longer than this."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await bell.wait()
