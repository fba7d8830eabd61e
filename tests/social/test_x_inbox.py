"""An account's inbox in the house: what is polled is filed once, what leaves is posted once, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from connectors.x.tests.fake import FakeX
from helpdesk.models.events import events
from helpdesk.models.inboxes import inbox_states, raw_items
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import House
from workers.connections import Connections
from workers.receive import Receiver


@dataclass
class Desk:
    """An inbox, the house that it is in, and the other side."""

    house: House
    x: FakeX
    inbox_id: UUID
    opened: list[Connections] = field(default_factory=list)

    def worker(self, name: str = "one") -> Receiver:
        self.opened.append(Connections(self.house.services, self.house.guard))
        return Receiver(self.house.services, self.house.guard, self.opened[-1], worker=name)

    async def held(self, inbox_id: UUID | None = None) -> set[str]:
        where = raw_items.c.inbox_id == (inbox_id or self.inbox_id)
        return {row["position"] for row in await self.house.rows(raw_items, where)}

    async def poll(self, *positions: str, name: str = "one") -> None:
        """A worker looks until these are stored, and ends; then all is filed."""
        worker = self.worker(name)
        await worker.step()
        await until(lambda: self._has(set(positions)))
        await worker.close()
        await self.house.drain()

    async def _has(self, positions: set[str]) -> bool:
        return positions <= await self.held()

    async def outgoing(self) -> list[Any]:
        return [row for row in await self.house.messages() if row["type"] == "outgoing"]


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():
            await asyncio.sleep(0.02)


async def added(services: Services, x: FakeX, **more: Any) -> UUID:
    given = {**x.tokens.oauth1, "api_url": x.origin, "username": "desk", "poll_seconds": 1, **more}
    return await factories.inbox(services, channel="x", **given)


@pytest.fixture
async def desk(services: Services) -> AsyncIterator[Desk]:
    settings = services.settings.model_copy(update={"uncertain_seconds": 0})
    with FakeX() as x:
        async with House(replace(services, settings=settings)) as house:
            made = Desk(house, x, await added(services, x))
            yield made
            for opened in made.opened:
                await opened.close()


async def test_a_mention_is_answered_once_though_the_connection_died_and_goes_on_where_it_was(desk: Desk) -> None:
    house, x = desk.house, desk.x
    post = x.mention("ann", "@desk where is my withdrawal?")
    await desk.poll(f"m;{post}")
    (conversation,) = await house.conversations()
    (question,) = await house.incoming()
    assert (question["visibility"], question["external_id"]) == ("public", post)
    assert conversation["contact_handle"] == x.world.user("ann")

    x.accept_then_cut("POST /2/tweets")
    await house.reply(conversation["id"], "We are looking into it.", visibility="public")
    await house.drain()
    (made,) = x.sent
    (told,) = await desk.outgoing()
    assert (told["delivery_status"], told["external_id"]) == ("sent", made["id"])
    assert told["external_url"].endswith(f"/status/{made['id']}")

    more = x.mention("ann", "@desk thank you", answers=made["id"])
    aside = x.mention("bob", "@desk me too", answers=made["id"])
    await desk.poll(f"m;{more}", f"m;{aside}", name="two")
    first, second = await house.conversations()
    assert [row["new_text"] for row in await house.incoming(first["id"])][-1] == "@desk thank you"
    assert [row["new_text"] for row in await house.incoming(second["id"])] == ["@desk me too"]
    assert len(x.sent) == 1


async def test_a_private_answer_reaches_one_person_and_our_own_words_do_not_come_back(desk: Desk) -> None:
    house, x = desk.house, desk.x
    event = x.dm("ann", "My number is 17")
    await desk.poll(f"dm;{event}")
    (conversation,) = await house.conversations()
    await house.reply(conversation["id"], "Thank you, Ann.")
    await house.drain()
    (sent,) = x.dms_sent
    assert sent["text"] == "Thank you, Ann."
    more = x.dm("ann", "And my receipt is attached")
    await desk.poll(f"dm;{more}", f"dm;{sent['id']}")
    assert len(await house.conversations()) == 1
    assert [row["type"] for row in await house.messages()] == ["incoming", "outgoing", "incoming"]


@ON_ONE_DATABASE
async def test_a_withdrawn_access_is_told_at_once_others_go_on_and_nothing_is_lost(desk: Desk) -> None:
    house, x = desk.house, desk.x
    first = x.mention("ann", "@desk hello")
    await desk.poll(f"m;{first}")
    with FakeX() as other:
        theirs = await added(house.services, other, username="branch")
        x.revoke()
        missed, seen = x.mention("ann", "@desk are you there?"), other.mention("bob", "@desk and you?")
        worker = desk.worker()
        await worker.step()

        async def settled() -> bool:
            failing = await house.rows(inbox_states, inbox_states.c.error_kind == "revoked")
            return len(failing) == 1 and f"m;{seen}" in await desk.held(theirs)

        await until(settled)
        await worker.close()
    (failing,) = await house.rows(events, events.c.type == "inbox.failing")
    assert str(desk.inbox_id) in str(failing["data"])
    x.tokens.revoked = False
    await desk.poll(f"m;{first}", f"m;{missed}", name="later")
    assert len(await house.incoming()) == 3


@ON_ONE_DATABASE
async def test_a_long_answer_is_a_thread_in_its_order_though_connections_die(desk: Desk) -> None:
    house, x = desk.house, desk.x
    post = x.mention("ann", "@desk how does it work?")
    await desk.poll(f"m;{post}")
    (conversation,) = await house.conversations()
    x.accept_then_cut("POST /2/tweets", times=2)
    await house.reply(conversation["id"], "This is how it works, step by step. " * 20, visibility="public")
    await house.drain()
    made = sorted(x.sent, key=lambda one: int(one["id"]))
    assert len(made) == 3
    assert [one["referenced_tweets"][0]["id"] for one in made] == [post, made[0]["id"], made[1]["id"]]
    assert [row["delivery_status"] for row in await desk.outgoing()] == ["sent"] * 3
