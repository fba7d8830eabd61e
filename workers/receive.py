"""Runs the connectors of the inboxes that this worker has leased, each in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, select

from helpdesk.channels import ChannelError, LeaseLost, Misconfigured
from helpdesk.clock import now
from helpdesk.domain.values import InboxStatus
from helpdesk.logs import fault
from helpdesk.models.inboxes import inboxes
from helpdesk.net import Guard
from helpdesk.services import health, leases
from helpdesk.services.house import Services
from workers.connections import Connections
from workers.hosts import Desk, InboxHost

log = structlog.get_logger()


_NO_VERSION = -1


@dataclass(slots=True)
class _Running:
    version: int
    fence: int
    task: asyncio.Task[None]


class Receiver:
    """Each step compares what should run with what does, and takes leases, starts and stops connectors to match."""

    def __init__(
        self, services: Services, guard: Guard, connections: Connections, *, worker: str, desk: Desk | None = None
    ) -> None:
        self._services, self._guard, self._worker = services, guard, worker
        self._connections, self._desk = connections, desk
        self._running: dict[UUID, _Running] = {}

    async def step(self) -> int:
        """Answers zero: there is nothing to repeat."""
        async with self._services.database.reading() as session:
            found = await session.execute(
                select(inboxes).where(inboxes.c.state == InboxStatus.ACTIVE.value, inboxes.c.deleted_at.is_(None))
            )
            wanted = {row["id"]: row for row in found.mappings()}
        for inbox_id, running in list(self._running.items()):
            row = wanted.get(inbox_id)
            if running.task.done() or row is None or row["version"] != running.version:
                await self._stop(inbox_id)
        for inbox_id, row in wanted.items():
            if inbox_id not in self._running:
                await self._start(row)
        return 0

    def runs(self) -> set[tuple[UUID, int]]:
        """What is read at the moment, and by which version of its settings; what has ended by none that there is."""
        return {(inbox_id, _NO_VERSION if one.task.done() else one.version) for inbox_id, one in self._running.items()}

    def leases(self) -> dict[str, int]:
        """What is to be renewed, with the fences."""
        return {_lease(inbox_id): running.fence for inbox_id, running in self._running.items()}

    async def lost(self, lost: Mapping[str, int]) -> None:
        """Others have these by now, under later fences: stop before more is done."""
        for inbox_id, running in list(self._running.items()):
            if lost.get(_lease(inbox_id)) == running.fence:
                log.warning("inbox.lease_lost", inbox_id=str(inbox_id))
                await self._stop(inbox_id)

    async def close(self) -> None:
        await asyncio.gather(*map(self._stop, list(self._running)))

    async def _start(self, row: RowMapping) -> None:
        async with self._services.database.transaction() as session:
            fence = await leases.acquire(
                session, _lease(row["id"]), owner=self._worker, seconds=self._services.settings.lease_seconds
            )
        if fence is not None:
            task = asyncio.create_task(self._run(row, fence), name=f"inbox {row['id']}")
            self._running[row["id"]] = _Running(row["version"], fence, task)

    async def _stop(self, inbox_id: UUID) -> None:
        # The heartbeat and a step may both find that it has to end.
        running = self._running.pop(inbox_id, None)
        if running is None:
            return
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        async with self._services.database.transaction() as session:
            await leases.release(session, _lease(inbox_id), fence=running.fence)

    async def _run(self, row: RowMapping, fence: int) -> None:
        """One inbox's connector. It retries connection trouble itself; if it ends, the next step starts it anew."""
        host = InboxHost(self._services, self._guard, inbox=row, lease=_lease(row["id"]), fence=fence, desk=self._desk)
        try:
            # The one that also sends: two of them would rotate each other's OAuth grants away.
            connector = await self._connections.get(row["id"])
            await connector.run(host)
        except LeaseLost:
            log.warning("inbox.lease_lost", inbox_id=str(row["id"]))
        except Exception as error:  # one inbox's failure is its own
            log.error("inbox.crashed", inbox_id=str(row["id"]), **fault(error))
            told = error if isinstance(error, ChannelError) else Misconfigured("the connector stopped unexpectedly")
            async with self._services.database.transaction() as session:
                await health.failed(session, row["id"], told, now=now())
            await asyncio.sleep(5)


def _lease(inbox_id: UUID) -> str:
    return f"inbox:{inbox_id}"
