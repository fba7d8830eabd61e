"""The loop of ratings: whoever was helped, and stayed so for a while, is asked how it went."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import rating_requests
from helpdesk.services.house import Services


async def ask_for_ratings(services: Services) -> int:
    """Decide a batch of what is due; answers how many that were."""
    async with services.database.transaction() as session:
        return await rating_requests.ask(services, session, now=now())
