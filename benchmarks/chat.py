"""What a chat costs: two thousand visitors on one API process, and two hundred messages a second through it.

    python benchmarks/chat.py [--visitors 2000] [--active 200] [--rate 200] [--seconds 60]

A real fleet runs: `helpdesk api`, `helpdesk worker`, PostgreSQL with default durability, Redis. Half of the messages is
a visitor's, from his socket to the stream of an agent who listens to everything; the other half an agent's, from the
request that answers to the visitor's socket. Whoever writes and listens does so in two other processes, and its time
ends when the bytes came. Compression is off. The first five seconds do not count: connections to the database are
opened, and statements planned, which happens once in the life of a process.

The floor runs before and after that on the same database, with the same load generator, rate, spacing (a message every
five milliseconds) and number of conversations: a bare WebSocket server that does one transaction of asyncpg per message
(a row's lock, two inserts) and sends one frame to a second socket (`chat_floor.py`).

Exit code 1 when a limit is missed: 300 MB resident with everybody connected and after the load; half of all messages
within 50 ms and within 4 times the floor's, 99 of 100 within 250 ms; none lost, none refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx

from benchmarks.chat_load import PER_ADDRESS, address
from benchmarks.machine import cpu_of, memory_of
from tests.journeys.stack import SHORT, Stack, free_port
from tests.peers.postgres import Postgres
from tests.peers.redis import Redis

MEGABYTES, HALF_MS, MOST_MS, RATIO = 300.0, 50.0, 250.0, 4.0
AGENTS = 10
WARM, FLOOR_SECONDS, SOON = 5.0, 15.0, 0.2
LOAD = str(Path(__file__).with_name("chat_load.py"))
FLOOR = str(Path(__file__).with_name("chat_floor.py"))


class Generator:
    """One end of the load. It begins when `go` says, and `ended` is what it noted."""

    def __init__(self, kind: str, given: dict[str, Any]) -> None:
        self._kind, self._given = kind, given

    async def ready(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, LOAD, self._kind, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**28
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(self._given).encode() + b"\n")
        line = await self._process.stdout.readline()
        assert line == b"ready\n", line

    def go(self, at: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"%.6f\n" % at)

    async def ended(self) -> dict[str, Any]:
        said, _ = await self._process.communicate()
        found: dict[str, Any] = json.loads(said)
        return found


@dataclass
class Times:
    """Milliseconds from one side to the other, and how many messages never came."""

    name: str
    waits: list[float] = field(default_factory=list)
    lost: int = 0

    @classmethod
    def between(cls, name: str, sent: dict[str, float], heard: dict[str, float]) -> Times:
        waits = sorted(1000 * (heard[one] - at) for one, at in sent.items() if one in heard)
        return cls(name, waits, len(sent) - len(waits))

    def __add__(self, other: Times) -> Times:
        return Times(self.name, sorted(self.waits + other.waits), self.lost + other.lost)

    def within(self, share: float) -> float:
        return self.waits[min(len(self.waits) - 1, int(share * len(self.waits)))] if self.waits else float("inf")

    def tell(self) -> None:
        shares = ", ".join(f"p{100 * share:g} {self.within(share):.1f}" for share in (0.5, 0.9, 0.99, 1.0))
        print(f"{self.name}: {len(self.waits)} messages, {self.lost} lost; {shares} ms", flush=True)


async def floor(url: str, *, active: int, rate: float) -> Times:
    """Its even connections say, and the odd ones hear."""
    port = free_port()
    bare = url.replace("+asyncpg", "")
    process = subprocess.Popen([sys.executable, FLOOR, "--url", bare, "--port", str(port)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        # `active` of the generator's are the first: numbered so that each is one side of a conversation.
        tokens = [*range(0, 2 * active, 2), *range(1, 2 * active, 2)]
        load = Generator(
            "visitors",
            {
                "port": port,
                "path": "/",
                "tokens": tokens,
                "active": active,
                "rate": rate,
                "warm": WARM,
                "seconds": FLOOR_SECONDS,
            },
        )
        await load.ready()
        load.go(time.monotonic() + SOON)
        found = await load.ended()
        return Times.between("floor", found["sent"], found["heard"])
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class House:
    """The fleet with an inbox, its agents' tokens and its visitors'."""

    stack: Stack
    tokens: list[str]
    visitors: list[str]
    conversations: list[str]


async def house(stack: Stack, *, visitors: int, active: int) -> House:
    made = stack.http.post("/inboxes", json={"channel": "chat", "name": "Website", "settings": {}})
    assert made.status_code == 201, made.text
    inbox_id = made.json()["id"]
    tokens = [stack.token]
    for number in range(AGENTS - 1):
        email = f"agent{number}@wallet.example"
        agent = {"email": email, "name": f"Agent {number}", "role": "supervisor", "locale": "en"}
        assert stack.http.post("/agents", json=agent).status_code == 201
        tokens.append(stack.tell("token", "create", "--agent", email, "--name", "bench"))
    opened: list[tuple[str, str]] = []
    for first in range(0, visitors, 8 * PER_ADDRESS):
        whose = range(first, min(first + 8 * PER_ADDRESS, visitors), PER_ADDRESS)
        parts = (range(one, min(one + PER_ADDRESS, visitors)) for one in whose)
        for found in await asyncio.gather(*(sessions(stack, inbox_id, some, active) for some in parts)):
            opened += found
    return House(stack, tokens, [token for token, _ in opened], [place for _, place in opened[:active]])


async def sessions(stack: Stack, inbox_id: str, numbers: range, active: int) -> list[tuple[str, str]]:
    """Tokens of visitors who come from one address; those who are active have said something, in that conversation."""
    transport = httpx.AsyncHTTPTransport(local_address=address(numbers[0]))
    found = []
    async with httpx.AsyncClient(base_url=f"{stack.url}/channels/chat", transport=transport, timeout=60) as client:
        for number in numbers:
            session = await client.post(f"/{inbox_id}/sessions", json={})
            assert session.status_code == 201, session.text
            token, place = session.json()["token"], ""
            if number < active:
                body, whose = {"client_id": "first", "text": "Is anybody there?"}, {"Authorization": f"Bearer {token}"}
                said = await client.post("/messages", json=body, headers=whose)
                assert said.status_code == 201, said.text
                place = said.json()["conversation_id"]
            found.append((token, place))
    return found


async def load(found: House, options: argparse.Namespace, pids: dict[str, int]) -> tuple[Times, bool]:
    stack = found.stack
    api = stack.processes["api"].popen.pid
    print(f"api before anybody is connected: {memory_of(api):.0f} MB", flush=True)
    half = {"rate": options.rate / 2, "warm": WARM, "seconds": options.seconds, "port": stack.port}
    visitors = Generator(
        "visitors", {**half, "path": "/channels/chat/ws", "tokens": found.visitors, "active": options.active}
    )
    agents = Generator("agents", {**half, "tokens": found.tokens, "conversations": found.conversations})
    await visitors.ready()
    await agents.ready()
    await asyncio.sleep(3)
    connected = memory_of(api)
    print(f"api with {len(found.visitors)} visitors connected: {connected:.0f} MB", flush=True)
    before = {name: cpu_of(pid) for name, pid in pids.items()}
    begin = time.monotonic() + SOON
    visitors.go(begin)
    # Between two of theirs: one message after the other, as at the floor, and not two at a time.
    agents.go(begin + 1 / options.rate)
    await asyncio.sleep(SOON + WARM + options.seconds)
    messages = options.rate * (WARM + options.seconds)
    used = {name: 1000 * (cpu_of(pid) - before[name]) / messages for name, pid in pids.items()}
    heard, told = await asyncio.gather(visitors.ended(), agents.ended())
    after = memory_of(api)
    print("CPU per message: " + ", ".join(f"{name} {spent:.2f} ms" for name, spent in used.items()), flush=True)
    print(f"api after the load: {after:.0f} MB", flush=True)
    acked = Times.between(
        "visitor -> his acknowledgement", heard["sent"], {k: at for k, (_, at) in heard["stored"].items()}
    )
    acked.tell()
    ids = {client_id: told["heard"].get(message_id) for client_id, (message_id, _) in heard["stored"].items()}
    up = Times.between("visitor -> agent's stream", heard["sent"], {k: at for k, at in ids.items() if at})
    down = Times.between("agent -> visitor's socket", told["sent"], heard["heard"])
    up.tell()
    down.tell()
    both = up + down
    both.name = "both ways"
    both.tell()
    refused = bool(heard["errors"] or told["refused"])
    if refused:
        print(f"refused: {len(heard['errors'])} {set(heard['errors'])}, {told['refused']}")
    return both, max(connected, after) <= MEGABYTES and not refused


async def main(options: argparse.Namespace) -> int:
    with Postgres(durable=True) as postgres, Redis() as redis, tempfile.TemporaryDirectory() as folder:
        url, bare = postgres.create("chat"), postgres.create("floor")
        assert postgres.pid is not None
        with Stack(Path(folder) / "fleet", database_url=url, redis_url=redis.url, cold=True) as stack:
            for name in SHORT.keys() - {"HELPDESK_ALLOW_HOSTS"}:
                del stack.environment[name]  # the loops tick as they do for users
            stack.set_up()
            stack.start()
            pids = {name: process.popen.pid for name, process in stack.processes.items()} | {"postgres": postgres.pid}
            found = await house(stack, visitors=options.visitors, active=options.active)
            floors = [await floor(bare, active=options.active, rate=options.rate)]
            both, fits = await load(found, options, pids)
        bare = postgres.create("floor_after")
        floors.append(await floor(bare, active=options.active, rate=options.rate))
    for one in floors:
        one.tell()
    least = statistics.mean(one.within(0.5) for one in floors)
    half, most = both.within(0.5), both.within(0.99)
    print(f"half of all within {half:.1f} ms, {half / least:.1f} times the floor; 99 of 100 within {most:.1f} ms")
    good = fits and both.lost == 0 and half <= min(HALF_MS, RATIO * least) and most <= MOST_MS
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=2000)
    parser.add_argument("--active", type=int, default=200)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    sys.exit(asyncio.run(main(parser.parse_args())))
