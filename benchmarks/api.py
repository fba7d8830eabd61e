"""What listing conversations costs in CPU, against a floor that cannot be had for less.

    python benchmarks/api.py [--rounds 8] [--requests 600] [--conversations 100000]

The floor is a bare FastAPI route on the same uvicorn that runs the very same two statements (token; 25 rows with their
joins, in the scope of an agent with four of ten inboxes) by raw asyncpg and answers with orjson. Both servers run at
once, rounds take turns, and a round counts the server's own CPU (getrusage, itself and its children) apart from that of
the PostgreSQL backends. Exit code 1 when the ratio of the server's CPU exceeds 2.0.

`HELPDESK_TEST_POSTGRES_URL` names a server to use; otherwise one is started.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr

import connectors
from helpdesk import clock, migrate
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
TOKEN = "hd_" + "b" * 43
DATABASE = "api_benchmark"
PATH = "/api/v1/conversations"
INBOXES, AGENTS, TEAMS = 10, 20, 6

SEED = """
INSERT INTO agents (id, email, name, role, locale, active, version, created_at, updated_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, 'agent' || i || '@bench.test', 'Agent ' || i,
           'agent', 'en', true, 1, now(), now() FROM generate_series(1, {agents}) i;
INSERT INTO teams (id, name, description, version, created_at, updated_at)
    SELECT ('00000000-0000-7000-8001-' || lpad(i::text, 12, '0'))::uuid, 'Team ' || i, '', 1, now(), now()
    FROM generate_series(1, {teams}) i;
INSERT INTO team_members SELECT t.id, a.id FROM teams t, agents a WHERE a.name = 'Agent 1' AND t.name = 'Team 1';
INSERT INTO inboxes (id, channel, name, handle, config, secrets, key, state, version, created_at, updated_at)
    SELECT ('00000000-0000-7000-8002-' || lpad(i::text, 12, '0'))::uuid, 'email', 'Desk ' || i,
           'desk' || i || '@bench.test', '{{}}', '', 'x', 'active', 1, now(), now()
    FROM generate_series(1, {inboxes}) i;
INSERT INTO inbox_members SELECT i.id, a.id FROM inboxes i, agents a
    WHERE (a.name = 'Agent 1') = (substr(i.name, 6)::int <= 4);
INSERT INTO api_tokens (id, agent_id, name, kind, digest, scopes, created_at, last_used_at)
    SELECT '00000000-0000-7000-8003-000000000001', a.id, 'bench', 'agent', '{digest}', '["conversations:read"]', now(),
           now() + interval '1 day' FROM agents a WHERE a.name = 'Agent 1';
INSERT INTO contacts (id, name, language, key, custom_fields, blocked, version, created_at, updated_at)
    SELECT gen_random_uuid(), 'Customer ' || i, 'en', 'x', '{{}}', false, 1, now(), now()
    FROM generate_series(1, {contacts}) i;
CREATE TEMP TABLE numbered AS SELECT id, row_number() OVER () AS n FROM contacts;
INSERT INTO conversations (id, number, subject, contact_id, contact_handle, channel, inbox_id, status, priority,
        category, assignee_id, team_id, preview, last_message_direction, message_count, seq, version, last_incoming_seq,
        last_agent_seq, created_at, updated_at, last_activity_at, waiting_since, next_due_at, language, quarantined,
        custom_fields)
    SELECT gen_random_uuid(), i, 'Withdrawal ' || i || ' is pending since yesterday', c.id,
           'customer' || i || '@example.com', 'email',
           ('00000000-0000-7000-8002-' || lpad((1 + i % {inboxes})::text, 12, '0'))::uuid,
           (ARRAY['open', 'pending', 'resolved', 'closed'])[1 + i % 4], i % 4, NULL,
           CASE WHEN i % 3 = 0 THEN ('00000000-0000-7000-8000-' || lpad((1 + i % {agents})::text, 12, '0'))::uuid END,
           CASE WHEN i % 5 = 0 THEN ('00000000-0000-7000-8001-' || lpad((1 + i % {teams})::text, 12, '0'))::uuid END,
           'Hello, I sent it yesterday and it has not arrived, could you have a look please?', 'incoming', 3, 4, 2, 4,
           2, now() - i * interval '7 minutes', now(), now() - (i * 7919 % {count}) * interval '5 minutes',
           CASE WHEN i % 2 = 0 THEN now() - i * interval '1 second' END,
           CASE WHEN i % 2 = 0 THEN now() + interval '1 day' - i * interval '1 second' END, 'en', false, '{{}}'
    FROM generate_series(1, {count}) i JOIN numbered c ON c.n = 1 + i % {contacts};
INSERT INTO conversation_inboxes SELECT id, inbox_id FROM conversations;
INSERT INTO conversation_tags SELECT id, 'withdrawal' FROM conversations WHERE number % 3 = 0;
INSERT INTO conversation_tags SELECT id, 'urgent' FROM conversations WHERE number % 5 = 0;
ANALYZE;
"""


def services_at(url: str, folder: Path) -> Services:
    settings = Settings(_env_file=None, data=folder, database_url=url, secret_key=SecretStr(SECRET))
    return Services(settings, Database(url), Keyring(SECRET), DiskStore(folder / "blobs"), connectors.discover())


async def seed(url: str, count: int) -> None:
    database = Database(url)
    await migrate.upgrade(database)
    await database.close()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    digest = accounts.digest_of(TOKEN)
    sizes = {"agents": AGENTS, "teams": TEAMS, "inboxes": INBOXES, "contacts": max(1, count // 3), "count": count}
    await connection.execute(SEED.format(digest=digest, **sizes))
    await connection.close()


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
    identity = await accounts.identify_token(services.database, TOKEN, now=now)
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


def serve(kind: str, url: str, port: int) -> None:
    app: Any = floor_app(url) if kind == "floor" else create_app(services_at(url, Path("/nonexistent")))

    async def with_cpu(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/-/cpu":
            used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            body = json.dumps(sum(u.ru_utime + u.ru_stime for u in used)).encode()
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
            )
            await send({"type": "http.response.body", "body": body})
        else:
            await app(scope, receive, send)

    quiet: dict[str, Any] = {"log_level": "error", "access_log": False, "lifespan": "off"}
    # A connection waits for longer than uvicorn's five seconds while the other server has its turn.
    uvicorn.run(with_cpu, port=port, loop="uvloop", http="httptools", timeout_keep_alive=600, **quiet)


@dataclass
class Server:
    """One of the two, as a process of its own, with kept-alive connections to it."""

    kind: str
    port: int
    process: subprocess.Popen[bytes]
    connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]

    @classmethod
    async def start(cls, kind: str, url: str, port: int, *, connections: int) -> Server:
        command = [sys.executable, __file__, "--serve", kind, "--url", url, "--port", str(port)]
        process = subprocess.Popen(command)
        for _ in range(200):
            try:
                opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
                return cls(kind, port, process, opened)
            except OSError:
                await asyncio.sleep(0.1)
        process.kill()
        raise TimeoutError(f"{kind} did not start")

    async def get(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str) -> bytes:
        reader, writer = connection
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return await reader.readexactly(length)

    async def cpu(self) -> float:
        return float(await self.get(self.connections[0], "/-/cpu"))

    async def load(self, requests: int) -> None:
        async def one(connection: Any, count: int) -> None:
            for _ in range(count):
                await self.get(connection, PATH)

        await asyncio.gather(*(one(c, requests // len(self.connections)) for c in self.connections))


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
        await Server.start("ours", url, 18311, connections=4),
        await Server.start("floor", url, 18312, connections=4),
    ]
    watcher = await asyncpg.connect(url.replace("+asyncpg", ""))
    spent: dict[str, list[tuple[float, float]]] = {server.kind: [] for server in servers}
    try:
        for server in servers:
            await server.load(200)
        shown = {s.kind: len(orjson.loads(await s.get(s.connections[0], PATH))["items"]) for s in servers}
        assert shown == {"ours": 25, "floor": 25}, shown
        print(f"{'round':>5} {'ours ms':>9} {'floor ms':>9} {'ratio':>6}   {'ours pg':>8} {'floor pg':>8}")
        for turn in range(rounds):
            for server in servers if turn % 2 else reversed(servers):
                before, before_backend = await server.cpu(), await backend_cpu(watcher)
                await server.load(requests)
                used, used_backend = await server.cpu() - before, await backend_cpu(watcher) - before_backend
                spent[server.kind].append((used / requests * 1000, used_backend / requests * 1000))
            (ours, ours_pg), (floor, floor_pg) = spent["ours"][-1], spent["floor"][-1]
            print(f"{turn + 1:>5} {ours:>9.3f} {floor:>9.3f} {ours / floor:>6.2f}   {ours_pg:>8.3f} {floor_pg:>8.3f}")
    finally:
        await watcher.close()
        for server in servers:
            for _, writer in server.connections:
                writer.close()
            server.process.terminate()
            server.process.wait(10)
    middle = {kind: [statistics.median(column) for column in zip(*found, strict=True)] for kind, found in spent.items()}
    ratio = middle["ours"][0] / middle["floor"][0]
    print(f"median: ours {middle['ours'][0]:.3f} ms, floor {middle['floor'][0]:.3f} ms of server CPU per request")
    print(f"median: ours {middle['ours'][1]:.3f} ms, floor {middle['floor'][1]:.3f} ms of PostgreSQL CPU per request")
    print(f"ratio: {ratio:.2f} (limit {LIMIT})")
    return ratio


async def run(arguments: argparse.Namespace) -> float:
    given = os.environ.get("HELPDESK_TEST_POSTGRES_URL", "")
    with Postgres.at(given) if given else Postgres() as server:
        url = server.create(DATABASE)
        try:
            started = time.monotonic()
            await seed(url, arguments.conversations)
            print(f"seeded {arguments.conversations} conversations in {time.monotonic() - started:.0f} s")
            return await measure(url, rounds=arguments.rounds, requests=arguments.requests)
        finally:
            server.drop(DATABASE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--serve", choices=["ours", "floor"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.url, arguments.port)
        return 0
    return int(asyncio.run(run(arguments)) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
