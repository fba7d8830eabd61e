"""The outermost layer, plain ASGI: bounds on bodies, headers that every answer carries, and no exception gets out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpdesk.api.problems import of_exception, problem
from helpdesk.errors import TooLarge

JSON_LIMIT: Final = 1024 * 1024
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_API_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class _Overflow(Exception):
    """More bytes came than the limit; only ever caught here."""


class Edge:
    """`limits` maps a path prefix to the most bytes that a body there may have; the longest prefix counts."""

    def __init__(self, app: ASGIApp, *, limits: Mapping[str, int]) -> None:
        self._app = app
        self._limits = sorted(limits.items(), key=lambda item: -len(item[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = overflown = False
        taken, limit = 0, JSON_LIMIT

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if overflown and not started:
                raise _Overflow
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message, api=scope["path"].startswith("/api/"))
            await send(message)

        async def counted() -> Message:
            nonlocal taken, overflown
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                overflown = True
                raise _Overflow
            return message

        try:
            if scope["method"] in ("GET", "HEAD"):
                await self._app(scope, receive, send_with_headers)
            else:
                limit = self._limit(scope)
                await self._app(scope, counted, send_with_headers)
        except Exception as error:  # the last place where anything can be said about it
            if started:
                raise
            overflown, known = False, TooLarge() if isinstance(error, _Overflow) else error
            await problem(of_exception(known))(scope, receive, send_with_headers)

    def _limit(self, scope: Scope) -> int:
        path = scope["path"]
        limit = next((limit for prefix, limit in self._limits if path.startswith(prefix)), JSON_LIMIT)
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > limit):
                raise TooLarge
        return limit


def _add_headers(message: Message, *, api: bool) -> None:
    raw: list[Any] = message.setdefault("headers", [])
    present = {name for name, _ in raw}
    raw.extend(pair for pair in _HEADERS if pair[0] not in present)
    if api:
        raw.extend(pair for pair in _API_HEADERS if pair[0] not in present)
