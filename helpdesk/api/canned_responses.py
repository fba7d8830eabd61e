"""Canned responses: one's own, the team's, everybody's; and as they read in a conversation."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import House, IfMatch, Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import canned_responses as shapes
from helpdesk.api.schemas.canned_responses import (
    CannedResponseCreate,
    CannedResponsePatch,
    CannedResponseShown,
    RenderedShown,
)
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import canned_responses, paging
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1/canned-responses", tags=["canned responses"])
LIST = Query(queries.word("q", "How the shortcut or the title begins", most=100), *PAGING)
SORT: Final = "canned_responses"
RENDER = Query(
    queries.needed(queries.identifier("conversation_id", "Where it would be sent")),
    queries.word("language", "Instead of the contact's", most=20),
)
_TAKEN = (409, "You see one of this shortcut already")
_MANY = (409, "There are as many as there can be")


async def _shown(session: AsyncSession, actor: Actor, response_id: UUID, *, status: int = 200) -> Response:
    row = await canned_responses.get(session, actor, response_id)
    location = f"/api/v1/canned-responses/{response_id}" if status == 201 else None
    return answer(shapes.canned_response(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List canned responses",
    response_model=Page[CannedResponseShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_canned_responses(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """By shortcut: your own, those of your teams, and everybody's."""
    given = LIST.read(request)
    asked = page_of(given)
    cursor = paging.read_cursor(services, asked, sort=SORT)
    after = (cursor.value, cursor.id) if cursor and cursor.id else None
    how: dict[str, Any] = {"after": after, "limit": asked.limit + 1}
    found = await canned_responses.list_responses(session, actor, q=given.get("q", ""), **how)
    rows, more = paging.cut(found, asked.limit)
    last = None
    if more:
        last = paging.write_cursor(services, sort=SORT, value=rows[-1]["shortcut"], row_id=rows[-1]["id"])
    return page([shapes.canned_response(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add a canned response",
    response_model=CannedResponseShown,
    responses=documented(Forbidden, shortcut_taken=_TAKEN, too_many=_MANY),
)
async def add_canned_response(actor: Writer, session: Transaction, body: CannedResponseCreate) -> Response:
    """What is everybody's is kept by supervisors, what is a team's by its leads as well.

    A text that asks for a recovery phrase, a private key, a password or a code is refused.
    """
    response_id = await canned_responses.create(
        session,
        shortcut=body.shortcut,
        title=body.title,
        texts=body.texts,
        shared=body.shared,
        team_id=body.team_id,
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, actor, response_id, status=201)


@router.get(
    "/{response_id}",
    summary="Read a canned response",
    response_model=CannedResponseShown,
    responses=documented(Forbidden, NotFound),
)
async def read_canned_response(actor: Reader, session: Reading, response_id: UUID) -> Response:
    """In all its languages."""
    return await _shown(session, actor, response_id)


@router.get(
    "/{response_id}/render",
    summary="Fill a canned response in",
    response_model=RenderedShown,
    responses=documented(Forbidden, NotFound),
    openapi_extra=RENDER.openapi,
)
async def render_canned_response(request: Request, actor: Reader, session: Reading, response_id: UUID) -> Response:
    """In the contact's language, or the nearest that there is.

    A name that reads as a link, or as a list of words such as a recovery phrase, is left out and named in `missing`.
    """
    given = RENDER.read(request)
    response = await canned_responses.get(session, actor, response_id)
    conversation = await get_conversation(session, actor, given["conversation_id"])
    language = given.get("language", "")
    found = await canned_responses.render(session, response, conversation, language=language, by=actor)
    return answer({"language": found.language, "text": found.text, "missing": found.missing})


@router.patch(
    "/{response_id}",
    summary="Change a canned response",
    response_model=CannedResponseShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired, shortcut_taken=_TAKEN),
)
async def change_canned_response(
    actor: Writer, if_match: IfMatch, session: Transaction, response_id: UUID, body: CannedResponsePatch
) -> Response:
    """Only what is sent is changed."""
    row = await canned_responses.get(session, actor, response_id, version=if_match)
    await canned_responses.edit(
        session, row, shortcut=body.shortcut, title=body.title, texts=body.texts, by=actor, now=clock.now()
    )
    return await _shown(session, actor, response_id)


@router.delete(
    "/{response_id}",
    status_code=204,
    summary="Remove a canned response",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_canned_response(actor: Writer, if_match: IfMatch, session: Transaction, response_id: UUID) -> Response:
    """Macros that name it are refused from then on."""
    row = await canned_responses.get(session, actor, response_id, version=if_match)
    await canned_responses.remove(session, row, by=actor, now=clock.now())
    return nothing()
