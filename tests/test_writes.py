"""Sets of rows in one go, and the session that carries them: on both databases, and what PostgreSQL does besides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import delete, func, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import sessions
from helpdesk.db import Database, new_id
from helpdesk.domain.events import InboxRecovered
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.events import events, followers, undistributed
from helpdesk.models.inboxes import leases
from helpdesk.services import rows
from helpdesk.services.events import row as event_row
from helpdesk.statements import driver_of
from helpdesk.writes import VERSION, Holding, Insert, NotHeld, Numbering, Update, insert, write
from tests import emptied

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
SIZES = pytest.mark.parametrize("size", [1, 3, 40], ids=["one row", "a few rows", "many rows"])


def people(size: int) -> list[dict[str, Any]]:
    return [rows.contact(new_id(), name=f"Mína {n}", sealed=bytes([n, 0]), now=NOW) for n in range(size)]


def handles(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        rows.identity(one["id"], channel="email", handle=f"{one['name']}@x.test", display="", now=NOW) for one in given
    ]


async def count(session: AsyncSession) -> int:
    return int(await session.scalar(select(func.count()).select_from(contacts)) or 0)


async def stored(database: Database) -> int:
    async with database.reading() as session:
        return await count(session)


@SIZES
async def test_rows_that_refer_to_each_other_are_written_together_and_counted(database: Database, size: int) -> None:
    given = people(size)
    async with database.transaction() as session:
        counts = await write(
            session, Insert(contacts, given), Insert(leases, []), Insert(contact_identities, handles(given))
        )
    assert counts == [size, 0, size]
    async with database.reading() as session:
        found = (await session.execute(select(contacts).order_by(contacts.c.id))).mappings().all()
    # Whom a contact became part of is never known when it is written.
    assert [dict(row) for row in found] == [one | {"merged_into_id": None} for one in given], "as it went in"


@SIZES
async def test_a_conflict_that_was_foreseen_keeps_the_old_row_or_takes_over_what_it_should(
    database: Database, size: int
) -> None:
    given = people(size)
    again = [one | {"name": "another", "language": "zh-TW"} for one in given] + people(1)
    async with database.transaction() as session:
        await insert(session, contacts, given)
        assert await write(session, Insert(contacts, again, unless=("id",))) == [1]
    async with database.reading() as session:
        assert "another" not in (await session.execute(select(contacts.c.name))).scalars().all()
    async with database.transaction() as session:
        await write(session, Insert(contacts, again[:-1], unless=("id",), replacing=("language",)))
    async with database.reading() as session:
        changed = await session.execute(select(contacts.c.name, contacts.c.language).where(contacts.c.language != ""))
        assert {row.name for row in changed} == {one["name"] for one in given}


@SIZES
async def test_an_update_finds_rows_by_what_it_is_told_and_counts_those_it_found(database: Database, size: int) -> None:
    given = people(size)
    async with database.transaction() as session:
        await insert(session, contacts, given)
    changes = [{"id": one["id"], "version": 1, "name": "Renamed", "custom_fields": {"n": [1]}} for one in given]
    changes[0] |= {"version": 7}
    async with database.transaction() as session:
        assert await write(session, Update(contacts, changes, by=("id", "version"))) == [size - 1]
    async with database.reading() as session:
        found = (await session.execute(select(contacts.c.name, contacts.c.custom_fields))).all()
    assert sorted(map(tuple, found), key=str).count(("Renamed", {"n": [1]})) == size - 1


async def test_without_the_row_that_has_to_be_held_nothing_is_written(database: Database) -> None:
    async with database.transaction() as session:
        await insert(session, leases, [{"name": "desk", "owner": "me", "fence": 3, "expires_at": 0.0}])
    async with database.transaction() as session:
        held = Holding(leases, {"name": "desk", "fence": 3})
        assert await write(session, Insert(contacts, people(2)), holding=[held], last=True) == [2]
    lost = Holding(leases, {"name": "desk", "fence": 2})
    with pytest.raises(NotHeld):
        async with database.transaction() as session:
            await write(session, Insert(contacts, people(2)), holding=[lost], last=True)
    assert await stored(database) == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_of_two_who_change_what_both_have_read_one_writes(database: Database) -> None:
    """Neither waits for the other in a circle, and neither overwrites what it has not seen."""
    (person,) = people(1)
    async with database.transaction() as session:
        await insert(session, contacts, [person])
        version = await session.scalar(select(literal_column(VERSION)).select_from(contacts))

    async def rename(name: str) -> str:
        held = Holding(contacts, {"id": person["id"], VERSION: version}, written=True)
        async with database.transaction() as session:
            change = Update(contacts, [{"id": person["id"], "name": name}])
            await write(session, Insert(contacts, people(1)), change, holding=[held])
            await asyncio.sleep(0.2)
        return name

    done = await asyncio.gather(rename("One"), rename("Another"), return_exceptions=True)
    (written,) = [name for name in done if isinstance(name, str)]
    (refused,) = [error for error in done if not isinstance(error, str)]
    assert isinstance(refused, NotHeld)
    async with database.reading() as session:
        assert await session.scalar(select(contacts.c.name).where(contacts.c.id == person["id"])) == written
        assert await count(session) == 2


async def test_a_column_may_be_given_in_seconds_from_the_databases_present(database: Database) -> None:
    lease = {"name": "desk", "owner": "me", "fence": 1, "expires_at": 60.0}
    async with database.transaction() as session:
        await write(session, Insert(leases, [lease], from_now=("expires_at",)))
    async with database.reading() as session:
        expires = await session.scalar(select(leases.c.expires_at))
    assert expires == pytest.approx(time.time() + 60, abs=5)


async def test_what_is_written_and_what_is_executed_are_one_transaction(database: Database) -> None:
    (first, second), third = people(2), people(1)
    async with database.transaction() as session:
        await insert(session, contacts, [first])
        assert await count(session) == 1
        await session.execute(update(contacts).values(name="Seen"))
        await insert(session, contacts, [second])
    assert await stored(database) == 2

    async def fail(session: AsyncSession) -> None:
        await insert(session, contacts, third)
        await session.execute(update(contacts).values(name="Lost"))
        assert await count(session) / 0

    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as session:
            await fail(session)
    async with database.reading() as session:
        assert set((await session.execute(select(contacts.c.name))).scalars()) == {"Seen", second["name"]}


@pytest.mark.parametrize("executes_first", [False, True])
async def test_whoever_is_cancelled_writes_nothing_and_keeps_no_connection(
    database: Database, executes_first: bool
) -> None:
    began = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as session:
            if executes_first:
                await count(session)
            await insert(session, contacts, people(1))
            began.set()
            await asyncio.sleep(60)

    for _ in range(12):  # more often than the pool has places
        began.clear()
        task = asyncio.create_task(work())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with database.transaction() as session:
        await insert(session, contacts, people(1))
    assert await stored(database) == 1


async def test_a_task_that_is_cancelled_in_the_middle_of_a_statement_locks_nobody_out(database: Database) -> None:
    """At two hundred moments: which of them lies within a statement depends on the machine, a few always do."""

    async def work() -> None:
        async with database.transaction() as session:
            await count(session)
            await insert(session, contacts, people(1))

    for moment in range(200):
        task = asyncio.create_task(work())
        await asyncio.sleep(moment % 50 * 0.0001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5), database.transaction() as session:
            await insert(session, contacts, people(1))
    assert await stored(database) >= 200


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("executes", [False, True])
async def test_a_connection_whose_transaction_was_cancelled_as_it_began_carries_nothing_more(
    database: Database, executes: bool
) -> None:
    """The server has begun it by then: what came next on that connection was never committed."""

    async def begin() -> None:
        async with database.transaction() as session:
            await (count(session) if executes else driver_of(session))

    async with database.transaction() as session:
        await insert(session, contacts, people(1))
    for turns in range(1, 12):
        task = asyncio.create_task(begin())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with database.transaction() as session:
            await write(session, Insert(contacts, people(1)), last=True)
        assert await stored(database) == 1 + turns, f"after {turns} turns of the loop"


async def happen(database: Database, size: int, *, fence: int) -> tuple[int, list[int | None]]:
    """So many events, numbered while the lease has this fence; the last number that was answered, and all positions."""
    given = [event_row(InboxRecovered(inbox_id=new_id()), now=NOW) for _ in range(size)]
    counter = Holding(followers, {"name": "numbered"}, written=True)
    numbering = Numbering("position", counter, Holding(leases, {"name": "relay", "fence": fence}))
    async with database.transaction() as session:
        (count,) = await write(session, Insert(events, given, numbering=numbering))
    async with database.reading() as session:
        return count, list((await session.scalars(select(events.c.position).order_by(events.c.id))).all())


@SIZES
async def test_numbers_follow_the_highest_where_the_lease_holds_and_nothing_waits(
    database: Database, size: int
) -> None:
    async with database.transaction() as session:
        await insert(session, leases, [{"name": "relay", "owner": "me", "fence": 7, "expires_at": 0.0}])
        await insert(session, followers, [{"name": "numbered", "position": 0}])
    if not database.is_postgresql:
        assert await happen(database, size, fence=7) == (0, [None] * size)
        return
    assert await happen(database, size, fence=7) == (size, [*range(1, size + 1)])
    assert await happen(database, size, fence=7) == (2 * size, [*range(1, 2 * size + 1)])
    assert await happen(database, size, fence=6) == (0, [*range(1, 2 * size + 1)] + [None] * size)
    assert await happen(database, size, fence=7) == (0, [*range(1, 2 * size + 1)] + [None] * 2 * size)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_that_died_is_not_handed_out_again(database: Database) -> None:
    async def die(session: AsyncSession) -> None:
        await insert(session, contacts, people(1))
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
        async with database.reading() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        await insert(session, contacts, people(1))

    with pytest.raises((PostgresError, InterfaceError, InternalClientError, ConnectionError)):
        async with database.transaction() as session:
            await die(session)
    for _ in range(12):
        async with database.transaction() as session:
            await insert(session, contacts, [])
            assert await count(session) == 0
    async with database.transaction() as session:
        await insert(session, contacts, people(1))
    assert await stored(database) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_connections_that_a_restart_closed_are_replaced_without_anybody_noticing(database: Database) -> None:
    async def at_once(work: Callable[[], Awaitable[Any]]) -> None:
        await asyncio.gather(*(work() for _ in range(4)))

    async def read_with_the_driver() -> None:
        await database.fetch(database.prepared("one", lambda: select(contacts.c.id)), {})

    async def read() -> None:
        async with database.reading() as session:
            await count(session)

    async def write() -> None:
        async with database.transaction() as session:
            await insert(session, contacts, people(1))

    async def write_with_the_whole_session() -> None:
        async with database.transaction() as session:
            await count(session)

    works = (read_with_the_driver, read, write, write_with_the_whole_session)
    for work in works:
        await at_once(read)
        for _ in range(2):
            await read_with_the_driver()
        async with database.reading() as session:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid() "
            await session.execute(text(others + "AND datname = current_database()"))
        await asyncio.sleep(0.2)
        await at_once(work)
    assert await stored(database) == 4


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_more_sessions_than_the_pool_holds_leave_no_connection_open(
    database: Database, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid() "
    look = text(f"{others} AND application_name != '{emptied.NAME}'")
    small = Database(database_url, pool=2)
    everybody = asyncio.Barrier(4)

    async def look_without_a_transaction() -> None:
        async with small.transaction() as session:
            driver = await driver_of(session, begin=False)
            await everybody.wait()
            await driver.fetch("SELECT 1")

    for _ in range(3):
        await asyncio.gather(*(look_without_a_transaction() for _ in range(4)))
    async with database.reading() as session:
        assert 1 <= int(await session.scalar(look) or 0) <= 4, "those of the pool, with the one at hand"
    await small.close()
    async with database.reading() as session:
        assert await session.scalar(look) == 0
    assert caplog.messages == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_pool_sees_the_connection_at_hand_now_and_then(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it could not let go of those that are old."""
    monkeypatch.setattr(sessions, "KEEP_SECONDS", 0.5)
    pool: Any = database.engine.sync_engine.pool

    async def work() -> int:
        async with database.transaction() as session:
            await insert(session, contacts, people(1))
        return int(pool.checkedout())

    assert [await work() for _ in range(3)] == [0, 1, 1]
    await asyncio.sleep(0.5)
    assert [await work() for _ in range(3)] == [0, 1, 1]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_process_that_stands_still_in_a_transaction_loses_its_locks(database: Database) -> None:
    """As told to the server: waiting for it to happen would take as long as it takes."""
    async with database.transaction() as session:
        assert await session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "15s"


