"""Signing in and out of the console, and who one is."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer, nothing
from helpdesk.api.dependencies import (
    Anybody,
    Csrf,
    House,
    IfMatch,
    Reading,
    Transaction,
    Writer,
    base_url,
    check_origin,
    cookie_name,
)
from helpdesk.api.problems import documented
from helpdesk.api.schemas import people as shapes
from helpdesk.api.schemas.people import Login, Me, MePatch
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, NotFound, PreconditionRequired, Stale, TooMany, Unauthenticated
from helpdesk.services import accounts, agents

router = APIRouter(prefix="/api/v1", tags=["account"])


@router.post(
    "/auth/login",
    summary="Sign in to the console",
    response_model=Me,
    responses=documented(Csrf, TooMany, login_failed=(401, "The address or the password is wrong")),
)
async def login(request: Request, services: House, body: Login) -> Response:
    """Sets the session cookie. Attempts are counted per account and per address: 429 with `Retry-After`."""
    if "origin" in request.headers:
        check_origin(request)
    now = clock.now()
    cookie, agent_id = await accounts.login(
        services,
        email=body.email,
        password=body.password.get_secret_value(),
        address=request.client.host if request.client else "",
        now=now,
    )
    identity = await accounts.identify_session(services.database, cookie, now=now)
    async with services.database.reading() as session:
        response = answer(shapes.me(identity.actor, await agents.get_agent(session, agent_id), now))
    response.set_cookie(
        cookie_name(request),
        cookie,
        max_age=int(accounts.SESSION_LIFE.total_seconds()),
        path="/",
        secure=base_url(request).startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return response


@router.post("/auth/logout", status_code=204, summary="Sign out of the console", responses=documented(Csrf))
async def logout(request: Request, actor: Anybody, session: Transaction) -> Response:
    """Ends the session. A token stays what it is: it is revoked, not signed out."""
    if actor.session_id is not None:
        await accounts.logout(session, actor.session_id)
    response = nothing()
    secure = base_url(request).startswith("https:")
    response.delete_cookie(cookie_name(request), path="/", secure=secure, httponly=True, samesite="lax")
    return response


@router.get("/me", summary="Who am I", response_model=Me, responses=documented())
async def read_me(actor: Anybody, session: Reading) -> Response:
    """Works with every token and in every session."""
    agent = await agents.get_agent(session, _id(actor))
    return answer(shapes.me(actor, agent, clock.now()), version=agent["version"])


@router.patch(
    "/me",
    summary="Say whether you are on duty, and when you want quiet",
    response_model=Me,
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired),
)
async def change_me(actor: Writer, if_match: IfMatch, session: Transaction, body: MePatch) -> Response:
    """`duty` overrules the schedules, until `duty_until` if that is sent with it. In your quiet hours only what is
    critical reaches you; null ends them."""
    now = clock.now()
    agent = await agents.get_agent(session, _id(actor), version=if_match)
    await agents.edit(session, agent, body.given(), by=actor, now=now)
    agent = await agents.get_agent(session, agent["id"])
    return answer(shapes.me(actor, agent, now), version=agent["version"])


def _id(actor: Actor) -> UUID:
    if actor.id is None:
        raise Unauthenticated
    return actor.id
