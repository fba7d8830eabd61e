"""The form before the first message: what a visitor has answered there is noted where the agents read it.

It is what he says of himself, and proves nothing: an address among it is called `claimed_email`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import SYSTEM
from helpdesk.domain.visitor_notes import note
from helpdesk.errors import Invalid
from helpdesk.live import Visitor
from helpdesk.models.visitors import visitor_sessions
from helpdesk.services import categories, replies
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from helpdesk.statements import Row

CATEGORY: Final = "category"
CLAIMED: Final = "claimed_email"

_S: Final = visitor_sessions.c


async def introduce(
    services: Services, session: AsyncSession, conversation: Row, visitor: Visitor, *, now: datetime
) -> None:
    """Note the answers in a conversation that has just begun, once for the session, and give it his category.

    The conversation is locked, or nobody else's yet. A category that there is not any more is noted like the rest.
    """
    fields = await session.scalar(select(_S.fields).where(_S.id == visitor.session_id))
    if not fields:
        return
    after: Any = conversation
    if CATEGORY in fields and await is_category(session, fields[CATEGORY]):
        wanted = {CATEGORY: fields.pop(CATEGORY)}
        after = await conversation_verbs.change(services, session, after, wanted, by=SYSTEM, now=now)
    shown = {name: value for name, value in fields.items() if name != CLAIMED or not visitor.email}
    if text := note(shown, language=visitor.language):
        await replies.reply(services, session, after, Draft(text=text, private=True), by=SYSTEM, now=now)
    await session.execute(update(visitor_sessions).where(_S.id == visitor.session_id).values(fields={}))


async def is_category(session: AsyncSession, key: str) -> bool:
    """Whether something can be given it."""
    try:
        await categories.check(session, [(CATEGORY, key)], new=True)
    except Invalid:
        return False
    return True
