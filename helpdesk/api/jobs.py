"""Jobs: how far work has got that takes longer than a request."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, page
from helpdesk.api.dependencies import House, Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, choice, page_of
from helpdesk.api.schemas import jobs as shapes
from helpdesk.api.schemas.jobs import JobResultShown, JobShown
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.values import Actor, JobState
from helpdesk.errors import Forbidden, NotFound
from helpdesk.services import jobs, paging

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
LIST = Query(choice("state", JobState, "In any of these states", repeatable=True), *PAGING)
RESULTS = Query(*PAGING)


@router.get(
    "",
    summary="List jobs",
    response_model=Page[JobShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_jobs(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """The newest first. Administrators see every job, others those that they started; they are kept for 30 days."""
    given = LIST.read(request)
    asked = page_of(given)
    cursor = paging.read_cursor(services, asked, sort="jobs")
    before = cursor.id if cursor else None
    found = await jobs.list_jobs(session, actor, states=given.get("state", ()), before=before, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    refused = await jobs.count_refused(session, rows)
    last = paging.write_cursor(services, sort="jobs", value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.job(row, refused=refused.get(row["id"], 0)) for row in rows], last)


@router.get("/{job_id}", summary="Read a job", response_model=JobShown, responses=documented(Forbidden, NotFound))
async def read_job(actor: Reader, session: Reading, job_id: UUID) -> Response:
    """Administrators see every job, others those that they started."""
    return await _shown(session, actor, job_id)


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    response_model=JobShown,
    responses=documented(
        Forbidden,
        NotFound,
        job_over=(409, "It has come to its end"),
        cannot_cancel=(409, "The desk began it by itself, or it has to be done whole"),
    ),
)
async def cancel_job(actor: Writer, session: Transaction, job_id: UUID) -> Response:
    """What it has done so far stays done. It is `failed` then, with the error `cancelled`."""
    await jobs.cancel(session, await jobs.get_job(session, actor, job_id), by=actor, now=clock.now())
    return await _shown(session, actor, job_id)


async def _shown(session: AsyncSession, actor: Actor, job_id: UUID) -> Response:
    row = await jobs.get_job(session, actor, job_id)
    refused = await jobs.count_refused(session, [row])
    return answer(shapes.job(row, refused=refused.get(row["id"], 0)))


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
