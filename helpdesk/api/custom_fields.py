"""Custom fields: what may be kept of conversations and contacts besides what every house keeps."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import custom_fields as shapes
from helpdesk.api.schemas.custom_fields import CustomFieldCreate, CustomFieldPatch, CustomFieldShown
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.custom_fields import Subject
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import custom_fields, paging

router = APIRouter(prefix="/api/v1/custom-fields", tags=["custom fields"])
LIST = Query(queries.choice("subject", Subject, "Only fields of these"), *PAGING)


async def _shown(session: AsyncSession, field_id: UUID, *, status: int = 200) -> Response:
    row = await custom_fields.get_field(session, field_id)
    location = f"/api/v1/custom-fields/{field_id}" if status == 201 else None
    return answer(shapes.custom_field(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List custom fields",
    response_model=Page[CustomFieldShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_custom_fields(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """By `position`, archived ones included."""
    given = LIST.read(request)
    asked = page_of(given)
    subject = given.get("subject")
    sort = f"custom_fields:{subject or ''}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    after = (cursor.value, cursor.id) if cursor and cursor.id else None
    found = await custom_fields.list_fields(session, subject=subject, after=after, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = None
    if more:
        last = paging.write_cursor(services, sort=sort, value=rows[-1]["position"], row_id=rows[-1]["id"])
    return page([shapes.custom_field(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add a custom field",
    response_model=CustomFieldShown,
    responses=documented(
        Forbidden,
        key_taken=(409, "There is a field of this key, archived or not"),
        too_many=(409, "There are as many as there can be"),
    ),
)
async def add_custom_field(actor: Admin, session: Transaction, body: CustomFieldCreate) -> Response:
    """From then on its key can be given in `custom_fields` of a conversation or a contact."""
    field_id = await custom_fields.create(
        session,
        subject=body.subject,
        key=body.key,
        title=body.title,
        type=body.type,
        options=body.options,
        position=body.position,
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, field_id, status=201)


@router.get(
    "/{field_id}",
    summary="Read a custom field",
    response_model=CustomFieldShown,
    responses=documented(Forbidden, NotFound),
)
async def read_custom_field(actor: Reader, session: Reading, field_id: UUID) -> Response:
    """One field."""
    return await _shown(session, field_id)


@router.patch(
    "/{field_id}",
    summary="Change a custom field",
    response_model=CustomFieldShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def change_custom_field(
    actor: Admin, if_match: IfMatch, session: Transaction, field_id: UUID, body: CustomFieldPatch
) -> Response:
    """Values that are kept already stay as they are."""
    row = await custom_fields.get_field(session, field_id, version=if_match)
    await custom_fields.edit(
        session,
        row,
        title=body.title,
        options=body.options,
        position=body.position,
        archived=body.archived,
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, field_id)


@router.delete(
    "/{field_id}",
    status_code=204,
    summary="Remove a custom field",
    responses=documented(
        Forbidden, NotFound, Stale, PreconditionRequired, in_use=(409, "Values of it are kept; archive it")
    ),
)
async def remove_custom_field(actor: Admin, if_match: IfMatch, session: Transaction, field_id: UUID) -> Response:
    """Only one that nothing has a value of."""
    row = await custom_fields.get_field(session, field_id, version=if_match)
    await custom_fields.remove(session, row, by=actor, now=clock.now())
    return nothing()
