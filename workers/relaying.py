"""Runs the relay, one in the whole fleet, by lease."""

from __future__ import annotations

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
                else:
                    await leases.renew(session, LEASE, fence=self._fence, seconds=services.settings.lease_seconds)
                happened = await relay.relay(services, session, SUBSCRIPTIONS, now=now())
                if happened:
                    return len(happened)
                return await relay.retry(services, session, SUBSCRIPTIONS, now=now())
        except LeaseLost:
            self._fence = None
            return 0

    async def close(self) -> None:
        """Let another worker go on at once."""
        if self._fence is not None:
            async with self._services.database.transaction() as session:
                await leases.release(session, LEASE, fence=self._fence)
