"""Signing in and out of the console, proving once more who one is, and coming to a password or to the first account."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer, nothing
from helpdesk.api.dependencies import (
    Anybody,
    Console,
    Csrf,
    House,
    Transaction,
    address_of,
    check_origin,
    cookie_name,
    cookie_terms,
    set_cookie,
)
from helpdesk.api.problems import documented
from helpdesk.api.schemas import account as shapes
from helpdesk.api.schemas.account import FirstRun, Forgotten, Invited, Login, Me, Reset, Verification, Verified
from helpdesk.domain import clients
from helpdesk.errors import Forbidden, NotFound, TooMany
from helpdesk.services import accounts, agents, logins, sessions
from helpdesk.services.access import RECENT

router = APIRouter(prefix="/api/v1/auth", tags=["account"])
_WRONG = "The address or the password is wrong"
_CODE_NEEDED = "A code of the second step is needed as well"
_CODE_WRONG = "The code is wrong, or was used before"
_LINK = (404, "The link is not valid, or not any more")
PROOF = {
    "login_failed": (403, "The password is wrong"),
    "totp_required": (403, _CODE_NEEDED),
    "totp_wrong": (403, _CODE_WRONG),
}
"""What may be wrong with a proof, for `documented`."""


def _from_here(request: Request) -> None:
    """No cookie is asked for yet, so only a browser that names another site is refused."""
    if "origin" in request.headers:
        check_origin(request)


@router.post(
    "/login",
    summary="Sign in to the console",
    response_model=Me,
    responses=documented(
        Csrf, TooMany, login_failed=(401, _WRONG), totp_required=(401, _CODE_NEEDED), totp_wrong=(401, _CODE_WRONG)
    ),
)
async def login(request: Request, services: House, body: Login) -> Response:
    """Sets the session cookie. Attempts are counted per account and per address: 429 with `Retry-After`.

    Where there is a second step and no code is sent, the answer is 401 `totp_required`, once the password is right.
    """
    _from_here(request)
    now = clock.now()
    cookie, agent_id = await logins.login(
        services,
        email=body.email,
        password=body.password.get_secret_value(),
        code=body.totp,
        address=address_of(request),
        client=clients.describe(request.headers.get("user-agent", "")),
        now=now,
    )
    identity = await accounts.identify_session(services.database, cookie, now=now)
    async with services.database.reading() as session:
        agent = await agents.get_agent(session, agent_id)
    response = answer(shapes.me(identity.actor, agent, now), version=agent["version"])
    set_cookie(request, response, cookie)
    return response


@router.post("/logout", status_code=204, summary="Sign out of the console", responses=documented(Csrf))
async def logout(request: Request, actor: Anybody, session: Transaction) -> Response:
    """Ends the session. A token stays what it is: it is revoked, not signed out."""
    if actor.session_id is not None:
        await sessions.end(session, actor.session_id)
    response = nothing()
    response.delete_cookie(cookie_name(request), **cookie_terms(request))
    return response


@router.post(
    "/verify",
    summary="Give the password again",
    response_model=Verified,
    responses=documented(Forbidden, NotFound, TooMany, **PROOF),
)
async def verify_password(request: Request, actor: Console, services: House, body: Verification) -> Response:
    """For ten minutes, what answers 403 `verification_required` does not. The session has a new cookie from now on.

    Whoever signs on elsewhere and has no password signs on anew instead.
    """
    assert actor.id is not None
    assert actor.session_id is not None
    now = clock.now()
    password = body.password.get_secret_value()
    await logins.prove(services, actor.id, password=password, code=body.totp, now=now)
    async with services.database.transaction() as session:
        cookie = await sessions.renew_cookie(session, actor.session_id, now=now)
    response = answer({"verified_until": now + RECENT})
    set_cookie(request, response, cookie)
    return response


@router.post(
    "/forgot-password",
    status_code=202,
    response_class=Response,
    summary="Ask for a new password",
    responses=documented(Csrf, TooMany),
)
async def forgot_password(request: Request, services: House, body: Forgotten) -> Response:
    """Sends a link that is good for an hour. The answer is the same for an address that nobody has."""
    _from_here(request)
    await logins.forgotten(services, email=body.email, address=address_of(request), now=clock.now())
    return Response(status_code=202)


@router.post(
    "/reset-password",
    status_code=204,
    summary="Choose a new password",
    responses=documented(Csrf, TooMany, link_invalid=_LINK),
)
async def reset_password(request: Request, services: House, body: Reset) -> Response:
    """By the link of a letter, once. All sessions end; the second step stays, and is asked for at the next login."""
    _from_here(request)
    await logins.reset_password(
        services,
        token=body.token.get_secret_value(),
        password=body.password.get_secret_value(),
        address=address_of(request),
        now=clock.now(),
    )
    return nothing()


@router.post(
    "/accept-invitation",
    status_code=204,
    summary="Accept an invitation",
    responses=documented(Csrf, TooMany, link_invalid=_LINK),
)
async def accept_invitation(request: Request, services: House, body: Invited) -> Response:
    """Chooses the first password, by the link of an invitation, once. Then sign in."""
    _from_here(request)
    await logins.accept_invitation(
        services,
        token=body.token.get_secret_value(),
        password=body.password.get_secret_value(),
        name=body.name,
        address=address_of(request),
        now=clock.now(),
    )
    return nothing()


@router.post(
    "/first-run",
    status_code=204,
    summary="Be the first administrator",
    responses=documented(Csrf, TooMany, link_invalid=_LINK, email_taken=(409, "An agent has this address")),
)
async def accept_first_run(request: Request, services: House, body: FirstRun) -> Response:
    """Says who the first administrator is, by the link that the first `helpdesk up` prints. Then sign in.

    The link is good once, for 24 hours, and until anybody has signed in.
    """
    _from_here(request)
    about = {name: value for name, value in body.given().items() if name in ("email", "name", "locale") and value}
    await logins.accept_first_run(
        services,
        token=body.token.get_secret_value(),
        password=body.password.get_secret_value(),
        about=about,
        address=address_of(request),
        now=clock.now(),
    )
    return nothing()
