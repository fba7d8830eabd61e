"""Teams, for administrators to change and for everybody to read; supervisors say how they give out their queues."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, Curator, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import people as shapes
from helpdesk.api.schemas import routing as routing_shapes
from helpdesk.api.schemas.people import TeamCreate, TeamPatch, TeamShown
from helpdesk.api.schemas.routing import QueueShown
from helpdesk.api.schemas.shared import Page
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import paging, queues, teams
from helpdesk.services.access import require_admin_for

router = APIRouter(prefix="/api/v1/teams", tags=["teams"])
LIST = Query(*PAGING)


async def _shown(session: AsyncSession, team_id: UUID, *, status: int = 200) -> Response:
    row = await teams.get_team(session, team_id)
    members = await teams.members_of(session, [team_id])
    location = f"/api/v1/teams/{team_id}" if status == 201 else None
    shown = shapes.team(row, members.get(team_id, {}))
    return answer(shown, status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List teams",
    response_model=Page[TeamShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_teams(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """All of them, with their members: conversations are handed to any team."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="teams")
    found = await teams.list_teams(session, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    members = await teams.members_of(session, [row["id"] for row in rows])
    last = paging.write_cursor(services, sort="teams", value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.team(row, members.get(row["id"], {})) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add a team",
    response_model=TeamShown,
    responses=documented(Forbidden, NotFound, name_taken=(409, "There is a team of this name")),
)
async def add_team(actor: Admin, session: Transaction, body: TeamCreate) -> Response:
    """Members see what belongs to the team; leads are called when its promise is broken."""
    team_id = await teams.create(
        session,
        name=body.name,
        description=body.description,
        members=body.member_ids,
        leads=body.lead_ids,
        routing=routing_shapes.given(body.routing),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, team_id, status=201)


@router.get("/{team_id}", summary="Read a team", response_model=TeamShown, responses=documented(Forbidden, NotFound))
async def read_team(actor: Reader, session: Reading, team_id: UUID) -> Response:
    """With its members."""
    return await _shown(session, team_id)


@router.get(
    "/{team_id}/routing",
    summary="Read a team's queue",
    response_model=QueueShown,
    responses=documented(Forbidden, NotFound),
)
async def read_team_routing(actor: Reader, services: House, session: Reading, team_id: UUID) -> Response:
    """What nobody has, and of each member why he is given it or not. Agents see those of their own teams."""
    found = await queues.standing(services, session, actor, team_id, now=clock.now())
    return answer(routing_shapes.standing(found))


@router.patch(
    "/{team_id}",
    summary="Change a team",
    response_model=TeamShown,
    responses=documented(
        Forbidden, NotFound, Stale, PreconditionRequired, name_taken=(409, "There is a team of this name")
    ),
)
async def change_team(
    actor: Curator, if_match: IfMatch, session: Transaction, team_id: UUID, body: TeamPatch
) -> Response:
    """`member_ids` replaces the members, `lead_ids` the leads. A lead who is no member any more is no lead either.

    Supervisors set `routing`, as a whole; what else there is, administrators.
    """
    require_admin_for(actor, body.given(), but=["routing"])
    row = await teams.get_team(session, team_id, version=if_match)
    await teams.edit(
        session,
        row,
        name=body.name,
        description=body.description,
        members=body.member_ids,
        leads=body.lead_ids,
        routing=routing_shapes.given(body.routing),
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, team_id)


@router.delete(
    "/{team_id}",
    status_code=204,
    summary="Remove a team",
    responses=documented(
        Forbidden, NotFound, Stale, PreconditionRequired, in_use=(409, "Something belongs to it, or names it")
    ),
)
async def remove_team(actor: Admin, if_match: IfMatch, session: Transaction, team_id: UUID) -> Response:
    """Only one that nothing belongs to, and that no escalation rule names."""
    row = await teams.get_team(session, team_id, version=if_match)
    await teams.remove(session, row, by=actor, now=clock.now())
    return nothing()
