"""A fleet whose parts die, stop, come back and forget: nothing is lost, nothing is sent twice without a doubt."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.conftest import needed
from tests.journeys.load import Load
from tests.journeys.mailbox import DovecotMailbox
from tests.journeys.mails import mail
from tests.journeys.sink import Sink
from tests.journeys.stack import Stack
from tests.peers.postgres import Postgres, binaries
from tests.peers.redis import Redis

ROUNDS = 4
OLD_MAILS = 500


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL that may be restarted."""
    if binaries() is None:
        needed("PostgreSQL")
    with Postgres() as opened:
        yield opened


@pytest.fixture(scope="module")
def stack(server: Postgres, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    url = server.create("crashes")
    with Stack(tmp_path_factory.mktemp("fleet"), database_url=url, redis_url=redis.url) as made:
        made.set_up()
        made.start()
        yield made


@pytest.fixture
def load(stack: Stack, sink: Sink, mailbox: Callable[[], DovecotMailbox]) -> Load:
    """An inbox of its own for each test, and a worker that runs."""
    if "worker" not in stack.processes:
        stack.start_one("worker")
    made = Load(stack, mailbox(), sink)
    made.read_once()
    return made


def _work(load: Load, *, mails: int = 2, replies: int = 2) -> None:
    """Some mails come in and some replies are written, without waiting for anything."""
    for conversation in list(load.conversations().values())[:replies]:
        load.answer(conversation)
    load.write(mails)


def test_killing_workers_at_random_times_under_load_loses_and_doubles_nothing(load: Load) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    load.write(2)
    load.filed()
    for _ in range(ROUNDS):
        _work(load)
        time.sleep(chance.uniform(0.0, 1.0))
        load.stack.kill("worker")
        load.stack.start_one("worker")
    load.account()


def test_a_redis_that_forgets_everything_costs_nothing(load: Load, redis: Redis) -> None:
    for _ in range(3):
        _work(load)
        redis.flushall()
    load.account()


def test_without_redis_everything_goes_on_and_its_return_is_noticed(load: Load, redis: Redis) -> None:
    redis.stop()
    try:
        load.write(2)
        for conversation in load.filed().values():
            load.answer(conversation)
        load.account()
    finally:
        redis.start()
    heard = "doorbell.lost"
    assert heard in load.stack.processes["worker"].said()
    _work(load)
    load.account()


def test_a_mail_that_is_delivered_twice_is_one_message(load: Load) -> None:
    load.write(3, times=2)
    load.account()


def test_a_mailbox_with_new_numbers_is_read_again_and_files_nothing_twice(load: Load) -> None:
    load.write(3)
    load.account()
    load.stack.kill("worker")
    load.mailbox.server.forget_uids(load.mailbox.user)
    load.write(2)
    load.stack.start_one("worker")
    load.account()
    assert "imap.renumbered" in load.stack.processes["worker"].said()


def _reader(stack: Stack, load: Load, server: Postgres) -> str:
    """The name of the process that has the inbox's lease, or nothing while nobody has."""

    async def owner() -> str:
        connection = await asyncpg.connect(server.url("crashes").replace("+asyncpg", ""))
        try:
            query = "SELECT owner FROM leases WHERE name = $1 AND expires_at > extract(epoch FROM clock_timestamp())"
            return str(await connection.fetchval(query, f"inbox:{load.inbox_id}") or "")
        finally:
            await connection.close()

    pid = asyncio.run(owner()).split(":")[1:2]
    return next((name for name, process in stack.processes.items() if [str(process.popen.pid)] == pid), "")


def test_two_workers_share_an_inbox_and_one_takes_over_when_the_other_dies(load: Load, server: Postgres) -> None:
    stack = load.stack
    stack.start_one("worker-2")
    try:
        _work(load, mails=4)
        load.account()
        dies = stack.until("somebody reads the mailbox", lambda: _reader(stack, load, server) or None)
        stack.kill(dies)
        _work(load)
        stack.until("the other one takes over", lambda: _reader(stack, load, server) or None)
        load.account()
    finally:
        for name in ("worker", "worker-2"):
            if name in stack.processes:
                stack.kill(name)


def test_a_worker_that_was_frozen_finds_its_work_taken_and_leaves_it(load: Load, server: Postgres) -> None:
    stack = load.stack
    stack.start_one("worker-2")
    try:
        load.write(2)
        load.filed()
        frozen = stack.until("somebody reads the mailbox", lambda: _reader(stack, load, server) or None)
        process = stack.processes[frozen]
        _work(load)
        process.popen.send_signal(signal.SIGSTOP)
        stack.until("the other one takes over", lambda: _reader(stack, load, server) not in ("", frozen))
        _work(load)
        load.filed()
        process.popen.send_signal(signal.SIGCONT)
        stack.until("it finds out", lambda: "lease_lost" in process.said())
        load.account()
    finally:
        for name in ("worker", "worker-2"):
            stack.kill(name)


def test_a_postgresql_that_is_restarted_in_the_middle_loses_nothing(load: Load, server: Postgres) -> None:
    load.write(3)
    load.filed()
    _work(load, mails=3, replies=3)
    time.sleep(0.1)
    server.restart()
    load.account()
    _work(load)
    load.account()


def test_a_worker_that_is_asked_to_stop_finishes_what_it_is_sending(load: Load) -> None:
    stack, sink = load.stack, load.sink
    load.write(1)
    load.account()
    sink.server.wait("dot", 2, times=1)
    before = len(sink.messages)
    _work(load, mails=0, replies=1)
    stack.until("the reply is on its way", lambda: len(sink.messages) > before)
    assert stack.kill("worker", signal.SIGTERM) == 0, stack.logs()
    sent = [m for m in load.outgoing().values() if m["id"] in load.replies]
    assert [m["delivery"]["status"] for m in sent] == ["sent"]
    assert len(sink.messages) == before + 1
    assert "Traceback" not in stack.logs()


def test_old_mail_is_left_alone_until_it_is_asked_for_and_never_acknowledged(
    stack: Stack, sink: Sink, mailbox: Callable[[], DovecotMailbox]
) -> None:
    old = mailbox()
    begin = datetime.now(UTC) - timedelta(days=400)
    for number in range(OLD_MAILS):
        body = mail(f"Old question {number}", sender=f"old{number}@customer.example").as_bytes()
        old.server.deliver(old.user, body, at=begin + timedelta(hours=number))
    if "worker" not in stack.processes:
        stack.start_one("worker")
    load = Load(stack, old, sink)
    load.read_once()
    assert load.conversations() == {}
    stack.tell("inbox", "backfill", load.inbox_id)

    def settled() -> bool:
        time.sleep(0.5)
        return len(stack.conversations(inbox_id=load.inbox_id)) == OLD_MAILS

    stack.until("all of them are filed", settled)
    load.write(1)
    load.filed()
    load.settled()
    assert len(sink.messages) == 1, "only who writes now is acknowledged"
