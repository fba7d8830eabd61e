"""The revisions: what a database of an earlier one holds is there afterwards, and the models are what they lead to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CHAR, JSON, Connection, MetaData, UniqueConstraint, insert, select, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import SQLModel

import helpdesk.models  # noqa: F401 - fills the metadata
from helpdesk import migrate
from helpdesk.db import Database, new_id
from helpdesk.models.columns import is_payload
from helpdesk.models.sla import sla_clocks
from tests.peers.postgres import Postgres

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
REVISIONS = [script.revision for script in ScriptDirectory(str(Path(__file__).parents[1] / "alembic")).walk_revisions()]
EARLIER = pytest.mark.parametrize("earlier", REVISIONS[1:])


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema, either kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'helpdesk.db'}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    yield postgres.create("helpdesk_migrations")
    postgres.drop("helpdesk_migrations")


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    opened = Database(empty_url)
    yield opened
    await opened.close()


def of_the_models(name: str | None, kind: str) -> bool:
    """Not the full-text index, which is each database's own: SQLite has five tables for it, PostgreSQL an index."""
    return not (name or "").startswith("search_fts") and name != "ix_search_rows_tokens"


def reflected(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection, only=lambda name, _: of_the_models(name, "table"))
    return found


def some_value(column: Any, rows: dict[str, dict[str, Any]]) -> Any:
    """One of the column's type; of a foreign key, what the row that it refers to has."""
    for key in column.foreign_keys:
        row = rows.get(key.column.table.name)
        return None if row is None else row[key.column.name]
    if isinstance(column.type, JSON):
        return {"some": ["thing"]}
    if isinstance(column.type, CHAR):  # how SQLite keeps UUIDs
        return new_id().hex
    if isinstance(column.type, TSVECTOR):
        return "'words'"
    if column.type.python_type is datetime:
        return NOW if column.type.timezone else NOW.replace(tzinfo=None)
    values = {UUID: new_id(), str: "words", int: 7, float: 7.5, bool: True, bytes: b"\0bytes"}
    return values[column.type.python_type]


def fill(connection: Connection) -> None:
    """A row in every table, with something in every column. Beside rows of a new house it is no default."""
    rows: dict[str, dict[str, Any]] = {}
    for table in reflected(connection).sorted_tables:
        if table.name not in {"alembic_version", "counters"}:
            row = {column.name: some_value(column, rows) for column in table.columns}
            if "is_default" in row and connection.execute(select(table).limit(1)).first() is not None:
                row["is_default"] = False
            connection.execute(insert(table).values(row))
            rows[table.name] = row


def held(connection: Connection, tables: dict[str, list[str]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """What every table holds, in the columns of `tables` if given."""
    found = {}
    for table in reflected(connection).sorted_tables:
        if table.name != "alembic_version" and (tables is None or table.name in tables):
            columns = [table.c[name] for name in (tables[table.name] if tables else table.c.keys())]
            found[table.name] = [dict(row) for row in connection.execute(select(*columns)).mappings()]
    return found


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": False, "include_object": lambda _o, name, kind, *_: of_the_models(name, kind)}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, SQLModel.metadata))


def test_each_revision_follows_the_one_before_it_and_its_file_begins_with_its_number() -> None:
    assert list(migrate.revisions()) == REVISIONS[::-1]


@EARLIER
async def test_what_an_earlier_database_holds_is_there_afterwards(empty: Database, earlier: str) -> None:
    assert await migrate.upgrade(empty, to=earlier) == earlier
    async with empty.engine.execution_options(write=True).begin() as connection:
        await connection.run_sync(fill)
        before = await connection.run_sync(held)
    assert all(before.values()), "every table holds something"
    assert await migrate.upgrade(empty) == REVISIONS[0]
    columns = {name: list(rows[0]) for name, rows in before.items()}
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(held, columns) == before


async def test_the_models_are_what_the_revisions_lead_to(empty: Database) -> None:
    await migrate.upgrade(empty)
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
async def test_what_is_encrypted_is_not_compressed(empty: Database) -> None:
    await migrate.upgrade(empty)
    storage = text("SELECT attstorage FROM pg_attribute WHERE attrelid = 'raw_items'::regclass AND attname = 'body'")
    async with empty.engine.begin() as connection:
        assert (await connection.execute(storage)).scalar_one() == b"e"


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
async def test_only_what_nothing_is_looked_up_by_goes_without_statistics(empty: Database) -> None:
    await migrate.upgrade(empty)
    without = text(
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE a.attnum > 0 AND a.attstattarget = 0 AND c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
    )
    async with empty.engine.begin() as connection:
        found = {tuple(row) for row in await connection.execute(without)}
    columns = [column for table in SQLModel.metadata.sorted_tables for column in table.columns]
    assert found == {(column.table.name, column.name) for column in columns if is_payload(column)}
    tables = SQLModel.metadata.sorted_tables
    keys = [*(index for table in tables for index in table.indexes)]
    keys += [one for table in tables for one in table.constraints if isinstance(one, UniqueConstraint)]
    assert not [column for key in keys for column in key.columns if is_payload(column)]


@pytest.mark.parametrize(
    ("status", "agent_seq", "kind"),
    [("open", 0, "first_response"), ("pending", 3, "next_response"), ("resolved", 0, None)],
)
async def test_whoever_waits_when_promises_become_clocks_gets_one(
    empty: Database, status: str, agent_seq: int, kind: str | None
) -> None:
    await migrate.upgrade(empty, to="0003")
    change = text("UPDATE conversations SET status = :status, last_agent_seq = :seq")
    async with empty.engine.execution_options(write=True).begin() as connection:
        await connection.run_sync(fill)
        await connection.execute(change, {"status": status, "seq": agent_seq})
    await migrate.upgrade(empty)
    async with empty.engine.begin() as connection:
        clocks = (await connection.execute(select(sla_clocks))).mappings().all()
        waiting = (await connection.execute(text("SELECT waiting_since, next_due_at FROM conversations"))).one()
    assert [(one["kind"], one["state"], one["started_at"], one["next_due_at"]) for one in clocks] == (
        [(kind, "running", NOW, NOW)] if kind else []
    )
    assert (None in waiting) == (kind is None)
