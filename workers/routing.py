"""The loops of routing: give what is in the queues to those who can take it, and take back from those who went away."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import routing, taking_back
from helpdesk.services.house import Services


async def route(services: Services) -> int:
    """Give a batch; answers how many that were. Only where there is something to give is a transaction opened."""
    at = now()
    async with services.database.reading() as session:
        found = await routing.heads(services, session, now=at)
    if not found:
        return 0
    async with services.database.transaction() as session:
        return await routing.route(services, session, found, now=at)


async def take_back(services: Services) -> int:
    """Take back a batch; answers how many that were."""
    at = now()
    async with services.database.reading() as session:
        found = await taking_back.absences(services, session, now=at)
        if not await taking_back.anything(session, found, now=at):
            return 0
    async with services.database.transaction() as session:
        return await taking_back.take_back(services, session, found, now=at)
