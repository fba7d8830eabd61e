"""SQL that the two databases spell differently, and statements that are compiled once.

A statement with `among` has the same text however long the list is, so it is compiled once per shape and the database
plans it once. `Prepared` then runs it on the driver's own connection (`Database.fetch`): on the few routes that are
called all the time SQLAlchemy's execution costs more than the query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Executable,
    Float,
    Integer,
    String,
    Uuid,
    bindparam,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator, TypeEngine

Item = Literal["uuid", "text", "int", "bigint"]

_ITEMS: Mapping[str, Callable[[], TypeEngine[Any]]] = {
    "uuid": Uuid,
    "text": String,
    "int": Integer,
    "bigint": BigInteger,
}


class ListOf(TypeDecorator[Sequence[Any]]):
    """A list as one value: an array on PostgreSQL, JSON text on SQLite. Comes back as a list, empty for NULL."""

    impl = String
    cache_ok = True

    def __init__(self, item: Item) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(ARRAY(_ITEMS[self.item]()))
        return dialect.type_descriptor(String())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return None if value is None else list(value)
        return orjson.dumps([v.hex if isinstance(v, UUID) else v for v in value]).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> list[Any]:
        if value is None or dialect.name == "postgresql":
            return list(value or ())
        found = orjson.loads(value)
        return [UUID(v) for v in found] if self.item == "uuid" else list(found)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite has no zones, so there it is kept as plain UTC, which sorts as text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @staticmethod
    def aware(value: datetime | None) -> datetime | None:
        """The time as PostgreSQL's driver takes it. Raises ValueError for one without a zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone was about to be stored")
        return value

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        value = self.aware(value)
        return value if value is None or dialect.name == "postgresql" else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Among(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True


class _ByKey(FunctionElement[bool]):
    name = "by_key"
    type = Boolean()
    inherit_cache = True


class _Gathered(FunctionElement[Any]):
    name = "gathered"
    inherit_cache = True


class _Kept(FunctionElement[Any]):
    """`kept` is the Python type that the value under a key has to have."""

    name = "kept"
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], key: str, kept: type) -> None:
        super().__init__(column, bindparam(None, key, type_=String(), unique=True))
        self.kept = kept
        types: dict[type, TypeEngine[Any]] = {str: String(), float: Float(), bool: Boolean(), UUID: Uuid()}
        self.type = types[kept]

    _traverse_internals = [*FunctionElement._traverse_internals, ("kept", InternalTraversal.dp_plain_obj)]  # noqa: RUF012


class _Epoch(FunctionElement[float]):
    name = "epoch"
    type = Float()
    inherit_cache = True


class _SecondsSince1970(FunctionElement[int]):
    name = "seconds_since_1970"
    type = Integer()
    inherit_cache = True


def seconds_since_1970(column: ColumnElement[Any]) -> ColumnElement[int]:
    """A time as a whole number, the same in both databases: what is less than a second is cut off."""
    return _SecondsSince1970(column)


_Id = TypeVar("_Id", UUID, str)

_SOME: Final = 1000
"""So many are asked about in one question: more would be a value of some 100 kB."""


def portions(ids: Iterable[_Id]) -> Iterator[list[_Id]]:
    """Each once and in order, as many at a time as one question asks about."""
    wanted = sorted(set(ids))
    for begin in range(0, len(wanted), _SOME):
        yield wanted[begin : begin + _SOME]


def among(column: ColumnElement[Any], values: str | Sequence[Any], item: Item) -> _Among:
    """`column` is one of `values`: a list, or the name of a parameter that will hold one."""
    bound: BindParameter[Any] = (
        bindparam(values, type_=ListOf(item))
        if isinstance(values, str)
        else bindparam(None, values, type_=ListOf(item), unique=True)
    )
    return _Among(column, bound)


def by_key(column: ColumnElement[Any], name: str) -> _ByKey:
    """`column`, a key, is one of the UUIDs that the parameter of this name will hold.

    As `among`, but for PostgreSQL to plan once: a short list in `among` looks cheaper than the long one that it takes
    an unknown list for, so that it is planned each time, which takes longer than finding a few rows. For what finds its
    rows by an index in any case; where it depends on the values what is best, let them be looked at.
    """
    return _ByKey(column, bindparam(name, type_=ListOf("uuid")))


def gathered(column: ColumnElement[Any], item: Item) -> ColumnElement[Any]:
    """An aggregate: the column's values as a list, in no particular order."""
    found = _Gathered(column)
    found.type = ListOf(item)
    return found


def kept(column: ColumnElement[Any], key: str, kind: type) -> ColumnElement[Any]:
    """What a JSON object in `column` has under `key`, NULL unless that is a `str`, a `float` or a `bool`.

    As a `UUID`, a text is read as what identifies a row, and compares with that on either database.
    The key has no quotes and no backslashes.
    """
    return _Kept(column, key, kind)


def epoch() -> ColumnElement[float]:
    """The database's own clock as seconds since 1970: leases compare times of one clock only."""
    return _Epoch()


