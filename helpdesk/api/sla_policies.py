"""SLA policies, for administrators to change and for everybody to read."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import sla_policies as shapes
from helpdesk.api.schemas.jobs import JobShown, job
from helpdesk.api.schemas.shared import Page
from helpdesk.api.schemas.sla_policies import SlaPolicyCreate, SlaPolicyPatch, SlaPolicyShown, SlaPolicyVersion
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import jobs, paging, policies, replanning, versions

router = APIRouter(prefix="/api/v1/sla-policies", tags=["SLA"])
LIST = Query(*PAGING)
VERSIONS = Query(*PAGING)


async def _shown(session: AsyncSession, policy_id: UUID, *, status: int = 200) -> Response:
    row = await policies.get_policy(session, policy_id)
    location = f"/api/v1/sla-policies/{policy_id}" if status == 201 else None
    return answer(shapes.policy(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List SLA policies",
    response_model=Page[SlaPolicyShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_sla_policies(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """In the order in which they are asked. Of those that match, one about a category or a priority goes first."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="sla-policies")
    after = (cursor.value, cursor.id) if cursor and cursor.id else None
    found = await policies.list_policies(session, after=after, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = rows[-1] if more else None
    next_one = last and paging.write_cursor(services, sort="sla-policies", value=last["position"], row_id=last["id"])
    return page([shapes.policy(row) for row in rows], next_one or None)


@router.post(
    "",
    status_code=201,
    summary="Add an SLA policy",
    response_model=SlaPolicyShown,
    responses=documented(Forbidden, too_many=(409, "There are as many as can be")),
)
async def add_sla_policy(actor: Admin, session: Transaction, body: SlaPolicyCreate) -> Response:
    """It counts for cycles that begin from now on."""
    policy_id = await policies.create(
        session,
        name=body.name,
        position=body.position,
        enabled=body.enabled,
        content=shapes.policy_content(body),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, policy_id, status=201)


@router.get(
    "/{policy_id}",
    summary="Read an SLA policy",
    response_model=SlaPolicyShown,
    responses=documented(Forbidden, NotFound),
)
async def read_sla_policy(actor: Reader, session: Reading, policy_id: UUID) -> Response:
    """As it is now; `/versions` has what it was."""
    return await _shown(session, policy_id)


@router.get(
    "/{policy_id}/versions",
    summary="List the versions of an SLA policy",
    response_model=Page[SlaPolicyVersion],
    responses=documented(Forbidden, NotFound),
    openapi_extra=VERSIONS.openapi,
)
async def list_policy_versions(
    request: Request, actor: Reader, services: House, session: Reading, policy_id: UUID
) -> Response:
    """The newest first. A clock runs by the version that there was when it began."""
    await policies.get_policy(session, policy_id)
    asked = page_of(VERSIONS.read(request))
    sort = f"versions:{policy_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    before = cursor.value if cursor else None
    found = await versions.list_versions(session, policy_id, before=before, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=rows[-1]["version"]) if more else None
    return page([shapes.policy_version(row) for row in rows], last)


@router.patch(
    "/{policy_id}",
    summary="Change an SLA policy",
    response_model=SlaPolicyShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def change_sla_policy(
    actor: Admin, if_match: IfMatch, session: Transaction, policy_id: UUID, body: SlaPolicyPatch
) -> Response:
    """Makes a new version. Clocks that run keep the one that they began with."""
    row = await policies.get_policy(session, policy_id, version=if_match)
    await policies.edit(
        session,
        row,
        name=body.name,
        position=body.position,
        enabled=body.enabled,
        content=shapes.policy_content(body),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, policy_id)


@router.delete(
    "/{policy_id}",
    status_code=204,
    summary="Remove an SLA policy",
    responses=documented(
        Forbidden, NotFound, Stale, PreconditionRequired, in_use=(409, "Inboxes or escalation rules name it")
    ),
)
async def remove_sla_policy(actor: Admin, if_match: IfMatch, session: Transaction, policy_id: UUID) -> Response:
    """Only one that nothing names. Clocks that run go on by it."""
    row = await policies.get_policy(session, policy_id, version=if_match)
    await policies.remove(session, row, by=actor, now=clock.now())
    return nothing()


@router.post(
    "/{policy_id}/replan",
    status_code=202,
    summary="Let running clocks follow an SLA policy",
    response_model=JobShown,
    responses=documented(Forbidden, NotFound),
)
async def replan_sla_policy(actor: Admin, session: Transaction, policy_id: UUID) -> Response:
    """They take the policy's present version, each from its own start. Answers the job; `GET /jobs/{id}` tells how far
    it is. What was broken stays broken."""
    row = await policies.get_policy(session, policy_id)
    job_id = await replanning.start(
        session, column="policy_id", subject_id=policy_id, version=row["version"], by=actor, now=clock.now()
    )
    return answer(job(await jobs.get_job(session, actor, job_id)), status=202, location=f"/api/v1/jobs/{job_id}")
