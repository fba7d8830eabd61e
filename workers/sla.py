"""The loop of promises: clocks that fall due, ladders to be climbed, alerts that nobody acknowledged."""

from __future__ import annotations

import structlog

from helpdesk.clock import now
from helpdesk.logs import fault
from helpdesk.services import alerts, climbing, sweep
from helpdesk.services.house import Services

log = structlog.get_logger()

LADDERS = 100
"""Conversations in one step; each has a transaction of its own."""


async def keep_promises(services: Services) -> int:
    """Settle what is due, then take the steps that are due, then call the next in line. Answers how much there was.

    In this order: a step that is due must see the clock as it is now. What fails keeps none of the others from being
    done, and is raised at the end: a clock at fault must not silence alerts that are open.
    """
    count, failed = 0, None
    for part in (_settle, _climb, _call):
        try:
            done = await part(services)
        except Exception as error:  # the loop is told when the others had their turn
            log.error("promises.failed", **fault(error))
            failed = error
            continue
        count += done
        if part is _settle and done == sweep.BATCH:
            return count
    if failed is not None:
        raise failed
    return count


async def _settle(services: Services) -> int:
    async with services.database.transaction() as session:
        return await sweep.settle(services, session, now=now())


async def _climb(services: Services) -> int:
    for count in range(LADDERS):
        async with services.database.transaction() as session:
            if not await climbing.climb(services, session, now=now()):
                return count
    return LADDERS


async def _call(services: Services) -> int:
    async with services.database.transaction() as session:
        return await alerts.climb(services, session, now=now())
