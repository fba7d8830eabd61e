"""The engine, and `transaction()`: the one place that commits. What SQLite and PostgreSQL do differently lives here.

SQLAlchemy's defaults for SQLite lose updates (a read transaction that later writes does not see what others wrote), so
the driver's own transaction handling is off and every writer says `BEGIN IMMEDIATE`. Inside one process writers also
queue at a lock, which is fair where SQLite's busy handler is not.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import uuid_utils.compat as uuid7_source
from sqlalchemy import Connection, Executable, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from helpdesk import sessions
from helpdesk.dialects import Prepared
from helpdesk.errors import Unavailable
from helpdesk.statements import driver_of

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # an SMTP 250 promises durability, and NORMAL may lose the last commits with the power
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=15000",
    "PRAGMA cache_size=-16000",
)

_POSTGRESQL_SETTINGS = {
    "jit": "off",
    # What the disks of today cost. With the default, small tables are read whole for one row.
    "random_page_cost": "1.1",
    # A process that is frozen in the middle of a transaction keeps its locks, a lease's among them, and its successor
    # waits for them. No transaction of ours waits for anything but the database.
    "idle_in_transaction_session_timeout": "15s",
}

_DRIVER: dict[str, Any] = {
    "timeout": 10,
    "command_timeout": 60,
    # Without one: what files two mails with attachments has 14 kB, and what has more than 15 is planned each time.
    "max_cacheable_statement_size": 0,
}

_MAX_PREPARED = 500


class Database:
    """An engine with its habits. `on_commit` is called, after a commit, with the names that `ring` collected.

    Just before that `on_handed` is, with what `hand` collected.

    `plan_once` lets PostgreSQL plan a prepared statement without looking at its values: right for a worker, whose
    statements find rows by their keys and are planned in more time than they run, and wrong for lists with filters.
    """

    def __init__(self, url: str, *, pool: int = 5, plan_once: bool = False) -> None:
        self.url = make_url(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self.engine = _engine(url, is_postgresql=self.is_postgresql, pool=pool, plan_once=plan_once)
        self._writing = self.engine.execution_options(write=True)
        self._spare = sessions.Spare()
        self._lock = None if self.is_postgresql else asyncio.Lock()
        self.on_commit: Callable[[frozenset[str]], None] = _silence
        self.on_handed: Callable[[Sequence[Any]], None] = _silence
        self._prepared: dict[Hashable, Prepared] = {}

    async def close(self) -> None:
        await self._spare.close()
        await self.engine.dispose()

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A unit of work that may write: committed at the end, rolled back on any exception."""
        if self._lock is None:
            return sessions.Transaction(self.engine, self._spare, self._committed)
        return self._on_sqlite(self._lock)

    @asynccontextmanager
    async def _on_sqlite(self, lock: asyncio.Lock) -> AsyncIterator[AsyncSession]:
        async with lock, AsyncSession(self._writing, expire_on_commit=False, autoflush=False) as session:
            try:
                yield session
                await session.commit()
            except BaseException:
                await session.rollback()
                raise
        self._committed(session)

    def _committed(self, session: AsyncSession) -> None:
        if handed := session.info.get("handed"):
            self.on_handed(handed)
        rung = frozenset(session.info.get("rings", ()))
        if rung:
            self.on_commit(rung)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A unit of work that only reads. Nothing that it changes is kept."""
        async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    def prepared(self, shape: Hashable, build: Callable[[], Executable]) -> Prepared:
        """The statement for `shape`, compiled when it is first asked for."""
        found = self._prepared.get(shape)
        if found is None:
            if len(self._prepared) >= _MAX_PREPARED:
                self._prepared.clear()
            found = self._prepared[shape] = Prepared(build(), self.engine.dialect)
        return found

    async def fetch(
        self, statement: Prepared, values: Mapping[str, Any], *, seconds: float | None = None
    ) -> Sequence[Sequence[Any]]:
        """Run a read that was compiled once, on the driver's own connection and outside any transaction.

        With `seconds`, the database gives up after these: raises TimeoutError.
        """
        arguments = statement.arguments(values)
        pooled = self._spare.take() if self.is_postgresql else None
        if pooled is None:
            return statement.decode(await greenlet_spawn(self._fetch, statement.sql, arguments, seconds))
        try:
            found = await self._ask(pooled, statement.sql, arguments, seconds)
        finally:
            if pooled.is_valid and self._spare.free:
                self._spare.keep(pooled)
            else:
                await greenlet_spawn(pooled.close)
        return statement.decode(found)

    async def _ask(self, pooled: Any, sql: str, arguments: Sequence[Any], seconds: float | None) -> Any:
        """On PostgreSQL."""
        driver = pooled.driver_connection
        try:
            return await driver.fetch(sql, *arguments, timeout=seconds)
        except Exception as error:
            # SQLAlchemy does not see what happens here, so it must be told not to hand a dead connection out again.
            if driver.is_closed():
                pooled.invalidate()
                if seconds is not None and isinstance(error, TimeoutError):
                    raise  # a server too busy to stop in time is left by closing the connection
                raise Unavailable("the database went away") from error
            raise

    def _fetch(self, sql: str, arguments: Sequence[Any], seconds: float | None) -> Any:
        """Check out, run and hand back within one greenlet: each further one would cost as much as the checkout."""
        pooled: Any = self.engine.sync_engine.raw_connection()
        try:
            if self.is_postgresql:
                return await_only(self._ask(pooled, sql, arguments, seconds))
            return await_only(_within(pooled.driver_connection, sql, arguments, seconds))
        finally:
            if self.is_postgresql and pooled.is_valid:
                self._spare.keep(pooled)
            else:
                pooled.close()


async def _within(driver: Any, sql: str, arguments: Sequence[Any], seconds: float | None) -> Any:
    """SQLite knows no time limit, but stops when it is told to."""
    if seconds is None:
        return await driver.execute_fetchall(sql, arguments)
    if seconds <= 0:
        raise TimeoutError
    late = asyncio.get_running_loop().call_later(seconds, driver._connection.interrupt)
    try:
        return await driver.execute_fetchall(sql, arguments)
    except sqlite3.OperationalError as error:
        if late.when() <= asyncio.get_running_loop().time():
            raise TimeoutError from error
        raise
    finally:
        late.cancel()


def _silence(_: Any) -> None:
    """Until the composition root hangs the doorbell up, nobody listens."""


def ring(session: AsyncSession, name: str) -> None:
    """After this session's commit, wake who does `name` work. Nothing depends on it: they also look by themselves."""
    session.info.setdefault("rings", set()).add(name)


