"""API tokens: everybody's own, and all of them for administrators."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.dependencies import House, Keeper, Reading, Transaction
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, identifier, page_of
from helpdesk.api.schemas import account as shapes
from helpdesk.api.schemas.account import TokenCreate, TokenMade, TokenShown
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.values import Role
from helpdesk.errors import Forbidden, NotFound, Unauthenticated, Unverified
from helpdesk.services import paging, security_alerts, tokens
from helpdesk.services.security_alerts import Change

router = APIRouter(prefix="/api/v1/tokens", tags=["account"])
_EVERYBODY = "all"
LIST = Query(
    *PAGING,
    identifier("agent_id", "Whose; yours unless an administrator asks otherwise", words=(_EVERYBODY,)),
)


@router.get(
    "",
    summary="List API tokens",
    response_model=Page[TokenShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_tokens(request: Request, actor: Keeper, services: House, session: Reading) -> Response:
    """Those that are not revoked, the oldest first; never the tokens themselves."""
    values = LIST.read(request)
    wanted = values.get("agent_id", actor.id)
    if wanted != actor.id and actor.role is not Role.ADMIN:
        raise Forbidden("only administrators see the tokens of others")
    asked, sort = page_of(values), f"tokens {wanted}"
    cursor = paging.read_cursor(services, asked, sort=sort)
    agent_id = None if wanted == _EVERYBODY else wanted
    after = cursor.id if cursor else None
    found = await tokens.list_tokens(session, agent_id=agent_id, after=after, limit=asked.limit + 1)
    rows, more = paging.cut(found, asked.limit)
    last = paging.write_cursor(services, sort=sort, value=None, row_id=rows[-1]["id"]) if more else None
    return page([shapes.token(row) for row in rows], last)


@router.post(
    "",
    status_code=201,
    summary="Make an API token",
    response_model=TokenMade,
    responses=documented(Forbidden, Unverified, NotFound, too_many=(409, "There are as many as there may be")),
)
async def make_token(actor: Keeper, services: House, session: Transaction, body: TokenCreate) -> Response:
    """The answer holds the token, this once. It can never do more than who makes it, or than its agent."""
    now, owner = clock.now(), body.agent_id or actor.id
    if owner is None:
        raise Unauthenticated
    token_id, plain = await tokens.create_token(
        session,
        agent_id=owner,
        name=body.name,
        kind=body.kind,
        scopes=body.scopes,
        expires_at=body.expires_at,
        by=actor,
        now=now,
    )
    await security_alerts.permit(services, session, Change.TOKEN, subject_id=token_id, by=actor, now=now)
    made = await tokens.get_token(session, actor, token_id)
    return answer({**shapes.token(made), "token": plain}, status=201)


@router.delete("/{token_id}", status_code=204, summary="Revoke an API token", responses=documented(Forbidden, NotFound))
async def revoke_token(actor: Keeper, session: Transaction, token_id: UUID) -> Response:
    """It stops working with the next request."""
    await tokens.get_token(session, actor, token_id)
    await tokens.revoke_token(session, token_id, by=actor, now=clock.now())
    return nothing()
