"""Rows for several tables, written in one round trip on PostgreSQL and in one statement per table on SQLite.

Filing one mail fills a dozen tables, and a round trip costs each side more than a row does (`benchmarks/ingest.py`).
PostgreSQL therefore gets one statement for all of them, every table a part of its WITH clause. A few rows are a list of
VALUES, which costs least; of many, each column travels as one array, so that the text does not depend on how many
there are and is planned once. Foreign keys between the parts hold: they are checked when the whole statement has run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import JSON, Boolean, Column, DateTime, Dialect, Float, Integer, LargeBinary, String, Table, Uuid
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeDecorator, TypeEngine

from helpdesk.dialects import UtcDateTime, epoch
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


VERSION = "xmin"
"""PostgreSQL's system column that is another after every change of its row."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A row that has to be there, and to stay as it is until the transaction ends: a lease with its fence.

    Among the columns of `row` may be `VERSION`, on PostgreSQL. `written` says that the row is changed as well, so that
    two who hold it do not wait for each other.
    """

    table: Table
    row: Mapping[str, Any]
    written: bool = False

    @property
    def how(self) -> tuple[Any, ...]:
        return self.table.name, self.written, *self.row

    def sql(self, first: int) -> str:
        """The look at it, for parameters from `$first` on."""
        types = [_array(self.table.c[name])[0] if name != VERSION else "xid" for name in self.row]
        wanted = " AND ".join(
            f"{_quoted(name)} = ${at}::{type_}"
            for at, (name, type_) in enumerate(zip(self.row, types, strict=True), first)
        )
        lock = "NO KEY UPDATE" if self.written else "SHARE"
        return f"SELECT 1 FROM {_quoted(self.table.name)} WHERE {wanted} FOR {lock}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Numbering:
    """Numbers for a column of an `Insert`, in the order of the rows: those after what `counter` has in its `column`.

    They are given where the counter is free, `holding` holds and no row of the table (of those that are `like` this)
    still waits for a number, and never on SQLite. Otherwise the column is empty. The counter stays locked until the
    transaction ends, so that numbers become visible in their order; nobody waits for it, since others have it locked
    for longer. The numbers that were given are rows of `noted` as well.
    """

    column: str
    counter: Holding
    holding: Holding | None = None
    like: Mapping[str, Any] = field(default_factory=dict)
    noted: Table | None = None

    @property
    def how(self) -> tuple[Any, ...]:
        noted = self.noted.name if self.noted is not None else ""
        return self.column, self.counter.how, self.holding.how if self.holding else (), *self.like, noted

    @property
    def values(self) -> list[Any]:
        """The parameters of `sql`."""
        held = self.holding.row.values() if self.holding else ()
        return [*self.counter.row.values(), *held, *self.like.values()]

    def sql(self, table: Table, size: str, first: int) -> str:
        """Moves the counter by `size` and answers the number before the first, or no row where none may be given."""
        counter, column, own = _quoted(self.counter.table.name), _quoted(self.column), list(self.counter.row)
        free = f"({self.counter.sql(first)} SKIP LOCKED) AS free"
        held = f", ({self.holding.sql(first + len(own))}) AS holding" if self.holding else ""
        named = " AND ".join(f"{counter}.{_quoted(name)} = ${at}" for at, name in enumerate(own, first))
        like = first + len(self.values) - len(self.like)
        alike = "".join(
            f" AND {_quoted(name)} = ${at}::{_array(table.c[name])[0]}" for at, name in enumerate(self.like, like)
        )
        return (
            f"UPDATE {counter} SET {column} = {counter}.{column} + {size} FROM {free}{held} WHERE {named} "  # noqa: S608
            f"AND NOT EXISTS (SELECT 1 FROM {_quoted(table.name)} WHERE {column} IS NULL{alike}) "
            f"RETURNING {counter}.{column} - {size} AS number"
        )


@dataclass(frozen=True, slots=True)
class Insert:
    """New rows, all of which name the same columns. `unless` are the columns of a conflict that is no error.

    The row that is there already then stays as it is, or takes over the columns in `replacing`. Columns in `from_now`
    are given in seconds from the database's present and stored as seconds since 1970.
    """

    table: Table
    rows: Sequence[Mapping[str, Any]]
    unless: tuple[str, ...] = ()
    replacing: tuple[str, ...] = ()
    from_now: tuple[str, ...] = ()
    numbering: Numbering | None = None

    @property
    def how(self) -> tuple[tuple[str, ...], ...]:
        numbering = self.numbering
        return self.unless, self.replacing, self.from_now, numbering.how if numbering else ()


@dataclass(frozen=True, slots=True)
class Update:
    """Changes to rows that are found `by` some of the columns they name; the other columns are set.

    `still` are columns with the word that each has to have until then, and `empty` those that have to be NULL, so that
    nothing is done twice. No row may be in one `write` twice, and none that the same `write` inserts.
    """

    table: Table
    rows: Sequence[Mapping[str, Any]]
    by: tuple[str, ...] = ("id",)
    still: tuple[tuple[str, str], ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def how(self) -> tuple[tuple[Any, ...], ...]:
        return self.by, self.still, self.empty

    @property
    def condition(self) -> str:
        """The words are our own states, and never a stranger's."""
        table = _quoted(self.table.name)
        words = "".join(f" AND {table}.{_quoted(name)} = '{word}'" for name, word in self.still)
        return words + "".join(f" AND {table}.{_quoted(name)} IS NULL" for name in self.empty)


