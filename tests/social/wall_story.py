"""What is told on the made-up wall: an inbox on it, somebody who wrote there, and workers that send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import RowMapping, select, update

from helpdesk import clock
from helpdesk.app import create_app
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import deliveries, messages
from helpdesk.models.social import conversation_threads
from helpdesk.services.house import Services
from tests import documented, factories
from tests.factories import Someone
from tests.house import House
from tests.social.vendor import with_wall

MINA = "4711"
POST = "post:17"
DELIVERED = ("message.sent", "message.failed", "message.uncertain")


@dataclass
class Wall:
    """One inbox, one conversation with a public message of Mina's, and a worker by hand."""

    house: House
    client: httpx.AsyncClient
    inbox_id: UUID
    conversation_id: UUID
    asked: str
    """The external id of what Mina wrote."""
    bot: Someone
    keys: list[int] = field(default_factory=list)

    @property
    def services(self) -> Services:
        return self.house.services

    async def post(self, path: str, body: Any, *, key: str = "", by: Someone | None = None) -> httpx.Response:
        self.keys.append(0)
        headers = {**(by or self.bot).headers, "Idempotency-Key": key or f"key {len(self.keys)}"}
        return await self.client.post(f"/api/v1/{path}", json=body, headers=headers)

    async def reply(self, text: str = "It is on its way.", *, key: str = "", **given: Any) -> httpx.Response:
        body = {"inbox_id": str(self.inbox_id), "in_reply_to": self.asked, "text": text, "visibility": "public"}
        return await self.post("social/replies", body | given, key=key)

    async def states(self) -> list[str]:
        found = await self.house.rows(deliveries)
        return [row["status"] for row in sorted(found, key=lambda row: row["message_id"])]

    async def told(self, *types: str) -> list[str]:
        rows = await self.house.rows(events, events.c.type.in_(types or DELIVERED))
        return [row["type"] for row in rows]

    async def due_now(self) -> None:
        """As waiting does."""
        async with self.services.database.transaction() as session:
            open_ones = deliveries.c.status.in_(("queued", "sending", "uncertain"))
            await session.execute(update(deliveries).where(open_ones).values(next_attempt_at=clock.now()))

    async def conversation(self) -> RowMapping:
        return await self.house.row(conversations, conversations.c.id == self.conversation_id)

    async def outgoing(self) -> list[RowMapping]:
        async with self.services.database.reading() as session:
            query = select(messages).where(messages.c.type == "outgoing").order_by(messages.c.seq)
            return list((await session.execute(query)).mappings())


@asynccontextmanager
async def wall(services: Services, **settings: Any) -> AsyncIterator[Wall]:
    """`settings` are the inbox's."""
    quick = services.settings.model_copy(update={"uncertain_seconds": 0.0})
    walled = replace(with_wall(services), settings=quick)
    bot = await factories.agent(walled, kind="bot", scopes=["social:write"], role="admin")
    inbox_id = await factories.inbox(walled, channel="wall", name="us", **settings)
    conversation_id = await factories.conversation(walled, inbox_id=inbox_id, handle=MINA, messages=0)
    message_id = await factories.incoming(walled, conversation_id, visibility="public", thread=POST)
    app = create_app(walled)
    transport = httpx.ASGITransport(app)
    hooks = {"response": [documented.checker(app)]}
    async with (
        House(walled) as house,
        httpx.AsyncClient(transport=transport, base_url="http://helpdesk.test", event_hooks=hooks) as client,
    ):
        asked = (await house.row(messages, messages.c.id == message_id))["external_id"]
        yield Wall(house, client, inbox_id, conversation_id, asked, bot)
        await app.state.hub.close()
        await app.state.visitors.close()
        await app.state.touches.settle()


async def thread_row(story: Wall, thread: str) -> RowMapping | None:
    found = await story.house.rows(conversation_threads, conversation_threads.c.thread == thread)
    return found[0] if found else None
