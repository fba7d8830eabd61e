"""Handing a conversation over: from where all read it into a chat that only its contact can open."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from helpdesk import clock
from helpdesk.api import handoff_page
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, Reading, Transaction, Writer, address_of
from helpdesk.api.problems import documented
from helpdesk.api.repeating import once, request_of
from helpdesk.api.schemas import messages as shapes
from helpdesk.api.schemas.handoffs import HandoffGiven, HandoffShown
from helpdesk.domain.rating_texts import language_for
from helpdesk.errors import Conflict, Forbidden, NotFound, StillRunning, TooMany
from helpdesk.services import describing, handoff_pages, handoffs
from helpdesk.services.access import get_conversation
from helpdesk.services.reply_writing import Stored

router = APIRouter(prefix="/api/v1/conversations", tags=["messages"])
public = APIRouter(prefix="/h", tags=["messages"])

_HTML: Final = {"text/html": {"schema": {"type": "string"}}}
_MISSING: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "There is no such link", "content": _HTML},
    410: {"description": "It was used, or has expired", "content": _HTML},
}
_FAULT: Final[dict[int | str, dict[str, Any]]] = {500: documented()[500]}


@router.post(
    "/{conversation_id}/handoff",
    status_code=201,
    summary="Hand a conversation over into a private chat",
    response_model=HandoffShown,
    responses=documented(
        Forbidden,
        NotFound,
        StillRunning,
        idempotency_key_required=(400, "Idempotency-Key is missing"),
        conversation_closed=(409, "A closed conversation takes no more answers"),
        conversation_merged=(409, "It went into another conversation"),
        handoff_not_possible=(409, "He cannot be written to directly now"),
        personal_data_in_public=(422, "It says in public what is the contact's own; `found` tells kinds and places"),
        idempotency_key_reused=(422, "The key was used with another body"),
    ),
)
async def hand_over(
    actor: Writer,
    services: House,
    session: Transaction,
    conversation_id: UUID,
    body: HandoffGiven,
    idempotency_key: Annotated[str | None, Header(description="Needed; new for each handoff")] = None,
) -> Response:
    """He gets a link by direct message that opens a chat, once: what he writes there joins this conversation.

    Where he wrote in public last, a few words without personal data say there that he was written to. A new link makes
    earlier ones worthless.
    """
    now = clock.now()
    request = request_of(actor, f"POST /conversations/{conversation_id}/handoff", idempotency_key, body)

    async def write() -> tuple[int, dict[str, Any]]:
        conversation = await get_conversation(session, actor, conversation_id, lock=True)
        given: dict[str, Any] = {"text": body.text, "language": body.language}
        done = await handoffs.hand_over(services, session, conversation, body.inbox_id, **given, by=actor, now=now)
        return 201, {
            "public_message": done.public and _shown(done.public),
            "direct_message": _shown(done.direct),
            "expires_at": done.expires_at,
        }

    again = partial(get_conversation, session, actor, conversation_id)
    found = await once(session, request, write, again=again, now=now)
    return answer(found.body, status=found.status)


def _shown(stored: Stored) -> dict[str, Any]:
    (row,) = describing.without_files(stored).messages
    return shapes.message(row, ())


@public.get(
    "/{token}",
    summary="The page that opens a chat",
    response_class=Response,
    responses={200: {"description": "A button that opens it", "content": _HTML}, **_MISSING, **_FAULT},
)
async def show_button(request: Request, services: House, session: Reading, token: str) -> Response:
    """Public: the link is the permission. To follow it changes nothing, so that programs may."""
    try:
        link = await handoff_pages.find(session, token, now=clock.now())
    except NotFound:
        return handoff_page.unknown(_language(request))
    language = _language(request, link.language)
    if link.open:
        return handoff_page.button(language)
    return _over(services, link, language)


@public.post(
    "/{token}",
    summary="Open a chat",
    response_class=Response,
    responses={
        200: {"description": "It is open; the page holds its session, which is told this once", "content": _HTML},
        **_MISSING,
        429: {"description": "Too many attempts", "content": _HTML},
        503: {"description": "The chat is closed at the moment; the link stays good", "content": _HTML},
        **_FAULT,
    },
)
async def open_chat(request: Request, services: House, token: str) -> Response:
    """Once. Whoever has the link is taken for the contact to whom it was sent, where only he reads."""
    now = clock.now()
    try:
        async with services.database.reading() as session:
            link = await handoff_pages.find(session, token, now=now)
        language = _language(request, link.language)
        opened = await handoff_pages.use(services, token, address=address_of(request), language=language, now=now)
    except TooMany as error:
        return handoff_page.busy(_language(request), retry_after=error.extra["retry_after"])
    except NotFound:
        return handoff_page.unknown(_language(request))
    except Conflict as error:
        return handoff_page.away(language) if error.code == 503 else await _again(request, services, token)
    return handoff_page.chat(services.channel(link.channel), opened, link.inbox_id, language)


async def _again(request: Request, services: House, token: str) -> Response:
    async with services.database.reading() as session:
        link = await handoff_pages.find(session, token, now=clock.now())
    return _over(services, link, _language(request, link.language))


def _over(services: House, link: handoff_pages.Link, language: str) -> Response:
    """Whoever used it in this browser has the chat below; a stranger who comes later has one of his own."""
    if link.used:
        return handoff_page.chat(services.channel(link.channel), None, link.inbox_id, language)
    return handoff_page.over(language)


def _language(request: Request, otherwise: str = "") -> str:
    return language_for(request.headers.get("accept-language", ""), otherwise)
