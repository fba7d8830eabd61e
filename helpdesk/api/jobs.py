"""Jobs: how far work has got that takes longer than a request."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from helpdesk.api.answers import answer, page
from helpdesk.api.dependencies import House, Reader, Reading
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import jobs as shapes
from helpdesk.api.schemas.jobs import JobResultShown, JobShown
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Forbidden, NotFound
from helpdesk.services import jobs, paging

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
RESULTS = Query(*PAGING)


@router.get("/{job_id}", summary="Read a job", response_model=JobShown, responses=documented(Forbidden, NotFound))
async def read_job(actor: Reader, session: Reading, job_id: UUID) -> Response:
    """Administrators see every job, others those that they started."""
    row = await jobs.get_job(session, actor, job_id)
    return answer(shapes.job(row, refused=await jobs.count_refused(session, row)))


@router.get(
    "/{job_id}/results",
    summary="List what became of each thing",
    response_model=Page[JobResultShown],
    responses=documented(Forbidden, NotFound),
    openapi_extra=RESULTS.openapi,
)
async def list_job_results(
    request: Request, actor: Reader, services: House, session: Reading, job_id: UUID
) -> Response:
    """Of a job that changes many conversations: those that it has come to, in the order in which it does them."""
    asked = page_of(RESULTS.read(request))
    sort = f"job_results:{job_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    row = await jobs.get_job(session, actor, job_id)
    found = await jobs.list_results(session, row, after=cursor.value if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=rows[-1]["position"]) if more else None
    return page([shapes.result(one) for one in rows], last)
