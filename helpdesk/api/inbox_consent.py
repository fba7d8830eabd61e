"""Consent to use an account, by OAuth in a browser: two steps of it, with the provider in between.

The way back always leads to the page of the inbox, whatever the provider or a link adds.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, allow, base_url, cookie_name, cookie_terms
from helpdesk.api.problems import documented
from helpdesk.api.schemas.settings import ConsentBegun
from helpdesk.domain.values import Actor, Role, Scope
from helpdesk.errors import Forbidden, HelpdeskError, NotFound, Unavailable, Unverified
from helpdesk.services import inbox_consent, inboxes

router = APIRouter(prefix="/api/v1/inboxes", tags=["inboxes"])

_here = allow(Scope.SETTINGS_WRITE, Role.ADMIN, console=True)
_Administrator = Annotated[Actor, Depends(allow(Scope.SETTINGS_WRITE, Role.ADMIN, console=True, recent=True))]
_BROUGHT: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in (
            ("code", "What the provider gave the browser"),
            ("state", "What the browser was sent with"),
            ("error", "Why the provider granted nothing"),
        )
    ]
}


def _cookie_name(request: Request) -> str:
    return f"{cookie_name(request)}-consent"


@router.post(
    "/{inbox_id}/consent",
    summary="Begin to ask for consent",
    response_model=ConsentBegun,
    responses=documented(
        Forbidden, Unverified, NotFound, cannot_authorize=(409, "Its settings have nothing to ask consent for")
    ),
)
async def begin_consent(request: Request, actor: _Administrator, services: House, inbox_id: UUID) -> Response:
    """For an inbox that signs in by OAuth: answers where the browser goes, and sets the cookie that it returns with.

    In the console only. At the provider, register `/api/v1/inboxes/consent/callback` below the base URL as a way back.
    """
    async with services.database.reading() as session:
        row = await inboxes.get_inbox(session, actor, inbox_id)
    way_back = f"{base_url(request)}/api/v1/inboxes/consent/callback"
    begun = await inbox_consent.begin(services, row, redirect_uri=way_back, by=actor, now=clock.now())
    response = answer({"url": begun.url, "redirect_uri": way_back})
    life = int(inbox_consent.LIFE.total_seconds())
    response.set_cookie(_cookie_name(request), begun.cookie, max_age=life, **cookie_terms(request))
    return response


@router.get(
    "/consent/callback",
    summary="Come back with consent",
    status_code=303,
    response_model=None,
    responses=documented(
        Forbidden,
        Unavailable,
        consent_expired=(409, "It was not begun in this session, is over, or the inbox was changed since"),
        consent_refused=(409, "The provider granted nothing"),
    ),
    openapi_extra=_BROUGHT,
)
async def finish_consent(request: Request, services: House) -> Response:
    """Stores the grant and leads to the inbox's page, every administrator is told. Each code counts once.

    A browser is led there also where nothing was granted, with the error's word as `consent`: nobody is to stand
    before a page of JSON.
    """
    asked = inbox_consent.read(services, request.cookies.get(_cookie_name(request), ""))
    brought = request.query_params
    code = "" if "error" in brought else brought.get("code", "")
    try:
        actor = await _here(request)
        now = clock.now()
        await inbox_consent.finish(services, asked, state=brought.get("state", ""), code=code, by=actor, now=now)
    except HelpdeskError as error:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        word = error.problem
    else:
        word = "granted"
    place = f"/{asked.inbox_id}" if asked is not None else ""
    response = Response(status_code=303)
    response.headers["Location"] = f"{base_url(request)}/settings/inboxes{place}?consent={word}"
    response.delete_cookie(_cookie_name(request), **cookie_terms(request))
    return response
