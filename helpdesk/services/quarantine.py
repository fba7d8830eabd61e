"""Quarantine: a conversation that nobody vouches for is kept and calls nobody, until somebody takes it out.

There is no way in: whoever is to be kept out is spam.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import ring
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict
from helpdesk.models.conversations import conversations
from helpdesk.services import audit, sla
from helpdesk.services.conversations import Conversation, note
from helpdesk.services.house import Services


async def end(
    services: Services, session: AsyncSession, conversation: Conversation, *, by: Actor, now: datetime
) -> None:
    """Take the locked conversation out: it waits as any other, and is given to somebody. Idempotent.

    Raises `Conflict` (`conversation_merged`).
    """
    if conversation["merged_into_id"] is not None:
        raise Conflict("it went into another conversation", slug="conversation_merged")
    if not conversation["quarantined"]:
        return
    mine = update(conversations).where(conversations.c.id == conversation["id"])
    await session.execute(mine.values(quarantined=False))
    conversation = {**conversation, "quarantined": False}
    conversation = await note(session, conversation, {"quarantined": [True, False]}, by=by, now=now)
    about: dict[str, Any] = {"subject": "conversation", "subject_id": conversation["id"]}
    await audit.record(session, "conversation.quarantine_ended", **about, by=by, now=now)
    if not conversation["spam"]:
        await sla.taken_up(services, session, conversation, now=now)
        ring(session, "routing")
