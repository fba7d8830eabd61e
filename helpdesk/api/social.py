"""What integrations say on social channels, and what became of it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, Reading, SocialWriter, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.repeating import once, request_of
from helpdesk.api.schemas import messages as message_shapes
from helpdesk.api.schemas import social as shapes
from helpdesk.api.schemas.social import (
    PreviewGiven,
    PreviewShown,
    SocialReplyCreate,
    SocialReplyShown,
    SocialReplyState,
)
from helpdesk.errors import Forbidden, NotFound, StillRunning
from helpdesk.services import describing, inboxes, previews, social_replies

router = APIRouter(prefix="/api/v1/social", tags=["social"])


@router.post(
    "/replies",
    status_code=201,
    summary="Post a reply",
    response_model=SocialReplyShown,
    responses=documented(
        Forbidden,
        NotFound,
        StillRunning,
        idempotency_key_required=(400, "Idempotency-Key is missing"),
        reply_target_unknown=(404, "Nothing with this `in_reply_to` came in through the inbox"),
        conversation_closed=(409, "A closed conversation takes no more answers"),
        conversation_merged=(409, "It went into another conversation"),
        reply_window_closed=(409, "The channel takes answers only for a while after a message"),
        private_reply_used=(409, "He was written to directly once already, and has not answered that"),
        personal_data_in_public=(422, "It says in public what is the contact's own; `found` tells kinds and places"),
        text_too_long=(422, "It is longer than the channel takes; `length` tells by how much"),
        idempotency_key_reused=(422, "The key was used with another body"),
    ),
)
async def create_social_reply(
    actor: SocialWriter,
    services: House,
    session: Transaction,
    body: SocialReplyCreate,
    idempotency_key: Annotated[str | None, Header(description="Needed; new for each reply")] = None,
) -> Response:
    """It is queued and sent once; `GET` tells what became of it, and so do the events `message.sent|failed|uncertain`.

    What is too long for one post goes as several where the channel has that: they are `parts`, and each leaves once
    the one before was taken. A repetition under the same key gets the first answer, whatever has happened since.
    """
    now = clock.now()
    request = request_of(actor, "POST /social/replies", idempotency_key, body)
    what: tuple[Any, ...] = body.inbox_id, body.in_reply_to, body.text

    async def write() -> tuple[int, dict[str, Any]]:
        how: dict[str, Any] = {"visibility": body.visibility, "by": actor, "now": now}
        stored = await social_replies.reply(services, session, *what, **how)
        shown = message_shapes.message(describing.without_files(stored).messages[0])
        return 201, {**shown, "parts": shapes.parts_of(stored)}

    again = partial(inboxes.get_inbox, session, actor, body.inbox_id)
    found = await once(session, request, write, again=again, now=now)
    return answer(found.body, status=found.status)


@router.post(
    "/preview",
    summary="See what would be posted",
    response_model=PreviewShown,
    responses=documented(
        Forbidden, NotFound, text_too_long=(422, "It is longer than the channel takes; `length` tells by how much")
    ),
)
async def preview_social_reply(actor: SocialWriter, services: House, session: Reading, body: PreviewGiven) -> Response:
    """The posts that a text would be, as the channel counts it, and what may not be said in public. Writes nothing."""
    how: dict[str, Any] = {"visibility": body.visibility, "conversation_id": body.conversation_id}
    found = await previews.preview(services, session, body.inbox_id, body.text, **how, by=actor, now=clock.now())
    return answer(shapes.preview(found))


@router.get(
    "/replies/{message_id}",
    summary="Read what became of a reply",
    response_model=SocialReplyState,
    responses=documented(Forbidden, NotFound),
)
async def read_social_reply(actor: SocialWriter, session: Reading, message_id: UUID) -> Response:
    """Your own ones only. `uncertain`: the vendor may have taken it; it is looked up before it could be sent again."""
    return answer(shapes.state(await social_replies.state(session, message_id, by=actor)))
