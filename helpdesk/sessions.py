"""A PostgreSQL session that costs what the driver costs: nothing is begun, and nothing built, before it is asked for.

Opening, beginning and committing an `AsyncSession` takes longer than the statements of a short transaction do. Most
work goes through `statements` and `writes`, which need the driver alone; what calls `execute` gets the whole session,
on the same connection and in the same transaction, and does not notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.util import await_only, greenlet_spawn

from helpdesk.logs import fault

log = structlog.get_logger()


@asynccontextmanager
async def opened(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A session in a transaction of its own: committed at the end, rolled back on any exception."""
    session = _Session(engine)
    try:
        yield session
        await session.finish()
    except BaseException:
        # Whoever was cancelled must not leave the connection half way either.
        await asyncio.shield(asyncio.ensure_future(session.give_up()))
        raise


class _Session(AsyncSession):
    """`AsyncSession.__init__` runs at the first attribute that only it sets; `driver` takes the short way."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
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
        if self._pooled is not None and not begin:
            return self._pooled.driver_connection
        return await greenlet_spawn(self._open, begin)

    def _open(self, begin: bool) -> Any:
        """Check out and begin within one greenlet: each costs as much as a round trip."""
        if self._pooled is None:
            self._pooled = self._engine.sync_engine.raw_connection()
        adapter = self._pooled.dbapi_connection
        if begin and adapter._transaction is None:
            await_only(adapter._start_transaction())
        return self._pooled.driver_connection

    async def finish(self) -> None:
        if self._whole:
            await self.commit()
            await self.close()
        if self._pooled is None:
            return
        adapter = self._pooled.dbapi_connection
        if adapter._transaction is None:
            # Nothing to wait for: what ran needed no transaction.
            self._end(_nothing)
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
            if pooled.driver_connection.is_closed():
                # Nobody told SQLAlchemy: it must not hand this connection out again.
                pooled.invalidate()
        except BaseException:
            pooled.invalidate()
            raise
        pooled.close()


def _nothing() -> None:
    """The end of a session that has begun no transaction."""
