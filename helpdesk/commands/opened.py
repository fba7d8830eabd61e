"""Services for the time of one short command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from helpdesk import migrate
from helpdesk.config import Settings
from helpdesk.services.house import Services
from helpdesk.wiring import open_services


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Services]:
    """The services, on a database that is up to date.

    The embedded database is brought up to date by whoever comes first; a fleet's is somebody's decision.
    """
    services = open_services(settings)
    try:
        if settings.embedded:
            await migrate.upgrade(services.database)
        else:
            await migrate.check(services.database)
        yield services
    finally:
        await services.database.close()
