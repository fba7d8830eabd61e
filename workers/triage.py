"""The loop of triage: reads what contacts have written since it last looked, and suggests what it is about."""

from __future__ import annotations

from functools import partial

from helpdesk.clock import now
from helpdesk.services import following, triage
from helpdesk.services.house import Services


async def sort_new(services: Services) -> int:
    """Read one batch; says whether there may be more."""
    return await following.follow(services.database, triage.FOLLOWER, partial(triage.keep, services, now=now()))
