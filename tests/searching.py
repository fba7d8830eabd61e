"""Bring the search index up to what the database holds, as the workers do."""

from __future__ import annotations

from helpdesk.services import search_indexing
from helpdesk.services.house import Services
from workers.jobs import Jobs
from workers.search import Searching


async def indexed(services: Services) -> None:
    """Take in what events tell."""
    searching = Searching(services, worker="test")
    while await searching.step():
        pass
    await searching.close()


async def walked(services: Services) -> None:
    """Take in everything, told of or not."""
    async with services.database.transaction() as session:
        await search_indexing.ask_for_walk(session)
    await indexed(services)
    worker = Jobs(services, worker="test")
    while await worker.step():
        pass
