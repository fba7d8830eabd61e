"""The loop of snoozing: what was to come back by now is open again."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import waking
from helpdesk.services.house import Services


async def wake(services: Services) -> int:
    """Open a batch of what is due; answers how many that were."""
    async with services.database.transaction() as session:
        return await waking.wake(services, session, now=now())
