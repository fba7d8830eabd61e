"""Handing a conversation on, with a note."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.conversations import shown
from helpdesk.api.dependencies import House, IfMatch, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.schemas.conversations import ConversationDetail, TransferGiven
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import transferring

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])


@router.post(
    "/{conversation_id}/transfer",
    summary="Hand a conversation on",
    response_model=ConversationDetail,
    responses=documented(
        *(Forbidden, NotFound, Stale, PreconditionRequired),
        conversation_closed=(409, "A closed conversation is handed to nobody"),
        conversation_merged=(409, "It went into another conversation"),
    ),
)
async def transfer_conversation(
    actor: Writer,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    conversation_id: UUID,
    body: TransferGiven,
) -> Response:
    """To a team's queue, to an agent, or to an agent of a team; the note is written with it, or neither is done.

    Whom it goes to is mentioned in the note. A visitor in a chat is shown who is there now, or that he waits again,
    and never the note. The answer shows the conversation even if you gave it away by this.
    """
    now = clock.now()
    await transferring.transfer(
        services,
        session,
        conversation_id,
        team_id=body.team_id,
        assignee_id=body.assignee_id,
        note=body.note,
        version=if_match,
        by=actor,
        now=now,
    )
    found, version = await shown(services, session, actor, conversation_id, now=now, changed=True)
    return answer(found, version=version)
