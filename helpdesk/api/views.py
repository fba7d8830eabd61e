"""Views, the numbers of the side bar, and how far one has read."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import House, IfMatch, Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import views as shapes
from helpdesk.api.schemas.shared import Page
from helpdesk.api.schemas.views import (
    CountsShown,
    ManyRead,
    ManyReadGiven,
    ReadGiven,
    ReadShown,
    ViewCreate,
    ViewPatch,
    ViewShown,
)
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import counting, paging, reads, views
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1/views", tags=["views"])
counts = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])
reading = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])
LIST = Query(*PAGING)


@counts.get("/counts", summary="Count for the side bar", response_model=CountsShown, responses=documented(Forbidden))
async def count_conversations(actor: Reader, services: House) -> Response:
    """One call for all its numbers: of what is not over, by status, team, SLA state and view.

    An agent's are of what is in his inboxes, his teams' or his own by now; those of views are of the first twenty. A
    view is counted where the number can be had without looking through everything.
    """
    return answer(shapes.counts(await counting.count(services, actor, now=clock.now())))


@reading.post(
    "/read",
    summary="Mark many conversations as read or unread",
    response_model=ManyRead,
    responses=documented(Forbidden),
)
async def mark_many(actor: Writer, session: Transaction, body: ManyReadGiven) -> Response:
    """By you, to their ends. What you may not see is left out, as what is not there."""
    found = await reads.mark_many(session, sorted(set(body.ids)), read=body.read, by=actor, now=clock.now())
    return answer(shapes.read_marks(found, read=body.read))


@reading.put(
    "/{conversation_id}/read",
    summary="Mark a conversation as read",
    response_model=ReadShown,
    responses=documented(Forbidden, NotFound),
)
async def mark_read(
    actor: Writer, session: Transaction, conversation_id: UUID, body: ReadGiven | None = None
) -> Response:
    """By you, up to `seq` or its end. It never goes back, and it needs no If-Match: nobody else has a part in it."""
    conversation = await get_conversation(session, actor, conversation_id)
    seq = await reads.mark_read(session, conversation, seq=body.seq if body else None, by=actor, now=clock.now())
    return answer(shapes.read_mark(seq, conversation["last_incoming_seq"]))


@reading.delete(
    "/{conversation_id}/read",
    status_code=204,
    summary="Mark a conversation as unread",
    responses=documented(Forbidden, NotFound),
)
async def mark_unread(actor: Writer, session: Transaction, conversation_id: UUID) -> Response:
    """By you, as if you had never seen it. Idempotent, and without If-Match."""
    await reads.mark_unread(session, await get_conversation(session, actor, conversation_id), by=actor)
    return nothing()


async def _shown(session: AsyncSession, actor: Actor, view_id: UUID, *, status: int = 200) -> Response:
    row = await views.get_view(session, actor, view_id)
    location = f"/api/v1/views/{view_id}" if status == 201 else None
    return answer(shapes.view(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List views",
    response_model=Page[ViewShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_views(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """Yours, those of your teams, and everybody's, by `position`."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="views")
    after = (cursor.value, cursor.id) if cursor and cursor.id else None
    rows, more = paging.cut(await views.list_views(session, actor, after=after, limit=asked.limit + 1), asked.limit)
    last = rows[-1] if more else None
    next_one = last and paging.write_cursor(services, sort="views", value=last["position"], row_id=last["id"])
    return page([shapes.view(row) for row in rows], next_one or None)


@router.post(
    "",
    status_code=201,
    summary="Keep a view",
    response_model=ViewShown,
    responses=documented(Forbidden, NotFound, too_many=(409, "There are as many as can be")),
)
async def add_view(actor: Writer, session: Transaction, body: ViewCreate) -> Response:
    """`GET /conversations?view_id=` asks it. Ids in its filter are of what you may see. Supervisors share views with
    everybody and with any team, leads with theirs."""
    view_id = await views.create(
        session,
        name=body.name,
        shared=body.shared,
        team_id=body.team_id,
        content=body.filter,
        sort=body.sort,
        position=body.position,
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, actor, view_id, status=201)


@router.get("/{view_id}", summary="Read a view", response_model=ViewShown, responses=documented(Forbidden, NotFound))
async def read_view(actor: Reader, session: Reading, view_id: UUID) -> Response:
    """Yours, or one that is shared with you."""
    return await _shown(session, actor, view_id)


@router.patch(
    "/{view_id}",
    summary="Change a view",
    response_model=ViewShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def change_view(
    actor: Writer, if_match: IfMatch, session: Transaction, view_id: UUID, body: ViewPatch
) -> Response:
    """Yours; what is shared, as a supervisor, or as a lead of the team."""
    row = await views.get_view(session, actor, view_id, version=if_match)
    await views.edit(session, row, body.given(), by=actor, now=clock.now())
    return await _shown(session, actor, view_id)


@router.delete(
    "/{view_id}",
    status_code=204,
    summary="Remove a view",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_view(actor: Writer, if_match: IfMatch, session: Transaction, view_id: UUID) -> Response:
    """As it is changed."""
    row = await views.get_view(session, actor, view_id, version=if_match)
    await views.remove(session, row, by=actor, now=clock.now())
    return nothing()
