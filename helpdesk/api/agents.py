"""Agents: everybody is shown names, supervisors are shown all, administrators change."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reader, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import people as shapes
from helpdesk.api.schemas.people import AgentCreate, AgentName, AgentPatch, AgentShown
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale
from helpdesk.services import agents, paging, passwords

router = APIRouter(prefix="/api/v1/agents", tags=["agents"])
LIST = Query(*PAGING)
_LAST_ADMIN = (409, "Somebody must stay administrator")
_IN_USE = (409, "Escalation rules name him, who would leave")


async def _shown(session: AsyncSession, actor: Actor, agent_id: UUID, *, status: int = 200) -> Response:
    row = await agents.get_agent(session, agent_id)
    teams = await agents.teams_of(session, [agent_id])
    shown = shapes.agent(row, teams.get(agent_id, ()), actor, clock.now())
    location = f"/api/v1/agents/{agent_id}" if status == 201 else None
    return answer(shown, status=status, version=row["version"], location=location)


@router.get(
    "",
    summary="List agents",
    response_model=Page[AgentShown | AgentName],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_agents(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """Agents are shown their colleagues' names; supervisors and administrators everything."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="agents")
    found = await agents.list_agents(session, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    teams = await agents.teams_of(session, [row["id"] for row in rows])
    last = paging.write_cursor(services, sort="agents", value=None, row_id=rows[-1]["id"]) if more else None
    now = clock.now()
    return page([shapes.agent(row, teams.get(row["id"], ()), actor, now) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Add an agent",
    response_model=AgentShown,
    responses=documented(Forbidden, email_taken=(409, "An agent has this address")),
)
async def add_agent(actor: Admin, session: Transaction, body: AgentCreate) -> Response:
    """Without a password he can only use tokens."""
    agent_id = await agents.create(
        session,
        email=body.email,
        name=body.name,
        role=body.role,
        password=body.password.get_secret_value() if body.password else None,
        locale=body.locale,
        by=actor,
        now=clock.now(),
    )
    return await _shown(session, actor, agent_id, status=201)


@router.get(
    "/{agent_id}",
    summary="Read an agent",
    response_model=AgentShown | AgentName,
    responses=documented(Forbidden, NotFound),
)
async def read_agent(actor: Reader, session: Reading, agent_id: UUID) -> Response:
    """As in the list."""
    return await _shown(session, actor, agent_id)


@router.patch(
    "/{agent_id}",
    summary="Change an agent",
    response_model=AgentShown,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired, last_admin=_LAST_ADMIN, in_use=_IN_USE),
)
async def change_agent(
    actor: Admin, if_match: IfMatch, session: Transaction, agent_id: UUID, body: AgentPatch
) -> Response:
    """A new role or password ends his sessions; `active: false` stops his tokens with the next request.

    `duty` and quiet hours are as in `PATCH /me`.
    """
    row = await agents.get_agent(session, agent_id, version=if_match)
    wanted = body.given()
    password = wanted.pop("password", None)
    if password is not None:
        wanted["password_hash"] = await passwords.hash_of(password.get_secret_value())
    await agents.edit(session, row, wanted, by=actor, now=clock.now())
    return await _shown(session, actor, agent_id)


@router.delete(
    "/{agent_id}",
    status_code=204,
    summary="Let an agent leave",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired, last_admin=_LAST_ADMIN, in_use=_IN_USE),
)
async def remove_agent(actor: Admin, if_match: IfMatch, session: Transaction, agent_id: UUID) -> Response:
    """What he wrote stays; sessions end and tokens are revoked."""
    row = await agents.get_agent(session, agent_id, version=if_match)
    await agents.leave(session, row, by=actor, now=clock.now())
    return nothing()
