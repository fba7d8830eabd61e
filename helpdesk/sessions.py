"""A PostgreSQL session that costs what the driver costs: SQLAlchemy's half of it is made when something asks for it.

Opening, beginning and committing an `AsyncSession` takes longer than the statements of a short transaction do. Most
work goes through `statements` and `writes`, which need the driver alone; what calls `execute` gets the whole session,
on the same connection and in the same transaction, and does not notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.util import await_only, greenlet_spawn


@asynccontextmanager
async def opened(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A session in a transaction of its own: committed at the end, rolled back on any exception."""
    session = _Session(engine, await greenlet_spawn(_begin, engine.sync_engine))
    try:
        yield session
        await session.finish()
    except BaseException:
        # Whoever was cancelled must not leave the connection half way either.
        await asyncio.shield(asyncio.ensure_future(session.give_up()))
        raise


def _begin(engine: Engine) -> Any:
    """A connection of the pool, in a transaction. One greenlet does both: each costs as much as a round trip."""
    pooled: Any = engine.raw_connection()
    try:
        await_only(pooled.dbapi_connection._start_transaction())
    except BaseException:
        pooled.invalidate()
        raise
    return pooled


class _Session(AsyncSession):
    """`AsyncSession.__init__` runs at the first attribute that only it sets."""

    def __init__(self, engine: AsyncEngine, pooled: Any) -> None:
        self._engine, self._pooled = engine, pooled
        self._whole = False
        self._info: dict[Any, Any] = {"driver": pooled.driver_connection}

    @property
    def info(self) -> dict[Any, Any]:
        return self._info

    def get_bind(self, *_: Any, **__: Any) -> Engine:
        return self._engine.sync_engine

    def __getattr__(self, name: str) -> Any:
        if self._whole:
            raise AttributeError(name)
        self._whole = True
        connection = Connection(self._engine.sync_engine, connection=self._pooled)
        super().__init__(AsyncConnection(self._engine, connection), expire_on_commit=False, autoflush=False)
        return getattr(self, name)

    async def finish(self) -> None:
        if self._whole:
            await self.commit()
            await self.close()
        await greenlet_spawn(self._end, self._pooled.dbapi_connection.commit)

    async def give_up(self) -> None:
        driver = self._pooled.driver_connection
        if driver is None or driver.is_closed():
            # Nobody told SQLAlchemy: it must not hand this connection out again.
            self._pooled.invalidate()
            return
        await greenlet_spawn(self._end, self._pooled.dbapi_connection.rollback)

    def _end(self, how: Any) -> None:
        how()
        self._pooled.close()
