"""Whatever the network and the processes do, all sides end with the same conversation: seeded, and the seed is told."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from helpdesk.chat_client import ChatClient, Transport
from tests.journeys.stack import PATIENCE, Stack
from tests.peers.redis import Redis
from tests.peers.troubled_proxy import TroubledProxy

TRANSPORTS = (Transport.WEBSOCKET, Transport.WEBSOCKET, Transport.EVENTS, Transport.POLL)
LINES = 12
"""So much each visitor says, and the agent to each of them; and half as many notes."""

KILLS = 3
SECRET = "Between us"
SQLITE, FLEET = "up, SQLite", "two APIs, PostgreSQL, Redis"


@dataclass
class Guest:
    """A visitor, what he means to say, and every frame that he has got."""

    chat: ChatClient
    frames: list[str]
    said: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)


@pytest.fixture(params=[SQLITE, FLEET])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == SQLITE:
        given = {}
    else:
        redis: Redis = request.getfixturevalue("redis")
        given = {"database_url": request.getfixturevalue("new_database")(), "redis_url": redis.url}
    with Stack(tmp_path, **given) as made:
        made.set_up()
        made.start()
        if made.fleet:
            made.start_one("api-2")
        yield made


async def test_all_transcripts_are_equal_after_drops_delays_and_killed_processes(stack: Stack) -> None:
    seed = int(os.environ.get("HELPDESK_TEST_SEED", random.randrange(10**6)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    made = stack.http.post("/inboxes", json={"channel": "chat", "name": "Website", "settings": {}})
    assert made.status_code == 201, made.text
    apis = [name for name in stack.processes if name != "worker"]
    async with AsyncExitStack() as opened:
        proxy = await opened.enter_async_context(TroubledProxy([stack.port_of(name) for name in apis], chance))
        guests = [await _guest(opened, proxy, made.json()["id"], chance, kind) for kind in TRANSPORTS]
        places = [(await guest.chat.say(_line(guest, 0)).stored)["conversation_id"] for guest in guests]
        async with asyncio.timeout(2 * PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(_troubles(stack, apis, chance))
            for guest, place in zip(guests, places, strict=True):
                group.create_task(_speak(guest, chance))
                group.create_task(_answer(stack, apis, guest, place, chance))
        proxy.calm()
        for guest in guests:
            wanted = set(guest.said) | set(guest.answered)
            await _shown(stack, guest, lambda guest=guest, wanted=wanted: _texts(guest) >= wanted)  # type: ignore[misc]
    assert proxy.cuts > 10, "the network was too good"
    for guest, place in zip(guests, places, strict=True):
        await _alike(stack, guest, place)
    await _each_once(stack, guests)


def _line(guest: Guest, number: int) -> str:
    guest.said.append(f"{number}: where is it?")
    return guest.said[-1]


def _texts(guest: Guest) -> set[str]:
    return {entry.data["text"] for entry in guest.chat.messages}


async def _guest(
    opened: AsyncExitStack, proxy: TroubledProxy, inbox_id: str, chance: random.Random, kind: Transport
) -> Guest:
    frames: list[str] = []
    heard: Callable[[Any], None] = lambda frame: frames.append(json.dumps(frame))  # noqa: E731
    url = f"http://127.0.0.1:{proxy.port}"
    chat = ChatClient(url, inbox_id, transport=kind, heard=heard, chance=_Hasty(chance.random()), proxies=False)
    await opened.enter_async_context(chat)
    while not chat.token:
        try:
            await chat.open()
        except httpx.HTTPError:
            await asyncio.sleep(0.05)
    return Guest(chat, frames)


class _Hasty(random.Random):
    """Waits a tenth of what others do: there is less time here than in life."""

    def uniform(self, a: float, b: float) -> float:
        return super().uniform(a, b) / 10


async def _speak(guest: Guest, chance: random.Random) -> None:
    """Without waiting for what he said before: the outbox does."""
    for number in range(1, LINES):
        await asyncio.sleep(chance.uniform(0.0, 1.0))
        guest.chat.say(_line(guest, number))
        if chance.random() < 0.3:
            await guest.chat.typing(1.0)
        if chance.random() < 0.3:
            await guest.chat.read(guest.chat.last_seq)


async def _answer(stack: Stack, apis: list[str], guest: Guest, place: str, chance: random.Random) -> None:
    """The agent's side, each request until it is answered, under the same key."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(headers=stack.http.headers, trust_env=False, limits=limits, timeout=20) as http:
        for number in range(LINES + LINES // 2):
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            note = number % 3 == 2
            body = {"text": f"{SECRET} {number}" if note else f"{number}: on its way", "private": note}
            while True:
                url = f"http://127.0.0.1:{stack.port_of(chance.choice(apis))}/api/v1/conversations/{place}/messages"
                try:
                    done = await http.post(url, json=body, headers={"Idempotency-Key": f"{place}-{number}"})
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)
                    continue
                if done.status_code == 201:
                    break
                assert done.status_code in (409, 503), done.text
                await asyncio.sleep(0.1)
            if not note:
                guest.answered.append(body["text"])


async def _troubles(stack: Stack, apis: list[str], chance: random.Random) -> None:
    """One process after the other is killed and comes back; not for ever, since where cores are few all would wait."""
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        name = chance.choice(apis)
        await asyncio.to_thread(stack.kill, name, signal.SIGKILL)
        await asyncio.to_thread(stack.start_one, name)


async def _shown(stack: Stack, guest: Guest, there: Callable[[], bool]) -> None:
    try:
        await guest.chat.until(lambda: there() and not guest.chat.waiting, seconds=PATIENCE)
    except TimeoutError:
        missing = (set(guest.said) | set(guest.answered)) - _texts(guest)
        raise AssertionError(f"{guest.chat.transport} never saw {missing}\n{stack.logs()}") from None


async def _alike(stack: Stack, guest: Guest, place: str) -> None:
    """The visitor's transcript, the agent's and the database's."""
    chat = guest.chat
    mine = [entry.data["id"] for entry in chat.messages]
    assert chat.conversation_id == place
    shown = [one for one in await asyncio.to_thread(stack.messages, place) if not one["private"]]
    assert [one["id"] for one in shown] == mine
    query = "SELECT id FROM messages WHERE conversation_id = :place AND NOT private ORDER BY seq"
    stored = await _stored(stack, query, place=place if stack.fleet else place.replace("-", ""))
    assert [str(row[0]).replace("-", "") for row in stored] == [one.replace("-", "") for one in mine]
    mine_said = [entry.data["text"] for entry in chat.messages if entry.data["author"]["kind"] == "visitor"]
    assert mine_said == guest.said, "each once, and in the order in which he said them"
    told = [entry.data["text"] for entry in chat.messages if entry.data["author"]["kind"] == "agent"]
    assert told == guest.answered
    assert [entry.prev_seq for entry in chat.log] == [0, *(entry.seq for entry in chat.log[:-1])]
    assert SECRET not in "".join(guest.frames)


async def _each_once(stack: Stack, guests: list[Guest]) -> None:
    rows = await _stored(stack, "SELECT client_id, message_id FROM visitor_messages")
    expected = sum(len(guest.said) for guest in guests)
    assert len(rows) == len({row[0] for row in rows}) == len({row[1] for row in rows}) == expected


async def _stored(stack: Stack, query: str, **given: str) -> list[Any]:
    """Rows past all of our code; ids are as the database keeps them."""
    url = stack.environment.get("HELPDESK_DATABASE_URL") or f"sqlite+aiosqlite:///{stack.data / 'helpdesk.db'}"
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = list(await connection.execute(text(query), given))
    await engine.dispose()
    return found
