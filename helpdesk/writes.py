"""Rows for several tables, written in one round trip on PostgreSQL and in one statement per table on SQLite.

Filing one mail fills a dozen tables, and a round trip costs each side more than a row does (`benchmarks/ingest.py`).
PostgreSQL therefore gets one statement for all of them, every table a part of its WITH clause. A few rows are a list of
VALUES, which costs least; of many, each column travels as one array, so that the text does not depend on how many
there are and is planned once. Foreign keys between the parts hold: they are checked when the whole statement has run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Boolean, Column, DateTime, Dialect, Float, Integer, LargeBinary, String, Table, Uuid
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeDecorator, TypeEngine

from helpdesk.statements import driver_of

_ARRAYS: Sequence[tuple[type[TypeEngine[Any]], str, str]] = (
    (Uuid, "uuid", ""),
    (DateTime, "timestamptz", ""),
    (JSON, "text", "::jsonb"),
    (LargeBinary, "bytea", ""),
    (Boolean, "bool", ""),
    (Float, "float8", ""),
    (Integer, "int8", ""),
    (String, "text", ""),
)
"""How a column's values travel on PostgreSQL, and what each is cast to on arrival."""


@dataclass(frozen=True, slots=True)
class Insert:
    """New rows, all of which name the same columns. `unless` are the columns of a conflict that is no error.

    The row that is there already then stays as it is, or takes over the columns in `replacing`.
    """

    table: Table
    rows: Sequence[Mapping[str, Any]]
    unless: tuple[str, ...] = ()
    replacing: tuple[str, ...] = ()

    @property
    def how(self) -> tuple[tuple[str, ...], ...]:
        return self.unless, self.replacing


@dataclass(frozen=True, slots=True)
class Update:
    """Changes to rows that are found `by` some of the columns they name; the other columns are set.

    No row may be in one `write` twice, and none that the same `write` inserts.
    """

    table: Table
    rows: Sequence[Mapping[str, Any]]
    by: tuple[str, ...] = ("id",)

    @property
    def how(self) -> tuple[tuple[str, ...], ...]:
        return (self.by,)


Part = Insert | Update


async def write(session: AsyncSession, *parts: Part) -> list[int]:
    """Write every part. Answers how many rows each of them wrote; one without rows is left out and wrote none.

    Inserts come in the order of their foreign keys, for SQLite's sake. Raises what the driver raises.
    """
    full = [part for part in parts if part.rows]
    if not full:
        return [0 for _ in parts]
    run = _on_postgresql if session.get_bind().dialect.name == "postgresql" else _on_sqlite
    counts = iter(await run(session, full))
    return [next(counts) if part.rows else 0 for part in parts]


