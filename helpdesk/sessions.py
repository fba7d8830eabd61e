"""A PostgreSQL session that costs what the driver costs: nothing is begun, and nothing built, before it is asked for.

Opening, beginning and committing an `AsyncSession` takes longer than the statements of a short transaction do. Most
work goes through `statements` and `writes`, which need the driver alone; what calls `execute` gets the whole session,
on the same connection and in the same transaction, and does not notice.

The connections that were used last stay at hand for a while (`Spare`): to check one out of SQLAlchemy's pool and in
again costs a mail that comes alone as much as one of its questions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.util import await_only, greenlet_spawn

from helpdesk.logs import fault

log = structlog.get_logger()

KEEP, KEEP_SECONDS = 4, 30.0


class Spare:
    """A few connections of the pool, checked out and idle between uses; the one that was used last comes first."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._until = 0.0

    def take(self) -> Any:
        """A connection, or None. One that was closed meanwhile is given up."""
        while self._kept:
            pooled = self._kept.pop()
            if not pooled.driver_connection.is_closed():
                return pooled
            pooled.invalidate()
        return None

    @property
    def free(self) -> bool:
        """Whether one would be kept. Now and then none is: the pool must see them, to let go of those that are old."""
        return len(self._kept) < KEEP and time.monotonic() < self._until

    def keep(self, pooled: Any) -> None:
        """Keep it, or give it back to the pool, for which one has to be in a greenlet."""
        if self.free:
            self._kept.append(pooled)
            return
        if len(self._kept) < KEEP:
            self._until = time.monotonic() + KEEP_SECONDS
        pooled.close()

    async def close(self) -> None:
        """Give them back to the pool."""
        while (pooled := self.take()) is not None:
            await greenlet_spawn(pooled.close)


class Transaction:
    """A session in a transaction of its own: committed at the end, rolled back on any exception.

    `committed` is called with the session then. A class, since a generator costs a lone mail four calls and a hook of
    the event loop's more, twice.
    """

    def __init__(self, engine: AsyncEngine, spare: Spare, committed: Callable[[AsyncSession], None]) -> None:
        self._session, self._committed = _Session(engine, spare), committed

    async def __aenter__(self) -> AsyncSession:
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None:
            await self._give_up()
            return
        try:
            await self._session.finish()
        except BaseException:
            await self._give_up()
            raise
        self._committed(self._session)
        if self._session.info.get("handed"):
            # Who waits for it on the other side goes before the one who said it.
            await asyncio.sleep(0)

    async def _give_up(self) -> None:
        """Whoever was cancelled must not leave the connection half way either."""
        await asyncio.shield(asyncio.ensure_future(self._session.give_up()))


class _Session(AsyncSession):
    """`AsyncSession.__init__` runs at the first attribute that only it sets; `driver` takes the short way."""

    def __init__(self, engine: AsyncEngine, spare: Spare) -> None:
        self._engine, self._spare = engine, spare
        self._pooled: Any = None
        self._whole = False
        self._info: dict[Any, Any] = {"open": self.driver}

    @property
    def info(self) -> dict[Any, Any]:
        return self._info

    def get_bind(self, *_: Any, **__: Any) -> Engine:
        return self._engine.sync_engine

    def __getattr__(self, name: str) -> Any:
        if self._whole:
            raise AttributeError(name)
        self._whole = True
        bind: Any = self._engine
        if self._pooled is not None:
            bind = AsyncConnection(self._engine, Connection(self._engine.sync_engine, connection=self._pooled))
        super().__init__(bind, expire_on_commit=False, autoflush=False)
        return getattr(self, name)

    async def driver(self, *, begin: bool) -> Any:
        """The driver's connection, in a transaction if `begin` says so, or if one was begun before."""
        if self._pooled is None and self._whole:
            return None
        if self._pooled is None:
            self._pooled = self._spare.take()
        if self._pooled is not None and not begin:
            return self._pooled.driver_connection
        return await greenlet_spawn(self._open, begin)

    def _open(self, begin: bool) -> Any:
        """Check out and begin within one greenlet: each costs as much as a round trip."""
        if self._pooled is None:
            self._pooled = self._engine.sync_engine.raw_connection()
        adapter = self._pooled.dbapi_connection
        if begin and adapter._transaction is None:
            try:
                await_only(adapter._start_transaction())
            except BaseException:
                # Whoever was cancelled here does not know whether the server has begun. If it has, nothing that came
                # next on this connection would ever be committed.
                pooled, self._pooled = self._pooled, None
                pooled.invalidate()
                raise
        return self._pooled.driver_connection

    async def rollback(self) -> None:
        """End what was begun, by whichever way; what comes next begins anew."""
        if self._whole:
            await super().rollback()
        self._info.pop("driver", None)
        if self._pooled is not None and self._pooled.dbapi_connection._transaction is not None:
            await greenlet_spawn(self._pooled.dbapi_connection.rollback)

    async def finish(self) -> None:
        if self._whole:
            await self.commit()
            await self.close()
        if self._pooled is None:
            return
        pooled, adapter = self._pooled, self._pooled.dbapi_connection
        if adapter._transaction is None and self._spare.free:
            # Nothing to wait for: what ran needed no transaction.
            self._pooled = None
            self._spare.keep(pooled)
        else:
            await greenlet_spawn(self._end, adapter.commit)

    async def give_up(self) -> None:
        if self._pooled is None:
            if self._whole:
                await self.close()
            return
        try:
            await greenlet_spawn(self._end, self._pooled.dbapi_connection.rollback)
        except Exception as error:  # whoever asked for this has an error of his own, which tells more
            log.debug("database.rollback_failed", **fault(error))

    def _end(self, how: Callable[[], None]) -> None:
        pooled, self._pooled = self._pooled, None
        try:
            how()
        except BaseException:
            pooled.invalidate()
            raise
        if pooled.driver_connection.is_closed():
            # Nobody told SQLAlchemy: it must not hand this connection out again.
            pooled.invalidate()
        else:
            self._spare.keep(pooled)
