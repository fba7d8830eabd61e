"""What every test may ask for: a database of either kind with today's schema, services over it, and the API.

`database` is parametrised: SQLite always, PostgreSQL where there is one. `HELPDESK_TEST_POSTGRES_URL` names a server
that runs; otherwise one is started for the session from the installed binaries. With HELPDESK_REQUIRE_SERVICES=1 what
is missing fails instead of being skipped.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import shutil
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

import connectors
from helpdesk import db, migrate
from helpdesk.app import create_app
from helpdesk.blobstore import DiskStore
from helpdesk.config import Settings
from helpdesk.crypto import Keyring
from helpdesk.db import Database
from helpdesk.services import passwords
from helpdesk.services.house import Services
from tests import documented
from tests.emptied import Emptied
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


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing of what is imported by its end ever becomes garbage: looking for some took a tenth of all time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[PasswordHasher]:
    """The real thing takes four cores a tenth of a second, a thousand times. Yields what it would be done with."""
    with pytest.MonkeyPatch.context() as patch:
        real = passwords._HASHER
        patch.setattr(passwords, "_HASHER", PasswordHasher.from_parameters(CHEAPEST))
        yield real


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
def postgres_database(postgres: Postgres) -> Iterator[Emptied]:
    """One database with the schema for the session; each test that used it leaves it empty."""
    name = f"helpdesk_test_{os.getpid()}"
    url = postgres.create(name)
    _migrated(url)
    with Emptied(url) as database:
        yield database
    postgres.drop(name)


@pytest.fixture(scope="session")
def sqlite_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same place for all tests, which share what is known about it."""
    return tmp_path_factory.mktemp("database") / "helpdesk.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database, either kind in turn."""
    if request.param == "sqlite":
        path: Path = request.getfixturevalue("sqlite_path")
        for old in path.parent.iterdir():
            old.unlink()
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite+aiosqlite:///{path}"
    else:
        found: Emptied = request.getfixturevalue("postgres_database")
        yield found.url
        found.empty()


ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For bodies that are refused before any database sees them: showing each on both would show nothing more."""


@pytest.fixture(scope="session")
def engines() -> dict[str, AsyncEngine]:
    """By URL. An engine remembers how statements compile, which in most tests takes longer than running them."""
    return {}


@pytest.fixture
async def database(
    database_url: str, engines: dict[str, AsyncEngine], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    if database_url not in engines:
        engines[database_url] = engine = Database(database_url).engine
        if engine.dialect.name == "sqlite":
            # Nobody pulls the plug: journeys kill processes, and these have their own engines.
            event.listen(engine.sync_engine, "connect", lambda driver, _: driver.execute("PRAGMA synchronous=OFF"))
    with monkeypatch.context() as patch:
        # A view of the engine: connections are its own until it is closed, and so is whatever listens to it.
        patch.setattr(db, "_engine", lambda *_, **__: engines[database_url].execution_options())
        opened = Database(database_url)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture(scope="session")
def read_settings() -> Settings:
    """Read once: it takes as long as a request."""
    return Settings(
        _env_file=None,
        secret_key=SecretStr(SECRET),
        base_url=BASE_URL,
        allow_hosts="127.0.0.0/8",
        max_upload_mb=1,
    )


@pytest.fixture
def settings(read_settings: Settings, tmp_path: Path, database_url: str) -> Settings:
    return read_settings.model_copy(update={"data": tmp_path / "data", "database_url": database_url})


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
        await app.state.hub.close()
        await app.state.visitors.close()
        await app.state.touches.settle()
