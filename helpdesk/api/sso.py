"""Signing on by an OpenID provider: two steps of the browser, with the provider in between.

The way back always leads to the base URL, whatever the provider or a link adds.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer, page
from helpdesk.api.dependencies import Csrf, House, Reading, base_url, check_origin, cookie_name, cookie_terms
from helpdesk.api.problems import documented
from helpdesk.api.schemas import sso as shapes
from helpdesk.api.schemas.shared import Page
from helpdesk.api.schemas.sso import SsoChoice, SsoStarted
from helpdesk.domain import clients
from helpdesk.errors import HelpdeskError, NotFound, TooMany
from helpdesk.services import sessions, sign_on, sso_providers
from helpdesk.services.sign_on import Answer

router = APIRouter(prefix="/api/v1/auth/sso", tags=["account"])

_AWAY: Final = (503, "The identity provider does not answer as it should")
_BROUGHT: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in (
            ("code", "What the provider gave the browser"),
            ("state", "What the browser was sent with"),
            ("iss", "Which provider it was (RFC 9207)"),
            ("error", "Why the provider let nobody in"),
        )
    ]
}


def _binding_name(request: Request) -> str:
    return f"{cookie_name(request)}-sso"


def _callback(request: Request) -> str:
    return f"{base_url(request)}/api/v1/auth/sso/callback"


@router.get("", summary="By whom one can sign on", response_model=Page[SsoChoice], responses=documented())
async def list_sign_on_choices(session: Reading) -> Response:
    """For everybody, all on one page."""
    return page([shapes.choice(row) for row in await sso_providers.list_choices(session)], None)


@router.post(
    "/{provider_id}/start",
    summary="Begin to sign on",
    response_model=SsoStarted,
    responses=documented(Csrf, NotFound, TooMany, provider_unavailable=_AWAY),
)
async def start_sign_on(request: Request, services: House, provider_id: UUID) -> Response:
    """Answers where the browser goes, and sets the cookie by which it is known again when it comes back."""
    if "origin" in request.headers:
        check_origin(request)
    begun = await sign_on.begin(
        services,
        provider_id,
        redirect_uri=_callback(request),
        address=request.client.host if request.client else "",
        now=clock.now(),
    )
    response = answer({"url": begun.url})
    life = int(sign_on.LIFE.total_seconds())
    response.set_cookie(_binding_name(request), begun.binding, max_age=life, **cookie_terms(request))
    return response


@router.get(
    "/callback",
    summary="Come back from the provider",
    status_code=303,
    response_model=None,
    responses=documented(
        sso_expired=(401, "The sign-on is over, or was begun in another browser"),
        sso_refused=(401, "What the provider says lets nobody in"),
        provider_unavailable=_AWAY,
    ),
    openapi_extra=_BROUGHT,
)
async def finish_sign_on(request: Request, services: House) -> Response:
    """Sets the session cookie and leads to the console. Each `state` counts once, where it was begun.

    A browser that nobody is let in with is led there too, to `/#sso=` and the error's word: nobody is to stand before
    a page of JSON.
    """
    brought = request.query_params
    given = Answer(brought.get("state", ""), brought.get("code", ""), brought.get("iss"), "error" in brought)
    try:
        cookie = await sign_on.finish(
            services,
            given,
            binding=request.cookies.get(_binding_name(request), ""),
            redirect_uri=_callback(request),
            client=clients.describe(request.headers.get("user-agent", "")),
            now=clock.now(),
        )
    except HelpdeskError as error:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        return Response(status_code=303, headers={"Location": f"{base_url(request)}/#sso={error.problem}"})
    response = Response(status_code=303, headers={"Location": f"{base_url(request)}/"})
    life = int(sessions.LIFE.total_seconds())
    response.set_cookie(cookie_name(request), cookie, max_age=life, **cookie_terms(request))
    response.delete_cookie(_binding_name(request), **cookie_terms(request))
    return response
