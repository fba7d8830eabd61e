"""OpenID providers, for administrators: whoever changes one decides who gets in."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import Admin, House, IfMatch, Reading, Recently, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import sso as shapes
from helpdesk.api.schemas.shared import Page
from helpdesk.api.schemas.sso import SsoProviderCreate, SsoProviderPatch, SsoProviderShown
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale, Unverified
from helpdesk.services import agents, paging, security_alerts, sso_providers
from helpdesk.services.security_alerts import Change

router = APIRouter(prefix="/api/v1", tags=["single sign-on"])
LIST = Query(*PAGING)
_TAKEN = (409, "There is a provider of this name")


async def _shown(session: AsyncSession, provider_id: UUID, *, status: int = 200) -> Response:
    row = await sso_providers.get_provider(session, provider_id)
    location = f"/api/v1/sso-providers/{provider_id}" if status == 201 else None
    return answer(shapes.provider(row), status=status, version=row["version"], location=location)


@router.get(
    "/sso-providers",
    summary="List OpenID providers",
    response_model=Page[SsoProviderShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_sso_providers(request: Request, actor: Admin, services: House, session: Reading) -> Response:
    """Those that are off as well."""
    asked = page_of(LIST.read(request))
    cursor = paging.read_cursor(services, asked, sort="sso_providers")
    found = await sso_providers.list_providers(session, after=cursor.id if cursor else None, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort="sso_providers", value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.provider(row) for row in rows], last)


@router.post(
    "/sso-providers",
    status_code=201,
    summary="Add an OpenID provider",
    response_model=SsoProviderShown,
    responses=documented(Forbidden, Unverified, name_taken=_TAKEN, too_many=(409, "There are as many as there may be")),
)
async def add_sso_provider(actor: Recently, services: House, session: Transaction, body: SsoProviderCreate) -> Response:
    """At the provider, register `/api/v1/auth/sso/callback` below the base URL as the way back.

    It asks for the password again, and every administrator is told; so does what changes a provider.
    """
    now = clock.now()
    provider_id = await sso_providers.create(
        services,
        session,
        name=body.name,
        issuer=body.issuer,
        client_id=body.client_id,
        secret=shapes.plain(body.secret),
        domains=body.domains,
        enabled=body.enabled,
        by=actor,
        now=now,
    )
    await security_alerts.permit(services, session, Change.SIGN_ON, subject_id=provider_id, by=actor, now=now)
    return await _shown(session, provider_id, status=201)


@router.get(
    "/sso-providers/{provider_id}",
    summary="Read an OpenID provider",
    response_model=SsoProviderShown,
    responses=documented(Forbidden, NotFound),
)
async def read_sso_provider(actor: Admin, session: Reading, provider_id: UUID) -> Response:
    """Without its secret."""
    return await _shown(session, provider_id)


@router.patch(
    "/sso-providers/{provider_id}",
    summary="Change an OpenID provider",
    response_model=SsoProviderShown,
    responses=documented(Forbidden, Unverified, NotFound, Stale, PreconditionRequired, name_taken=_TAKEN),
)
async def change_sso_provider(
    actor: Admin, if_match: IfMatch, services: House, session: Transaction, provider_id: UUID, body: SsoProviderPatch
) -> Response:
    """A changed issuer needs its secret. Sign-ons that have begun there are over."""
    row = await sso_providers.get_provider(session, provider_id, version=if_match)
    changes, now = body.changes(), clock.now()
    await sso_providers.edit(services, session, row, changes, by=actor, now=now)
    if changes.keys() - {"name"}:
        await security_alerts.permit(services, session, Change.SIGN_ON, subject_id=provider_id, by=actor, now=now)
    return await _shown(session, provider_id)


@router.delete(
    "/sso-providers/{provider_id}",
    status_code=204,
    summary="Remove an OpenID provider",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def remove_sso_provider(actor: Admin, if_match: IfMatch, session: Transaction, provider_id: UUID) -> Response:
    """Sessions that were begun by it go on until they end."""
    row = await sso_providers.get_provider(session, provider_id, version=if_match)
    await sso_providers.remove(session, row, by=actor, now=clock.now())
    return nothing()


@router.delete(
    "/agents/{agent_id}/sso",
    status_code=204,
    summary="Unlink an agent from single sign-on",
    responses=documented(
        Forbidden,
        Unverified,
        NotFound,
        Stale,
        PreconditionRequired,
        not_linked=(409, "The agent is not linked to any account"),
    ),
)
async def unlink_agent(
    actor: Recently, if_match: IfMatch, services: House, session: Transaction, agent_id: UUID
) -> Response:
    """`If-Match` names the agent's version. His sessions end; the next account with his address is linked.

    It asks for the password again, and every administrator is told.
    """
    now = clock.now()
    agent = await agents.get_agent(session, agent_id, version=if_match)
    await sso_providers.unlink(session, agent, by=actor, now=now)
    await security_alerts.permit(services, session, Change.SIGN_ON, subject_id=agent_id, by=actor, now=now)
    return nothing()
