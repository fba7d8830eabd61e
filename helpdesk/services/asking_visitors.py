"""Asking for a rating where somebody is: with the resolution itself, in its transaction, and by nothing else.

Who is there needs no letter. What he reads along says that a rating is asked for, from this one column; the rating
itself has its row as every other (`rating_requests`, `visitor_endings`).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, not_, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visits
from helpdesk.services.waits import ANSWERING


async def ask(session: AsyncSession, conversation_id: UUID, *, now: datetime) -> None:
    """Of the visitor of a conversation that is being resolved, if he is there, was answered, and his inbox asks."""
    v = visits.c
    asking = exists().where(inboxes.c.id == v.inbox_id, inboxes.c.rating, inboxes.c.deleted_at.is_(None))
    answered = exists().where(messages.c.conversation_id == v.conversation_id, *ANSWERING)
    there = v.conversation_id == conversation_id, v.online_until > now, not_(v.feedback)
    await session.execute(update(visits).where(*there, asking, answered).values(rating_asked_at=now))


async def spare(session: AsyncSession, conversation_id: UUID) -> None:
    """What was resolved for being spam is asked nothing."""
    asked = update(visits).where(visits.c.conversation_id == conversation_id, visits.c.rating_asked_at.is_not(None))
    await session.execute(asked.values(rating_asked_at=None))