def hand(session: AsyncSession, what: Any) -> None:
    """After this session's commit, give this to whoever wants it in this process. Nothing depends on it either."""
    session.info.setdefault("handed", []).append(what)


def unring(session: AsyncSession, name: str) -> bool:
    """Take a ring back, since its work is done in this session. Answers whether there was one."""
    rings: set[str] = session.info.get("rings", set())
    rung = name in rings
    rings.discard(name)
    return rung


def _engine(url: str, *, is_postgresql: bool, pool: int, plan_once: bool) -> AsyncEngine:
    options: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
        "hide_parameters": True,
    }
    if is_postgresql:
        plans = {"plan_cache_mode": "force_generic_plan"} if plan_once else {}
        engine = create_async_engine(
            url,
            # What overflows is closed again when it comes back: connections that last a request cost more than it.
            pool_size=2 * pool,
            max_overflow=0,
            pool_pre_ping=False,
            pool_recycle=1800,
            # The connection that was used last knows the statements best, on both sides.
            pool_use_lifo=True,
            connect_args=_DRIVER | {"server_settings": _POSTGRESQL_SETTINGS | plans},
            **options,
        )
        event.listen(engine.sync_engine, "checkout", _refuse_dead)
        return engine
    engine = create_async_engine(url, connect_args={"timeout": 15}, **options)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    event.listen(engine.sync_engine, "invalidate", _let_go_sqlite)
    event.listen(engine.sync_engine, "close", _let_go_sqlite)
    return engine


def _refuse_dead(connection: Any, *_: object) -> None:
    """A restarted PostgreSQL closes every pooled connection. The driver has seen it; a ping would cost a round trip."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _let_go_sqlite(connection: Any, *_: object) -> None:
    """Roll back before closing, in the connection's own thread, after whatever that is still doing.

    SQLAlchemy closes the connection of a task that was cancelled in the middle of a statement. SQLite keeps such a one
    alive for as long as a cursor of it is, in a traceback for example, and with it the lock that all writers need.
    """
    driver = connection.driver_connection
    if driver is not None and driver._connection is not None:
        driver._tx.put_nowait((None, driver._connection.rollback))


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): unique anywhere, and near its neighbours in time in an index."""
    return uuid7_source.uuid7()


def is_postgresql(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def claimable(statement: Any) -> Any:
    """Rows that nobody else is claiming. SQLite needs nothing: its one writer has begun `IMMEDIATE`."""
    return statement.with_for_update(key_share=True, skip_locked=True)


def insert_ignoring(session: AsyncSession, table: Table, *, on: Sequence[str]) -> Any:
    """`INSERT ... ON CONFLICT (on) DO NOTHING`, in either dialect."""
    maker = postgresql.insert if is_postgresql(session) else sqlite.insert
    return maker(table).on_conflict_do_nothing(index_elements=list(on))


def number_of(name: str) -> int:
    """What PostgreSQL knows a name by that is taken (`pg_advisory_xact_lock`)."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)


async def lock_name(session: AsyncSession, name: str, *, wait: bool = True) -> bool:
    """Take `name` until the transaction ends; False when another holds it and `wait` is off.

    On SQLite a writer is alone from its first word, so there is nothing to take.
    """
    if not is_postgresql(session):
        return True
    verb = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    driver = await driver_of(session)
    return bool(await driver.fetchval(f"SELECT {verb}($1::bigint)", number_of(name)) is not False)


async def insert_rows(session: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Many rows at once: one prepared statement, pipelined. Every row gives the same columns."""
    if rows:
        await (await session.connection()).execute(table.insert(), list(rows))


def prepare_folder(url: str) -> None:
    """SQLite makes the file but not its folder, and says little when it may not. Raises `Unavailable`."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        sqlite3.connect(path).close()
    except (OSError, sqlite3.Error):
        raise Unavailable(f"{path.parent} cannot be written") from None
