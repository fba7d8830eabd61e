"""Chat rooms for alerts, for administrators."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reading, Recently, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import alert_routes as shapes
from helpdesk.api.schemas.alert_routes import AlertRouteCreate, AlertRoutePatch, AlertRouteShown, AlertRouteTried
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.chat_tools import ChatTool
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale, Unverified
from helpdesk.services import alert_routes, paging, security_alerts
from helpdesk.services.house import Services
from helpdesk.services.security_alerts import Change

router = APIRouter(prefix="/api/v1/alert-routes", tags=["alerts"])
LIST = Query(*PAGING)
_TAKEN = (409, "There is an alert route of this name")


async def _shown(services: Services, session: AsyncSession, route_id: UUID, *, status: int = 200) -> Response:
    row = await alert_routes.get_route(session, route_id)
    location = f"/api/v1/alert-routes/{route_id}" if status == 201 else None
    shown = shapes.alert_route(row, alert_routes.open_route(services, row))
    return answer(shown, status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List alert routes",
    response_model=Page[AlertRouteShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_alert_routes(request: Request, actor: Admin, services: House, session: Reading) -> Response:
    """The chat rooms that alerts are posted to, without their addresses."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="alert_routes")
    found = await alert_routes.list_routes(session, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort="alert_routes", value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.alert_route(row, alert_routes.open_route(services, row)) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add an alert route",
    response_model=AlertRouteShown,
    responses=documented(
        Forbidden, Unverified, NotFound, name_taken=_TAKEN, too_many=(409, "There are as many as there may be")
    ),
)
async def add_alert_route(actor: Recently, services: House, session: Transaction, body: AlertRouteCreate) -> Response:
    """A chat room that alerts are posted to. `POST /alert-routes/{id}/test` tries it. Every administrator is told."""
    now = clock.now()
    route_id = await alert_routes.create(
        services,
        session,
        name=body.name,
        kind=ChatTool(body.kind),
        address=body.address.plain(),
        severity=body.severity,
        team_id=body.team_id,
        locale=body.locale,
        enabled=body.enabled,
        by=actor,
        now=now,
    )
    await security_alerts.permit(services, session, Change.ALERT_ROUTE, subject_id=route_id, by=actor, now=now)
    return await _shown(services, session, route_id, status=201)


@router.get(
    "/{route_id}",
    summary="Read an alert route",
    response_model=AlertRouteShown,
    responses=documented(Forbidden, NotFound),
)
async def read_alert_route(actor: Admin, services: House, session: Reading, route_id: UUID) -> Response:
    """Without its address."""
    return await _shown(services, session, route_id)


@router.patch(
    "/{route_id}",
    summary="Change an alert route",
    response_model=AlertRouteShown,
    responses=documented(Forbidden, Unverified, NotFound, Stale, PreconditionRequired, name_taken=_TAKEN),
)
async def change_alert_route(
    actor: Admin, services: House, if_match: IfMatch, session: Transaction, route_id: UUID, body: AlertRoutePatch
) -> Response:
    """A changed address is kept in the audit with both hosts.

    It asks for the password again, and every administrator is told.
    """
    now = clock.now()
    row = await alert_routes.get_route(session, route_id, version=if_match)
    address = body.address.plain() if body.address is not None else None
    await alert_routes.edit(services, session, row, changes=body.changes(), address=address, by=actor, now=now)
    if address is not None:
        await security_alerts.permit(services, session, Change.ALERT_ROUTE, subject_id=route_id, by=actor, now=now)
    return await _shown(services, session, route_id)


@router.delete(
    "/{route_id}",
    status_code=204,
    summary="Remove an alert route",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_alert_route(actor: Admin, if_match: IfMatch, session: Transaction, route_id: UUID) -> Response:
    """With what waits to be posted there."""
    row = await alert_routes.get_route(session, route_id, version=if_match)
    await alert_routes.remove(session, row, by=actor, now=clock.now())
    return nothing()


@router.post(
    "/{route_id}/test",
    summary="Try an alert route",
    response_model=AlertRouteTried,
    responses=documented(Forbidden, NotFound),
)
async def try_alert_route(actor: Admin, services: House, route_id: UUID) -> Response:
    """Posts a test at once and answers what became of it, also for a route that is off."""
    async with services.database.reading() as session:
        row = await alert_routes.get_route(session, route_id)
    error = await alert_routes.try_out(services, row, now=clock.now())
    return answer({"ok": not error, "error": error})
