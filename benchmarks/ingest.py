"""What receiving and filing a mail costs in CPU: from Dovecot into PostgreSQL with default durability.

    python benchmarks/ingest.py [--mails 1000] [--trickle 400]

The mails have 0.2 to 2 kB of text, 30 % of them answer a conversation by our token, 10 % carry a file of 50 kB. A real
`helpdesk worker` fetches, stores, reads and files them; events are relayed and acknowledgements written. Sending is
left to another worker, which is not started. Counted are the worker with its children and all of PostgreSQL's
processes; Dovecot is not. The rows are verified afterwards.

*Backlog*: all mails lie in the mailbox before the worker looks. *Trickle*: they come one by one, each filed before the
next; what autovacuum owes for the backlog, and a new server for its own catalogs, is paid before, since it is not
theirs, and autovacuum stays on. The floor is one bare durable INSERT per mail of the same size by asyncpg, measured in
the same run.

Exit code 1 when a limit is missed: 4 ms per mail of a backlog, 10 ms per mail that comes alone, 250 MB of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncpg

from benchmarks.machine import cpu_of, memory_of
from helpdesk.crypto import Keyring
from helpdesk.domain import tokens
from tests.peers.dovecot import Dovecot
from tests.peers.postgres import Postgres

BACKLOG_MS, TRICKLE_MS, MEMORY_MB = 4.0, 10.0, 250
SECRET = "1:" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
ADDRESS = "support@bench.example"
HELPDESK = [sys.executable, "-m", "helpdesk"]
WORDS = ("my", "transfer", "has", "not", "arrived", "since", "yesterday", "please", "look", "at", "the", "account")


def mail(number: int, *, answers: str | None) -> bytes:
    """One of the mails; the same number gives the same bytes. `answers` is a token, and makes it a reply."""
    chance = random.Random(number)
    sender = f"person{number % 300 if answers else number}@customer.example"
    message = EmailMessage()
    message["From"] = f"Person {number} <{sender}>"
    message["To"] = ADDRESS
    message["Subject"] = f"Question {number}"
    message["Date"] = "Mon, 02 Nov 2026 10:00:00 +0000"
    message["Message-ID"] = f"<bench-{number}@customer.example>"
    text = " ".join(chance.choice(WORDS) for _ in range(chance.randint(40, 370)))
    if answers:
        message["In-Reply-To"] = f"<{answers}.abcdefghijklmnop@bench.example>"
        text += (
            "\n\nOn Mon, 2 Nov 2026 at 10:00, Support wrote:\n> We have received your message.\n> It has a number.\n"
        )
    message.set_content(text)
    if number % 10 == 0:
        message.add_attachment(chance.randbytes(50_000), maintype="image", subtype="png", filename=f"shot{number}.png")
    return message.as_bytes()


def identity(body: bytes) -> str:
    return body.partition(b"Message-ID: <")[2].partition(b">")[0].decode()


def plain(url: str) -> str:
    """For the driver, without SQLAlchemy's word for it."""
    return url.replace("postgresql+asyncpg", "postgresql")


