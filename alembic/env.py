"""Runs the revisions: on the connection that `helpdesk migrate` hands over, or on one of its own for developers."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

import helpdesk.models  # noqa: F401 - fills the metadata
from helpdesk.config import load
from helpdesk.db import Database


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=False,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_alone() -> None:
    database = Database(load().database)
    async with database.engine.execution_options(write=True).begin() as connection:
        await connection.run_sync(run)
    await database.close()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_alone())