Part = Insert | Update


_UNIQUE, _DIVISION_BY_ZERO = "23505", "22012"
"""SQLSTATEs. The driver has classes for them, which would be imported where there is no PostgreSQL, too."""


def is_there_already(error: Exception) -> bool:
    """Whether PostgreSQL refused a row since another has its key."""
    return getattr(error, "sqlstate", "") == _UNIQUE


class NotHeld(Exception):
    """The row of a `Holding` is not there. Nothing was written."""


async def write(session: AsyncSession, *parts: Part, holding: Sequence[Holding] = (), last: bool = False) -> list[int]:
    """Write every part. Answers how many rows each of them wrote; one without rows is left out and wrote none.

    Of an `Insert` with a `numbering` it is the last number that was given instead, 0 where none was.

    Inserts come in the order of their foreign keys, for SQLite's sake. `last` says that the transaction has nothing
    more to do: if it had nothing to do before either, it is spared. Raises `NotHeld`, and what the driver raises.
    """
    full = [part for part in parts if part.rows]
    if not full and not holding:
        return [0 for _ in parts]
    run = _on_postgresql if session.get_bind().dialect.name == "postgresql" else _on_sqlite
    counts = iter(await run(session, full, holding, begin=not last))
    return [next(counts) if part.rows else 0 for part in parts]


