"""The stream: what is told to whom, where it goes on, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.events import InboxFailing, MessageReceived
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import TooMany, Unavailable
from helpdesk.models.events import events, followers
from helpdesk.services import accounts, agents, streaming, tokens
from helpdesk.services import conversations as conversation_service
from helpdesk.services.access import get_conversation
from helpdesk.services.digests import digest_of
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.services.streaming import Hub, Listener
from helpdesk.stream import Line
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.live import Listening, Served
from workers.relaying import Relaying

Client = httpx.AsyncClient
Tell = Callable[..., Awaitable[None]]
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
async def relaying(services: Services) -> Any:
    made = Relaying(services, worker="one")
    yield made
    await made.close()


@pytest.fixture
def tell(services: Services, relaying: Relaying) -> Tell:
    """Let something happen, with its position."""

    async def happen(*happened: Any) -> None:
        async with services.database.transaction() as session:
            await record(session, *happened, now=clock.now())
        while await relaying.step():
            pass

    return happen


def message(conversation_id: UUID, inbox_id: UUID, seq: int = 1) -> MessageReceived:
    rest: dict[str, Any] = {"channel": "email", "first": False, "silent": True}
    return MessageReceived(conversation_id=conversation_id, seq=seq, message_id=new_id(), inbox_id=inbox_id, **rest)


async def poll(client: Client, someone: factories.Someone, after: int | None = 0, **query: Any) -> Any:
    asked = {"wait": 0, **query} | ({} if after is None else {"after": after})
    answer = await client.get("/api/v1/stream/poll", params=asked, headers=someone.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def types(polled: Any) -> list[str]:
    return [one["type"] for one in polled["items"]]


async def test_what_happens_is_told_at_once_with_its_position(services: Services, tell: Tell) -> None:
    desk, anna = await factories.inbox(services), await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=desk, messages=0)
    async with (
        Served(services) as served,
        Listening(served.port, anna.token, query="?types=message.received") as client,
    ):
        assert client.parser.status == 200
        await tell(message(mail, desk, seq=7))
        (told,) = await client.until(1, seconds=5)
    assert set(told) == {"id", "position", "type", "occurred_at", "conversation_id", "seq", "data"}
    assert (told["type"], told["conversation_id"], told["seq"]) == ("message.received", str(mail), 7)
    assert told["occurred_at"].endswith("Z")
    assert client.parser.last_id == str(told["position"])


async def test_whoever_comes_back_gets_what_he_missed_and_goes_on(services: Services, tell: Tell) -> None:
    desk, anna = await factories.inbox(services), await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=desk, messages=0)
    await tell(*(message(mail, desk, seq) for seq in range(1, 121)))
    async with Served(services) as served:
        for how in ({"last_id": "20"}, {"query": "?after=20"}, {"query": "?after=5", "last_id": "20"}):
            async with Listening(served.port, anna.token, **how) as client:
                await client.until(101)
        async with Listening(served.port, anna.token, last_id="20") as client:
            await tell(message(mail, desk, 121))
            got = await client.until(lambda found: bool(found) and found[-1]["seq"] == 121)
    positions = [one["position"] for one in got]
    assert positions == sorted(set(positions))
    received = [one["seq"] for one in got if one["type"] == "message.received"]
    assert received == list(range(20, 122)), "the first position is the contact's"


@pytest.mark.parametrize("last", ["20011", "9999999", "1", "never"])
@ON_ONE_DATABASE
async def test_a_position_that_is_too_old_or_unknown_means_reading_again(
    last: str, services: Services, client: Client, tell: Tell
) -> None:
    desk, anna = await factories.inbox(services), await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=desk, messages=0)
    await tell()
    async with services.database.transaction() as session:
        for numbered in (events, followers):
            await session.execute(update(numbered).values(position=numbered.c.position + 20_000))
    async with services.database.reading() as session:
        newest = max((await session.execute(events.select())).mappings(), key=lambda row: row["position"])["position"]
    async with Served(services) as served, Listening(served.port, anna.token, last_id=last) as listening:
        await tell(message(mail, desk))
        resync, told = await listening.until(2)
    assert resync == {"type": "resync", "position": newest}
    assert told["position"] == newest + 1
    if last.isdecimal():
        assert await poll(client, anna, int(last) + 1) == {"items": [], "position": newest + 1, "resync": True}


async def test_each_is_told_what_he_may_see_and_nothing_else(services: Services, client: Client, tell: Tell) -> None:
    anna, ben, sara = [await factories.agent(services, role=role) for role in ("agent", "agent", "supervisor")]
    hers, his = [await factories.inbox(services, members=[one.id]) for one in (anna, ben)]
    mine, foreign = [await factories.conversation(services, inbox_id=one, messages=0) for one in (hers, his)]
    await tell()
    begin = (await poll(client, sara, None))["position"]
    await tell(message(mine, hers), message(foreign, his, 2), InboxFailing(inbox_id=his, kind="auth"))
    await factories.alert(services, mine, ben.id)
    await factories.contact(services, handle="new@customer.test")
    await tell()
    seen = {
        one.name: [(e["type"], e.get("seq")) for e in (await poll(client, one, begin))["items"]]
        for one in (anna, ben, sara)
    }
    assert ("message.received", 1) in seen[anna.name]
    assert ("message.received", 2) not in seen[anna.name]
    assert {type_ for type_, _ in seen[anna.name]} == {"message.received"}
    assert ("message.received", 1) not in seen[ben.name]
    assert {type_ for type_, _ in seen[ben.name]} >= {"message.received", "inbox.failing"}
    assert {type_ for type_, _ in seen[sara.name]} >= {"message.received", "inbox.failing", "alert.raised"}
    assert "contact.created" in {type_ for type_, _ in seen[sara.name]}
    assert "contact.created" not in {type_ for type_, _ in seen[ben.name]}


@ON_POSTGRESQL
async def test_whoever_loses_a_conversation_is_told_that_and_no_more(
    services: Services, client: Client, tell: Tell
) -> None:
    anna, ben = await factories.agent(services), await factories.agent(services)
    sara = await factories.agent(services, role="supervisor")
    desk = await factories.inbox(services, members=[ben.id])
    team, other = await factories.team(services, members=[anna.id]), await factories.team(services, members=[ben.id])
    mail = await factories.conversation(services, inbox_id=desk, messages=0, team_id=team)
    await tell()
    begin = (await poll(client, anna, None))["position"]
    async with (
        Served(services) as served,
        Listening(served.port, anna.token) as listening,
        Listening(served.port, sara.token) as everything,
    ):
        await tell(message(mail, desk))
        async with services.database.transaction() as session:
            row = await get_conversation(session, SYSTEM, mail, lock=True)
            await conversation_service.change(services, session, row, {"team_id": other}, by=SYSTEM, now=clock.now())
        await tell(message(mail, desk, 9))
        # Who may have it is decided as it leaves: before it comes back to her, it has to have left.
        await everything.until(lambda found: bool(found) and found[-1].get("seq") == 9)
        async with services.database.transaction() as session:
            row = await get_conversation(session, SYSTEM, mail, lock=True)
            await conversation_service.change(services, session, row, {"team_id": team}, by=SYSTEM, now=clock.now())
        await tell(message(mail, desk, 11))
        live = await listening.until(lambda found: bool(found) and found[-1].get("seq") == 11)
        assert [one["type"] for one in live].count("conversation.assigned") == 2
        assert 9 not in [one.get("seq") for one in live], "it was out of her sight"
        async with services.database.transaction() as session:
            row = await get_conversation(session, SYSTEM, mail, lock=True)
            await conversation_service.change(services, session, row, {"team_id": other}, by=SYSTEM, now=clock.now())
        await tell()
    later = await poll(client, anna, begin)
    assert set(types(later)) == {"conversation.assigned"}, "who comes back learns that it has gone, and nothing of it"
    assert later["items"][-1]["data"]["team_id"] == str(other)


async def test_only_what_is_asked_for_is_told(services: Services, client: Client, tell: Tell) -> None:
    desk, anna = await factories.inbox(services), await factories.agent(services)
    one, two = [await factories.conversation(services, inbox_id=desk, messages=0) for _ in range(2)]
    await tell(message(one, desk), message(two, desk, 2), InboxFailing(inbox_id=desk, kind="auth"))
    only = await poll(client, anna, types="inbox.failing")
    assert types(only) == ["inbox.failing"]
    here = await poll(client, anna, types=["message.received,inbox.failing", "alert.raised"], conversation_id=str(two))
    assert [item["seq"] for item in here["items"]] == [2]
    assert here["position"] >= only["items"][0]["position"] - 1


@pytest.mark.parametrize(
    ("query", "field"),
    [("types=message.written", "types"), ("conversation_id=x", "conversation_id"), ("after=-1", "after"), ("a=b", "a")],
)
@ON_ONE_DATABASE
async def test_what_cannot_be_asked_is_refused_by_name(
    query: str, field: str, services: Services, client: Client
) -> None:
    anna = await factories.agent(services)
    for path in ("/api/v1/stream", "/api/v1/stream/poll"):
        answer = await client.get(f"{path}?{query}", headers=anna.headers)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await client.get("/api/v1/stream/poll?wait=31", headers=anna.headers)).status_code == 422


@ON_ONE_DATABASE
async def test_a_poll_waits_until_something_happens(services: Services, client: Client, tell: Tell) -> None:
    desk, anna = await factories.inbox(services), await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=desk, messages=0)
    await tell()
    begin = (await poll(client, anna, None))["position"]
    waiting = asyncio.create_task(poll(client, anna, begin, wait=20))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await tell(message(mail, desk, 4))
    found = await asyncio.wait_for(waiting, 5)
    assert [item["seq"] for item in found["items"]] == [4]
    assert (found["position"], found["resync"]) == (begin + 1, False)


@ON_ONE_DATABASE
async def test_a_cookie_is_not_taken_from_a_page_of_another_origin(services: Services, client: Client) -> None:
    anna = await factories.agent(services, password=True)
    body = {"email": anna.email, "password": factories.PASSWORD}
    assert (await client.post("/api/v1/auth/login", json=body)).status_code == 200
    assert (await client.get("/api/v1/stream/poll?wait=0")).status_code == 200
    for path in ("/api/v1/stream", "/api/v1/stream/poll?wait=0"):
        assert (await client.get(path, headers={"Origin": "https://evil.test"})).status_code == 403


@ON_ONE_DATABASE
async def test_who_is_revoked_or_demoted_is_let_go_within_five_seconds(services: Services) -> None:
    gone, left, lower, _last = [await factories.agent(services, role="admin") for _ in range(4)]
    moved, stays = await factories.agent(services), await factories.agent(services)
    async with Served(services) as served, AsyncExitStack() as stack:
        clients = {
            one.id: await stack.enter_async_context(Listening(served.port, one.token))
            for one in (gone, left, lower, moved, stays)
        }
        async with services.database.transaction() as session:
            await tokens.revoke_token(session, gone.token_id, by=SYSTEM, now=clock.now())
            await agents.leave(session, await agents.get_agent(session, left.id), by=SYSTEM, now=clock.now())
            demoted = await agents.get_agent(session, lower.id)
            await agents.edit(session, demoted, {"role": "supervisor"}, by=SYSTEM, now=clock.now())
        await factories.team(services, members=[moved.id])
        async with asyncio.timeout(5):
            await asyncio.gather(*(clients[one.id].end() for one in (gone, left, lower)))
            (told,) = await clients[moved.id].until(1)
        assert told["type"] == "resync", "what he may see has changed"
        assert not clients[stays.id].events
        assert not clients[stays.id].ended


async def _listener(services: Services, someone: factories.Someone) -> Listener:
    identity = await accounts.identify_token(services.database, someone.token, now=clock.now())
    return Listener(identity.actor, digest_of(someone.token))


@ON_ONE_DATABASE
async def test_streams_are_counted_and_end_with_the_hub(services: Services) -> None:
    anna, ben = await factories.agent(services), await factories.agent(services)
    hub = Hub(services)
    joined = [await _listener(services, anna) for _ in range(streaming.PER_ACTOR)]
    for one in joined:
        assert await hub.join(one, None)
    with pytest.raises(TooMany):
        await hub.join(await _listener(services, anna), None)
    assert await hub.join(await _listener(services, ben), None), "others are not kept out by it"
    hub.leave(joined[0])
    hub.leave(joined[0])
    assert await hub.join(await _listener(services, anna), None)
    await hub.close()
    assert all(one.line.ended for one in joined)
    with pytest.raises(Unavailable):
        await hub.join(await _listener(services, ben), None)


@ON_ONE_DATABASE
async def test_a_server_stops_though_streams_are_open(services: Services) -> None:
    anna = await factories.agent(services)
    async with AsyncExitStack() as stack:
        async with Served(services) as served:
            client = await stack.enter_async_context(Listening(served.port, anna.token))
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 2.0
        await client.end()


@ON_ONE_DATABASE
async def test_a_client_that_does_not_read_is_cut_off_and_keeps_nobody_waiting(services: Services, tell: Tell) -> None:
    desk, anna = await factories.inbox(services), await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=desk, messages=0)
    hub = Hub(services, rung=True)
    services.database.on_commit = lambda names: hub.ring(sorted(names))
    slow, quick = await _listener(services, anna), await _listener(services, anna)
    for one in (slow, quick):
        await hub.join(one, None)
    got = 0
    for part in range(3):
        await tell(*(message(mail, desk, part * 400 + n) for n in range(400)))
        async with asyncio.timeout(5):
            while got < (part + 1) * 400:
                got += sum(one.type == "message.received" for one in await quick.line.take(500))
    assert slow.line.ended
    assert await slow.line.take(500) == [], "what waited is dropped: the client asks again"
    assert not quick.line.ended
    await hub.close()


async def test_a_line_gives_what_waits_in_order_and_ends_when_it_is_too_long() -> None:
    line = Line[int](3)
    taking = asyncio.create_task(line.take(2))
    await asyncio.sleep(0)
    assert line.put(1)
    assert await taking == [1]
    assert [line.put(number) for number in (2, 3, 4)] == [True] * 3
    assert await line.take(2) == [2, 3]
    assert [line.put(number) for number in (5, 6, 7, 8)] == [True, True, False, False]
    assert (line.ended, await line.take(9)) == (True, [])
