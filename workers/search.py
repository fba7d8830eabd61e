"""Follows the events and keeps what a search looks into, one in the whole fleet, by lease."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.clock import now
from helpdesk.services import following, leases, search_indexing
from helpdesk.services.house import Services
from helpdesk.services.search_indexing import Seen

LEASE = "search"


class Searching:
    """Keeps the lease between steps. A step reads and thinks without a transaction, and holds one only to write."""

    def __init__(self, services: Services, *, worker: str) -> None:
        self._services, self._worker = services, worker
        self._fence: int | None = None

    async def step(self) -> int:
        """Take in one batch of events, or find that another worker does. Answers whether there may be more."""
        database = self._services.database
        if self._fence is None:
            async with database.transaction() as session:
                seconds = self._services.settings.lease_seconds
                self._fence = await leases.acquire(session, LEASE, owner=self._worker, seconds=seconds)
        if self._fence is None:
            return 0
        try:
            if came := await following.follow(database, search_indexing.FOLLOWER, self._take_in):
                return came
            async with database.transaction() as session:
                await leases.check(session, LEASE, fence=self._fence)
                return int(await search_indexing.begin_walk(session, now=now()))
        except LeaseLost:
            self._fence = None
            return 0

    async def _take_in(self, session: AsyncSession, seen: Seen, /) -> None:
        await leases.check(session, LEASE, fence=self._fence or 0)
        await search_indexing.take_in(session, seen)

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
