"""Rounds: what one task does now and then, each thing at its own time, and sooner when it is rung for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from helpdesk.logs import fault

log = structlog.get_logger()

LEAST: Final = 0.05
"""Seconds between two times of the same, however often it is rung for."""


@dataclass(eq=False, slots=True)
class _Round:
    do: Callable[[], Awaitable[None]]
    every: float
    name: str
    rung: bool = False
    begun: float = float("-inf")

    @property
    def due(self) -> float:
        return self.begun + (LEAST if self.rung else self.every)


class Rounds:
    """`step` in a loop does what is due. What fails is logged as `NAME.failed`, and done again when its time comes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rounds: list[_Round] = []
        self._bell = asyncio.Event()

    def add(self, do: Callable[[], Awaitable[None]], *, every: float, name: str = "") -> None:
        """To be done every so many seconds, and soon after `name` was rung."""
        self._rounds.append(_Round(do, every, name))

    def ring(self, name: str) -> None:
        """May be called any time. A name that nothing was added by is somebody else's business."""
        for one in self._rounds:
            if one.name == name:
                one.rung = True
                self._bell.set()

    async def step(self) -> None:
        """Do what is due, then wait for the next to be."""
        loop = asyncio.get_running_loop()
        self._bell.clear()
        for one in self._rounds:
            if loop.time() < one.due:
                continue
            one.rung, one.begun = False, loop.time()
            try:
                await one.do()
            except Exception as error:  # the database may be away: each of these is made good by its next time
                log.warning(f"{self._name}.failed", **fault(error))
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(one.due for one in self._rounds)):
                await self._bell.wait()
