"""What you have begun to write: kept on the server, yours alone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import House, IfMatch, Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import drafts as shapes
from helpdesk.api.schemas.drafts import DraftGiven, DraftItem, DraftShown
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale, Unauthenticated
from helpdesk.services import paging, unsent
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1", tags=["drafts"])

LIST: Final = Query(*PAGING)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND: Final = timedelta(microseconds=1)


async def _replaced(
    if_match: Annotated[str | None, Header(description='`"<version>"` of the draft that it replaces')] = None,
    if_none_match: Annotated[str | None, Header(description="`*` for a new one")] = None,
) -> int | None:
    """The version that is replaced, None for a new draft."""
    if if_match is None and (if_none_match or "").strip() == "*":
        return None
    found = re.fullmatch(r'"(\d{1,18})"', (if_match or "").strip(), re.ASCII)
    if found is None or if_none_match is not None:
        raise PreconditionRequired('send If-Match with the quoted version of the draft, or "If-None-Match: *"')
    return int(found[1])


def _own(actor: Actor) -> UUID:
    if actor.id is None:
        raise Unauthenticated
    return actor.id


async def _shown(session: AsyncSession, actor: Actor, found: RowMapping) -> dict[str, Any]:
    return shapes.draft(found, await unsent.files_of(session, [found], by=actor))


async def _with_draft(session: AsyncSession, actor: Actor, error: Stale) -> Stale:
    found: RowMapping | None = error.extra.get("draft")
    error.extra["draft"] = found and await _shown(session, actor, found)
    return error


@router.get("/drafts", summary="List your drafts", response_model=Page[DraftItem], responses=documented(Forbidden))
async def list_drafts(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """In all conversations that you may see, the newest first."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="drafts")
    after = (_EPOCH + cursor.value * _MICROSECOND, cursor.id) if cursor and cursor.id else None
    found = await unsent.list_drafts(session, actor, after=after, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = None
    if more:
        at = (rows[-1]["updated_at"] - _EPOCH) // _MICROSECOND
        last = paging.write_cursor(services, sort="drafts", value=at, row_id=rows[-1]["conversation_id"])
    files = await unsent.files_of(session, rows, by=actor)
    return page([shapes.item(row, files) for row in rows], last)


@router.get(
    "/conversations/{conversation_id}/draft",
    summary="Read your draft",
    response_model=DraftShown,
    responses=documented(Forbidden, NotFound),
)
async def read_draft(actor: Reader, session: Reading, conversation_id: UUID) -> Response:
    """404 when you have begun nothing here."""
    await get_conversation(session, actor, conversation_id)
    found = await unsent.find_draft(session, conversation_id, agent_id=_own(actor))
    if found is None:
        raise NotFound("there is no draft")
    return answer(await _shown(session, actor, found), version=found["version"])


@router.put(
    "/conversations/{conversation_id}/draft",
    summary="Keep your draft",
    response_model=DraftShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def keep_draft(
    actor: Writer,
    session: Transaction,
    replaced: Annotated[int | None, Depends(_replaced)],
    conversation_id: UUID,
    body: DraftGiven,
) -> Response:
    """With `If-Match` in place of the version that you have read, with `If-None-Match: *` as a new one.

    412 when another of your windows has kept something since: `draft` is what is there now, null when it was sent. It
    is judged as a message only when it is sent, which takes it away.
    """
    await get_conversation(session, actor, conversation_id)
    content = body.model_dump(mode="json", exclude_unset=True)
    try:
        kept = await unsent.keep(
            session, conversation_id, agent_id=_own(actor), content=content, version=replaced, now=clock.now()
        )
    except Stale as error:
        raise await _with_draft(session, actor, error) from None
    return answer(await _shown(session, actor, kept), version=kept["version"])


@router.delete(
    "/conversations/{conversation_id}/draft",
    status_code=204,
    summary="Throw your draft away",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def discard_draft(actor: Writer, if_match: IfMatch, session: Transaction, conversation_id: UUID) -> Response:
    """412 with the newer `draft` when another of your windows has kept something since."""
    await get_conversation(session, actor, conversation_id)
    try:
        await unsent.discard(session, conversation_id, agent_id=_own(actor), version=if_match)
    except Stale as error:
        raise await _with_draft(session, actor, error) from None
    return nothing()
