"""Mailing a contact his conversation of a live channel."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, Writer
from helpdesk.api.problems import documented
from helpdesk.api.schemas.transcripts import TranscriptShown
from helpdesk.errors import Forbidden, NotFound, TooMany
from helpdesk.services import transcripts

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])


@router.post(
    "/{conversation_id}/transcript",
    status_code=202,
    summary="Mail a chat to its visitor",
    response_model=TranscriptShown,
    responses=documented(
        Forbidden,
        NotFound,
        TooMany,
        no_address=(409, "The visitor has proved no address"),
        not_continued=(409, "No inbox can write letters"),
    ),
)
async def send_transcript(actor: Writer, services: House, conversation_id: UUID) -> Response:
    """What he may see of it goes to the address that he has proved: no notes, and nobody else's messages.

    At most three times a day, his own asking included. The letter is a message of the conversation, and can be followed
    there.
    """
    message_id = await transcripts.send(services, conversation_id, by=actor, now=clock.now())
    return answer({"message_id": message_id}, status=202)
