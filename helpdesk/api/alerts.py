"""Alerts: what calls you, and saying that you have seen it."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api import queries
from helpdesk.api.answers import answer, page
from helpdesk.api.dependencies import House, Reader, Reading, Transaction, Writer
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import sla as shapes
from helpdesk.api.schemas.shared import Page
from helpdesk.api.schemas.sla import AlertShown
from helpdesk.domain.alerting import AlertStatus, Severity
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, NotFound
from helpdesk.services import alerts, paging

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])
LIST = Query(
    queries.choice("status", AlertStatus, "In any of these states", repeatable=True),
    queries.choice("severity", Severity, "Of any of these severities", repeatable=True),
    queries.identifier("conversation_id", "About this conversation"),
    *PAGING,
)


async def _shown(session: AsyncSession, actor: Actor, alert_id: UUID) -> Response:
    row = await alerts.get_alert(session, actor, alert_id)
    called = await alerts.recipients_of(session, [alert_id])
    subjects = await alerts.subjects_of(session, actor, [row])
    return answer(shapes.alert(row, called.get(alert_id, ()), subjects), version=row["version"])


@router.get(
    "",
    summary="List alerts",
    response_model=Page[AlertShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_alerts(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """The latest first: those that called you, for supervisors and administrators all of them."""
    given = LIST.read(request)
    asked = page_of(given)
    cursor = paging.read_cursor(services, asked, sort="alerts")
    found = await alerts.list_alerts(
        session,
        actor,
        status=given.get("status", ()),
        severity=given.get("severity", ()),
        conversation_id=given.get("conversation_id"),
        after=cursor.id if cursor else None,
        limit=asked.limit + 1,
    )
    rows, more = paging.cut(found, asked.limit)
    called = await alerts.recipients_of(session, [row["id"] for row in rows])
    last = paging.write_cursor(services, sort="alerts", value=None, row_id=rows[-1]["id"]) if more else None
    subjects = await alerts.subjects_of(session, actor, rows)
    return page([shapes.alert(row, called.get(row["id"], ()), subjects) for row in rows], last)


@router.get(
    "/{alert_id}", summary="Read an alert", response_model=AlertShown, responses=documented(Forbidden, NotFound)
)
async def read_alert(actor: Reader, session: Reading, alert_id: UUID) -> Response:
    """With whom it has called, and at which level."""
    return await _shown(session, actor, alert_id)


@router.post(
    "/{alert_id}/acknowledge",
    summary="Acknowledge an alert",
    response_model=AlertShown,
    responses=documented(Forbidden, NotFound, alert_resolved=(409, "What it was about is over")),
)
async def acknowledge_alert(actor: Writer, session: Transaction, alert_id: UUID) -> Response:
    """You have seen it: nobody else is called. Idempotent; the first one to say so is remembered."""
    row = await alerts.get_alert(session, actor, alert_id, lock=True)
    await alerts.acknowledge(session, row, by=actor, now=clock.now())
    return await _shown(session, actor, alert_id)
