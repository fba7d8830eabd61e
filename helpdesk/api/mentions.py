"""Where colleagues have named you."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from helpdesk.api import queries
from helpdesk.api.answers import page
from helpdesk.api.dependencies import House, Reader, Reading
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import drafts as shapes
from helpdesk.api.schemas.drafts import MentionShown
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Forbidden
from helpdesk.services import mentions, paging

router = APIRouter(prefix="/api/v1/me/mentions", tags=["account"])

LIST = Query(queries.flag("unread", "Only what you have not read"), *PAGING)


@router.get(
    "",
    summary="List the notes that name you",
    response_model=Page[MentionShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_mentions(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """What you have not read comes first, each kind the newest first."""
    given = LIST.read(request)
    asked = page_of(given)
    cursor = paging.read_cursor(services, asked, sort="mentions")
    found = await mentions.list_mentions(
        session,
        actor,
        unread=given.get("unread", False),
        after=(bool(cursor.value), cursor.id) if cursor and cursor.id else None,
        limit=asked.limit + 1,
    )
    rows, more = paging.cut(found, asked.limit)
    last = None
    if more:
        read = int(rows[-1]["read_at"] is not None)
        last = paging.write_cursor(services, sort="mentions", value=read, row_id=rows[-1]["message_id"])
    return page([shapes.mention(row) for row in rows], last)
