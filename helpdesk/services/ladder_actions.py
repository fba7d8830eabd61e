"""What a step of a ladder does, besides calling people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid5

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.events import EscalationAdvanced
from helpdesk.domain.ladders import Action, Assign, HandOver, Note, Post, Prioritise, Watch
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import HelpdeskError
from helpdesk.models.conversations import conversations
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services import replies, watchers, webhook_deliveries, webhooks
from helpdesk.services.house import Services
from helpdesk.services.replies import Draft
from helpdesk.statements import Row

log = structlog.get_logger()

_POSTS = UUID("b6f0c1f6-5d1c-5a55-9a0e-6b1f0f6f6a10")
"""The namespace of the ids under which ladders post: the same step has the same one."""


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
    try:
        async with session.begin_nested():
            await _ACTIONS[type(action)](services, session, ladder, number, conversation, action, now)
    except HelpdeskError as error:
        log.warning("escalation.action_refused", action=action.do, rule_id=str(ladder["rule_id"]), kind=error.problem)
        return False
    return True


async def _change(
    services: Services, session: AsyncSession, conversation: Row, wanted: Mapping[str, Any], now: datetime
) -> None:
    await conversation_verbs.change(services, session, conversation, wanted, by=SYSTEM, now=now)


async def _assign(services: Services, session: AsyncSession, _l: Row, _n: int, c: Row, a: Any, now: datetime) -> None:
    await _change(services, session, c, {"assignee_id": cast(Assign, a).agent_id}, now)


async def _hand_over(
    services: Services, session: AsyncSession, _l: Row, _n: int, c: Row, a: Any, now: datetime
) -> None:
    await _change(services, session, c, {"team_id": cast(HandOver, a).team_id}, now)


async def _prioritise(
    services: Services, session: AsyncSession, _l: Row, _n: int, c: Row, a: Any, now: datetime
) -> None:
    """Up, never down: an agent may have seen more in it than the rule did."""
    wanted = cast(Prioritise, a).to
    if c["priority"] < wanted:
        await _change(services, session, c, {"priority": int(wanted)}, now)


async def _watch(_s: Services, session: AsyncSession, _l: Row, _n: int, c: Row, a: Any, now: datetime) -> None:
    for agent_id in cast(Watch, a).agent_ids:
        c = await watchers.add(session, c, agent_id, by=SYSTEM, now=now)


async def _post(_s: Services, session: AsyncSession, ladder: Row, number: int, c: Row, a: Any, now: datetime) -> None:
    """Raises `NotFound`: only the rule as it is now keeps its webhook from being removed."""
    await webhooks.get_webhook(session, cast(Post, a).webhook_id)
    about = {name: str(ladder[name]) for name in ("conversation_id", "rule_id", "kind")}
    data = about | {"cycle": ladder["cycle"], "step": number + 1, "number": c["number"]}
    key = ":".join(map(str, (*about.values(), ladder["cycle"], number)))
    type_ = EscalationAdvanced.type
    await webhook_deliveries.queue(
        session,
        cast(Post, a).webhook_id,
        event_id=uuid5(_POSTS, key),
        type=type_,
        body=webhook_deliveries.body_of(type_, now, data),
        now=now,
    )


async def _write(services: Services, session: AsyncSession, _l: Row, _n: int, c: Row, a: Any, now: datetime) -> None:
    draft = Draft(text=cast(Note, a).text, private=True)
    await replies.reply(services, session, cast(Any, c), draft, by=SYSTEM, now=now)


_Act = Callable[[Services, AsyncSession, Row, int, Row, Any, datetime], Awaitable[None]]
_ACTIONS: Mapping[type[Any], _Act] = {
    Assign: _assign,
    HandOver: _hand_over,
    Prioritise: _prioritise,
    Watch: _watch,
    Post: _post,
    Note: _write,
}
