"""Statements of the hot path: built and compiled once, run on the driver inside a session's transaction.

A round trip through SQLAlchemy's execution costs about as much as five on the driver, and filing one mail takes a
dozen. What is measured here (`benchmarks/ingest.py`) is why these few modules do not just call `session.execute`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Executable,
    FromClause,
    Integer,
    RowMapping,
    bindparam,
    column,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import Prepared

Row = Mapping[str, Any] | RowMapping
"""A row, by column name, whichever way it was read."""


class Statement:
    """`build` makes the statement; it is called when the first session of a dialect runs it.

    Parameters are `bindparam`s, lists `dialects.among`, so that the text never changes.
    """

    def __init__(self, build: Callable[[], Executable]) -> None:
        self._build = build
        self._prepared: dict[str, Prepared] = {}

    def _on(self, session: AsyncSession) -> Prepared:
        dialect = session.get_bind().dialect
        found = self._prepared.get(dialect.name)
        if found is None:
            found = self._prepared[dialect.name] = Prepared(self._build(), dialect, json=True)
        return found

    async def rows(self, session: AsyncSession, *, begin: bool = True, **values: Any) -> list[dict[str, Any]]:
        """Run it and answer its rows. Without `begin` it does not begin a transaction: for looks that lock nothing."""
        prepared, driver = self._on(session), await driver_of(session, begin=begin)
        arguments = prepared.arguments(values)
        if hasattr(driver, "fetch"):
            found: Sequence[Sequence[Any]] = await driver.fetch(prepared.sql, *arguments)
        else:
            found = await driver.execute_fetchall(prepared.sql, arguments)
        return [dict(zip(prepared.names, row, strict=True)) for row in prepared.decode(found)]


NEXT_NUMBER = literal_column("nextval('conversation_number')", Integer())
"""The next conversation number, on PostgreSQL, where a sequence does not queue writers up."""


def times(count: str) -> FromClause:
    """As many rows as the parameter of this name says, on PostgreSQL."""
    return func.generate_series(literal_column("1"), bindparam(count, type_=Integer())).alias("times")


_SEQUENCE = Statement(lambda: select(NEXT_NUMBER.label("number")).select_from(times("count")))

_COUNTER = Statement(
    lambda: text(
        "UPDATE counters SET value = value + :count WHERE name = 'conversation_number' RETURNING value AS number"
    ).columns(column("number", Integer()))
)


async def next_numbers(session: AsyncSession, count: int) -> list[int]:
    """`count` new conversation numbers, ascending."""
    if session.get_bind().dialect.name == "postgresql":
        return sorted(row["number"] for row in await _SEQUENCE.rows(session, count=count))
    last = (await _COUNTER.rows(session, count=count))[0]["number"]
    return list(range(last - count + 1, last + 1))


async def driver_of(session: AsyncSession, *, begin: bool = True) -> Any:
    """The session's own connection, as the driver made it, in the session's transaction.

    Without `begin`, a transaction that has not begun is left at that: for a statement that is all there is to do.
    """
    found = session.info.get("driver")
    if found is None and (opened := session.info.get("open")) is not None:
        found = await opened(begin=begin)
        if found is not None and begin:
            session.info["driver"] = found
    if found is None:
        adapter: Any = (await (await session.connection()).get_raw_connection()).dbapi_connection
        if session.get_bind().dialect.name == "postgresql" and adapter._transaction is None:
            # SQLAlchemy begins with the first statement that it executes itself; this one does not go through it.
            await adapter._start_transaction()
        found = session.info["driver"] = adapter.driver_connection
    return found
