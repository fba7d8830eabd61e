"""Does what takes longer than a request: one job at a time, batch by batch, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import structlog
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.clock import now
from helpdesk.logs import fault
from helpdesk.services import automation_trial_job, bulk, jobs, replanning, search_indexing, webhook_replay
from helpdesk.services.house import Services
from helpdesk.services.jobs import MAX_ATTEMPTS, Step

log = structlog.get_logger()


class Handler(Protocol):
    """Does the batch that `job["cursor"]` says is next (`{}`: the first), in `session`, and commits nothing.

    It is called again for the same batch when what it did was rolled back. A batch is short: a second or so, since on
    SQLite nobody else writes meanwhile.
    """

    def __call__(
        self, services: Services, session: AsyncSession, job: RowMapping, /, *, now: datetime
    ) -> Awaitable[Step]: ...


HANDLERS: Final[Mapping[str, Handler]] = {
    automation_trial_job.KIND: automation_trial_job.handle,
    bulk.KIND: bulk.handle,
    replanning.KIND: replanning.replan,
    search_indexing.KIND: search_indexing.reindex,
    webhook_replay.KIND: webhook_replay.handle,
}
"""By kind of job. A kind that is not here waits for a worker that knows it, of a later version for example."""


class Jobs:
    """One worker's job in hand."""

    def __init__(self, services: Services, *, worker: str, handlers: Mapping[str, Handler] = HANDLERS) -> None:
        self._services, self._worker, self._handlers = services, worker, handlers
        self._job: RowMapping | None = None

    @property
    def held(self) -> set[UUID]:
        """What is in hand: a claim that has to be renewed for as long as it is."""
        return set() if self._job is None else {self._job["id"]}

    async def step(self) -> int:
        """Do one batch of the job in hand, or else of the next one. Answers whether there was any."""
        job = self._job = self._job or await self._claim()
        if job is None:
            return 0
        try:
            self._job = await self._batch(job)
        except Exception:
            self._job = None
            raise
        return 1

    async def close(self) -> None:
        """Give the job in hand back; another worker goes on with it at once."""
        if self._job is not None:
            self._job = None
            async with self._services.database.transaction() as session:
                await jobs.release(session, worker=self._worker)

    async def _claim(self) -> RowMapping | None:
        async with self._services.database.transaction() as session:
            return await jobs.claim(
                session,
                worker=self._worker,
                kinds=self._handlers.keys(),
                lease_seconds=self._services.settings.lease_seconds,
                now=now(),
            )

    async def _batch(self, job: RowMapping) -> RowMapping | None:
        """Answers the job as it is then, or None when it is no longer in hand."""
        if job["attempts"] > MAX_ATTEMPTS:
            # Workers died of it without saying why, or it would have failed before.
            await self._failed(job, job["error"] or "worker_died")
            return None
        at = now()
        try:
            async with self._services.database.transaction() as session:
                step = await self._handlers[job["kind"]](self._services, session, job, now=at)
                after = await jobs.advance(
                    session, job, step, lease_seconds=self._services.settings.lease_seconds, now=at
                )
                if step.over:
                    await jobs.finish(session, after, now=at)
        except LeaseLost:
            log.warning("job.taken_over", kind=job["kind"])
        except Exception as error:  # what a handler runs into must not stop the jobs behind it
            log.error("job.failed", kind=job["kind"], attempt=job["attempts"], **fault(error))
            await self._failed(job, type(error).__name__)
        else:
            return None if step.over else after
        return None

    async def _failed(self, job: RowMapping, error: str) -> None:
        verb = jobs.put_off if job["attempts"] < MAX_ATTEMPTS else jobs.fail
        try:
            async with self._services.database.transaction() as session:
                await verb(session, job, error=error, now=now())
        except LeaseLost:
            log.warning("job.taken_over", kind=job["kind"])
