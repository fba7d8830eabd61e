"""Files that come after their message: each once, whoever fetches it, and a word where one cannot be had."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from helpdesk import clock
from helpdesk.channels import LeaseLost, PermanentFailure, Unreachable
from helpdesk.db import insert_rows
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.models.events import events
from helpdesk.models.messages import attachments, messages
from helpdesk.models.social import inbound_media
from helpdesk.net import Guard
from helpdesk.services import blobs, media
from helpdesk.services.house import Services
from tests import factories
from tests.social.vendor import WALL, with_wall
from workers.connections import Connections
from workers.media import Media

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
BY = Actor(AuthorKind.AGENT, None, "Anna", Role.ADMIN)


class Desk:
    """A message with files that are still on the wall."""

    def __init__(self, services: Services) -> None:
        self.services = with_wall(services)
        self.connections = Connections(self.services, Guard())

    async def message(self, *sources: str) -> UUID:
        inbox_id = await factories.inbox(self.services, channel="wall", name="us")
        conversation_id = await factories.conversation(self.services, inbox_id=inbox_id)
        async with self.services.database.transaction() as session:
            query = select(messages.c.id).where(messages.c.conversation_id == conversation_id)
            message_id: UUID = (await session.execute(query)).scalars().one()
            known: dict[str, Any] = {"filename": "../proof.html", "content_type": "text/html", "now": clock.now()}
            rows = [media.waiting(message_id, inbox_id, source=source, **known) for source in sources]
            await insert_rows(session, inbound_media, rows)
        return message_id

    def worker(self, name: str = "one") -> Media:
        return Media(self.services, self.connections, worker=name)

    async def rows(self, table: Any) -> list[Any]:
        async with self.services.database.reading() as session:
            return list((await session.execute(select(table))).mappings())

    async def later(self) -> None:
        """All that waits is due, and no claim is held."""
        async with self.services.database.transaction() as session:
            past = clock.now() - timedelta(seconds=1)
            await session.execute(update(inbound_media).values(next_attempt_at=past, claimed_until=0.0))


async def test_a_file_is_fetched_once_and_is_what_its_bytes_say(services: Services) -> None:
    desk = Desk(services)
    message_id = await desk.message("m/1")
    WALL.media["m/1"] = PNG
    assert [await desk.worker().step(), await desk.worker("two").step()] == [1, 0]
    (file,) = await desk.rows(attachments)
    assert (file["message_id"], file["content_type"], file["size"]) == (message_id, "image/png", len(PNG))
    assert "/" not in file["filename"]
    async with desk.services.database.reading() as session:
        assert await blobs.get(desk.services, session, file["blob_id"]) == PNG
    (message,) = await desk.rows(messages)
    assert message["attachment_count"] == 1
    told = [one["data"]["changes"] for one in await desk.rows(events) if one["type"] == "conversation.updated"]
    assert told == [{"messages": {str(message_id): ["attachments"]}}]


async def test_one_that_cannot_be_had_now_is_tried_again_and_keeps_nobody_else_waiting(services: Services) -> None:
    desk = Desk(services)
    await desk.message("away", "here")
    WALL.media.update({"away": Unreachable("no answer"), "here": PNG})
    assert await desk.worker().step() == 2
    assert [one["size"] for one in await desk.rows(attachments)] == [len(PNG)]
    assert await desk.worker().step() == 0, "it rests before it is tried again"
    await desk.later()
    WALL.media["away"] = PNG + b"2"
    assert await desk.worker().step() == 1
    assert len(await desk.rows(attachments)) == 2


@pytest.mark.parametrize(("why", "tries"), [(PermanentFailure("deleted"), 1), (Unreachable("no answer"), 5)])
async def test_what_is_gone_is_said_on_the_message(services: Services, why: Any, tries: int) -> None:
    desk = Desk(services)
    message_id = await desk.message("m/1")
    WALL.media["m/1"] = why
    for _ in range(tries):
        (message,) = await desk.rows(messages)
        assert message["notes"] == []
        await desk.later()
        assert await desk.worker().step() == 1
    await desk.later()
    assert await desk.worker().step() == 0
    (message,), (medium,) = await desk.rows(messages), await desk.rows(inbound_media)
    assert (message["notes"], medium["state"], medium["error"]) == ([media.GONE], "failed", why.kind)
    told = [one["data"]["changes"] for one in await desk.rows(events) if one["type"] == "conversation.updated"]
    assert told == [{"messages": {str(message_id): ["notes"]}}]


async def test_who_lost_his_claim_meanwhile_keeps_nothing(services: Services) -> None:
    desk = Desk(services)
    await desk.message("m/1")
    how: dict[str, Any] = {"limit": 4, "lease_seconds": 60, "now": clock.now()}
    async with desk.services.database.transaction() as session:
        (slow,) = await media.claim(session, worker="slow", **how)
    await desk.later()
    WALL.media["m/1"] = PNG
    assert await desk.worker("quick").step() == 1
    with pytest.raises(LeaseLost):
        await media.kept(desk.services, slow, PNG, now=clock.now())
    with pytest.raises(LeaseLost):
        await media.refused(desk.services, slow, error="gone", final=True, now=clock.now())
    assert len(await desk.rows(attachments)) == 1


async def test_a_fault_of_ours_is_no_endless_loop(services: Services) -> None:
    desk = Desk(services)
    await desk.message("nobody knows it")
    for _ in range(5):
        await desk.later()
        assert await desk.worker().step() == 1
    (medium,) = await desk.rows(inbound_media)
    assert (medium["state"], medium["error"]) == ("failed", "internal")


async def test_a_message_that_is_deleted_while_its_file_is_fetched_disturbs_no_other(services: Services) -> None:
    desk = Desk(services)
    await desk.message("m/1", "m/2")
    WALL.media.update({"m/1": PNG, "m/2": PNG})
    how: dict[str, Any] = {"limit": 4, "lease_seconds": 60, "now": clock.now()}
    async with desk.services.database.transaction() as session:
        claimed = await media.claim(session, worker="one", **how)
    async with desk.services.database.transaction() as session:
        await session.execute(delete(messages))
    assert [await desk.worker()._one(one) for one in claimed] == [None, None]
    assert await desk.rows(inbound_media) == []
