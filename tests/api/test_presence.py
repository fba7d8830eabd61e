"""Who is at a conversation: said again and again, gone by itself, told to those who are there too."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from helpdesk import clock
from helpdesk.models.conversations import conversations
from helpdesk.models.conversations import presence as rows
from helpdesk.models.events import events
from helpdesk.services import presence, visitor_messages, visitor_sessions, visits
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.live import Listening, Served

Client = httpx.AsyncClient


async def say(client: Client, someone: factories.Someone, conversation_id: UUID, state: str) -> Any:
    path = f"/api/v1/conversations/{conversation_id}/presence"
    return await client.post(path, headers=someone.headers, json={"state": state})


async def there(client: Client, someone: factories.Someone, conversation_id: UUID) -> list[tuple[str, str, str]]:
    answer = await client.get(f"/api/v1/conversations/{conversation_id}/presence", headers=someone.headers)
    assert answer.status_code == 200
    return [(one["agent"]["name"], one["state"], one["since"]) for one in answer.json()["items"]]


async def _pass(services: Services, by: timedelta) -> None:
    """Let so much time pass for all that is said so far."""
    async with services.database.transaction() as session:
        for row in (await session.execute(select(rows))).mappings().all():
            mine = rows.c.conversation_id == row["conversation_id"], rows.c.agent_id == row["agent_id"]
            earlier = {"since": row["since"] - by, "expires_at": row["expires_at"] - by}
            await session.execute(update(rows).where(*mine).values(earlier))


async def test_whoever_says_so_is_there_until_he_leaves_or_falls_silent(services: Services, client: Client) -> None:
    desk = await factories.inbox(services)
    anna, ben = await factories.agent(services, name="Anna"), await factories.agent(services, name="Ben")
    mail = await factories.conversation(services, inbox_id=desk)
    said = (await say(client, anna, mail, "viewing")).json()
    assert said["items"][0]["agent"] == {"id": str(anna.id), "name": "Anna"}
    (first,) = await there(client, ben, mail)
    await asyncio.sleep(0.01)
    await say(client, anna, mail, "viewing")
    assert await there(client, ben, mail) == [first], "who goes on with the same is there since then"
    await say(client, ben, mail, "viewing")
    await say(client, anna, mail, "typing")
    found = await there(client, ben, mail)
    assert [one[:2] for one in found] == [("Ben", "viewing"), ("Anna", "typing")]
    await _pass(services, timedelta(seconds=44))
    await say(client, ben, mail, "viewing")
    await _pass(services, timedelta(seconds=2))
    assert [one[:2] for one in await there(client, ben, mail)] == [("Ben", "viewing")]
    for _ in range(2):
        assert (await say(client, ben, mail, "gone")).json() == {"items": []}


async def test_of_many_conversations_one_learns_at_once_who_is_there_where_one_may_look(
    services: Services, client: Client
) -> None:
    anna, ben = await factories.agent(services, name="Anna"), await factories.agent(services, name="Ben")
    hers, his = [await factories.inbox(services, members=[one.id]) for one in (anna, ben)]
    first, empty = [await factories.conversation(services, inbox_id=hers, messages=0) for _ in range(2)]
    foreign = await factories.conversation(services, inbox_id=his, messages=0)
    boss = await factories.agent(services, role="supervisor", name="Carl")
    await say(client, anna, first, "typing")
    await say(client, boss, first, "viewing")
    await say(client, ben, foreign, "viewing")

    async def places(someone: factories.Someone) -> dict[str, list[str]]:
        query = "&".join(f"conversation_id={one}" for one in (first, empty, foreign, foreign))
        answer = await client.get(f"/api/v1/presence?{query}", headers=someone.headers)
        assert answer.status_code == 200, answer.text
        return {
            one["conversation_id"]: [there["agent"]["name"] for there in one["presence"]]
            for one in answer.json()["items"]
        }

    assert await places(anna) == {str(first): ["Anna", "Carl"]}
    assert await places(ben) == {str(foreign): ["Ben"]}
    assert await places(boss) == {str(first): ["Anna", "Carl"], str(foreign): ["Ben"]}
    for query in ("", "?conversation_id=1", "?" + "&".join([f"conversation_id={first}"] * 101)):
        assert (await client.get(f"/api/v1/presence{query}", headers=anna.headers)).status_code == 422


@ON_ONE_DATABASE
async def test_a_presence_is_refused_where_it_makes_no_sense(
    services: Services, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, anna = await factories.inbox(services), await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=desk)
    answer = await say(client, anna, mail, "sleeping")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "state"
    monkeypatch.setattr(presence, "PLACES", 3)
    for _ in range(3):
        await say(client, anna, await factories.conversation(services, inbox_id=desk, messages=0), "viewing")
    assert (await say(client, anna, mail, "viewing")).status_code == 429
    await _pass(services, presence.LASTS)
    assert (await say(client, anna, mail, "viewing")).status_code == 200
    async with services.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(rows)) == 1, "what has run out is taken away"


async def test_those_at_the_same_conversation_are_told_of_changes_and_nobody_else(
    services: Services, client: Client
) -> None:
    desk = await factories.inbox(services)
    anna, ben, cleo = [await factories.agent(services, name=name) for name in ("Anna", "Ben", "Cleo")]
    mail, other = [await factories.conversation(services, inbox_id=desk, messages=0) for _ in range(2)]
    await say(client, ben, mail, "viewing")
    await say(client, cleo, other, "viewing")
    async with Served(services) as served, AsyncExitStack() as stack:
        hers, his, elsewhere = [
            await stack.enter_async_context(Listening(served.port, one.token, query="?types=presence"))
            for one in (anna, ben, cleo)
        ]
        for state in ("viewing", "viewing", "typing"):
            await say(client, anna, mail, state)
            await his.until(lambda found, state=state: _states(found)[-1:] == [{"Ben": "viewing", "Anna": state}])
        await say(client, ben, mail, "gone")
        (left,) = await hers.until(1)
        assert _states([left]) == [{"Anna": "typing"}], "and of what she does herself she knows"
        assert len(his.events) == 2, "what stays as it is is not told"
        assert not elsewhere.events
    assert set(left) == {"type", "occurred_at", "conversation_id", "data"}
    assert left["conversation_id"] == str(mail)
    async with services.database.reading() as session:
        kinds = set((await session.execute(select(events.c.type))).scalars())
    assert "presence" not in kinds, "it is told in passing, and kept nowhere"


async def test_whoever_has_a_chat_is_told_whether_its_visitor_is_there_writes_and_has_read(services: Services) -> None:
    anna, ben, cleo = [await factories.agent(services, name=name) for name in ("Anna", "Ben", "Cleo")]
    desk = await factories.inbox(services, channel="chat")
    async with services.database.transaction() as session:
        words = {"name": "Mina", "email": "", "language": "en", "fields": {}}
        opened = await visitor_sessions.begin(services, session, desk, identity=None, **words, now=clock.now())
    async with services.database.transaction() as session:
        given = {"client_id": "1", "text": "Hello?", "now": clock.now() - timedelta(minutes=1)}
        chat = (await visitor_messages.say(services, session, opened.visitor, **given)).conversation_id
        await session.execute(update(conversations).where(conversations.c.id == chat).values(assignee_id=anna.id))
    visitor = await visitor_sessions.find(services.database, opened.token, now=clock.now())
    async with Served(services) as served, AsyncExitStack() as stack:
        queries = ("", f"&conversation_id={chat}", "")
        hers, his, elsewhere = [
            await stack.enter_async_context(Listening(served.port, one.token, query=f"?types=presence{query}"))
            for one, query in zip((anna, ben, cleo), queries, strict=True)
        ]
        async with served.visitors.subscribe(visitor, after=0, conversation_id=chat):
            for listener in (hers, his):
                await listener.until(lambda found: found and found[-1]["data"]["contact"]["online"])
            async with services.database.transaction() as session:
                await visits.typing(session, visitor, until=clock.now() + timedelta(seconds=30), now=clock.now())
            await hers.until(lambda found: found[-1]["data"]["contact"]["typing"])
            async with services.database.transaction() as session:
                await visits.typing(session, visitor, until=None, now=clock.now())
                await visits.read(session, visitor, 1, now=clock.now())
            expected = {"online": True, "typing": False, "read_seq": 1}
            for listener in (hers, his):
                await listener.until(lambda found: found[-1]["data"]["contact"] == expected)
        assert set(hers.events[-1]["data"]) == {"presence", "contact"}
        assert "Hello?" not in str(hers.events), "what is said is not told in passing"
        assert not elsewhere.events


def _states(found: Any) -> list[dict[str, str]]:
    return [{one["agent"]["name"]: one["state"] for one in told["data"]["presence"]} for told in found]
