"""Who did what to what, for administrators to read. Nobody writes it but what they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from helpdesk.api.answers import page
from helpdesk.api.dependencies import Admin, House, Reading
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, identifier, page_of, time, word
from helpdesk.api.schemas import audit as shapes
from helpdesk.api.schemas.audit import AuditShown
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Forbidden
from helpdesk.services import audit_chain, paging

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])

_FILTERS: Final = ("actor_id", "subject_type", "subject_id", "action", "before", "after")
LIST = Query(
    *PAGING,
    identifier("actor_id", "Only what this agent did"),
    word("subject_type", "Only what was done to things of this type, such as `inbox`", most=60),
    identifier("subject_id", "Only what was done to this"),
    word("action", "Only this, such as `inbox.updated`", most=60),
    time("before", "Only what was done before"),
    time("after", "Only what was done after"),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@router.get(
    "",
    summary="Read the audit",
    response_model=Page[AuditShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_audit(request: Request, actor: Admin, services: House, session: Reading) -> Response:
    """The newest first. `helpdesk audit verify` says whether it is what was written."""
    given = LIST.read(request)
    asked = page_of(given)
    cursor = paging.read_cursor(services, asked, sort="audit")
    found = await audit_chain.list_entries(
        session,
        **{name: given[name] for name in _FILTERS if name in given},
        below=(_EPOCH + cursor.value * _MICROSECOND, cursor.id) if cursor and cursor.id else None,
        limit=asked.limit + 1,
    )
    rows, more = paging.cut(found, asked.limit)
    last = None
    if more:
        at = (rows[-1]["occurred_at"] - _EPOCH) // _MICROSECOND
        last = paging.write_cursor(services, sort="audit", value=at, row_id=rows[-1]["id"])
    return page([shapes.entry(row) for row in rows], last)
