"""How long an event takes from its commit to everybody who listens, and what that costs.

    python benchmarks/stream.py [--clients 500] [--rate 10] [--seconds 30] [--database URL]

One process has the API and the relay, another one the clients. Each event is written by a transaction of its own and
relayed as in a worker beside the API; its time begins when that commit is done and ends when a client has read it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpdesk import clock, migrate
from helpdesk.commands.serve import run
from helpdesk.config import Settings
from helpdesk.db import new_id
from helpdesk.domain.events import MessageReceived
from helpdesk.services.events import record
from helpdesk.services.streaming import PER_ACTOR
from helpdesk.wiring import open_services
from tests import factories
from tests.conftest import SECRET
from tests.live import Parser, Served
from workers.relaying import Relaying


async def serve(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        key = SecretStr(SECRET)
        settings = Settings(_env_file=None, data=Path(folder), database_url=options.database, secret_key=key)
        services = open_services(settings)
        await migrate.upgrade(services.database)
        desk = await factories.inbox(services)
        mail = await factories.conversation(services, inbox_id=desk, messages=0)
        agents = [await factories.agent(services) for _ in range(-(-options.clients // PER_ACTOR))]
        relaying, rung = Relaying(services, worker="bench"), asyncio.Event()
        relays = asyncio.create_task(_relay(relaying, rung))
        async with Served(services) as served:

            def here(names: frozenset[str]) -> None:
                served.rung(names)
                if "relay" in names:
                    rung.set()

            services.database.on_commit = here
            listeners = await asyncio.create_subprocess_exec(
                sys.executable, __file__, "--listen", str(served.port), "--clients", str(options.clients),
                *(one.token for one in agents), stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**28,
            )  # fmt: skip
            assert listeners.stdin is not None
            assert listeners.stdout is not None
            assert await listeners.stdout.readline() == b"ready\n"
            begun, cpu = time.monotonic(), time.process_time()
            committed = {}
            for number in range(int(options.rate * options.seconds)):
                await asyncio.sleep(max(0.0, begun + number / options.rate - time.monotonic()))
                rest: dict[str, Any] = {"channel": "email", "first": False, "silent": True}
                event = MessageReceived(conversation_id=mail, seq=number, message_id=new_id(), inbox_id=desk, **rest)
                async with services.database.transaction() as session:
                    await record(session, event, now=clock.now())
                committed[number] = time.monotonic()
            await asyncio.sleep(2)
            busy = (time.process_time() - cpu) / (time.monotonic() - begun)
            said, _ = await listeners.communicate(b"stop\n")
            report(committed, json.loads(said), options.clients, busy)
        relays.cancel()
        await relaying.close()
        await services.database.close()


async def _relay(relaying: Relaying, rung: asyncio.Event) -> None:
    while True:
        rung.clear()
        while await relaying.step():
            pass
        await rung.wait()


def report(committed: dict[int, float], heard: list[list[float]], clients: int, busy: float) -> None:
    waited = sorted(at - committed[int(number)] for number, at in heard)
    expected = clients * len(committed)
    print(f"events {len(committed)}, clients {clients}, heard {len(waited)} of {expected}")
    for share in (0.5, 0.95, 0.99, 1.0):
        print(f"p{share * 100:g}: {1000 * waited[min(len(waited) - 1, int(share * len(waited)))]:.1f} ms")
    print(f"CPU of the serving process: {100 * busy:.0f} % of a core")
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


class Client(asyncio.Protocol):
    """Notes when bytes came, and reads them when all is over: 500 parsers in one process would be what is measured."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.came: list[tuple[float, bytes]] = []
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        ask = f"GET /api/v1/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        transport.write(ask.encode())

    def data_received(self, data: bytes) -> None:
        self.came.append((time.monotonic(), data))
        if not self.joined.done():
            self.joined.set_result(None)

    def heard(self) -> list[tuple[int, float]]:
        parser, found = Parser(), []
        for at, data in self.came:
            parser.feed(data)
            found += [(told["seq"], at) for told in parser.events]
            parser.events.clear()
        return found


async def listen(options: argparse.Namespace) -> None:
    clients = [Client(options.tokens[number // PER_ACTOR]) for number in range(options.clients)]
    for client in clients:
        await asyncio.get_running_loop().create_connection(lambda client=client: client, "127.0.0.1", options.listen)
        await client.joined
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps([one for client in clients for one in client.heard()]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--database", default="")
    parser.add_argument("--listen", type=int, default=0)
    parser.add_argument("tokens", nargs="*")
    chosen = parser.parse_args()
    run(listen(chosen) if chosen.listen else serve(chosen))
