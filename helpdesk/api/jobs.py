"""Jobs: how far work has got that takes longer than a request."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from helpdesk.api.answers import answer
from helpdesk.api.dependencies import Reader, Reading
from helpdesk.api.problems import documented
from helpdesk.api.schemas import jobs as shapes
from helpdesk.api.schemas.jobs import JobShown
from helpdesk.errors import Forbidden, NotFound
from helpdesk.services import jobs

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])


@router.get("/{job_id}", summary="Read a job", response_model=JobShown, responses=documented(Forbidden, NotFound))
async def read_job(actor: Reader, session: Reading, job_id: UUID) -> Response:
    """Administrators see every job, others those that they started."""
    return answer(shapes.job(await jobs.get_job(session, actor, job_id)))
