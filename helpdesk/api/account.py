"""One's own account: who one is, the password, the second step, and where one is signed in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer, nothing, page
from helpdesk.api.auth import PROOF
from helpdesk.api.dependencies import Anybody, Console, House, IfMatch, Reading, Transaction, Writer, set_cookie
from helpdesk.api.problems import documented
from helpdesk.api.schemas import account as shapes
from helpdesk.api.schemas.account import (
    Me,
    MePatch,
    RecoveryCodesShown,
    Sessions,
    TotpConfirm,
    TotpStart,
    TotpStarted,
    Verification,
)
from helpdesk.domain.values import Actor
from helpdesk.errors import Forbidden, Invalid, NotFound, PreconditionRequired, Stale, TooMany, Unauthenticated
from helpdesk.services import agents, logins, sessions, two_steps
from helpdesk.services.house import Services

router = APIRouter(prefix="/api/v1/me", tags=["account"])
_OFF = (409, "There is no second step")


def _id(actor: Actor) -> UUID:
    if actor.id is None:
        raise Unauthenticated
    return actor.id


@router.get("", summary="Who am I", response_model=Me, responses=documented())
async def read_me(actor: Anybody, session: Reading) -> Response:
    """Works with every token and in every session."""
    agent = await agents.get_agent(session, _id(actor))
    return answer(shapes.me(actor, agent, clock.now()), version=agent["version"])


@router.patch(
    "",
    summary="Change what is said of you, when you are there, how you like the console, or your password",
    response_model=Me,
    responses=documented(
        Forbidden,
        NotFound,
        Stale,
        PreconditionRequired,
        TooMany,
        login_failed=PROOF["login_failed"],
    ),
)
async def change_me(request: Request, actor: Writer, if_match: IfMatch, services: House, body: MePatch) -> Response:
    """`duty` overrules the schedules, until `duty_until` if that is sent with it. In your quiet hours only what is
    critical reaches you; null ends them. Of `preferences` only what is sent is changed. Your address is changed by an
    administrator: `PATCH /agents/{id}`.

    A new password is taken in the console, with the old one; your other sessions end.
    """
    now, wanted = clock.now(), body.given()
    hashed = await _new_password(services, actor, wanted)
    async with services.database.transaction() as session:
        agent = await agents.get_agent(session, _id(actor), version=if_match)
        await agents.edit(session, agent, wanted | hashed, keep=actor.session_id, by=actor, now=now)
        agent = await agents.get_agent(session, agent["id"])
        cookie = None
        if hashed and actor.session_id is not None:
            cookie = await sessions.renew_cookie(session, actor.session_id, now=now)
    response = answer(shapes.me(actor, agent, now), version=agent["version"])
    if cookie is not None:
        set_cookie(request, response, cookie)
    return response


async def _new_password(services: Services, actor: Actor, wanted: dict[str, Any]) -> dict[str, str]:
    """Take both passwords out of what is wanted; the new one's hash where it may be changed."""
    given, new = wanted.pop("password", None), wanted.pop("new_password", None)
    if new is None:
        if given is not None:
            raise Invalid.field("new_password", "is needed with password")
        return {}
    if given is None:
        raise Invalid.field("password", "the one of now is needed")
    password, chosen = given.get_secret_value(), new.get_secret_value()
    return {
        "password_hash": await logins.new_password(services, actor, password=password, chosen=chosen, now=clock.now())
    }


# -- the second step --


@router.post(
    "/totp",
    status_code=201,
    summary="Start a second step",
    response_model=TotpStarted,
    responses=documented(
        Forbidden,
        NotFound,
        TooMany,
        login_failed=PROOF["login_failed"],
        totp_on=(409, "There is a second step already"),
    ),
)
async def start_my_totp(actor: Console, services: House, body: TotpStart) -> Response:
    """A secret for an authenticator (RFC 6238). It counts once a code is confirmed; starting again makes another."""
    now, agent_id = clock.now(), _id(actor)
    await logins.prove(services, agent_id, password=body.password.get_secret_value(), both=False, now=now)
    async with services.database.transaction() as session:
        agent = await agents.get_agent(session, agent_id, lock=True)
        secret, uri = await two_steps.start(services, session, agent, now=now)
    return answer({"secret": secret, "otpauth_uri": uri}, status=201)


@router.post(
    "/totp/confirm",
    summary="Confirm the second step",
    response_model=RecoveryCodesShown,
    responses=documented(Forbidden, NotFound, TooMany, totp_not_started=(409, "Nothing was started")),
)
async def confirm_my_totp(actor: Console, services: House, body: TotpConfirm) -> Response:
    """From now on signing in takes a code. Your other sessions end; the recovery codes are shown this once."""
    codes = await logins.confirm_two_steps(services, actor, body.code, now=clock.now())
    return answer({"recovery_codes": codes})


@router.delete(
    "/totp",
    status_code=204,
    summary="Take the second step away",
    responses=documented(Forbidden, NotFound, Stale, PreconditionRequired, TooMany, totp_off=_OFF, **PROOF),
)
async def remove_my_totp(actor: Console, if_match: IfMatch, services: House, body: Verification) -> Response:
    """Needs the password and a code. The recovery codes are gone with it."""
    now, agent_id = clock.now(), _id(actor)
    password = body.password.get_secret_value()
    await logins.prove(services, agent_id, password=password, code=body.totp, now=now)
    async with services.database.transaction() as session:
        agent = await agents.get_agent(session, agent_id, version=if_match)
        await two_steps.take_away(session, agent, by=actor, now=now)
    return nothing()


@router.post(
    "/recovery-codes",
    summary="Make new recovery codes",
    response_model=RecoveryCodesShown,
    responses=documented(Forbidden, NotFound, TooMany, totp_off=_OFF, **PROOF),
)
async def renew_my_recovery_codes(actor: Console, services: House, body: Verification) -> Response:
    """Ten others, shown this once; the old ones are good no more. Needs the password and a code."""
    now, agent_id = clock.now(), _id(actor)
    password = body.password.get_secret_value()
    await logins.prove(services, agent_id, password=password, code=body.totp, now=now)
    async with services.database.transaction() as session:
        agent = await agents.get_agent(session, agent_id, lock=True)
        codes = await two_steps.new_codes(session, agent, by=actor, now=now)
    return answer({"recovery_codes": codes})


# -- sessions --


@router.get("/sessions", summary="List your sessions", response_model=Sessions, responses=documented(Forbidden))
async def list_my_sessions(actor: Console, session: Reading) -> Response:
    """Where you are signed in, the latest first."""
    return page(shapes.sessions(await sessions.list_sessions(session, _id(actor), now=clock.now()), actor), None)


@router.delete("/sessions", status_code=204, summary="End your other sessions", responses=documented(Forbidden))
async def end_my_other_sessions(actor: Console, session: Transaction) -> Response:
    """All but the one that asks."""
    await sessions.end_by(session, _id(actor), keep=actor.session_id, by=actor, now=clock.now())
    return nothing()


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    summary="End one of your sessions",
    responses=documented(Forbidden, NotFound),
)
async def end_my_session(actor: Console, session: Transaction, session_id: UUID) -> Response:
    """It ends with its next request."""
    await sessions.end_one(session, _id(actor), session_id, by=actor, now=clock.now())
    return nothing()
