"""Duty schedules, for administrators to change and for everybody to read, and who is on duty now."""

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
from helpdesk.api.schemas import duty as shapes
from helpdesk.api.schemas.duty import DutyCreate, DutyNow, DutyPatch, DutyShown
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import duty, paging, teams

router = APIRouter(prefix="/api/v1/duty", tags=["duty"])
LIST = Query(*PAGING)
NOW = Query(queries.identifier("team_id", "Only members of this team, by its rosters"))
_TAKEN = (409, "There is a duty schedule of this name")


async def _shown(session: AsyncSession, schedule_id: UUID, *, status: int = 200) -> Response:
    row = await duty.get_schedule(session, schedule_id)
    location = f"/api/v1/duty/{schedule_id}" if status == 201 else None
    return answer(shapes.schedule(row), status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List duty schedules",
    response_model=Page[DutyShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_duty_schedules(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """The rosters of teams and of everybody, and the fallback list. The oldest first."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="duty")
    found = await duty.list_schedules(session, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort="duty", value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.schedule(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add a duty schedule",
    response_model=DutyShown,
    responses=documented(
        Forbidden,
        name_taken=_TAKEN,
        fallback_exists=(409, "There is a fallback list already"),
        too_many=(409, "There are as many as there may be"),
    ),
)
async def add_duty_schedule(actor: Admin, session: Transaction, body: DutyCreate) -> Response:
    """From then on only those in a shift are on duty, of the team or of every team without a roster."""
    schedule_id = await duty.create(
        session,
        name=body.name,
        team_id=body.team_id,
        is_fallback=body.is_fallback,
        content=shapes.content(body),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, schedule_id, status=201)


@router.get(
    "/now",
    summary="Who is on duty now",
    response_model=DutyNow,
    responses=documented(Forbidden, NotFound),
    openapi_extra=NOW.openapi,
)
async def read_duty_now(request: Request, actor: Reader, session: Reading) -> Response:
    """Whom an alert would call: those in a shift, and those who said so themselves."""
    now, team_id = clock.now(), NOW.read(request).get("team_id")
    if team_id is not None:
        await teams.get_team(session, team_id)
    there = await duty.on_duty(session, team_id=team_id, now=now)
    shown = {
        "at": now,
        "team_id": team_id,
        "agents": [dict(one) for one in await duty.names_of(session, there)],
        "fallback": [dict(one) for one in await duty.names_of(session, await duty.fallback(session))],
    }
    return answer(shown)


@router.get(
    "/{schedule_id}",
    summary="Read a duty schedule",
    response_model=DutyShown,
    responses=documented(Forbidden, NotFound),
)
async def read_duty_schedule(actor: Reader, session: Reading, schedule_id: UUID) -> Response:
    """As in the list."""
    return await _shown(session, schedule_id)


@router.patch(
    "/{schedule_id}",
    summary="Change a duty schedule",
    response_model=DutyShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired, name_taken=_TAKEN),
)
async def change_duty_schedule(
    actor: Admin, if_match: IfMatch, session: Transaction, schedule_id: UUID, body: DutyPatch
) -> Response:
    """`team_id: null` makes it everybody's. A roster does not become the fallback list, nor that a roster."""
    row = await duty.get_schedule(session, schedule_id, version=if_match)
    sent = body.given()
    wanted = {name: value for name, value in sent.items() if name in ("name", "team_id")}
    await duty.edit(session, row, wanted, content=shapes.content(body), by=actor, now=clock.now())
    return await _shown(session, schedule_id)


@router.delete(
    "/{schedule_id}",
    status_code=204,
    summary="Remove a duty schedule",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_duty_schedule(actor: Admin, if_match: IfMatch, session: Transaction, schedule_id: UUID) -> Response:
    """Its team then goes by everybody's rosters; where there are none, everybody is on duty."""
    row = await duty.get_schedule(session, schedule_id, version=if_match)
    await duty.remove(session, row, by=actor, now=clock.now())
    return nothing()
