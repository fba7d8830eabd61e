"""Chains the audit, a batch at a time; any worker may, and only one at a time does."""

from __future__ import annotations

import structlog

from helpdesk.clock import now
from helpdesk.services import audit_chain
from helpdesk.services.house import Services

log = structlog.get_logger()


async def chain_audit(services: Services) -> int:
    """Answers whether there may be more. Each day's anchor is logged: where logs are kept, it cannot be changed."""
    at = now()
    if not await audit_chain.is_due(services.database, now=at):
        return 0
    async with services.database.transaction() as session:
        count, anchor = await audit_chain.extend(session, now=at)
    if anchor is not None:
        where = anchor.link
        log.info("audit.anchor", day=anchor.day.isoformat(), position=where.position, digest=where.digest)
    return int(count >= audit_chain.BATCH)
