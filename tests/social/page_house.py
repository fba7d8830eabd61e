"""A Page's inbox in the house, which takes what its Instagram account is told too, and the vendor on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import update

from connectors.facebook.tests import signed
from connectors.facebook.tests.fake import INSTAGRAM, PAGE, SECRET, TOKEN, VERIFY, FakeGraph
from helpdesk import clock
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import deliveries
from helpdesk.services.house import Services
from tests import factories
from tests.house import House


@dataclass
class Desk:
    """The house, the door that webhooks come to, and the vendor."""

    house: House
    client: httpx.AsyncClient
    graph: FakeGraph
    inbox_id: UUID

    async def told(self, payload: dict[str, Any], **how: Any) -> None:
        """One webhook, which is taken."""
        answer = await signed.post(self.client, self.inbox_id, payload, secret=SECRET, **how)
        assert answer.status_code == 200

    async def states(self) -> list[str]:
        """How far each of our messages is."""
        return [row["delivery_status"] for row in await self.house.messages() if row["type"] == "outgoing"]

    async def waited(self) -> None:
        """As long as anything was put off for."""
        async with self.house.services.database.transaction() as session:
            await session.execute(update(deliveries).values(next_attempt_at=clock.now()))
            await session.execute(update(raw_items).values(next_attempt_at=clock.now()))
        await self.house.drain()


@asynccontextmanager
async def opened(services: Services) -> AsyncIterator[tuple[House, FakeGraph, UUID]]:
    """The house, the vendor and the inbox. What is uncertain is looked up at once."""
    with FakeGraph() as graph:
        given: dict[str, Any] = {"page_id": PAGE, "instagram_id": INSTAGRAM, "api_url": graph.origin}
        given |= {"page_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY}
        inbox_id = await factories.inbox(services, channel="facebook", **given)
        settings = services.settings.model_copy(update={"uncertain_seconds": 0.0})
        async with House(replace(services, settings=settings)) as house:
            yield house, graph, inbox_id
