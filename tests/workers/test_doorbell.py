"""The doorbell on a real Redis and on the embedded one: heard within a second, quiet when Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from tests.peers.redis import Redis
from workers.doorbell import connector, deserialize, embedded, hear, listen, serialize
from workers.ringing import Doorbell


class Heard:
    """What rang here."""

    def __init__(self) -> None:
        self.rings: list[Sequence[str]] = []

    def __call__(self, names: Sequence[str]) -> None:
        self.rings.append(list(names))

    async def until(self, count: int, *, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while len(self.rings) < count:
                await asyncio.sleep(0.01)


@pytest.fixture(params=["redis", "embedded"])
def connect(request: pytest.FixtureRequest) -> Callable[[], Any]:
    if request.param == "embedded":
        return embedded()
    return connector(request.getfixturevalue("redis").url)


@asynccontextmanager
async def listening(connect: Callable[[], Any]) -> AsyncIterator[Heard]:
    """A worker that listens, already connected."""
    heard = Heard()
    task = asyncio.create_task(listen(connect, heard))
    bell = Doorbell(connect)
    try:
        bell.ring(frozenset({"hello"}))
        await heard.until(1, seconds=10)
        heard.rings.clear()
        yield heard
    finally:
        await bell.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_ring_is_heard_in_another_process_within_a_second(connect: Callable[[], Any]) -> None:
    bell = Doorbell(connect)
    async with listening(connect) as heard:
        bell.ring(frozenset({"process", "deliver"}))
        await heard.until(1, seconds=1.0)
        await bell.close()
    assert heard.rings == [["deliver", "process"]]


async def test_rings_that_come_together_are_one_job(connect: Callable[[], Any]) -> None:
    bell = Doorbell(connect)
    async with listening(connect) as heard:
        for _ in range(200):
            bell.ring(frozenset({"deliver"}))
        bell.ring(frozenset({"process"}))
        await heard.until(1, seconds=5)
        await asyncio.sleep(0.3)
        await bell.close()
    assert heard.rings == [["deliver", "process"]]


async def test_what_is_rung_aloud_is_heard_by_every_process_and_is_nobodys_job(connect: Callable[[], Any]) -> None:
    several = [Heard() for _ in range(2)]
    tasks = [asyncio.create_task(hear(connect, heard)) for heard in several]
    bell = Doorbell(connect)
    async with listening(connect) as jobs:
        for heard in several:
            await heard.until(1, seconds=10)
            everything = ["distribute", "presence", "relay", "stream"]
            assert heard.rings == [everything], "with a new connection all of it is rung"
        bell.ring(frozenset({"stream", "relay", "deliver", "live:1"}))
        for heard in several:
            await heard.until(2, seconds=1.0)
            assert heard.rings[1] == ["live:1", "relay", "stream"]
        await jobs.until(1, seconds=1.0)
        assert jobs.rings == [["deliver"]]
        own = Heard()
        tasks.append(asyncio.create_task(hear(connect, own, own=bell.name)))
        await own.until(1, seconds=10)
        bell.ring(frozenset({"live:2"}))
        await several[0].until(3, seconds=1.0)
        elsewhere = Doorbell(connect)
        elsewhere.ring(frozenset({"live:3"}))
        await own.until(2, seconds=1.0)
        assert own.rings[1:] == [["live:3"]], "what was rung here itself is not rung here again"
        await elsewhere.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await bell.close()


class Slow:
    """A Redis that answers when it is let."""

    def __init__(self) -> None:
        self.published: list[list[str]] = []
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> Any:
        return self

    async def publish(self, _channel: str, names: bytes) -> None:
        self.published.append(orjson.loads(names)[1:])
        self.asked.set()
        await self.may.wait()

    async def aclose(self) -> None:
        pass


async def test_what_is_rung_while_a_ring_is_on_its_way_goes_after_it() -> None:
    redis = Slow()
    bell = Doorbell(redis)
    bell.ring(frozenset({"live:1"}))
    await redis.asked.wait()
    bell.ring(frozenset({"live:2"}))
    redis.may.set()
    await bell.close()
    assert redis.published == [["live:1"], ["live:2"]], "nobody may ring for as long as a visitor waits"


async def test_rings_aloud_go_out_a_few_milliseconds_apart_while_jobs_are_gathered_for_longer() -> None:
    class Counting(Slow):
        def __init__(self) -> None:
            super().__init__()
            self.jobs: list[list[str]] = []

        async def enqueue_job(self, _name: str, names: list[str]) -> None:
            self.jobs.append(names)

    redis = Counting()
    redis.may.set()
    bell = Doorbell(redis)
    bell.ring(frozenset({"relay", "deliver"}))
    for number in range(3):
        await asyncio.sleep(0.004)
        bell.ring(frozenset({f"live:{number}", "relay", "process"}))
    assert len(redis.published) >= 2, "somebody waits for each of them"
    await bell.close()
    assert sorted({name for names in redis.published for name in names}) == ["live:0", "live:1", "live:2", "relay"]
    assert redis.jobs[0] == ["deliver"]
    assert redis.jobs[1:] == [["process"]] * len(redis.jobs[1:])
    assert len(redis.jobs) <= len(redis.published)


async def test_nobody_is_called_where_nobody_else_is() -> None:
    bell, asked = Doorbell(), []

    async def connect() -> Any:
        asked.append("connected")
        raise ConnectionError

    bell.hang(connect, alone=True)
    bell.ring(frozenset({"stream", "presence", "relay", "live:1"}))
    await bell.close()
    assert asked == []


async def test_the_loops_of_this_process_are_rung_at_once_and_without_redis() -> None:
    heard = Heard()
    bell = Doorbell(None, here=heard)
    bell.ring(frozenset({"relay", "deliver"}))
    assert heard.rings == [["deliver", "relay"]]
    await bell.close()


async def test_a_redis_that_is_away_raises_nothing_and_holds_nobody_up(unused_tcp_port: int) -> None:
    heard = Heard()
    bell = Doorbell(connector(f"redis://127.0.0.1:{unused_tcp_port}/0"), here=heard)
    begun = asyncio.get_running_loop().time()
    for _ in range(3):
        bell.ring(frozenset({"deliver"}))
        await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().time() - begun < 1.0
    assert len(heard.rings) == 3
    await bell.close()


async def test_a_listener_finds_a_redis_that_came_back() -> None:
    with Redis() as server:
        connect = connector(server.url)
        async with listening(connect) as heard:
            server.stop()
            await asyncio.sleep(0.3)
            server.start()
            bell = Doorbell(connect)
            async with asyncio.timeout(15):
                while not heard.rings:
                    bell.ring(frozenset({"process"}))
                    await asyncio.sleep(0.1)
            await bell.close()


async def test_jobs_are_json_and_nothing_else() -> None:
    job = {"t": 1, "f": "wake", "a": (["process"],), "k": {}, "et": 1}
    assert deserialize(serialize(job)) == job
    with pytest.raises(orjson.JSONDecodeError):
        deserialize(b"\x80\x04N.")
