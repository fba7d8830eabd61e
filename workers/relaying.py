"""Runs the relay, one in the whole fleet, by lease."""

from __future__ import annotations

import time

from helpdesk.channels import LeaseLost
from helpdesk.clock import now
from helpdesk.services import leases, relay
from helpdesk.services.house import Services
from workers.subscriptions import SUBSCRIPTIONS

LEASE = "relay"


class Relaying:
    """Keeps the lease between steps, so that a step costs one check and not a new claim."""

    def __init__(self, services: Services, *, worker: str) -> None:
        self._services, self._worker = services, worker
        self._fence: int | None = None
        self._renew_at = self._retry_at = 0.0

    async def step(self) -> int:
        """Position and distribute one batch, or find that another worker does."""
        services = self._services
        try:
            async with services.database.transaction() as session:
                if self._fence is None:
                    self._fence = await leases.acquire(
                        session, LEASE, owner=self._worker, seconds=services.settings.lease_seconds
                    )
                    if self._fence is None:
                        return 0
                    self._renew_at = time.monotonic() + services.settings.lease_seconds / 3
                elif time.monotonic() > self._renew_at:
                    await leases.renew(session, LEASE, fence=self._fence, seconds=services.settings.lease_seconds)
                    self._renew_at = time.monotonic() + services.settings.lease_seconds / 3
                else:
                    await leases.check(session, LEASE, fence=self._fence)
                happened = await relay.relay(services, session, SUBSCRIPTIONS, now=now())
                if len(happened) == relay.BATCH:
                    return len(happened)
                if time.monotonic() > self._retry_at:
                    self._retry_at = time.monotonic() + services.settings.tick_seconds
                    return await relay.retry(services, session, SUBSCRIPTIONS, now=now())
                return 0
        except LeaseLost:
            self._fence = None
            return 0

    async def close(self) -> None:
        """Let another worker go on at once."""
        if self._fence is not None:
            async with self._services.database.transaction() as session:
                await leases.release(session, LEASE, fence=self._fence)
