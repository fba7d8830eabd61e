"""The loop of visits: who waited and went away, or whose desk closed, is not waited upon any longer."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import visitor_waits
from helpdesk.services.house import Services


async def give_up(services: Services) -> int:
    """A batch of those for whom nobody came; answers how many that were."""
    at = now()
    async with services.database.reading() as session:
        found = await visitor_waits.anything(session, now=at)
    if not found:
        return 0
    async with services.database.transaction() as session:
        return await visitor_waits.miss(services, session, found, now=at)
