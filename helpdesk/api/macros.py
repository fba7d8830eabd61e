"""Macros: kept, looked at beforehand, run."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api import conversations as conversation_routes
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import House, IfMatch, Reader, Reading, Transaction, Writer
from helpdesk.api.messages import show_unseen
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.repeating import once, request_of
from helpdesk.api.schemas import macros as shapes
from helpdesk.api.schemas.actions import stored
from helpdesk.api.schemas.macros import MacroCreate, MacroPatch, MacroPreview, MacroRun, MacroShown, Previewed, Ran
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, Forbidden, NotFound, PreconditionRequired, Stale, StillRunning
from helpdesk.services import conversations, macro_runs, macros, paging
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1/macros", tags=["macros"])
LIST = Query(*PAGING)
SORT: Final = "macros"


async def _shown(session: AsyncSession, actor: Actor, macro_id: UUID, *, status: int = 200) -> Response:
    row = await macros.get_macro(session, actor, macro_id)
    location = f"/api/v1/macros/{macro_id}" if status == 201 else None
    return answer(shapes.macro(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List macros",
    response_model=Page[MacroShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_macros(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """By name: your own, those of your teams, and everybody's."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort=SORT)
    after = (cursor.value, cursor.id) if cursor and cursor.id else None
    found = await macros.list_macros(session, actor, after=after, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=SORT, value=rows[-1]["name"], row_id=rows[-1]["id"]) if more else None
    return page([shapes.macro(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add a macro",
    response_model=MacroShown,
    responses=documented(Forbidden, too_many=(409, "There are as many as there can be")),
)
async def add_macro(actor: Writer, session: Transaction, body: MacroCreate) -> Response:
    """What is everybody's is kept by supervisors, what is a team's by its leads as well."""
    macro_id = await macros.create(
        session,
        name=body.name,
        description=body.description,
        actions=stored(body.actions),
        shared=body.shared,
        team_id=body.team_id,
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, actor, macro_id, status=201)


@router.get("/{macro_id}", summary="Read a macro", response_model=MacroShown, responses=documented(Forbidden, NotFound))
async def read_macro(actor: Reader, session: Reading, macro_id: UUID) -> Response:
    """With its actions."""
    return await _shown(session, actor, macro_id)


@router.patch(
    "/{macro_id}",
    summary="Change a macro",
    response_model=MacroShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def change_macro(
    actor: Writer, if_match: IfMatch, session: Transaction, macro_id: UUID, body: MacroPatch
) -> Response:
    """Only what is sent is changed."""
    row = await macros.get_macro(session, actor, macro_id, version=if_match)
    given = None if body.actions is None else stored(body.actions)
    await macros.edit(
        session, row, name=body.name, description=body.description, actions=given, by=actor, now=clock.now()
    )
    return await _shown(session, actor, macro_id)


@router.delete(
    "/{macro_id}",
    status_code=204,
    summary="Remove a macro",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_macro(actor: Writer, if_match: IfMatch, session: Transaction, macro_id: UUID) -> Response:
    """What it did stays done."""
    row = await macros.get_macro(session, actor, macro_id, version=if_match)
    await macros.remove(session, row, by=actor, now=clock.now())
    return nothing()


@router.post(
    "/{macro_id}/preview",
    summary="See what a macro would do",
    response_model=Previewed,
    responses=documented(Forbidden, NotFound),
)
async def preview_macro(
    actor: Writer, services: House, session: Transaction, macro_id: UUID, body: MacroPreview
) -> Response:
    """Action by action, what would be different afterwards, or why it would be refused. Nothing is changed."""
    row = await macros.get_macro(session, actor, macro_id)
    conversation = await get_conversation(session, actor, body.conversation_id, lock=True)
    found = await macro_runs.preview(services, session, conversation, row, by=actor, now=clock.now())
    return answer({"actions": shapes.outcomes(found)})


@router.post(
    "/{macro_id}/run",
    summary="Run a macro",
    response_model=Ran,
    responses=documented(
        Forbidden,
        NotFound,
        Stale,
        PreconditionRequired,
        StillRunning,
        idempotency_key_required=(400, "Idempotency-Key is missing"),
        conversation_moved=(409, "Messages came in that were not seen; they are in `messages`"),
        conversation_closed=(409, "A closed conversation takes no more answers"),
        conversation_merged=(409, "It went into another conversation"),
        conversation_spam=(409, "It is spam"),
        reply_window_closed=(409, "The channel takes answers only for a while after a message"),
        private_reply_used=(409, "He was written to directly once already, and has not answered that"),
        personal_data_in_public=(422, "It says in public what is the contact's own; `found` tells kinds and places"),
        text_too_long=(422, "It is longer than the channel takes; `length` tells by how much"),
        idempotency_key_reused=(422, "The key was used with another body"),
    ),
)
async def run_macro(
    actor: Writer,
    services: House,
    if_match: IfMatch,
    session: Transaction,
    macro_id: UUID,
    body: MacroRun,
    idempotency_key: Annotated[str | None, Header(description="Needed; new for each run")] = None,
) -> Response:
    """All of it or nothing, in your name and with your rights. `If-Match` is the version of the conversation.

    When one action is refused the answer is that refusal, with the action's number, from 0, as `action`. A repetition
    under the same key gets the first answer, whatever has happened since.
    """
    now = clock.now()
    macro = await macros.get_macro(session, actor, macro_id)
    await get_conversation(session, actor, body.conversation_id)

    async def run() -> tuple[int, dict[str, Any]]:
        conversation = await get_conversation(session, actor, body.conversation_id, lock=True)
        conversations.check_version(conversation, if_match)
        try:
            done = await macro_runs.run(
                services, session, conversation, macro, seen_seq=body.seen_seq, by=actor, now=now
            )
        except Conflict as error:
            await show_unseen(session, error)
            raise
        shown, _ = await conversation_routes.shown(
            services, session, actor, body.conversation_id, now=now, changed=True
        )
        return 200, {"conversation": shown, "actions": shapes.outcomes(done)}

    found = await once(session, request_of(actor, f"POST /macros/{macro_id}/run", idempotency_key, body), run, now=now)
    return answer(found.body, status=found.status, version=found.body["conversation"]["version"])
