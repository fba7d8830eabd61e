"""Runs the relay, one in the whole fleet, by lease."""

from __future__ import annotations

import time

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.clock import now
from helpdesk.logs import fault
from helpdesk.services import leases, relay
from helpdesk.services.house import Services
from workers.subscriptions import SUBSCRIPTIONS

log = structlog.get_logger()

LEASE = "relay"


class Relaying:
    """Keeps the lease between steps, so that a step costs one check and not a new claim."""

    def __init__(self, services: Services, *, worker: str) -> None:
        self._services, self._worker = services, worker
        self._fence: int | None = None
        self._renew_at = self._retry_at = 0.0

    async def waits(self) -> bool:
        return await relay.waits(self._services.database, now=now())

    async def step(self) -> int:
        """Position and distribute one batch, or find that another worker does. Answers whether there may be more."""
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
            fence = await self._hold(session)
            if fence is None:
                return 0
            happened = await relay.relay(
                services, session, SUBSCRIPTIONS, lease=LEASE, fence=fence, careful=careful, now=now()
            )
            if len(happened) >= relay.BATCH:
                return len(happened)
            if time.monotonic() > self._retry_at:
                self._retry_at = time.monotonic() + services.settings.tick_seconds
                await leases.check(session, LEASE, fence=fence)
                return await relay.retry(services, session, SUBSCRIPTIONS, now=now())
            return 0

    async def _hold(self, session: AsyncSession) -> int | None:
        """Take the lease, or keep it. Answers its fence; None while another has it."""
        seconds = self._services.settings.lease_seconds
        if self._fence is not None and time.monotonic() < self._renew_at:
            return self._fence
        if self._fence is not None:
            await leases.renew(session, LEASE, fence=self._fence, seconds=seconds)
        else:
            self._fence = await leases.acquire(session, LEASE, owner=self._worker, seconds=seconds)
        self._renew_at = time.monotonic() + seconds / 3
        return self._fence

    async def close(self) -> None:
        """Let another worker go on at once."""
        if self._fence is not None:
            async with self._services.database.transaction() as session:
                await leases.release(session, LEASE, fence=self._fence)
