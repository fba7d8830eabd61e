"""Tags. Agents make new ones by using them; supervisors tidy up."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Curator, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import settings as shapes
from helpdesk.api.schemas.settings import TagGiven, TagShown
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import paging, tags

router = APIRouter(prefix="/api/v1/tags", tags=["tags"])
LIST = Query(*PAGING)
_TAKEN = (409, "There is a tag of this name")


@router.get(
    "",
    summary="List tags",
    response_model=Page[TagShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_tags(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """By name."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="tags")
    found = await tags.list_tags(session, after=cursor.value if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort="tags", value=rows[-1]["name"]) if more else None
    return page([shapes.tag(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add a tag",
    response_model=TagShown,
    responses=documented(Forbidden, name_taken=_TAKEN),
)
async def add_tag(actor: Curator, session: Transaction, body: TagGiven) -> Response:
    """Before anybody uses it."""
    row = await tags.create(session, name=body.name, by=actor, now=clock.now())
    return answer(shapes.tag(row), status=201, version=row["version"], location=f"/api/v1/tags/{row['id']}")


@router.get("/{tag_id}", summary="Read a tag", response_model=TagShown, responses=documented(Forbidden, NotFound))
async def read_tag(actor: Reader, session: Reading, tag_id: UUID) -> Response:
    """One tag."""
    row = await tags.get_tag(session, tag_id)
    return answer(shapes.tag(row), version=row["version"])


@router.patch(
    "/{tag_id}",
    summary="Rename a tag",
    response_model=TagShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired, name_taken=_TAKEN),
)
async def rename_tag(actor: Curator, if_match: IfMatch, session: Transaction, tag_id: UUID, body: TagGiven) -> Response:
    """On every conversation at once."""
    row = await tags.get_tag(session, tag_id, version=if_match)
    renamed = await tags.rename(session, row, name=body.name, by=actor, now=clock.now())
    return answer(shapes.tag(renamed), version=renamed["version"])


@router.delete(
    "/{tag_id}",
    status_code=204,
    summary="Remove a tag",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_tag(actor: Curator, if_match: IfMatch, session: Transaction, tag_id: UUID) -> Response:
    """From the list and from every conversation."""
    row = await tags.get_tag(session, tag_id, version=if_match)
    await tags.remove(session, row, by=actor, now=clock.now())
    return nothing()
