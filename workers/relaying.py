"""Runs the relay, one in the whole fleet, by lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.clock import now
from helpdesk.db import ring, unring
from helpdesk.logs import fault
from helpdesk.services import events, foreseen, leases, relay, streaming
from helpdesk.services.house import Services
from helpdesk.statements import Row
from workers.subscriptions import FORESEEN, SUBSCRIPTIONS

log = structlog.get_logger()

LEASE = "relay"


Telling = Callable[[AsyncSession], AbstractAsyncContextManager[None]]
"""Around the work of a transaction: what it tells gets its positions at once and is relayed at its end."""


class Relaying:
    """Keeps the lease between steps, so that a step costs no more than its work.

    The worker that holds it may also relay in the transaction that told (`alongside`). Positions then come in the order
    of commits as ever: nobody else can give any before that transaction has ended. What has its position is rung for:
    for the stream, and for those loops whose names `followed` answers.
    """

    def __init__(self, services: Services, *, worker: str, followed: Callable[[], Iterable[str]] = tuple) -> None:
        self._services, self._worker, self._followed = services, worker, followed
        self._fence: int | None = None
        self._busy = asyncio.Lock()
        self._retry_at = 0.0

    async def step(self) -> int:
        """Position and distribute one batch, or find that another worker does. Answers whether there may be more."""
        async with self._busy:
            try:
                return await self._step(careful=False)
            except LeaseLost:
                self._fence = None
                return 0
            except Exception as error:  # a subscriber's, or the database's: with care, only what is at fault waits
                log.warning("relay.batch_failed", **fault(error))
                return await self._step(careful=True)

    async def _step(self, *, careful: bool) -> int:
        services = self._services
        async with services.database.transaction() as session:
            if self._fence is None:
                seconds = services.settings.lease_seconds
                self._fence = await relay.acquire(session, LEASE, owner=self._worker, seconds=seconds)
            if self._fence is None:
                return 0
            happened = await self._relay(session, fence=self._fence, careful=careful)
            if len(happened) >= relay.BATCH:
                return len(happened)
            if time.monotonic() > self._retry_at:
                self._retry_at = time.monotonic() + services.settings.tick_seconds
                await leases.check(session, LEASE, fence=self._fence)
                return await relay.retry(services, session, SUBSCRIPTIONS, now=now())
            return 0

    async def _relay(self, session: AsyncSession, *, fence: int, careful: bool) -> Sequence[Row]:
        how: dict[str, Any] = {"lease": LEASE, "fence": fence, "careful": careful, "now": now()}
        happened = await relay.relay(self._services, session, SUBSCRIPTIONS, **how)
        for name in (streaming.BELL, *self._followed()) if happened else ():
            ring(session, name)
        return happened

    @property
    def holds(self) -> bool:
        """Whether the lease is this worker's, as far as it knows."""
        return self._fence is not None

    @property
    def ready(self) -> bool:
        """Whether `alongside` would relay."""
        return self._fence is not None and not self._busy.locked()

    @asynccontextmanager
    async def alongside(self) -> AsyncIterator[Telling | None]:
        """For the time of one transaction: what relays in it, or None while that is done elsewhere."""
        if not self.ready:
            yield None
            return
        async with self._busy:
            # A step that was waiting came first, and may have found that the lease is another's.
            yield partial(self._within, self._fence) if self._fence is not None else None

    @asynccontextmanager
    async def _within(self, fence: int, session: AsyncSession) -> AsyncIterator[None]:
        events.number(session, leases.holding(LEASE, fence=fence))
        foreseen.expect(session, FORESEEN, SUBSCRIPTIONS)
        yield
        if not unring(session, "relay"):
            return
        happened = await self._relay(session, fence=fence, careful=False)
        if not happened or len(happened) >= relay.BATCH:
            # The lease went to another after all, or there is more: somebody has to come for it.
            ring(session, "relay")

    def leases(self) -> dict[str, int]:
        """What is to be renewed, with its fence."""
        return {} if self._fence is None else {LEASE: self._fence}

    async def lost(self, lost: Mapping[str, int]) -> None:
        """Others have these by now, under later fences."""
        if lost.get(LEASE) == self._fence:
            self._fence = None

    async def close(self) -> None:
        """Let another worker go on at once."""
        if self._fence is not None:
            async with self._services.database.transaction() as session:
                await leases.release(session, LEASE, fence=self._fence)
