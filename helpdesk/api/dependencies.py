"""What routes ask for: who is calling, a session that commits before the answer leaves, the version in If-Match.

`Actor` comes first in a route's parameters: it is read outside of any transaction, so that nobody without a token ever
opens one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Header
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from helpdesk import clock
from helpdesk.db import Database
from helpdesk.domain.values import Actor, Role, Scope
from helpdesk.errors import Forbidden, PreconditionRequired, Unauthenticated
from helpdesk.services import accounts, sessions
from helpdesk.services.access import require_recent, require_role, require_scope
from helpdesk.services.accounts import Identity
from helpdesk.services.house import Services

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MEANT: Final = "Helpdesk-Agent"
"""Whose session a page believes to speak in. Another person's, who has signed in since in the same browser, refuses."""


class Csrf(Forbidden):
    slug, title = "csrf", "A request with a cookie must come from the console itself"


class Touches:
    """Marks tokens and sessions as used, beside the requests and not within them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._busy: dict[UUID, asyncio.Task[None]] = {}

    def note(self, identity: Identity) -> None:
        key = identity.touch
        if key is None or key in self._busy:
            return
        task = asyncio.create_task(accounts.touch(self._database, identity, now=clock.now()))
        self._busy[key] = task
        task.add_done_callback(partial(self._done, key))

    def _done(self, key: UUID, task: asyncio.Task[None]) -> None:
        self._busy.pop(key, None)
        if not task.cancelled():
            task.exception()  # a mark that was not made is made by the next request

    async def settle(self) -> None:
        """Wait for what is under way; part of an orderly end."""
        await asyncio.gather(*self._busy.values(), return_exceptions=True)


def services_of(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


def base_url(request: Request) -> str:
    """Where the console is reached: the setting, or what the browser says while there is none (embedded)."""
    services = services_of(request)
    return services.settings.base_url or f"{request.url.scheme}://{request.headers.get('host', '')}"


def cookie_name(request: Request) -> str:
    """The `__Host-` prefix makes browsers insist on Secure, Path=/ and no Domain: no neighbour host can plant it."""
    return "__Host-helpdesk" if base_url(request).startswith("https:") else "helpdesk"


def cookie_terms(request: Request) -> dict[str, Any]:
    """Of each cookie of ours. Lax: a browser comes back from a provider's site, by a link as it were."""
    return {"path": "/", "secure": base_url(request).startswith("https:"), "httponly": True, "samesite": "lax"}


def check_origin(request: Request) -> None:
    """Raises `Csrf` unless an unsafe request comes from the base URL and carries JSON or multipart, or nothing."""
    origin = urlsplit(request.headers.get("origin", ""))
    ours = urlsplit(base_url(request))
    if not origin.netloc or (origin.scheme, origin.netloc.lower()) != (ours.scheme, ours.netloc.lower()):
        raise Csrf
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/json", "multipart/form-data"):
        raise Csrf("send JSON or multipart")


async def identify(request: Request) -> Actor:
    """Whoever calls: by a bearer token, else by the console's cookie."""
    header = request.headers.get("authorization")
    now = clock.now()
    database = services_of(request).database
    if header is not None:
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer":
            raise Unauthenticated
        identity = await accounts.identify_token(database, token.strip(), now=now)
    else:
        cookie = request.cookies.get(cookie_name(request))
        if not cookie:
            raise Unauthenticated
        if request.method not in _SAFE:
            check_origin(request)
        identity = await accounts.identify_session(database, cookie, now=now)
        if request.headers.get(MEANT, str(identity.actor.id)) != str(identity.actor.id):
            raise Unauthenticated
    if identity.touch is not None:
        request.app.state.touches.note(identity)
    return identity.actor


def address_of(request: Request) -> str:
    """Whose tries are counted together. A proxy's word for it counts where uvicorn was told to trust that proxy."""
    return request.client.host if request.client else ""


def set_cookie(request: Request, response: Response, cookie: str) -> None:
    life = int(sessions.LIFE.total_seconds())
    response.set_cookie(cookie_name(request), cookie, max_age=life, **cookie_terms(request))


def allow(
    scope: Scope | None = None, role: Role = Role.AGENT, *, console: bool = False, recent: bool = False
) -> Callable[[Request], Coroutine[Any, Any, Actor]]:
    """The dependency for routes that need `scope` of a token and `role` of anybody.

    `console`: no token will do. `recent`: a session's password was given within the last minutes.
    """

    async def allowed(request: Request) -> Actor:
        actor = await identify(request)
        if console and actor.session_id is None:
            raise Forbidden("this is done in the console, not by a token")
        if scope is not None:
            require_scope(actor, scope)
        if role is not Role.AGENT:
            require_role(actor, role)
        if recent:
            require_recent(actor, now=clock.now())
        return actor

    return allowed


read_conversations = allow(Scope.CONVERSATIONS_READ)
write_conversations = allow(Scope.CONVERSATIONS_WRITE)

Anybody = Annotated[Actor, Depends(allow())]
Reader = Annotated[Actor, Depends(read_conversations)]
Overseer = Annotated[Actor, Depends(allow(Scope.CONVERSATIONS_READ, Role.SUPERVISOR))]
Writer = Annotated[Actor, Depends(write_conversations)]
SocialWriter = Annotated[Actor, Depends(allow(Scope.SOCIAL_WRITE))]
ContactReader = Annotated[Actor, Depends(allow(Scope.CONTACTS_READ))]
ContactWriter = Annotated[Actor, Depends(allow(Scope.CONTACTS_WRITE))]
ContactMaker = Annotated[Actor, Depends(allow(Scope.CONTACTS_WRITE, Role.SUPERVISOR))]
Curator = Annotated[Actor, Depends(allow(Scope.SETTINGS_WRITE, Role.SUPERVISOR))]
Admin = Annotated[Actor, Depends(allow(Scope.SETTINGS_WRITE, Role.ADMIN))]
Recently = Annotated[Actor, Depends(allow(Scope.SETTINGS_WRITE, Role.ADMIN, recent=True))]
"""An administrator; in the console, one whose password was given within the last minutes (`Unverified`)."""
Console = Annotated[Actor, Depends(allow(console=True))]
Keeper = Annotated[Actor, Depends(allow(Scope.SETTINGS_WRITE))]


# FastAPI runs what is not `async` in another thread, which takes longer than most of what routes do themselves.
async def _house(request: Request) -> Services:
    return services_of(request)


House = Annotated[Services, Depends(_house)]


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    async with services_of(request).database.transaction() as session:
        yield session


async def _reading(request: Request) -> AsyncIterator[AsyncSession]:
    async with services_of(request).database.reading() as session:
        yield session


# `scope="function"`: the code after `yield` runs before the response is sent, so what was answered is committed.
Transaction = Annotated[AsyncSession, Depends(_transaction, scope="function")]
Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]


async def _if_match(
    if_match: Annotated[str | None, Header(description='`"<version>"` of what was read')] = None,
) -> int:
    if if_match is None:
        raise PreconditionRequired
    text = if_match.strip()
    if len(text) < 3 or text[0] != '"' or text[-1] != '"' or not text[1:-1].isdecimal() or len(text) > 20:
        raise PreconditionRequired('If-Match is one quoted version, such as "3"')
    return int(text[1:-1])


IfMatch = Annotated[int, Depends(_if_match)]
