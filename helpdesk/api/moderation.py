"""Hiding what others wrote below our posts."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, Writer
from helpdesk.api.problems import documented
from helpdesk.api.schemas import messages as message_shapes
from helpdesk.api.schemas.messages import MessageShown
from helpdesk.api.schemas.social import HideGiven
from helpdesk.errors import Forbidden, NotFound, Unavailable
from helpdesk.services import describing, moderation

router = APIRouter(prefix="/api/v1", tags=["social"])


@router.post(
    "/messages/{message_id}/hide",
    summary="Hide a public message there",
    response_model=MessageShown,
    responses=documented(
        Forbidden, NotFound, Unavailable, cannot_moderate=(409, "It cannot be hidden, or the channel will not")
    ),
)
async def hide_message(actor: Writer, services: House, message_id: UUID, body: HideGiven) -> Response:
    """From everybody but its author and us; with `hidden` false it is shown again. Repeating it changes nothing."""
    await moderation.hide(services, message_id, hidden=body.hidden, by=actor, now=clock.now())
    async with services.database.reading() as session:
        thread = await describing.some_messages(session, [message_id])
    (message,) = thread.messages
    return answer(message_shapes.message(message, thread.files.get(message_id, ())))
