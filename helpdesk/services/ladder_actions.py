"""What a step of a ladder does, besides calling people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.actions import Action, Prioritise, Watch
from helpdesk.domain.events import EscalationAdvanced
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import HelpdeskError
from helpdesk.models.conversations import conversations
from helpdesk.services import actions
from helpdesk.services.actions import Cause
from helpdesk.services.house import Services
from helpdesk.statements import Row

log = structlog.get_logger()


async def act(
    services: Services, session: AsyncSession, ladder: Row, number: int, action: Action, *, now: datetime
) -> bool:
    """Do it, in the conversation that the caller has locked. False where the house no longer allows some of it.

    An agent who has left or a webhook that is gone must not hold up the steps that still call somebody.
    """
    done = [await _act(services, session, ladder, number, one, now=now) for one in _parts(action)]
    return all(done)


def _parts(action: Action) -> Sequence[Action]:
    """One watcher at a time: he who may not must not keep the others from it."""
    return [Watch((one,)) for one in action.agent_ids] if isinstance(action, Watch) else [action]


async def _act(
    services: Services, session: AsyncSession, ladder: Row, number: int, action: Action, *, now: datetime
) -> bool:
    query = select(conversations).where(conversations.c.id == ladder["conversation_id"])
    conversation = (await session.execute(query)).mappings().one()
    if isinstance(action, Prioritise) and conversation["priority"] >= action.to:
        return True  # up, never down: an agent may have seen more in it than the rule did
    try:
        async with session.begin_nested():
            cause = _cause(ladder, number)
            await actions.act(services, session, conversation, action, by=SYSTEM, cause=cause, now=now)
    except HelpdeskError as error:
        log.warning("escalation.action_refused", action=action.do, rule_id=str(ladder["rule_id"]), kind=error.problem)
        return False
    return True


def _cause(ladder: Row, number: int) -> Cause:
    """The same step of the same ladder posts under the same id."""
    about = {name: str(ladder[name]) for name in ("conversation_id", "rule_id", "kind")}
    key = ":".join(map(str, (*about.values(), ladder["cycle"], number)))
    return Cause(key, EscalationAdvanced.type, {**about, "cycle": ladder["cycle"], "step": number + 1})
