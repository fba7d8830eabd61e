"""What visitors say of a chat, and that they end it: in their own conversation, while they are in it."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.events import ConversationStatusChanged
from helpdesk.domain.ratings import LIFE
from helpdesk.domain.values import Actor, AuthorKind, Status
from helpdesk.errors import Conflict
from helpdesk.live import Visitor
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.rules import ratings as rating_rows
from helpdesk.models.visitors import visits
from helpdesk.services import conversations as verbs
from helpdesk.services import rating_requests, ratings
from helpdesk.services.house import Services
from helpdesk.statements import Row

_C: Final = conversations.c
_E: Final = events.c
_R: Final = rating_rows.c
_V: Final = visits.c


async def rate(
    services: Services, session: AsyncSession, visitor: Visitor, *, score: int, comment: str, now: datetime
) -> None:
    """Rate the last resolution, or change what was said of it, for as long as it is resolved and he was asked.

    Raises `Conflict`, `Invalid`.
    """
    found = await _his(session, visitor)
    if found is None or not _is_asked(found, now=now):
        raise Conflict("no rating is asked for now")
    asked_at = found["rating_asked_at"]
    mine = select(_R.id).where(_R.conversation_id == found["id"], _R.asked_at == asked_at)
    rating_id = await session.scalar(mine)
    if rating_id is None:  # the relay has not come to it yet
        await rating_requests.asked_there(services, session, found, await _resolution(session, found["id"]), asked_at)
        rating_id = (await session.execute(mine)).scalar_one()
    await ratings.note(session, rating_id, score=score, comment=comment, now=now)


def _is_asked(conversation: Row, *, now: datetime) -> bool:
    """For the resolution that holds, and for as long as a rating counts."""
    asked_at, resolved = conversation["rating_asked_at"], conversation["status"] == Status.RESOLVED
    return resolved and asked_at is not None and conversation["status_changed_at"] <= asked_at > now - LIFE


async def leave(services: Services, session: AsyncSession, visitor: Visitor, *, now: datetime) -> None:
    """He ends the chat: what is not over is resolved. Idempotent."""
    found = await _his(session, visitor)
    if found is None or found["spam"] or found["status"] in (Status.RESOLVED, Status.CLOSED):
        return
    by = Actor(AuthorKind.CONTACT, id=visitor.contact_id)
    await verbs.change(services, session, found, {"status": Status.RESOLVED.value}, by=by, now=now)


async def _his(session: AsyncSession, visitor: Visitor) -> Row | None:
    """The conversation that he is in, locked, with `rating_asked_at`. None where it is, by merging, another's."""
    query = (
        select(conversations, _V.rating_asked_at)
        .join(visits, _V.conversation_id == _C.id)
        .where(_C.id == visitor.conversation_id, _V.contact_id == visitor.contact_id)
        .where(_V.inbox_id == visitor.inbox_id)
        .with_for_update(of=conversations, key_share=True)
    )
    return (await session.execute(query)).mappings().one_or_none()


async def _resolution(session: AsyncSession, conversation_id: UUID) -> Row:
    """The event of its last change of status."""
    query = select(_E.id, _E.occurred_at).where(
        _E.conversation_id == conversation_id, _E.type == ConversationStatusChanged.type
    )
    return (await session.execute(query.order_by(_E.seq.desc()).limit(1))).mappings().one()