async def insert(session: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows into one table."""
    await write(session, Insert(table, rows))


_FEW = 4
"""Up to so many rows are VALUES. Each number of them is a statement of its own, which the server has to plan."""


async def _on_postgresql(session: AsyncSession, parts: Sequence[Part]) -> list[int]:
    prepared = [_prepared(session, part) for part in parts]
    few = tuple(len(part.rows) if len(part.rows) <= _FEW else 0 for part in parts)
    key = few, tuple(map(id, prepared))
    text = _texts.get(key)
    if text is None:
        text = _texts[key] = _together(prepared, few)
    arguments: list[Any] = []
    for part, ready, number in zip(parts, prepared, few, strict=True):
        if number:
            arguments += [value for row in part.rows for value in ready.values(row)]
        else:
            arguments += zip(*map(ready.values, part.rows), strict=True)
    return list(await (await driver_of(session)).fetchrow(text, *arguments))


async def _on_sqlite(session: AsyncSession, parts: Sequence[Part]) -> list[int]:
    driver, counts = await driver_of(session), []
    for part in parts:
        ready = _prepared(session, part)
        async with driver.executemany(ready.sql, list(map(ready.values, part.rows))) as cursor:
            counts.append(cursor.rowcount)
    return counts


class _Prepared:
    """A part's text, and how its values are made fit for the driver."""

    def __init__(self, part: Part, dialect: Dialect) -> None:
        table, names = part.table, tuple(part.rows[0])
        by = part.by if isinstance(part, Update) else ()
        self.names = tuple(name for name in names if name not in by) + by
        self._columns = [(name, _processor(table.c[name], dialect)) for name in self.names]
        self.types = [_array(table.c[name]) for name in self.names]
        self.sql = (_postgresql if dialect.name == "postgresql" else _sqlite)(part, self.names)

    def values(self, row: Mapping[str, Any]) -> list[Any]:
        """What one row has in the columns of `names`."""
        return [row[name] if process is None else process(row[name]) for name, process in self._columns]

    def source(self, first: int, few: int) -> tuple[str, int]:
        """The rows as a table, for parameters from `$first` on, and the next parameter's number."""
        if not few:
            arrays = ", ".join(f"${at}::{type_}[]" for at, (type_, _) in enumerate(self.types, first))
            return f"unnest({arrays})", first + len(self.types)
        rows = []
        for _ in range(few):
            rows.append(f"({', '.join(f'${at}::{type_}' for at, (type_, _) in enumerate(self.types, first))})")
            first += len(self.types)
        return f"(VALUES {', '.join(rows)})", first


_parts: dict[tuple[Any, ...], _Prepared] = {}
_texts: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {}


def _prepared(session: AsyncSession, part: Part) -> _Prepared:
    dialect = session.get_bind().dialect
    key = dialect.name, type(part), part.table.name, part.how, tuple(part.rows[0])
    found = _parts.get(key)
    if found is None:
        found = _parts[key] = _Prepared(part, dialect)
    return found


def _together(parts: Sequence[_Prepared], few: Sequence[int]) -> str:
    """One statement of all the parts, whose only row tells how many rows each of them wrote."""
    number, written = 1, []
    for place, (part, rows) in enumerate(zip(parts, few, strict=True)):
        source, number = part.source(number, rows)
        written.append(f"w{place} AS ({part.sql.replace(_SOURCE, source)} RETURNING 1)")
    counts = ", ".join(f"(SELECT count(*) FROM w{place})" for place in range(len(parts)))  # noqa: S608
    return f"WITH {', '.join(written)} SELECT {counts}"


_SOURCE = "<source>"


def _postgresql(part: Part, names: tuple[str, ...]) -> str:
    table, listed = _quoted(part.table.name), ", ".join(map(_quoted, names))
    casts = {name: f"given.{_quoted(name)}{_array(part.table.c[name])[1]}" for name in names}
    given = f"{_SOURCE} AS given({listed})"
    if isinstance(part, Insert):
        return f"INSERT INTO {table} ({listed}) SELECT {', '.join(casts.values())} FROM {given}{_conflict(part)}"  # noqa: S608
    changes = ", ".join(f"{_quoted(name)} = {casts[name]}" for name in names if name not in part.by)
    found = " AND ".join(f"{table}.{_quoted(name)} = {casts[name]}" for name in part.by)
    return f"UPDATE {table} SET {changes} FROM {given} WHERE {found}"  # noqa: S608


def _sqlite(part: Part, names: tuple[str, ...]) -> str:
    table = _quoted(part.table.name)
    if isinstance(part, Insert):
        listed, marks = ", ".join(map(_quoted, names)), ", ".join("?" for _ in names)
        return f"INSERT INTO {table} ({listed}) VALUES ({marks}){_conflict(part)}"  # noqa: S608
    changes = ", ".join(f"{_quoted(name)} = ?" for name in names if name not in part.by)
    found = " AND ".join(f"{_quoted(name)} = ?" for name in part.by)
    return f"UPDATE {table} SET {changes} WHERE {found}"  # noqa: S608


def _conflict(part: Insert) -> str:
    if not part.unless:
        return ""
    changes = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in part.replacing)
    then = f"UPDATE SET {changes}" if changes else "NOTHING"
    return f" ON CONFLICT ({', '.join(map(_quoted, part.unless))}) DO {then}"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _array(column: Column[Any]) -> tuple[str, str]:
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return next((name, cast) for type_, name, cast in _ARRAYS if isinstance(kind, type_))


def _processor(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    return column.type.dialect_impl(dialect).bind_processor(dialect)
