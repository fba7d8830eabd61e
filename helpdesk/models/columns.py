"""Column types that mean the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic_core import PydanticUndefined
from sqlalchemy import JSON, DateTime, Dialect, String, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from helpdesk.db import new_id


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


metadata = SQLModel.metadata
metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

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


def json(default: Any = None, *, nullable: bool = False) -> Any:
    return Field(default_factory=default or (lambda: None), nullable=nullable, sa_type=Json)


def table_of(model: type[SQLModel]) -> Table:
    found: Table = SQLModel.metadata.tables[str(model.__tablename__)]
    return found
