"""The loop of automation rules: has them answer what has happened since it last looked."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import automation
from helpdesk.services.house import Services


async def run_rules(services: Services) -> int:
    """Answer one batch of events; says whether there may be more."""
    async with services.database.transaction() as session:
        return await automation.follow(services, session, now=now())