async def test_numbers_of_many_writers_are_dense_and_seen_in_their_order(database: Database) -> None:
    """Whoever finds the counter taken writes without a number, and waits for nobody."""
    if not database.is_postgresql:
        pytest.skip("one writer at a time")
    async with database.transaction() as session:
        await insert(session, followers, [{"name": "numbered", "position": 0}])
    counter = Holding(followers, {"name": "numbered"}, written=True)
    numbering = Numbering("position", counter, noted=undistributed)
    over = asyncio.Event()
    numbered = 0

    async def say() -> None:
        nonlocal numbered
        for _ in range(60):
            given = [event_row(InboxRecovered(inbox_id=new_id()), now=NOW) for _ in range(2)]
            async with database.transaction() as session:
                (last,) = await write(session, Insert(events, given, numbering=numbering), last=True)
            numbered += 2 if last else 0
            if not last:
                async with database.transaction() as session:
                    await session.execute(delete(events).where(events.c.position.is_(None)))

    async def watch() -> None:
        """Between two looks nothing may come to be before what was seen."""
        seen: set[int] = set()
        while not over.is_set():
            async with database.reading() as session:
                found = set((await session.scalars(select(events.c.position))).all()) - {None}
            assert min(found - seen, default=len(seen) + 1) == len(seen) + 1
            assert found == set(range(1, len(found) + 1))
            seen = found

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(say() for _ in range(4)))
    over.set()
    await watching
    async with database.reading() as session:
        assert (await session.scalars(select(followers.c.position))).all() == [numbered]
        assert sorted((await session.scalars(select(undistributed.c.position))).all()) == [*range(1, numbered + 1)]
    assert numbered >= 60
