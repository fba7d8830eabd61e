"""The loop of media: fetches files that vendors keep for us, a few at a time."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from helpdesk.channels import ChannelError, FetchesMedia, LeaseLost, PermanentFailure, TemporaryFailure
from helpdesk.clock import now
from helpdesk.logs import fault
from helpdesk.services import media
from helpdesk.services.house import Services
from helpdesk.statements import Row
from workers.connections import Connections

log = structlog.get_logger()

AT_ONCE: Final = 4
SECONDS: Final = 60.0
"""For one file. The claim lasts twice as long, so that nobody else begins while one is on its way."""


class Media:
    """One worker's fetching."""

    def __init__(self, services: Services, connections: Connections, *, worker: str, seconds: float = SECONDS) -> None:
        self._services, self._connections, self._worker, self._seconds = services, connections, worker, seconds

    async def step(self) -> int:
        """Claim what is due and fetch it. Answers how much there was."""
        async with self._services.database.transaction() as session:
            claimed = await media.claim(
                session, worker=self._worker, limit=AT_ONCE, lease_seconds=2 * self._seconds, now=now()
            )
        await asyncio.gather(*map(self._one, claimed))
        return len(claimed)

    async def _one(self, medium: Row) -> None:
        try:
            try:
                await self._fetched(medium)
            except LeaseLost:
                raise
            except Exception as error:  # it is tried again, but not without end; the others go on
                log.error("media.failed", **fault(error))
                await media.refused(self._services, medium, error="internal", final=False, now=now())
        except LeaseLost:
            log.info("media.taken_over")

    async def _fetched(self, medium: Row) -> None:
        most = self._services.settings.media_mb * 1024 * 1024
        try:
            connector = await self._connections.get(medium["inbox_id"])
            if not isinstance(connector, FetchesMedia):
                raise PermanentFailure("the channel fetches nothing")
            async with asyncio.timeout(self._seconds):
                body = await connector.fetch(medium["source"], max_bytes=most)
            if len(body) > most:
                raise PermanentFailure("too large")
        except TimeoutError:
            await media.refused(self._services, medium, error=TemporaryFailure.kind, final=False, now=now())
        except ChannelError as error:
            final = isinstance(error, PermanentFailure)
            await media.refused(self._services, medium, error=error.kind, final=final, now=now())
        else:
            await media.kept(self._services, medium, body, now=now())
