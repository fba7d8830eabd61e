"""The loop of promises: clocks that fall due, ladders to be climbed, alerts that nobody acknowledged."""

from __future__ import annotations

from helpdesk.clock import now
from helpdesk.services import alerts, climbing, sweep
from helpdesk.services.house import Services

LADDERS = 100
"""Conversations in one step; each has a transaction of its own."""


async def keep_promises(services: Services) -> int:
    """Settle what is due, then take the steps that are due, then call the next in line. Answers how much there was.

    In this order: a step that is due must see the clock as it is now.
    """
    async with services.database.transaction() as session:
        count = await sweep.settle(services, session, now=now())
    if count == sweep.BATCH:
        return count
    for _ in range(LADDERS):
        async with services.database.transaction() as session:
            climbed = await climbing.climb(services, session, now=now())
        if not climbed:
            break
        count += 1
    async with services.database.transaction() as session:
        count += await alerts.climb(services, session, now=now())
    return count
