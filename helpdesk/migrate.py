"""The schema: bring it up to date, and see whether it fits this version.

The revisions lie in `alembic/` of a checkout and travel inside the wheel as `helpdesk/migrations`. Their files begin
with their numbers, so that whoever finds a database up to date, which is each start but the first, need not import
Alembic: that takes longer than most commands.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

import helpdesk
from helpdesk.db import Database, prepare_folder
from helpdesk.errors import HelpdeskError, Unavailable


class WrongSchema(HelpdeskError):
    """The database belongs to another version of this program."""

    slug, status, title = "wrong_schema", 503, "The database does not fit this version"


async def upgrade(database: Database, *, to: str = "head") -> str:
    """`alembic upgrade`, in one transaction; answers the revision. Raises `WrongSchema` or `Unavailable`."""
    prepare_folder(str(database.url))
    try:
        found = await _found(database)
        if found == revisions()[-1] and to == "head":
            return found
        async with database.engine.execution_options(write=True).begin() as connection:
            return await connection.run_sync(_upgrade, to)
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable(f"the database cannot be used ({type(error).__name__})") from error


async def check(database: Database) -> None:
    """Raise `WrongSchema` unless the database is at this version's head."""
    prepare_folder(str(database.url))
    try:
        found = await _found(database)
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable(f"the database cannot be reached ({type(error).__name__})") from error
    if found != revisions()[-1]:
        raise WrongSchema("the database is not up to date: run `helpdesk migrate`")


@cache
def revisions() -> tuple[str, ...]:
    """All that this version knows, the first one first."""
    return tuple(sorted(path.name.partition("_")[0] for path in (_folder() / "versions").glob("[0-9]*_*.py")))


def _folder() -> Path:
    package = Path(helpdesk.__file__).parent
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "alembic"


async def _found(database: Database) -> str | None:
    """The revision of the database, none of an empty one. Raises `WrongSchema` when this version does not know it."""
    async with database.engine.connect() as connection:
        found = await connection.run_sync(_revision)
    if found is not None and found not in revisions():
        raise WrongSchema(f"the database is from a newer version (revision {found}): upgrade the program")
    return found


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: Connection, to: str) -> str:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    return _revision(connection) or ""
