"""Automation rules, for administrators to change and for everybody to read; what they did, and would have done."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import automation_rules as shapes
from helpdesk.api.schemas.automation_rules import (
    AutomationRuleCreate,
    AutomationRulePatch,
    AutomationRuleShown,
    AutomationRuleVersion,
    AutomationRunShown,
    DryRun,
    DryRunShown,
    LongDryRun,
    RunInConversation,
)
from helpdesk.api.schemas.jobs import JobStarted
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import (
    automation_rules,
    automation_runs,
    automation_trial,
    automation_trial_job,
    paging,
    versions,
)
from helpdesk.services.access import get_conversation

router = APIRouter(prefix="/api/v1/automation-rules", tags=["automation"])
in_conversations = APIRouter(prefix="/api/v1/conversations", tags=["automation"])
LIST = Query(*PAGING)
VERSIONS = Query(*PAGING)
RUNS = Query(*PAGING)


async def _shown(session: AsyncSession, rule_id: UUID, *, status: int = 200) -> Response:
    row = await automation_rules.get_rule(session, rule_id)
    location = f"/api/v1/automation-rules/{rule_id}" if status == 201 else None
    return answer(shapes.rule(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List automation rules",
    response_model=Page[AutomationRuleShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_automation_rules(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """All of them, in the order in which they have their say."""
    asked = page_of(LIST.read(request))
    sort = "automation-rules"
    cursor = paging.read_cursor(services, asked, sort=sort)
    after = (int(cursor.value), cursor.id) if cursor and cursor.id else None
    found = await automation_rules.list_rules(session, after=after, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = rows[-1] if more else None
    token = paging.write_cursor(services, sort=sort, value=last["position"], row_id=last["id"]) if last else None
    return page([shapes.rule(row) for row in rows], token)


@router.post(
    "",
    status_code=201,
    summary="Add an automation rule",
    response_model=AutomationRuleShown,
    responses=documented(
        Forbidden, name_taken=(409, "There is one of this name"), too_many=(409, "There are as many as can be")
    ),
)
async def add_automation_rule(actor: Admin, session: Transaction, body: AutomationRuleCreate) -> Response:
    """It answers what happens from now on."""
    rule_id = await automation_rules.create(
        session,
        name=body.name,
        enabled=body.enabled,
        position=body.position,
        content=shapes.content(body),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, rule_id, status=201)


@router.get(
    "/{automation_id}",
    summary="Read an automation rule",
    response_model=AutomationRuleShown,
    responses=documented(Forbidden, NotFound),
)
async def read_automation_rule(actor: Reader, session: Reading, automation_id: UUID) -> Response:
    """As it is now; `/versions` has what it was."""
    return await _shown(session, automation_id)


@router.get(
    "/{automation_id}/versions",
    summary="List the versions of an automation rule",
    response_model=Page[AutomationRuleVersion],
    responses=documented(Forbidden, NotFound),
    openapi_extra=VERSIONS.openapi,
)
async def list_automation_rule_versions(
    request: Request, actor: Reader, services: House, session: Reading, automation_id: UUID
) -> Response:
    """The newest first. Each run names the version that it was by."""
    await automation_rules.get_rule(session, automation_id)
    asked = page_of(VERSIONS.read(request))
    sort = f"versions:{automation_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    before = cursor.value if cursor else None
    found = await versions.list_versions(session, automation_id, before=before, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=rows[-1]["version"]) if more else None
    return page([shapes.rule_version(row) for row in rows], last)


@router.get(
    "/{automation_id}/runs",
    summary="List what an automation rule did",
    response_model=Page[AutomationRunShown],
    responses=documented(Forbidden, NotFound),
    openapi_extra=RUNS.openapi,
)
async def list_automation_runs(
    request: Request, actor: Admin, services: House, session: Reading, automation_id: UUID
) -> Response:
    """The latest first, in whichever conversation it was."""
    await automation_rules.get_rule(session, automation_id)
    asked = page_of(RUNS.read(request))
    sort = f"runs:{automation_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    before = cursor.id if cursor else None
    found = await automation_runs.list_of_rule(session, automation_id, before=before, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.run(row) for row in rows], last)


@router.post(
    "/{automation_id}/dry-run",
    summary="See what an automation rule would have done",
    response_model=DryRunShown,
    responses=documented(Forbidden, NotFound),
)
async def dry_run(actor: Admin, services: House, session: Reading, automation_id: UUID, body: DryRun) -> Response:
    """In the last days, whether the rule was there or not, and switched on or not.

    Conversations are taken as they are now. That other rules come before it, or that it would run too often in one
    conversation, is not considered.
    """
    row = await automation_rules.get_rule(session, automation_id)
    now = clock.now()
    since = now - timedelta(days=body.days)
    found = await automation_trial.would_act(services, session, row, since=since, now=now)
    does = [action["do"] for action in row["content"]["do"]]
    items = [shapes.act(one, does) for one in found.acts]
    return answer({"items": items, "since": since, "complete": found.complete})


@router.post(
    "/{automation_id}/dry-run/job",
    status_code=202,
    summary="See what an automation rule would have done in a long time",
    response_model=JobStarted,
    responses=documented(Forbidden, NotFound),
)
async def dry_run_long(actor: Admin, session: Transaction, automation_id: UUID, body: LongDryRun) -> Response:
    """The same as a job, however much has happened: `GET /jobs/{job_id}/results` has one line for each conversation."""
    row = await automation_rules.get_rule(session, automation_id)
    job_id = await automation_trial_job.start(session, row, days=body.days, by=actor, now=clock.now())
    return answer({"job_id": job_id}, status=202, location=f"/api/v1/jobs/{job_id}")


@router.patch(
    "/{automation_id}",
    summary="Change an automation rule",
    response_model=AutomationRuleShown,
    responses=documented(
        Forbidden, NotFound, Stale, PreconditionRequired, name_taken=(409, "There is one of this name")
    ),
)
async def change_automation_rule(
    actor: Admin, if_match: IfMatch, session: Transaction, automation_id: UUID, body: AutomationRulePatch
) -> Response:
    """Makes a new version."""
    row = await automation_rules.get_rule(session, automation_id, version=if_match)
    given = {"name": body.name, "enabled": body.enabled, "position": body.position}
    await automation_rules.edit(session, row, given, shapes.content(body), by=actor, now=clock.now())
    return await _shown(session, automation_id)


@router.delete(
    "/{automation_id}",
    status_code=204,
    summary="Remove an automation rule",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_automation_rule(
    actor: Admin, if_match: IfMatch, session: Transaction, automation_id: UUID
) -> Response:
    """What it has done stays done."""
    row = await automation_rules.get_rule(session, automation_id, version=if_match)
    await automation_rules.remove(session, row, by=actor, now=clock.now())
    return nothing()


@in_conversations.get(
    "/{conversation_id}/automation-runs",
    summary="List what automation rules did in a conversation",
    response_model=Page[RunInConversation],
    responses=documented(Forbidden, NotFound),
    openapi_extra=RUNS.openapi,
)
async def list_runs_in_conversation(
    request: Request, actor: Reader, services: House, session: Reading, conversation_id: UUID
) -> Response:
    """The latest first, for everybody who sees the conversation: why it is as it is."""
    await get_conversation(session, actor, conversation_id)
    asked = page_of(RUNS.read(request))
    sort = f"automation-runs:{conversation_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    before = cursor.id if cursor else None
    found = await automation_runs.list_of_conversation(session, conversation_id, before=before, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.run_in_conversation(row) for row in rows], last)