@compiles(_Epoch, "postgresql")
def _epoch_postgresql(_element: _Epoch, _compiler: Any, **_options: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"


@compiles(_Epoch, "sqlite")
def _epoch_sqlite(_element: _Epoch, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_SecondsSince1970, "postgresql")
def _seconds_postgresql(element: _SecondsSince1970, compiler: Any, **options: Any) -> str:
    return f"floor(extract(epoch FROM {compiler.process(element.clauses, **options)}))::bigint"


@compiles(_SecondsSince1970, "sqlite")
def _seconds_sqlite(element: _SecondsSince1970, compiler: Any, **options: Any) -> str:
    # Without its fraction, which would be rounded.
    return f"CAST(strftime('%s', substr({compiler.process(element.clauses, **options)}, 1, 19)) AS INTEGER)"


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **options)} = ANY ({compiler.process(values, **options)})"


@compiles(_ByKey, "postgresql")
def _by_key_postgresql(element: _ByKey, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    # Through a SELECT it is no constant in any plan, so that none is cheaper for having looked at it.
    return f"{compiler.process(column, **options)} = ANY ((SELECT {compiler.process(values, **options)})::uuid[])"


@compiles(_ByKey, "sqlite")
@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among | _ByKey, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    member = f"json_each({compiler.process(values, **options)})"
    return f"{compiler.process(column, **options)} IN (SELECT value FROM {member})"  # noqa: S608 - both are compiled SQL


@compiles(_Gathered, "postgresql")
def _gathered_postgresql(element: _Gathered, compiler: Any, **options: Any) -> str:
    return f"array_agg({compiler.process(element.clauses, **options)})"


@compiles(_Gathered, "sqlite")
def _gathered_sqlite(element: _Gathered, compiler: Any, **options: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **options)})"


@compiles(_Kept, "postgresql")
def _kept_postgresql(element: _Kept, compiler: Any, **options: Any) -> str:
    column, key = (compiler.process(one, **options) for one in element.clauses)
    kind, value = {
        str: ("string", f"{column} ->> {key}"),
        float: ("number", f"({column} ->> {key})::double precision"),
        bool: ("boolean", f"({column} ->> {key})::boolean"),
        UUID: ("string", f"({column} ->> {key})::uuid"),
    }[element.kept]
    return f"CASE WHEN jsonb_typeof({column} -> {key}) = '{kind}' THEN {value} END"


@compiles(_Kept, "sqlite")
def _kept_sqlite(element: _Kept, compiler: Any, **options: Any) -> str:
    def say(call: str) -> str:
        column, key = (compiler.process(one, **options) for one in element.clauses)
        return f"{call}({column}, '$.\"' || {key} || '\"')"

    kinds = {str: "'text'", float: "'integer', 'real'", bool: "'true', 'false'", UUID: "'text'"}[element.kept]
    value = f"replace({say('json_extract')}, '-', '')" if element.kept is UUID else say("json_extract")
    return f"CASE WHEN {say('json_type')} IN ({kinds}) THEN {value} END"


class _Addressed(FunctionElement[bool]):
    name = "addressed"
    type = Boolean()
    inherit_cache = True


def addressed(column: ColumnElement[Any], handle: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a JSON list of people in `column` names this handle."""
    return _Addressed(column, handle)


@compiles(_Addressed, "postgresql")
def _addressed_postgresql(element: _Addressed, compiler: Any, **options: Any) -> str:
    column, handle = (compiler.process(one, **options) for one in element.clauses)
    return f"({column} @> jsonb_build_array(jsonb_build_object('handle', {handle}::text)))"


@compiles(_Addressed, "sqlite")
def _addressed_sqlite(element: _Addressed, compiler: Any, **options: Any) -> str:
    column, handle = (compiler.process(one, **options) for one in element.clauses)
    named = f"SELECT 1 FROM json_each({column}) WHERE json_extract(value, '$.handle') = {handle}"  # noqa: S608
    return f"EXISTS ({named})"


class Prepared:
    """A statement compiled once for one dialect. `sql` and `arguments` are what the driver takes.

    On PostgreSQL rows come as asyncpg made them: aware times, UUIDs and arrays are right already, and JSON is text
    unless `json` asks for it to be read. On SQLite `decode` makes them the same.
    """

    def __init__(self, statement: Executable, dialect: Dialect, *, json: bool = False) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.sql: str = compiled.string
        processors = compiled._bind_processors
        self._binds = [(name, compiled.binds[name].value, processors.get(name)) for name in compiled.positiontup or ()]
        native = dialect.name == "postgresql"
        columns = compiled._result_columns
        self.names = tuple(column.keyname for column in columns)
        types: list[Any] = [
            column.type if not native or (json and isinstance(column.type, JSON)) else None for column in columns
        ]
        found = [kind and kind.dialect_impl(dialect).result_processor(dialect, None) for kind in types]
        self._columns = [(index, process) for index, process in enumerate(found) if process is not None]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The parameters in the statement's order; those that are not given keep the value they were built with."""
        found = []
        for name, default, process in self._binds:
            value = values.get(name, default)
            found.append(process(value) if process is not None else value)
        return found

    def decode(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        if not self._columns:
            return rows
        decoded = []
        for row in rows:
            values = list(row)
            for index, process in self._columns:
                values[index] = process(values[index])
            decoded.append(values)
        return decoded
