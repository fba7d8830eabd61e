"""Column types that mean the same on both databases."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict
from pydantic_core import PydanticUndefined
from sqlalchemy import JSON, Column, LargeBinary, String, Table, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from helpdesk.db import new_id
from helpdesk.dialects import UtcDateTime

metadata = SQLModel.metadata
metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

_PAYLOAD = "payload"


class Base(SQLModel):
    """What every table inherits. Rows are made by statements: the checks of a model are never built."""

    model_config = ConfigDict(defer_build=True)  # type: ignore[assignment]


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def key() -> Any:
    """The primary key: a UUIDv7."""
    return Field(default_factory=new_id, primary_key=True, sa_type=Uuid)


def ref(target: str, *, nullable: bool = False, index: bool = False, ondelete: Any = PydanticUndefined) -> Any:
    """A reference to another row, `table.column`."""
    return Field(
        default=None if nullable else PydanticUndefined,
        foreign_key=target,
        nullable=nullable,
        index=index,
        ondelete=ondelete,
        sa_type=Uuid,
    )


def at(*, nullable: bool = False) -> Any:
    return Field(default=None if nullable else PydanticUndefined, nullable=nullable, sa_type=UtcDateTime)


def words(default: str = "", *, nullable: bool = False) -> Any:
    """Text, also for enums: adding a value must never need a migration."""
    return Field(default=None if nullable else default, nullable=nullable, sa_type=String)


def prose(*, nullable: bool = False) -> Any:
    """Text that is only ever read with its row, never looked up, filtered or sorted by: see `is_payload`."""
    default = None if nullable else ""
    return Field(default=default, nullable=nullable, sa_type=String, sa_column_kwargs={"info": {_PAYLOAD: True}})


def payload(kind: Any) -> Any:
    """A value of another kind that nothing is looked up by as `prose` is."""
    return Field(sa_type=kind, sa_column_kwargs={"info": {_PAYLOAD: True}})


def json(default: Any = None, *, nullable: bool = False) -> Any:
    return Field(default_factory=default or (lambda: None), nullable=nullable, sa_type=Json)


def only_where(condition: str) -> dict[str, Any]:
    """For an index of some rows only."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


def is_payload(column: Column[Any]) -> bool:
    """Whether nothing is looked up by this column, so that PostgreSQL need not know what values it has.

    By default it sorts a sample of each column whenever a table has grown by a tenth. For a lone mail that came to more
    than its index entries; structures and texts were most of it. A revision says so for every such column.
    """
    return _PAYLOAD in column.info or isinstance(column.type, JSON | LargeBinary)


def table_of(model: type[SQLModel]) -> Table:
    found: Table = SQLModel.metadata.tables[str(model.__tablename__)]
    return found
