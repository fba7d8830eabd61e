"""What is tidied up now and then, and the alarm for inboxes that fail."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from helpdesk.clock import now
from helpdesk.services import (
    account_links,
    attempts,
    blobs,
    changes,
    health,
    idempotency,
    presence,
    sessions,
    sign_on,
    tidying,
    visitor_identities,
)
from helpdesk.services.contact_merging import gather
from helpdesk.services.house import Services

log = structlog.get_logger()

_ORPHAN_AFTER = timedelta(days=1)
_SECONDS_EACH = 5.0


async def report_failing(services: Services) -> int:
    """Raise `inbox.failing` for inboxes that have not worked for some minutes."""
    async with services.database.transaction() as session:
        failing = await health.report(
            session, after=timedelta(seconds=services.settings.failing_after_seconds), now=now()
        )
    for inbox_id in failing:
        log.error("inbox.failing", inbox_id=str(inbox_id))
    return 0


async def tidy(services: Services) -> int:
    """Forget what is old; see to what came late to a merged contact or a message; delete blobs that no row names."""
    async with services.database.transaction() as session:
        await idempotency.forget_old(session, now=now())
        await attempts.forget_old(session, now=now())
        await sessions.forget_old(session, now=now())
        await account_links.forget_old(session, now=now())
        await presence.forget_old(session, now=now())
        await sign_on.forget_old(session, now=now())
        await visitor_identities.forget_old(session, now=now())
        await gather(session, now=now())
        await changes.sweep(session, now=now())
    await _forget(services)
    count = await blobs.sweep_orphans(services, older_than=_ORPHAN_AFTER)
    if count:
        log.info("blobs.swept", count=count)
    return 0


async def _forget(services: Services) -> None:
    """Of each kind what is old, for some seconds: what is left after a long time without a worker goes hour by hour."""
    seconds = asyncio.get_running_loop().time
    for kind in tidying.KINDS:
        place, count, until = None, 0, seconds() + _SECONDS_EACH
        while True:
            place, gone = await tidying.forget(services.database, kind, after=place, now=now())
            count += gone
            if place is None or seconds() > until:
                break
        if count:
            log.info("rows.forgotten", name=kind.name, count=count)
