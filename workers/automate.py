"""The loop of automation rules: has them answer what has happened since it last looked."""

from __future__ import annotations

from functools import partial

from helpdesk.clock import now
from helpdesk.services import automation, following
from helpdesk.services.house import Services


async def run_rules(services: Services) -> int:
    """Answer one batch of events; says whether there may be more."""
    answer = partial(automation.answer, services, now=now())
    return await following.follow(services.database, automation.FOLLOWER, answer)
