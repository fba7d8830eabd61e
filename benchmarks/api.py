"""What listing conversations costs against a floor, and what a desk of a million costs against one of ten thousand.

    python benchmarks/api.py [--rounds 8] [--requests 600] [--conversations 100000]
                             [--small 10000] [--large 1000000] [--turns 200] [--keep DIR]

The floor is a bare FastAPI route on the same uvicorn that runs the very same two statements (token; 25 rows with their
joins, in the scope of an agent with one of ten inboxes) by raw asyncpg and answers with orjson. Both servers run at
once, rounds take turns, and a round counts the server's own CPU (getrusage, itself and its children) apart from that of
the PostgreSQL backends. The ratio of the server's CPU must not exceed 2.0.

After that the two desks are compared (`scale.py`): no question may take more than 1.5 times as long on the large one,
counting for the side bar at most 50 ms, a search for a common word 300 ms, and no large table may be read from end to
end. Exit code 1 when any of it fails. A million conversations take a quarter of an hour and some 10 GB of disk; with
`--keep` both desks stay in that folder, and are taken from there the next time. `--conversations 0` leaves the floor
out.

`HELPDESK_TEST_POSTGRES_URL` names a server to use; otherwise one is started.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr

import connectors
from benchmarks.population import populate
from benchmarks.scale import Desk, compare
from benchmarks.served import Server, serve
from helpdesk import clock
from helpdesk.app import create_app
from helpdesk.blobstore import DiskStore
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.db import Database
from helpdesk.domain.filters import ConversationFilter, Sort
from helpdesk.services import accounts, listing
from helpdesk.services.house import Services
from helpdesk.services.paging import Page
from tests.peers.postgres import Postgres

LIMIT = 2.0
SECRET = "1:" + base64.b64encode(bytes(range(32))).decode()
AGENT, SUPERVISOR = "hd_" + "b" * 43, "hd_" + "c" * 43
TOKENS = {AGENT: (1, "agent"), SUPERVISOR: (2, "supervisor")}
PATH = "/api/v1/conversations"


def services_at(url: str, folder: Path) -> Services:
    settings = Settings(_env_file=None, data=folder, database_url=url, secret_key=SecretStr(SECRET))
    return Services(settings, Database(url), Keyring(SECRET), DiskStore(folder / "blobs"), connectors.discover())


async def statements(url: str) -> list[tuple[str, list[Any]]]:
    """The two statements that the service itself runs, with their arguments, taken from it."""
    services = services_at(url, Path("/nonexistent"))
    found: list[tuple[str, list[Any]]] = []
    fetch = services.database.fetch

    async def spy(statement: Any, values: Any) -> Any:
        found.append((statement.sql.replace("LIMIT 26", "LIMIT 25"), statement.arguments(values)))
        return await fetch(statement, values)

    services.database.fetch = spy  # type: ignore[method-assign]
    now = clock.now()
    identity = await accounts.identify_token(services.database, AGENT, now=now)
    await listing.list_conversations(
        services, identity.actor, ConversationFilter(), sort=Sort.LAST_ACTIVITY, page=Page(), now=now
    )
    await services.database.close()
    return found


def floor_app(url: str) -> FastAPI:
    """The least that answers: two statements, no checks, no names, no cursor."""
    app = FastAPI(openapi_url=None)
    state: dict[str, Any] = {}

    async def no_reset(_connection: Any) -> None:
        """asyncpg's own reset would be a third round trip."""

    @app.get(PATH)
    async def rows(request: Request) -> Response:
        if "pool" not in state:
            state["sql"] = await statements(url)
            state["pool"] = await asyncpg.create_pool(
                url.replace("+asyncpg", ""), min_size=5, max_size=5, reset=no_reset, server_settings={"jit": "off"}
            )
        (token_sql, given), (list_sql, scope) = state["sql"]
        digest = accounts.digest_of(request.headers["authorization"][7:])
        async with state["pool"].acquire() as connection:
            await connection.fetchrow(token_sql, *(digest if len(str(value)) == 64 else value for value in given))
            found = await connection.fetch(list_sql, *scope)
        body = orjson.dumps({"items": [dict(row) for row in found]}, default=str)
        return Response(body, media_type="application/json")

    return app


