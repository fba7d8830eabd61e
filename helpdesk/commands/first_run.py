"""What a new installation needs once: an administrator."""

from __future__ import annotations

import secrets

from sqlalchemy import func, select

from helpdesk.clock import now
from helpdesk.domain.values import SYSTEM, Role
from helpdesk.models.agents import agents
from helpdesk.services import agents as agent_service
from helpdesk.services.house import Services

ADMIN = "admin@localhost"


async def prepare(services: Services) -> list[str]:
    """Create the administrator of an empty installation; answers what to print, the password once."""
    async with services.database.transaction() as session:
        if await session.scalar(select(func.count()).select_from(agents)):
            return []
        password = secrets.token_urlsafe(12)
        await agent_service.create(
            session,
            email=ADMIN,
            name="Administrator",
            role=Role.ADMIN,
            password=password,
            by=SYSTEM,
            now=now(),
        )
    return [f"administrator {ADMIN} password {password} (shown once)"]
