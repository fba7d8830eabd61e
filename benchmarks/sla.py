"""What promises cost: a due time, a sweep over a million clocks, a calendar that a hundred thousand clocks follow.

    python benchmarks/sla.py [--clocks 1000000] [--due 1000] [--replanned 100000]

*Due time*: in service hours with holidays, from random times within five years, in CPU microseconds; a target of an
hour, of a day, and of ten years, all by the same timetable, which is warm. The floor is a bare `datetime + timedelta`.

*Sweep*: a real PostgreSQL with default durability holds a million clocks that run, of which a thousand have just
broken. Its plan for the sweep's own statement is looked at: it must read what is due by the partial index and nothing
else. Then the sweep of the worker settles them; counted are this process and all of PostgreSQL's. What follows from it,
ladders and alerts, is done as well and told, without a limit of its own.

*Calendar*: a hundred thousand of the clocks run by a calendar that is edited. The job that lets them follow is run as
the worker runs it; its progress is read as the API shows it, and the new due times are checked against the calendar.

Exit code 1 when a limit is missed: 15 microseconds for a due time, 1.5 times the hour's for ten years; only what is due
read, and 3 s of CPU for settling it; every clock planned anew, with progress.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncpg
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql

import connectors
from benchmarks.machine import cpu_of
from helpdesk import migrate
from helpdesk.blobstore import DiskStore
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.db import Database
from helpdesk.domain.business_hours import Timetable
from helpdesk.domain.values import SYSTEM
from helpdesk.services import agents, business_hours, inboxes, relay, replanning, sweep
from helpdesk.services.house import Services
from helpdesk.services.timetables import default_hours, timetable
from tests.peers.postgres import Postgres
from workers.jobs import Jobs
from workers.sla import keep_promises
from workers.subscriptions import SUBSCRIPTIONS

DUE_MICROSECONDS, LONG_RATIO, SWEEP_SECONDS = 15.0, 1.5, 3.0
SECRET = "1:" + base64.b64encode(bytes(32)).decode()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def each(work: Callable[[datetime, timedelta], Any], starts: list[datetime], target: timedelta) -> float:
    """CPU microseconds of one call: the best of five rounds, since the machine is shared."""
    rounds = []
    for _ in range(5):
        before = time.process_time()
        for start in starts:
            work(start, target)
        rounds.append((time.process_time() - before) / len(starts) * 1e6)
    return min(rounds)


def due_times(table: Timetable) -> bool:
    chance = random.Random(1)
    beginning = datetime(2026, 1, 1, tzinfo=UTC)
    starts = [beginning + timedelta(seconds=chance.randrange(5 * 365 * 86_400)) for _ in range(20_000)]
    ten_years = 10 * 365 * DAY / 24 * 12 / 7 * 5  # of open time, so that the due time is ten years away
    for start in (starts[0], max(starts)):
        table.due(start, ten_years)
    floor = each(lambda start, target: start + target, starts, HOUR)
    hour, day, long = (each(table.due, starts, target) for target in (HOUR, DAY, ten_years))
    print(
        f"due time: an hour {hour:.2f} µs, a day {day:.2f} µs, ten years {long:.2f} µs (bare addition {floor:.2f} µs)"
    )
    print(f"ten years take {long / hour:.2f} times an hour")
    return max(hour, day) <= DUE_MICROSECONDS and long <= hour * LONG_RATIO


async def seed(services: Services, url: str, *, clocks: int, due: int, replanned: int, now: datetime) -> UUID:
    """Conversations with a clock each: those due, those in service hours, the others by the wall clock."""
    async with services.database.transaction() as session:
        inbox_id = await inboxes.add(
            services,
            session,
            channel="email",
            name="Benchmark",
            settings={"address": "support@bench.example"},
            members=(),
            by=SYSTEM,
            now=now,
        )
        await agents.create(session, email="boss@bench.example", name="Boss", role="admin", by=SYSTEM, now=now)
        hours = await default_hours(session)
    connection = await asyncpg.connect(url)
    policies = {row["name"]: row["id"] for row in await connection.fetch("SELECT id, name FROM sla_policies")}
    contact = await connection.fetchval(
        """INSERT INTO contacts (id, name, language, key, custom_fields, blocked, version, created_at, updated_at)
        VALUES (gen_random_uuid(), 'Mina', 'en', '', '{}', false, 1, $1, $1) RETURNING id""",
        now,
    )
    await connection.execute(
        f"""INSERT INTO conversations (id, number, subject, contact_id, contact_handle, channel, inbox_id, status,
            priority, preview, last_message_direction, message_count, seq, version, last_incoming_seq, last_agent_seq,
            created_at, updated_at, last_activity_at, waiting_since, next_due_at, language, quarantined, custom_fields,
            sla_paused)
        SELECT gen_random_uuid(), nextval('conversation_number'), 'Question', '{contact}', 'mina@customer.example',
            'email', '{inbox_id}', 'open', 1, '', 'incoming', 1, 1, 1, 1, 0, at, at, at, at, at + interval '1 day',
            'en', false, '{{}}', false
        FROM (SELECT $1::timestamptz - CASE WHEN n <= {due} THEN interval '1 day 1 minute' * (1 + n * 0.00001)
            ELSE interval '1 hour' * random() END AS at FROM generate_series(1, {clocks}) AS n) AS made""",
        now,
    )
    await connection.execute(
        f"""INSERT INTO sla_clocks (conversation_id, kind, cycle, channel, inbox_id, policy_id, policy_version,
            business_hours_id, business_hours_version, target, state, start_seq, started_at, due_at, spans, warned,
            trouble, next_due_at)
        SELECT id, 'first_response', 1, 'email', inbox_id,
            CASE WHEN business THEN '{policies["Social networks"]}'::uuid ELSE '{policies["E-mail"]}'::uuid END, 1,
            CASE WHEN business THEN '{hours["id"]}'::uuid END, CASE WHEN business THEN 1 ELSE 0 END,
            CASE WHEN business THEN 14400 ELSE 86400 END, 'running', 1, waiting_since,
            CASE WHEN business THEN $1::timestamptz + interval '9 days' ELSE next_due_at END, '[]', 1, '',
            CASE WHEN business THEN $1::timestamptz + interval '9 days' ELSE next_due_at END
        FROM (SELECT *, number > {clocks - replanned} AS business FROM conversations) AS c""",
        now,
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    found: UUID = hours["id"]
    return found


def reads(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a plan that read a table."""
    mine = [plan] if "Relation Name" in plan else []
    return mine + [node for part in plan.get("Plans", ()) for node in reads(part)]


