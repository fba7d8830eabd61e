"""Escalation rules, for administrators to change and for everybody to read."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import escalation_rules as shapes
from helpdesk.api.schemas.escalation_rules import (
    EscalationRuleCreate,
    EscalationRulePatch,
    EscalationRuleShown,
    EscalationRuleVersion,
)
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import escalation_rules, paging, versions

router = APIRouter(prefix="/api/v1/escalation-rules", tags=["SLA"])
LIST = Query(*PAGING)
VERSIONS = Query(*PAGING)


async def _shown(session: AsyncSession, rule_id: UUID, *, status: int = 200) -> Response:
    row = await escalation_rules.get_rule(session, rule_id)
    location = f"/api/v1/escalation-rules/{rule_id}" if status == 201 else None
    return answer(shapes.rule(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List escalation rules",
    response_model=Page[EscalationRuleShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_escalation_rules(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """All of them; each that matches is climbed, beside the others."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="escalation-rules")
    found = await escalation_rules.list_rules(session, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort="escalation-rules", value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.rule(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add an escalation rule",
    response_model=EscalationRuleShown,
    responses=documented(Forbidden, too_many=(409, "There are as many as can be")),
)
async def add_escalation_rule(actor: Admin, session: Transaction, body: EscalationRuleCreate) -> Response:
    """It is climbed from its anchor on: at once for what warns, breaks or begins after now."""
    rule_id = await escalation_rules.create(
        session,
        name=body.name,
        enabled=body.enabled,
        content=shapes.rule_content(body),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, rule_id, status=201)


@router.get(
    "/{rule_id}",
    summary="Read an escalation rule",
    response_model=EscalationRuleShown,
    responses=documented(Forbidden, NotFound),
)
async def read_escalation_rule(actor: Reader, session: Reading, rule_id: UUID) -> Response:
    """As it is now; `/versions` has what it was."""
    return await _shown(session, rule_id)


@router.get(
    "/{rule_id}/versions",
    summary="List the versions of an escalation rule",
    response_model=Page[EscalationRuleVersion],
    responses=documented(Forbidden, NotFound),
    openapi_extra=VERSIONS.openapi,
)
async def list_escalation_rule_versions(
    request: Request, actor: Reader, services: House, session: Reading, rule_id: UUID
) -> Response:
    """The newest first. A ladder is climbed by the version that there was when it began."""
    await escalation_rules.get_rule(session, rule_id)
    asked = page_of(VERSIONS.read(request))
    sort = f"versions:{rule_id}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    before = cursor.value if cursor else None
    found = await versions.list_versions(session, rule_id, before=before, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=rows[-1]["version"]) if more else None
    return page([shapes.rule_version(row) for row in rows], last)


@router.patch(
    "/{rule_id}",
    summary="Change an escalation rule",
    response_model=EscalationRuleShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def change_escalation_rule(
    actor: Admin, if_match: IfMatch, session: Transaction, rule_id: UUID, body: EscalationRulePatch
) -> Response:
    """Makes a new version. Ladders that are being climbed keep the one that they began with."""
    row = await escalation_rules.get_rule(session, rule_id, version=if_match)
    await escalation_rules.edit(
        session,
        row,
        name=body.name,
        enabled=body.enabled,
        content=shapes.rule_content(body),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, rule_id)


@router.delete(
    "/{rule_id}",
    status_code=204,
    summary="Remove an escalation rule",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_escalation_rule(actor: Admin, if_match: IfMatch, session: Transaction, rule_id: UUID) -> Response:
    """Ladders that are being climbed are climbed to their end."""
    row = await escalation_rules.get_rule(session, rule_id, version=if_match)
    await escalation_rules.remove(session, row, by=actor, now=clock.now())
    return nothing()
