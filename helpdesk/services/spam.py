"""Spam: a conversation that is put away and stays silent, until somebody says that it is none.

Nothing is lost by it. What comes in is filed as ever, but opens nothing, starts no clock and calls nobody
(`services.placing`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.clocks import OVER
from helpdesk.domain.values import Actor, Status
from helpdesk.errors import Conflict
from helpdesk.models.conversations import conversations
from helpdesk.services import asking_visitors, audit, former, sla
from helpdesk.services.conversations import Conversation, change, note
from helpdesk.services.house import Services

MARKED: Final = "conversation.marked_spam"


async def mark(
    services: Services, session: AsyncSession, conversation: Conversation, *, by: Actor, now: datetime
) -> Conversation:
    """Put the locked conversation away: it is resolved and its clocks stop. Idempotent; answers its row as it is now.

    Whoever it is assigned to keeps it. Raises `Conflict` (`conversation_merged`).
    """
    _check(conversation)
    if conversation["spam"]:
        return conversation
    noted, version = former.state_of(conversation), conversation["version"]
    if conversation["status"] not in OVER:
        conversation = await change(services, session, conversation, {"status": Status.RESOLVED}, by=by, now=now)
        await asking_visitors.spare(session, conversation["id"])
    conversation = await _set(session, conversation, True, version=version, by=by, now=now)
    await _audit(session, MARKED, conversation, by=by, now=now, data=noted)
    return conversation


async def unmark(
    services: Services, session: AsyncSession, conversation: Conversation, *, by: Actor, now: datetime
) -> Conversation:
    """It is none after all: it has its former status, and whoever waits in it waits since he wrote. Idempotent.

    One that was spam from its beginning is opened. Closed stays closed.
    """
    _check(conversation)
    if not conversation["spam"]:
        return conversation
    noted, version = await former.find_noted(session, conversation["id"], action=MARKED), conversation["version"]
    conversation = {**conversation, "spam": False}
    if conversation["status"] != Status.CLOSED:
        status, until = former.status_in(noted, now) if noted else (Status.OPEN, None)
        wanted = {"status": status, **({"snoozed_until": until} if until else {})}
        conversation = await change(services, session, conversation, wanted, by=by, now=now)
    conversation = await _set(session, conversation, False, version=version, by=by, now=now)
    await _audit(session, "conversation.unmarked_spam", conversation, by=by, now=now)
    await sla.taken_up(services, session, conversation, now=now)
    return conversation


def _check(conversation: Conversation) -> None:
    if conversation["merged_into_id"] is not None:
        raise Conflict("it went into another conversation", slug="conversation_merged")


async def _set(
    session: AsyncSession, conversation: Conversation, spam: bool, *, version: int, by: Actor, now: datetime
) -> Conversation:
    """`version` is what it had before: however much changes at once, it rises by one."""
    await session.execute(update(conversations).where(conversations.c.id == conversation["id"]).values(spam=spam))
    conversation = {**conversation, "spam": spam}
    changes = {"spam": [not spam, spam]}
    return await note(session, conversation, changes, by=by, now=now, versioned=conversation["version"] == version)


async def _audit(
    session: AsyncSession,
    action: str,
    conversation: Conversation,
    *,
    by: Actor,
    now: datetime,
    data: dict[str, Any] | None = None,
) -> None:
    about: dict[str, Any] = {"subject": "conversation", "subject_id": conversation["id"]}
    await audit.record(session, action, **about, by=by, now=now, data=data)
