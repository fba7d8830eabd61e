"""What a new installation needs once: an administrator."""

from __future__ import annotations

import secrets

from sqlalchemy import func, select

from helpdesk.clock import now
from helpdesk.domain.account_texts import Purpose
from helpdesk.domain.values import SYSTEM, Role
from helpdesk.models.agents import agents
from helpdesk.services import account_links
from helpdesk.services import agents as agent_service
from helpdesk.services.house import Services

ADMIN = "admin@localhost"


async def prepare(services: Services) -> list[str]:
    """Create the administrator of an empty installation; answers what to print, the password and the link once.

    Whoever reads the terminal is let in by either: by the link, where he says who he is and chooses a password of his
    own, or by the password, which ends the link.
    """
    async with services.database.transaction() as session:
        if await session.scalar(select(func.count()).select_from(agents)):
            return []
        password = secrets.token_urlsafe(12)
        agent_id = await agent_service.create(
            session,
            email=ADMIN,
            name="Administrator",
            role=Role.ADMIN,
            password=password,
            by=SYSTEM,
            now=now(),
        )
        _, plain = await account_links.issue(session, agent_id, Purpose.FIRST_RUN, by=SYSTEM, letter=False, now=now())
    link = account_links.address_of(services.settings.base_url, Purpose.FIRST_RUN, plain)
    return [f"administrator {ADMIN} password {password} (shown once)", f"or begin here, once, within 24 hours: {link}"]
