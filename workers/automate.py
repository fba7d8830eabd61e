"""The loops of automation rules: they answer what has happened since they last looked, and time that has passed."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.clock import now
from helpdesk.logs import fault
from helpdesk.services import automation, automation_elapsed, following
from helpdesk.services.house import Services
from helpdesk.statements import Row

log = structlog.get_logger()


async def run_rules(services: Services) -> int:
    """Answer one batch of events; says how far it came, and at least `MOST_RUNS` where it stopped early.

    Several rules have had as many runs as that after a few events, and there are more of these then.
    """
    early = False

    async def answer(session: AsyncSession, happened: Sequence[Row], /) -> int | None:
        nonlocal early
        reached = await automation.answer(services, session, happened, now=now())
        early = reached != happened[-1]["position"]
        return reached

    came = await following.follow(services.database, automation.FOLLOWER, answer)
    return max(came, automation.MOST_RUNS) if early else came


async def sweep_rules(services: Services) -> int:
    """Answer one batch of time that has passed for each rule; says whether there may be more."""
    async with services.database.reading() as session:
        rules = await automation_elapsed.rules(session)
    count = 0
    for rule in rules:
        try:
            async with services.database.transaction() as session:
                count += await automation_elapsed.sweep(services, session, rule, now=now())
        except Exception as error:  # a rule at fault must not keep the others from having their say
            log.error("automation.unanswerable", rule_id=str(rule.id), **fault(error))
    return count
