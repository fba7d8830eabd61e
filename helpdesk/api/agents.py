"""Agents: everybody is shown names, supervisors are shown all, administrators change."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, Curator, House, IfMatch, Reader, Reading, Recently, Transaction, base_url
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import account as account_shapes
from helpdesk.api.schemas import people as shapes
from helpdesk.api.schemas.account import Sessions
from helpdesk.api.schemas.people import (
    AgentCreate,
    AgentName,
    AgentPatch,
    AgentShown,
    InvitationGiven,
    InvitationShown,
)
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.account_texts import Purpose
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale, Unverified
from helpdesk.services import (
    account_links,
    agents,
    logins,
    paging,
    passwords,
    security_alerts,
    sessions,
    two_steps,
)
from helpdesk.services.access import require_admin_for
from helpdesk.services.security_alerts import Change

router = APIRouter(prefix="/api/v1/agents", tags=["agents"])
LIST = Query(*PAGING)
_TAKEN = (409, "An agent has this address")
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
    responses=documented(Forbidden, Unverified, email_taken=_TAKEN),
)
async def add_agent(actor: Admin, services: House, session: Transaction, body: AgentCreate) -> Response:
    """Without a password he can only use tokens, until he is invited (`POST /agents/{id}/invitation`).

    A supervisor or administrator is added with the password given lately, and every administrator is told.
    """
    now = clock.now()
    agent_id = await agents.create(
        session,
        email=body.email,
        name=body.name,
        role=body.role,
        password=body.password.get_secret_value() if body.password else None,
        locale=body.locale,
        by=actor,
        now=now,
    )
    if body.role != "agent":
        await security_alerts.permit(services, session, Change.ROLE, subject_id=agent_id, by=actor, now=now)
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
    responses=documented(
        Forbidden,
        Unverified,
        NotFound,
        Stale,
        PreconditionRequired,
        email_taken=_TAKEN,
        last_admin=_LAST_ADMIN,
        in_use=_IN_USE,
    ),
)
async def change_agent(
    actor: Curator, services: House, if_match: IfMatch, session: Transaction, agent_id: UUID, body: AgentPatch
) -> Response:
    """A new role or password ends his sessions; `active: false` stops his tokens with the next request.

    Address, role and password are changed with your own password given lately, and every administrator is told. `duty`
    and quiet hours are as in `PATCH /me`. Supervisors set `capacity`, `live_capacity` and `skills`; what else there
    is, administrators.
    """
    wanted, now = body.given(), clock.now()
    require_admin_for(actor, wanted, but=["capacity", "live_capacity", "skills"])
    changes = [
        change for change in (Change.EMAIL, Change.ROLE, Change.PASSWORD) if wanted.get(change.value) is not None
    ]
    row = await agents.get_agent(session, agent_id, version=if_match)
    password = wanted.pop("password", None)
    if password is not None:
        wanted["password_hash"] = await passwords.hash_of(password.get_secret_value())
    await agents.edit(session, row, wanted, by=actor, now=now)
    for change in changes:
        await security_alerts.permit(services, session, change, subject_id=agent_id, by=actor, now=now)
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


@router.post(
    "/{agent_id}/invitation",
    status_code=201,
    summary="Invite an agent",
    response_model=InvitationShown,
    responses=documented(
        Forbidden,
        Unverified,
        NotFound,
        already_joined=(409, "He can sign in already"),
        not_active=(409, "He has left"),
    ),
)
async def invite_agent(
    request: Request,
    actor: Recently,
    session: Transaction,
    agent_id: UUID,
    body: InvitationGiven | None = None,
) -> Response:
    """A link by which he chooses his password, once, within 72 hours; an earlier one is worth nothing then.

    It goes to him by letter. With `mail: false` the answer holds it instead, this once, for you to hand over.
    """
    letter = body is None or body.mail
    agent = await agents.get_agent(session, agent_id, lock=True)
    _, plain = await logins.invite(session, agent, letter=letter, by=actor, now=clock.now())
    row = await account_links.latest(session, agent_id, Purpose.INVITATION)
    link = None if letter else account_links.address_of(base_url(request), Purpose.INVITATION, plain)
    return answer(shapes.invitation(row, link), status=201)


@router.get(
    "/{agent_id}/invitation",
    summary="Read an agent's invitation",
    response_model=InvitationShown,
    responses=documented(Forbidden, NotFound),
)
async def read_invitation(actor: Admin, session: Reading, agent_id: UUID) -> Response:
    """The last one: whether its letter has left, and whether it was used. Without its link."""
    return answer(shapes.invitation(await account_links.latest(session, agent_id, Purpose.INVITATION)))


@router.delete(
    "/{agent_id}/totp",
    status_code=204,
    summary="Take an agent's second step away",
    responses=documented(
        Forbidden, Unverified, NotFound, Stale, PreconditionRequired, totp_off=(409, "There is no second step")
    ),
)
async def remove_agent_totp(
    actor: Recently, services: House, if_match: IfMatch, session: Transaction, agent_id: UUID
) -> Response:
    """For a lost telephone. His sessions end, and every administrator is told."""
    now = clock.now()
    row = await agents.get_agent(session, agent_id, version=if_match)
    await two_steps.take_away(session, row, by=actor, now=now)
    await sessions.end_all(session, agent_id)
    await security_alerts.permit(services, session, Change.TWO_STEPS, subject_id=agent_id, by=actor, now=now)
    return nothing()


@router.get(
    "/{agent_id}/sessions",
    summary="List an agent's sessions",
    response_model=Sessions,
    responses=documented(Forbidden, NotFound),
)
async def list_agent_sessions(actor: Admin, session: Reading, agent_id: UUID) -> Response:
    """Where he is signed in, the latest first."""
    await agents.get_agent(session, agent_id)
    found = await sessions.list_sessions(session, agent_id, now=clock.now())
    return page(account_shapes.sessions(found, actor), None)


@router.delete(
    "/{agent_id}/sessions",
    status_code=204,
    summary="End an agent's sessions",
    responses=documented(Forbidden, NotFound),
)
async def end_agent_sessions(actor: Admin, session: Transaction, agent_id: UUID) -> Response:
    """All of them. His tokens stay."""
    await agents.get_agent(session, agent_id)
    await sessions.end_by(session, agent_id, by=actor, now=clock.now())
    return nothing()