class Bench:
    def __init__(self, dovecot: Dovecot, postgres: Postgres, folder: Path) -> None:
        self.dovecot, self.postgres = dovecot, postgres
        self.url = postgres.create("ingest_benchmark")
        # As installed: with compiled bytecode, which some development machines turn off.
        self.env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
            "HELPDESK_DATABASE_URL": self.url,
            "HELPDESK_DATA": str(folder / "data"),
            "HELPDESK_SECRET_KEY": SECRET,
            "HELPDESK_ALLOW_HOSTS": "127.0.0.0/8,::1/128",
            "HELPDESK_WORKER_LOOPS": "receive,process,relay",
            "HELPDESK_ACK_PER_MINUTE": "1000000",
            "HELPDESK_LOG_LEVEL": "warning",
        }
        self.memory = 0.0
        self.observer = 0

    def run(self, *arguments: str) -> str:
        done = subprocess.run([*HELPDESK, *arguments], env=self.env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    @contextmanager
    def worker(self) -> Iterator[int]:
        process = subprocess.Popen([*HELPDESK, "worker"], env=self.env, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"ready")
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)

    def cpu(self, worker: int) -> tuple[float, float]:
        """Seconds of the worker and of PostgreSQL, without the backend that only answers this benchmark's looks."""
        assert self.postgres.pid is not None
        return cpu_of(worker), cpu_of(self.postgres.pid) - cpu_of(self.observer)

    async def connect(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(plain(self.url))
        self.observer = connection.get_server_pid()
        return connection


async def settle(bench: Bench) -> None:
    """Let a server that was made a minute ago have the statistics of its own databases, which no mail ever enters."""
    for name in ("postgres", "template1"):
        connection = await asyncpg.connect(plain(bench.postgres.url(name)))
        await connection.execute("VACUUM ANALYZE")
        await connection.close()


async def count(connection: asyncpg.Connection, query: str) -> int:
    return int(await connection.fetchval(query))


async def wait_for(connection: asyncpg.Connection, query: str, wanted: int, *, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while (found := await count(connection, query)) < wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {found} of {wanted}: {query}")
        await asyncio.sleep(0.1 if wanted > 50 else 0.02)


FILED = "SELECT count(*) FROM raw_items WHERE state = 'filed'"
RELAYED = "SELECT count(*) FROM events WHERE type = 'message.received' AND position IS NOT NULL"


async def seed(bench: Bench, connection: asyncpg.Connection) -> list[str]:
    """Three hundred conversations, for the replies to belong to; answers their tokens."""
    with bench.worker():
        await asyncio.sleep(2)
        for number in range(300):
            bench.dovecot.deliver("support", mail(number, answers=None))
        await wait_for(connection, RELAYED, 300)
    keyring = Keyring(SECRET)
    key = keyring.subkey("token", None)
    rows = await connection.fetch("SELECT number, contact_handle FROM conversations")
    by_handle = {row["contact_handle"]: row["number"] for row in rows}
    return [
        tokens.issue(key, key_id=1, number=by_handle[handle], recipient=handle)
        for handle in (f"person{i}@customer.example" for i in range(300))
    ]


def batch(first: int, size: int, issued: list[str]) -> list[bytes]:
    return [mail(n, answers=issued[n % 300] if n % 10 < 3 else None) for n in range(first, first + size)]


async def backlog(bench: Bench, connection: asyncpg.Connection, mails: list[bytes]) -> tuple[float, float, float]:
    """CPU per mail in ms, of the worker and of PostgreSQL, and the wall time in seconds."""
    before = await count(connection, RELAYED)
    for body in mails:
        bench.dovecot.deliver("support", body)
    with bench.worker() as pid:
        started, (ours, theirs) = time.monotonic(), bench.cpu(pid)
        while await count(connection, RELAYED) < before + len(mails):
            bench.memory = max(bench.memory, memory_of(pid))
            if time.monotonic() > started + 300:
                raise SystemExit("the backlog was not filed in five minutes")
            await asyncio.sleep(0.2)
        await asyncio.sleep(1.0)
        wall, (ours_after, theirs_after) = time.monotonic() - started - 1.0, bench.cpu(pid)
    return (ours_after - ours) / len(mails) * 1e3, (theirs_after - theirs) / len(mails) * 1e3, wall


async def trickle(bench: Bench, connection: asyncpg.Connection, mails: list[bytes]) -> tuple[float, float]:
    """The same for mails that come one by one. The worker is warm: the first ones are not counted."""
    started = time.monotonic()
    with bench.worker() as pid:
        for number, body in enumerate(mails):
            if number == 20:
                ours, theirs = bench.cpu(pid)
            bench.dovecot.deliver("support", body)
            # Both are looked up in an index: asking must not cost what is measured.
            await wait_for(connection, f"SELECT count(*) FROM messages WHERE external_id = '{identity(body)}'", 1)
            await wait_for(connection, "SELECT (count(*) = 0)::int FROM events WHERE position IS NULL", 1)
        ours_after, theirs_after = bench.cpu(pid)
        bench.memory = max(bench.memory, memory_of(pid))
    counted = len(mails) - 20
    print(f"one by one took {(time.monotonic() - started) / len(mails):.2f} s of wall time per mail")
    return (ours_after - ours) / counted * 1e3, (theirs_after - theirs) / counted * 1e3


async def floor(bench: Bench, connection: asyncpg.Connection, mails: list[bytes]) -> float:
    """One durable INSERT per mail: what cannot be had for less. CPU in ms, of this process and of PostgreSQL."""
    assert bench.postgres.pid is not None
    await connection.execute("CREATE TABLE floor (id bigserial PRIMARY KEY, body bytea NOT NULL)")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    theirs, ours = cpu_of(bench.postgres.pid), usage.ru_utime + usage.ru_stime
    for body in mails:
        await connection.execute("INSERT INTO floor (body) VALUES ($1)", body)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent = usage.ru_utime + usage.ru_stime - ours + cpu_of(bench.postgres.pid) - theirs
    await connection.execute("DROP TABLE floor")
    return spent / len(mails) * 1e3


async def verify(connection: asyncpg.Connection, *, total: int, replies: int, files: int) -> None:
    """Every mail exactly once, where it belongs, with what belongs to it."""
    expected = {
        "SELECT count(*) FROM raw_items": total,
        FILED: total,
        "SELECT count(*) FROM messages WHERE type = 'incoming'": total,
        "SELECT count(DISTINCT external_id) FROM messages WHERE type = 'incoming'": total,
        "SELECT count(*) FROM conversations": total - replies,
        "SELECT count(*) FROM conversations WHERE next_due_at = waiting_since + interval '24 hours'": total - replies,
        "SELECT count(*) FROM acknowledgements": total - replies,
        "SELECT count(*) FROM deliveries": await count(
            connection, "SELECT count(*) FROM acknowledgements WHERE outcome = 'queued'"
        ),
        "SELECT count(*) FROM attachments": files,
        "SELECT count(*) FROM events WHERE position IS NULL": 0,
    }
    wrong = [f"{query}: {found}, not {wanted}" for query, wanted in expected.items()
             if (found := await count(connection, query)) != wanted]  # fmt: skip
    if wrong:
        raise SystemExit("rows are wrong:\n" + "\n".join(wrong))


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--trickle", type=int, default=400)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Dovecot({"support": "secret"}) as dovecot,
        Postgres(durable=True) as postgres,
    ):
        bench = Bench(dovecot, postgres, Path(folder))
        bench.run("migrate")
        bench.run(
            "inbox", "add", "email", "--name", "Bench", "--set", f"address={ADDRESS}", "--set", "receive=imap",
            "--set", f"imap_url={dovecot.url('support')}",
        )  # fmt: skip
        await settle(bench)
        connection = await bench.connect()
        issued = await seed(bench, connection)
        many = batch(1000, given.mails, issued)
        ours, theirs, wall = await backlog(bench, connection, many)
        await connection.execute("VACUUM ANALYZE")
        few = batch(100_000, given.trickle + 20, issued)
        alone, alone_theirs = await trickle(bench, connection, few)
        bare = await floor(bench, connection, many)
        everything = range(1000, 1000 + given.mails), range(100_000, 100_000 + given.trickle + 20)
        await verify(
            connection,
            total=300 + len(many) + len(few),
            replies=sum(n % 10 < 3 for part in everything for n in part),
            files=sum(n % 10 == 0 for part in (range(300), *everything) for n in part),
        )
        await connection.close()
    print(f"bare durable insert      {bare:6.2f} ms of CPU per mail")
    print(f"backlog of {given.mails:5}         {ours + theirs:6.2f} ms  (ours {ours:.2f}, PostgreSQL {theirs:.2f}),"
          f" {(ours + theirs) / bare:.1f} x the insert, {wall:.1f} s of wall time")  # fmt: skip
    print(f"one by one               {alone + alone_theirs:6.2f} ms  (ours {alone:.2f}, PostgreSQL {alone_theirs:.2f}),"
          f" {(alone + alone_theirs) / bare:.1f} x the insert")  # fmt: skip
    print(f"memory, all our processes {bench.memory:5.0f} MB")
    failed = ours + theirs > BACKLOG_MS or alone + alone_theirs > TRICKLE_MS or bench.memory > MEMORY_MB
    print("missed a limit" if failed else "within the limits")
    return int(failed)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
