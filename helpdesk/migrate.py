"""The schema: bring it up to date, and see whether it fits this version.

The revisions lie in `alembic/` of a checkout and travel inside the wheel as `helpdesk/migrations`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

import helpdesk
from helpdesk.db import Database, prepare_folder
from helpdesk.errors import HelpdeskError, Unavailable


class WrongSchema(HelpdeskError):
    """The database belongs to another version of this program."""

    slug, status, title = "wrong_schema", 503, "The database does not fit this version"


def _config() -> Config:
    package = Path(helpdesk.__file__).parent
    shipped = package / "migrations"
    config = Config()
    config.set_main_option("script_location", str(shipped if shipped.is_dir() else package.parent / "alembic"))
    return config


async def upgrade(database: Database, *, to: str = "head") -> str:
    """`alembic upgrade`, in one transaction; answers the revision. Raises `WrongSchema` or `Unavailable`."""
    prepare_folder(str(database.url))
    try:
        await _refuse_newer(database)
        async with database.engine.execution_options(write=True).begin() as connection:
            return await connection.run_sync(_upgrade, to)
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable(f"the database cannot be used ({type(error).__name__})") from error


async def check(database: Database) -> None:
    """Raise `WrongSchema` unless the database is at this version's head."""
    prepare_folder(str(database.url))
    try:
        await _refuse_newer(database)
        async with database.engine.connect() as connection:
            found = await connection.run_sync(_revision)
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable(f"the database cannot be reached ({type(error).__name__})") from error
    if found != ScriptDirectory.from_config(_config()).get_current_head():
        raise WrongSchema("the database is not up to date: run `helpdesk migrate`")


async def _refuse_newer(database: Database) -> None:
    async with database.engine.connect() as connection:
        found = await connection.run_sync(_revision)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise WrongSchema(f"the database is from a newer version (revision {found}): upgrade the program")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection, to: str) -> str:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    return _revision(connection) or ""
