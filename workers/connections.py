"""The connectors that a worker has built, one per inbox, rebuilt when the inbox's settings change."""

from __future__ import annotations

import asyncio
from uuid import UUID

from sqlalchemy import select

from helpdesk.channels import Channel, Closes, Connector, Misconfigured
from helpdesk.models.inboxes import inboxes
from helpdesk.net import Guard
from helpdesk.services.house import Services
from helpdesk.services.inbox_connecting import connect


class Connections:
    """Ask for a connector; the same one comes back for as long as the inbox's version stands."""

    def __init__(self, services: Services, guard: Guard) -> None:
        self._services, self._guard = services, guard
        self._built: dict[UUID, tuple[int, Connector]] = {}
        self._lock = asyncio.Lock()

    async def get(self, inbox_id: UUID) -> Connector:
        """Raises `Misconfigured` when the inbox's stored settings no longer fit the channel's schema."""
        async with self._lock:
            async with self._services.database.reading() as session:
                inbox = (await session.execute(select(inboxes).where(inboxes.c.id == inbox_id))).mappings().one()
            version, connector = self._built.get(inbox_id, (0, None))
            if connector is None or version != inbox["version"]:
                await self._close(connector)
                try:
                    connector = await asyncio.to_thread(connect, self._services, self._guard, inbox)
                except ValueError as error:
                    raise Misconfigured("the inbox's settings do not fit its channel") from error
                self._built[inbox_id] = (inbox["version"], connector)
            return connector

    async def channel(self, inbox_id: UUID) -> Channel:
        async with self._services.database.reading() as session:
            name = (await session.execute(select(inboxes.c.channel).where(inboxes.c.id == inbox_id))).scalar_one()
        return self._services.channel(name)

    async def close(self) -> None:
        for _, connector in self._built.values():
            await self._close(connector)
        self._built.clear()

    @staticmethod
    async def _close(connector: Connector | None) -> None:
        if isinstance(connector, Closes):
            await connector.close()
