"""Who is at a conversation just now."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import Json
from helpdesk.api.dependencies import Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import Query
from helpdesk.api.schemas.stream import PresenceGiven, PresenceList, PresencePlaces
from helpdesk.errors import Forbidden, NotFound, TooMany
from helpdesk.services import presence
from helpdesk.services.access import get_conversation
from helpdesk.services.presence import State

router = APIRouter(prefix="/api/v1", tags=["conversations"])

WHERE = Query(
    queries.at_most(
        queries.needed(queries.identifier("conversation_id", "At any of these conversations", repeatable=True)), 100
    )
)


@router.get(
    "/presence",
    summary="Who is at some conversations",
    response_model=PresencePlaces,
    responses=documented(Forbidden),
    openapi_extra=WHERE.openapi,
)
async def read_places(request: Request, actor: Reader, session: Reading) -> Response:
    """Those where nobody is, and those that you may not see, are left out."""
    wanted = WHERE.read(request)["conversation_id"]
    places = await presence.at_some(session, actor, wanted, now=clock.now())
    return Json(
        {"items": [{"conversation_id": at, "presence": [one.shown() for one in there]} for at, there in places.items()]}
    )


@router.get(
    "/conversations/{conversation_id}/presence",
    summary="Who is at a conversation",
    response_model=PresenceList,
    responses=documented(Forbidden, NotFound),
)
async def read_presence(actor: Reader, session: Reading, conversation_id: UUID) -> Response:
    """Agents who look at it or write in it just now, you among them. Of its visitor the conversation itself tells."""
    await get_conversation(session, actor, conversation_id)
    return await _shown(session, conversation_id)


@router.post(
    "/conversations/{conversation_id}/presence",
    summary="Say that you are at a conversation",
    response_model=PresenceList,
    responses=documented(Forbidden, NotFound, TooMany),
)
async def note_presence(actor: Writer, session: Transaction, conversation_id: UUID, body: PresenceGiven) -> Response:
    """Say it again within 30 seconds; 45 seconds after the last time you are gone, or at once with `gone`.

    Those who are there too learn of changes by the stream (`presence`). Answers who is there.
    """
    await get_conversation(session, actor, conversation_id)
    if body.state == "gone":
        await presence.leave(session, conversation_id, by=actor)
    else:
        await presence.note(session, conversation_id, State(body.state), by=actor, now=clock.now())
    return await _shown(session, conversation_id)


async def _shown(session: AsyncSession, conversation_id: UUID) -> Response:
    there = await presence.at(session, conversation_id, now=clock.now())
    return Json({"items": [one.shown() for one in there]})
