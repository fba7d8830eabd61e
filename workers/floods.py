"""The loop of floods: looks at what was said in public since it last looked, and folds what many say alike."""

from __future__ import annotations

from functools import partial

from helpdesk.clock import now
from helpdesk.services import floods, following
from helpdesk.services.house import Services


async def fold(services: Services) -> int:
    """Look at one batch; says whether there may be more."""
    return await following.follow(services.database, floods.FOLLOWER, partial(floods.keep, services, now=now()))
