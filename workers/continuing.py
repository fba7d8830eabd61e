"""The loop of what visitors have not read: it goes on by e-mail."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import continuing
from helpdesk.services.house import Services


async def go_on_by_mail(services: Services) -> int:
    """Mail a batch of what is due; answers how many conversations that were."""
    async with services.database.transaction() as session:
        return await continuing.go_on(services, session, now=now())
