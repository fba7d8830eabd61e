"""The loop of triage: reads what contacts have written since it last looked, and suggests what it is about."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import triage
from helpdesk.services.house import Services


async def sort_new(services: Services) -> int:
    """Read one batch; says whether there may be more. A transaction is open only while what was found is written."""
    database = services.database
    async with database.reading() as session:
        begun = await triage.reached(session)
        end, found = (0, []) if begun is None else await triage.follow(session, begun)
    if begun is None:
        async with database.transaction() as session:
            await triage.begin(session)
        return 1
    if end == begun:
        return 0
    async with database.transaction() as session:
        await triage.advance(services, session, begun=begun, end=end, found=found, now=now())
    return end - begun
