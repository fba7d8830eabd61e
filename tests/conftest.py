"""What every test may ask for: a database of either kind with today's schema, services over it, and the API.

`database` is parametrised: SQLite always, PostgreSQL where there is one. `HELPDESK_TEST_POSTGRES_URL` names a server
that runs; otherwise one is started for the session from the installed binaries. With HELPDESK_REQUIRE_SERVICES=1 what
is missing fails instead of being skipped.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

import connectors
from helpdesk import migrate
from helpdesk.app import create_app
from helpdesk.blobstore import DiskStore
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.db import Database
from helpdesk.models import metadata
from helpdesk.services.house import Services
from tests import documented
from tests.peers.postgres import Postgres, binaries

SHARED = Path(__file__).parents[2] / "shared"
"""The folder of borrowed samples beside a checkout; tests on it skip where it is not."""

SECRET = "1:" + base64.b64encode(bytes(range(32))).decode()
BASE_URL = "http://helpdesk.test"


def needed(what: str) -> None:
    """Skip for want of `what`, or fail where everything has to be there."""
    if os.environ.get("HELPDESK_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is missing and HELPDESK_REQUIRE_SERVICES is set")
    pytest.skip(f"{what} is not here")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    url = os.environ.get("HELPDESK_TEST_POSTGRES_URL", "")
    if url:
        yield Postgres.at(url)
    elif binaries() is None:
        needed("PostgreSQL")
    else:
        with Postgres() as server:
            yield server


def _migrated(url: str) -> None:
    async def upgrade() -> None:
        database = Database(url)
        await migrate.upgrade(database)
        await database.close()

    asyncio.run(upgrade())


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("schema") / "helpdesk.db"
    _migrated(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres) -> Iterator[str]:
    """One database with the schema for the session; each test that used it leaves it empty."""
    name = f"helpdesk_test_{os.getpid()}"
    url = postgres.create(name)
    _migrated(url)
    asyncio.run(_set_aside(url))
    yield url
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated, empty database, either kind in turn."""
    if request.param == "sqlite":
        path = tmp_path / "helpdesk.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite+aiosqlite:///{path}"
    found: str = request.getfixturevalue("postgres_database")
    return found


ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For bodies that are refused before any database sees them: showing each on both would show nothing more."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    try:
        yield opened
        if opened.is_postgresql:
            await _empty(opened)
    finally:
        await opened.close()


SEEDED = ("business_hours", "sla_policies", "escalation_rules", "setting_versions")
"""Tables that a new database has rows in."""


async def _set_aside(url: str) -> None:
    """Keep what a new database begins with, to be put back after each test."""
    copies = ";".join(f"CREATE TABLE seed.{table} AS TABLE {table}" for table in SEEDED)
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await connection.execute(f"CREATE SCHEMA seed; {copies}")
    finally:
        await connection.close()


async def _empty(database: Database) -> None:
    """DELETE, with foreign keys asleep: on tables of a few rows it takes a tenth of TRUNCATE's time."""
    wipe = ";".join(f'DELETE FROM "{table.name}"' for table in metadata.sorted_tables if table.name != "counters")
    back = ";".join(f"INSERT INTO {table} SELECT * FROM seed.{table}" for table in SEEDED)
    script = f"SET session_replication_role = replica; {wipe}; {back}; SET session_replication_role = origin"
    async with database.engine.begin() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(script)
        await connection.execute(text("SELECT setval('conversation_number', 1, false)"))


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        _env_file=None,
        data=tmp_path / "data",
        database_url=database_url,
        secret_key=SecretStr(SECRET),
        base_url=BASE_URL,
        allow_hosts="127.0.0.0/8",
        max_upload_mb=1,
    )


@pytest.fixture
def services(settings: Settings, database: Database) -> Services:
    """The whole house over `database`, with every channel that there is."""
    settings.data.mkdir(parents=True, exist_ok=True)
    keyring = Keyring(SECRET)
    return Services(settings, database, keyring, DiskStore(settings.data / "blobs"), connectors.discover())


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """The API without a login. Every JSON answer is held against the schema that the reference promises for it."""
    app = create_app(services)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url=BASE_URL,
        event_hooks={"response": [documented.checker(app)]},
    ) as opened:
        yield opened
        await app.state.touches.settle()