async def backend_cpu(connection: asyncpg.Connection) -> float:
    """CPU seconds of all backends of the benchmark's database."""
    pids = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
    ticks = 0
    for (pid,) in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def measure(url: str, *, rounds: int, requests: int) -> float:
    servers = [
        await Server.start(__file__, kind, url, port, connections=4)
        for kind, port in (("ours", 18311), ("floor", 18312))
    ]
    watcher = await asyncpg.connect(url.replace("+asyncpg", ""))
    spent: dict[str, list[tuple[float, float]]] = {server.kind: [] for server in servers}
    try:
        for server in servers:
            await server.load(PATH, AGENT, 200)
        shown = {s.kind: len(orjson.loads(await s.get(s.connections[0], PATH, AGENT))["items"]) for s in servers}
        assert shown == {"ours": 25, "floor": 25}, shown
        print(f"{'round':>5} {'ours ms':>9} {'floor ms':>9} {'ratio':>6}   {'ours pg':>8} {'floor pg':>8}")
        for turn in range(rounds):
            for server in servers if turn % 2 else reversed(servers):
                before, before_backend = await server.cpu(), await backend_cpu(watcher)
                await server.load(PATH, AGENT, requests)
                used, used_backend = await server.cpu() - before, await backend_cpu(watcher) - before_backend
                spent[server.kind].append((used / requests * 1000, used_backend / requests * 1000))
            (ours, ours_pg), (floor, floor_pg) = spent["ours"][-1], spent["floor"][-1]
            print(f"{turn + 1:>5} {ours:>9.3f} {floor:>9.3f} {ours / floor:>6.2f}   {ours_pg:>8.3f} {floor_pg:>8.3f}")
    finally:
        await watcher.close()
        for server in servers:
            server.stop()
    middle = {kind: [statistics.median(column) for column in zip(*found, strict=True)] for kind, found in spent.items()}
    ratio = middle["ours"][0] / middle["floor"][0]
    print(f"median: ours {middle['ours'][0]:.3f} ms, floor {middle['floor'][0]:.3f} ms of server CPU per request")
    print(f"median: ours {middle['ours'][1]:.3f} ms, floor {middle['floor'][1]:.3f} ms of PostgreSQL CPU per request")
    print(f"ratio: {ratio:.2f} (limit {LIMIT})")
    return ratio


async def made(server: Postgres, name: str, count: int, *, kept: bool = False) -> str:
    """The desk of that name; with `kept`, the one that is there already if it was finished."""
    about = f"{count} conversations"
    if kept and await _comment(server.url("postgres"), name) == about:
        return server.url(name)
    url = server.create(name)
    started = time.monotonic()
    await populate(url, count, tokens=TOKENS, now=clock.now())
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute(f"COMMENT ON DATABASE {name} IS '{about}'")
    await connection.close()
    print(f"made a desk of {about} in {time.monotonic() - started:.0f} s", flush=True)
    return url


async def _comment(url: str, name: str) -> str | None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1"
        found: str | None = await connection.fetchval(query, name)
        return found
    finally:
        await connection.close()


async def scaled(small_url: str, large_url: str, *, turns: int) -> bool:
    servers: list[Server] = []
    try:
        for url, port in ((small_url, 18313), (large_url, 18314)):
            servers.append(await Server.start(__file__, "ours", url, port, connections=1))
        small, large = [await Desk.open(s, u, AGENT) for s, u in zip(servers, (small_url, large_url), strict=True)]
        return await compare(small, large, {"agent": AGENT, "supervisor": SUPERVISOR}, turns=turns)
    finally:
        for server in servers:
            server.stop()


async def run(arguments: argparse.Namespace) -> bool:
    given = os.environ.get("HELPDESK_TEST_POSTGRES_URL", "")
    with Postgres.at(given) if given else Postgres(durable=True, keep=arguments.keep) as server:
        names = ("api_benchmark", "api_benchmark_small", "api_benchmark_large")
        keep, within = arguments.keep is not None, True
        try:
            if arguments.conversations:
                listed = await made(server, names[0], arguments.conversations)
                within = await measure(listed, rounds=arguments.rounds, requests=arguments.requests) <= LIMIT
                server.drop(names[0])
            small = await made(server, names[1], arguments.small, kept=keep)
            large = await made(server, names[2], arguments.large, kept=keep)
            return await scaled(small, large, turns=arguments.turns) and within
        finally:
            for name in names[:1] if keep else names:
                server.drop(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--serve", choices=["ours", "floor"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        ours = arguments.serve == "ours"
        app = create_app(services_at(arguments.url, Path("/nonexistent"))) if ours else floor_app(arguments.url)
        serve(app, arguments.port)
        return 0
    return int(not asyncio.run(run(arguments)))


if __name__ == "__main__":
    sys.exit(main())