async def sweep_reads(url: str, *, now: datetime) -> bool:
    """Whether PostgreSQL reads only what is due for the sweep's own statement."""
    compiled = sweep.claim().compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": False})
    text = str(compiled).replace("%(now)s", "$1")
    connection = await asyncpg.connect(url, server_settings={"jit": "off", "random_page_cost": "1.1"})
    async with connection.transaction():
        found = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", now))
    await connection.close()
    good = True
    for node in reads(found[0]["Plan"]):
        rows, removed = node["Actual Rows"] * node["Actual Loops"], node.get("Rows Removed by Filter", 0)
        index = node.get("Index Name", "")
        print(f"plan: {node['Node Type']} by {index or 'no index'}, {rows:.0f} rows read, {removed} of them in vain")
        good = good and index == "ix_sla_clocks_due" and removed == 0 and rows <= sweep.BATCH
    return good


class Cpu:
    """Seconds of CPU of this process and of PostgreSQL since it was made."""

    def __init__(self, server: Postgres) -> None:
        assert server.pid is not None
        self._pid = server.pid
        self._ours, self._theirs = time.process_time(), cpu_of(self._pid)

    def spent(self) -> tuple[float, float]:
        return time.process_time() - self._ours, cpu_of(self._pid) - self._theirs


async def swept(services: Services, server: Postgres, *, due: int, now: datetime) -> bool:
    cpu, settled = Cpu(server), 0
    while True:
        async with services.database.transaction() as session:
            count = await sweep.settle(services, session, now=now)
        settled += count
        if count < sweep.BATCH:
            break
    ours, theirs = cpu.spent()
    print(
        f"sweep: {settled} clocks settled for {ours + theirs:.2f} s of CPU ({ours:.2f} here, {theirs:.2f} PostgreSQL)"
    )
    cpu = Cpu(server)
    async with services.database.transaction() as session:
        fence = await relay.acquire(session, "relay", owner="benchmark", seconds=600)
    assert fence is not None
    how: dict[str, Any] = {"lease": "relay", "fence": fence, "careful": False, "now": now}
    for _ in range(50):
        async with services.database.transaction() as session:
            told = len(await relay.relay(services, session, SUBSCRIPTIONS, **how))
        if not told + await keep_promises(services):
            break
    ours, theirs = cpu.spent()
    print(f"ladders and alerts of these: {ours + theirs:.2f} s of CPU ({(ours + theirs) / due * 1e3:.1f} ms each)")
    return settled == due


