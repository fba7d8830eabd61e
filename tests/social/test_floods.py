"""The same lure from many accounts: one conversation stands for all, and nothing that somebody works on is touched."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from helpdesk import clock
from helpdesk.domain.events import MessageReceived
from helpdesk.models.alerts import alerts
from helpdesk.models.conversations import conversation_links, conversations
from helpdesk.models.messages import messages
from helpdesk.models.social import fingerprints
from helpdesk.services import events, floods
from helpdesk.services.house import Services
from tests import factories
from tests.domain.test_similarity import LURE
from tests.social.vendor import with_wall
from workers.floods import fold
from workers.relaying import Relaying


class Desk:
    def __init__(self, services: Services) -> None:
        self.services = with_wall(services)
        self.relaying = Relaying(self.services, worker="one")
        self.posts = 0

    async def open(self) -> None:
        self.inbox_id = await factories.inbox(self.services, channel="wall", name="us")
        await fold(self.services)  # it begins with what comes next

    async def post(self, text: str = LURE, *, author: str = "", visibility: str = "public", **given: Any) -> UUID:
        """Somebody new says it, in a conversation of his own."""
        self.posts += 1
        now, handle = clock.now() + timedelta(seconds=self.posts), author or f"account-{self.posts}"
        place = await factories.conversation(
            self.services, inbox_id=self.inbox_id, handle=handle, text=f"{text} {self.posts}", now=now, **given
        )
        m = messages.c
        async with self.services.database.transaction() as session:
            mine = update(messages).where(m.conversation_id == place).values(visibility=visibility)
            (message_id,) = (await session.execute(mine.returning(m.id))).scalars().all()
            rest: dict[str, Any] = {"channel": "wall", "first": True, "silent": False}
            told = MessageReceived(conversation_id=place, seq=1, message_id=message_id, inbox_id=self.inbox_id, **rest)
            await events.record(session, told, now=now)
        return place

    async def look(self) -> None:
        while await self.relaying.step():
            pass
        while await fold(self.services):
            pass

    async def rows(self, table: Any) -> list[Any]:
        async with self.services.database.reading() as session:
            return list((await session.execute(select(table))).mappings())

    async def spam(self) -> set[UUID]:
        return {row["id"] for row in await self.rows(conversations) if row["spam"]}

    async def floods(self) -> list[Any]:
        return [one for one in await self.rows(alerts) if one["kind"] == "flood"]


async def begun(services: Services) -> Desk:
    desk = Desk(services)
    await desk.open()
    return desk


async def test_four_are_no_flood_and_the_fifth_makes_one(services: Services) -> None:
    desk = await begun(services)
    places = [await desk.post() for _ in range(floods.AUTHORS - 1)]
    await desk.look()
    assert await desk.spam() == set()
    places.append(await desk.post())
    await desk.look()
    assert await desk.spam() == set(places[1:])
    links = {(row["conversation_id"], row["related_id"]) for row in await desk.rows(conversation_links)}
    assert links == {(place, places[0]) for place in places[1:]}
    places.append(await desk.post())
    await desk.look()
    assert await desk.spam() == set(places[1:])
    (told,) = await desk.floods()
    assert told["conversation_id"] == places[0]


async def test_one_account_that_says_it_often_is_no_flood(services: Services) -> None:
    desk = await begun(services)
    for _ in range(floods.AUTHORS + 2):
        await desk.post(author="the same")
    await desk.look()
    assert (await desk.spam(), await desk.floods()) == (set(), [])


async def test_the_same_complaint_of_many_is_none(services: Services) -> None:
    desk = await begun(services)
    for _ in range(floods.AUTHORS + 2):
        await desk.post("@wallet my withdrawal of 300 USDT has not arrived for three days and nobody answers me here")
    await desk.look()
    assert (await desk.spam(), await desk.rows(fingerprints)) == (set(), [])


async def test_what_was_said_to_us_alone_is_not_looked_at(services: Services) -> None:
    desk = await begun(services)
    for _ in range(floods.AUTHORS):
        await desk.post(visibility="direct")
    await desk.look()
    assert (await desk.spam(), await desk.rows(fingerprints)) == (set(), [])


async def test_what_somebody_works_on_and_what_has_more_in_it_stays(services: Services) -> None:
    desk = await begun(services)
    anna = await factories.agent(services)
    kept = [
        await desk.post(),
        await desk.post(assignee_id=anna.id),
        await desk.post(last_agent_seq=1),
        await desk.post(message_count=2),
    ]
    put_away = [await desk.post() for _ in range(2)]
    await desk.look()
    assert await desk.spam() == set(put_away)
    assert len(kept) == 4


async def test_what_was_taken_out_again_stays_out(services: Services) -> None:
    desk = await begun(services)
    places = [await desk.post() for _ in range(floods.AUTHORS)]
    await desk.look()
    async with desk.services.database.transaction() as session:
        await session.execute(update(conversations).where(conversations.c.id == places[2]).values(spam=False))
    places.append(await desk.post())
    await desk.look()
    assert await desk.spam() == {*places[1:]} - {places[2]}
    assert len(await desk.floods()) == 1


async def test_a_flood_of_more_than_are_looked_at_is_put_away_to_its_last(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floods, "_CANDIDATES", 6)
    desk = await begun(services)
    places = [await desk.post() for _ in range(9)]
    await desk.look()
    places.append(await desk.post())
    await desk.look()
    assert await desk.spam() == set(places[1:])


async def test_two_floods_at_once_and_who_files_do_not_wait_for_each_other(services: Services) -> None:
    if not services.database.is_postgresql:
        pytest.skip("one writer at a time")
    desk = await begun(services)
    other = "Airdrop for early users of the new chain: connect at https://drop.example.com and claim your free reward"
    desk.posts = 100
    low = [await desk.post() for _ in range(floods.AUTHORS)]
    desk.posts = 0  # said before the others, and filed after them
    high = [await desk.post(other) for _ in range(floods.AUTHORS)]
    while await desk.relaying.step():
        pass
    one = select(conversations.c.id).with_for_update(key_share=True)
    async with services.database.transaction() as session:
        await session.execute(one.where(conversations.c.id == low[1]))
        looking = asyncio.create_task(desk.look())
        async with asyncio.timeout(10), services.database.reading() as other_session:
            while not await other_session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                await other_session.rollback()
        await session.execute(one.where(conversations.c.id == high[1]))
    await looking
    assert len(await desk.spam()) == 2 * (floods.AUTHORS - 1)