async def insert(session: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows into one table."""
    await write(session, Insert(table, rows))


_FEW = 4
"""Up to so many rows are VALUES. Each number of them is a statement of its own, which the server has to plan."""


async def _on_postgresql(
    session: AsyncSession, parts: Sequence[Part], holding: Sequence[Holding], *, begin: bool
) -> list[int]:
    dialect = session.get_bind().dialect
    prepared = [_prepared(dialect, part) for part in parts]
    few = tuple(len(part.rows) if len(part.rows) <= _FEW else 0 for part in parts)
    key = tuple(one.how for one in holding), few, tuple(map(id, prepared))
    text = _texts.get(key)
    if text is None:
        text = _texts[key] = _together(prepared, few, holding)
    arguments: list[Any] = [value for one in holding for value in one.row.values()]
    for part, ready, number in zip(parts, prepared, few, strict=True):
        if isinstance(part, Insert) and part.numbering:
            arguments += part.numbering.values
        if number:
            arguments += [value for row in part.rows for value in ready.values(row)]
        else:
            arguments += zip(*map(ready.values, part.rows), strict=True)
    try:
        counted = iter(await (await driver_of(session, begin=begin)).fetchrow(text, *arguments))
    except Exception as error:
        if getattr(error, "sqlstate", "") == _DIVISION_BY_ZERO:
            raise NotHeld from None
        raise
    next(counted)
    numbering = _in_order(prepared)
    return [
        next(counted) if numbering or ready.counted else len(part.rows)
        for part, ready in zip(parts, prepared, strict=True)
    ]


async def _on_sqlite(
    session: AsyncSession, parts: Sequence[Part], holding: Sequence[Holding], *, begin: bool
) -> list[int]:
    """A transaction has always begun here: SQLite's one writer says so before anything else."""
    driver, counts, dialect = await driver_of(session, begin=begin), [], session.get_bind().dialect
    for one in holding:
        wanted = " AND ".join(f"{_quoted(name)} = ?" for name in one.row)
        look = f"SELECT 1 FROM {_quoted(one.table.name)} WHERE {wanted}"  # noqa: S608
        ready = _prepared(dialect, Insert(one.table, [one.row]))
        if not await driver.execute_fetchall(look, ready.values(one.row)):
            raise NotHeld
    for part in parts:
        ready = _prepared(dialect, part)
        async with driver.executemany(ready.sql, list(map(ready.values, part.rows))) as cursor:
            counts.append(0 if ready.numbering else cursor.rowcount)
    return counts


class _Prepared:
    """A part's text, and how its values are made fit for the driver.

    `counted` is what tells that a row was written, empty for rows that are all written or the statement fails.
    """

    def __init__(self, part: Part, dialect: Dialect) -> None:
        table, names = part.table, tuple(part.rows[0])
        by = part.by if isinstance(part, Update) else ()
        native = dialect.name == "postgresql"
        self.numbering = part.numbering if isinstance(part, Insert) else None
        numbered = self.numbering.column if self.numbering and native else None
        self.names = tuple(name for name in names if name not in by and name != numbered) + by
        self._columns = [(name, _processor(table.c[name], dialect)) for name in self.names]
        self.types = [_array(table.c[name]) for name in self.names]
        self.whose = table
        make = _postgresql if native else _sqlite
        self.sql = make(part, self.names, now=str(epoch().compile(dialect=dialect)))
        sure = isinstance(part, Insert) and not part.unless
        self.counted = _quoted(numbered) if numbered else "" if sure else "1"

    def values(self, row: Mapping[str, Any]) -> list[Any]:
        """What one row has in the columns of `names`."""
        return [row[name] if process is None else process(row[name]) for name, process in self._columns]

    def size(self, first: int, few: int) -> str:
        """How many rows there are in `source`, for the same parameters."""
        return str(few) if few else f"cardinality(${first}::{self.types[0][0]}[])"

    def source(self, first: int, few: int) -> tuple[str, int]:
        """The rows as a table, for parameters from `$first` on, and the next parameter's number."""
        if not few:
            arrays = ", ".join(f"${at}::{type_}[]" for at, (type_, _) in enumerate(self.types, first))
            return f"unnest({arrays}){' WITH ORDINALITY' if self.numbering else ''}", first + len(self.types)
        rows = []
        for place in range(1, few + 1):
            values = [f"${at}::{type_}" for at, (type_, _) in enumerate(self.types, first)]
            rows.append(f"({', '.join(values + [str(place)] * bool(self.numbering))})")
            first += len(self.types)
        return f"(VALUES {', '.join(rows)})", first


_parts: dict[tuple[Any, ...], _Prepared] = {}
_texts: dict[tuple[Any, ...], str] = {}


def _prepared(dialect: Dialect, part: Part) -> _Prepared:
    key = dialect.name, type(part), part.table.name, part.how, tuple(part.rows[0])
    found = _parts.get(key)
    if found is None:
        found = _parts[key] = _Prepared(part, dialect)
    return found


def _together(parts: Sequence[_Prepared], few: Sequence[int], holding: Sequence[Holding]) -> str:
    """One statement of all the parts, whose only row tells, after a one, how many rows each part wrote."""
    number = 1
    named, held = [], ["1"]
    for place, one in enumerate(holding):
        named.append(f"held{place} AS ({one.sql(number)})")
        held.append(f"(SELECT count(*) FROM held{place})")  # noqa: S608
        number += len(one.row)
    # What is not held ends the statement here, with all its parts. Conditions on them took a fifth of its work.
    counts, numbering = [" / ".join(held)], _in_order(parts)
    for place, (part, rows) in enumerate(zip(parts, few, strict=True)):
        last = f"last{place}"
        if part.numbering:
            first = number + len(part.numbering.values)
            named.append(f"{last} AS ({part.numbering.sql(part.whose, part.size(first, rows), number)})")
            number = first
        source, number = part.source(number, rows)
        text = part.sql.replace(_SOURCE, source).replace(_LAST, last)
        if numbering or part.counted:
            text += f" RETURNING {part.counted or 1} AS counted"
            count = "coalesce(max(counted), 0)" if part.numbering else "count(counted)"
            counts.append(f"(SELECT {count} FROM w{place})")  # noqa: S608
        named.append(f"w{place} AS ({text})")
        if part.numbering and part.numbering.noted is not None:
            noted = f"SELECT counted FROM w{place} WHERE counted IS NOT NULL"  # noqa: S608
            named.append(f"noted{place} AS (INSERT INTO {_quoted(part.numbering.noted.name)} {noted})")
    return f"WITH {', '.join(named)} SELECT {', '.join(counts)}"


def _in_order(parts: Sequence[_Prepared]) -> bool:
    """Whether all of them are counted, so that they run one after the other: a counter is locked as late as can be."""
    return any(part.numbering for part in parts)


_SOURCE, _LAST = "<source>", "<last>"


def _postgresql(part: Part, names: tuple[str, ...], *, now: str) -> str:
    table, listed = _quoted(part.table.name), ", ".join(map(_quoted, names))
    casts = {name: f"given.{_quoted(name)}{_array(part.table.c[name])[1]}" for name in names}
    given = f"{_SOURCE} AS given({listed})"
    if isinstance(part, Insert):
        casts |= {name: f"{now} + {casts[name]}" for name in part.from_now}
        if part.numbering:
            given = f'{_SOURCE} AS given({listed}, "place")'
            casts[part.numbering.column] = f'(SELECT number FROM {_LAST}) + given."place"'  # noqa: S608
            listed = ", ".join(map(_quoted, casts))
        values = ", ".join(casts.values())
        return f"INSERT INTO {table} ({listed}) SELECT {values} FROM {given}{_conflict(part)}"  # noqa: S608
    changes = ", ".join(f"{_quoted(name)} = {casts[name]}" for name in names if name not in part.by)
    found = " AND ".join(f"{table}.{_quoted(name)} = {casts[name]}" for name in part.by)
    return f"UPDATE {table} SET {changes} FROM {given} WHERE {found}{part.condition}"  # noqa: S608


def _sqlite(part: Part, names: tuple[str, ...], *, now: str) -> str:
    table = _quoted(part.table.name)
    if isinstance(part, Insert):
        listed = ", ".join(map(_quoted, names))
        marks = ", ".join(f"{now} + ?" if name in part.from_now else "?" for name in names)
        return f"INSERT INTO {table} ({listed}) VALUES ({marks}){_conflict(part)}"  # noqa: S608
    changes = ", ".join(f"{_quoted(name)} = ?" for name in names if name not in part.by)
    found = " AND ".join(f"{_quoted(name)} = ?" for name in part.by)
    return f"UPDATE {table} SET {changes} WHERE {found}{part.condition}"  # noqa: S608


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
    """SQLAlchemy's own, but for those that every row has: through three calls each, they cost more than a column."""
    if isinstance(column.type, JSON):
        return _json
    if isinstance(column.type, Boolean) and dialect.name == "postgresql":
        return None  # the driver itself takes nothing but a bool
    if isinstance(column.type, UtcDateTime) and dialect.name == "postgresql":
        return column.type.aware
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
