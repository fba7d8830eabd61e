"""The loop of visits: who is left waiting waits for anybody, and who went away or found the desk closed for nobody."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import visitor_waits
from helpdesk.services.house import Services


async def look_after(services: Services) -> int:
    """Let whoever was left waiting wait for anybody, and nobody for whom nobody came; answers how many that were."""
    at, count = now(), 0
    async with services.database.reading() as session:
        left = await visitor_waits.left_waiting(services, session, now=at)
        missed = await visitor_waits.anything(session, now=at)
    if left:
        async with services.database.transaction() as session:
            count += await visitor_waits.queue_again(services, session, left, now=at)
    if missed:
        async with services.database.transaction() as session:
            count += await visitor_waits.miss(services, session, missed, now=at)
    return count