async def follows(
    services: Services, server: Postgres, url: str, hours_id: UUID, *, wanted: int, now: datetime
) -> bool:
    """Close an hour earlier, and let the clocks follow."""
    async with services.database.transaction() as session:
        row = await business_hours.get_hours(session, hours_id, version=1)
        shorter = [[["08:00", "19:00"]] if hours else [] for hours in row["content"]["weekly"]]
        await business_hours.edit(session, row, changes={"weekly": shorter}, by=SYSTEM, now=now)
    async with services.database.transaction() as session:
        start: dict[str, Any] = {"column": "business_hours_id", "subject_id": hours_id, "version": 2}
        job_id = await replanning.start(session, **start, by=SYSTEM, now=now)
    worker, cpu, started = Jobs(services, worker="benchmark"), Cpu(server), time.monotonic()
    seen, connection = [], await asyncpg.connect(url)
    while await worker.step():
        seen.append(await connection.fetchrow("SELECT state, total, done, changed FROM jobs WHERE id = $1", job_id))
    ours, theirs = cpu.spent()
    last, wall = seen[-1], time.monotonic() - started
    growing = all(one["done"] < other["done"] or other["state"] == "done" for one, other in pairwise(seen))
    print(
        f"calendar: {last['done']} of {last['total']} clocks looked at, {last['changed']} due at another time, ", end=""
    )
    print(f"{len(seen)} steps of progress, {wall:.0f} s, {ours:.1f} + {theirs:.1f} s of CPU", end=" ")
    print(f"({(ours + theirs) / wanted * 1e6:.0f} µs each)")
    sample = await connection.fetch(
        "SELECT started_at, due_at, target FROM sla_clocks WHERE business_hours_id = $1 AND business_hours_version = 2 "
        "ORDER BY conversation_id LIMIT 200",
        hours_id,
    )
    await connection.close()
    async with services.database.reading() as session:
        table = await timetable(session, hours_id, 2)
    right = all(one["due_at"] == table.due(one["started_at"], timedelta(seconds=one["target"])) for one in sample)
    print(f"{len(sample)} new due times held against the calendar: {'right' if right else 'WRONG'}")
    return last["state"] == "done" and last["done"] == wanted and last["changed"] == wanted and growing and right


def services_at(url: str, folder: Path) -> Services:
    settings = Settings(_env_file=None, data=folder, database_url=url, secret_key=SecretStr(SECRET))
    database = Database(url, plan_once=True)
    return Services(settings, database, Keyring(SECRET), DiskStore(folder / "blobs"), connectors.discover())


async def run(arguments: argparse.Namespace) -> bool:
    with Postgres(durable=True) as server, tempfile.TemporaryDirectory() as folder:
        url = server.create("sla_benchmark")
        plain = url.replace("postgresql+asyncpg", "postgresql")
        services = services_at(url, Path(folder))
        now = datetime.now(UTC)
        await migrate.upgrade(services.database)
        async with services.database.reading() as session:
            good = due_times(await _default(session))
        how = {"clocks": arguments.clocks, "due": arguments.due, "replanned": arguments.replanned}
        started = time.monotonic()
        hours_id = await seed(services, plain, **how, now=now)
        print(f"{arguments.clocks} clocks made in {time.monotonic() - started:.0f} s")
        good &= await sweep_reads(plain, now=now)
        good &= await swept(services, server, due=arguments.due, now=now)
        good &= await follows(services, server, plain, hours_id, wanted=arguments.replanned, now=now)
        await services.database.close()
    return good


async def _default(session: Any) -> Timetable:
    hours = await default_hours(session)
    return await timetable(session, hours["id"], hours["version"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clocks", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=1_000)
    parser.add_argument("--replanned", type=int, default=100_000)
    good = asyncio.run(run(parser.parse_args()))
    print("within the limits" if good else "OUT OF THE LIMITS")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
