"""What the vendor's client speaks through: our guarded HTTP in place of its own, and another origin where one is set.

The client writes its host into every URL and signs that, so that a proxy or a test server checks signatures over
`https://api.twitter.com` whatever the origin is.
"""

from __future__ import annotations

import json as codec
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from connectors.x.config import ORIGIN
from helpdesk.net import Response, SafeHttp

MAX_ANSWER = 8_388_608
REQUEST_SECONDS = 20.0
UPLOAD_SECONDS = 120.0


class Truncated(Exception):
    """An answer that says yes and is no JSON object: what was asked for may well have been done."""


class Answer:
    """An answer, with the names that the client expects."""

    def __init__(self, found: Response) -> None:
        self.status, self.headers, self.reason = found.status, found.headers, ""
        self._found = found

    async def read(self) -> bytes:
        return self._found.body

    async def json(self) -> dict[str, Any]:
        """The body of a success. For a refusal `{}`, which the client takes whatever the body was: see `problem`."""
        if not self._found.ok:
            return {}
        body = _object(self._found.body)
        if body is None:
            raise Truncated
        return body

    @property
    def problem(self) -> dict[str, Any]:
        """What a refusal says of itself, `{}` where that is HTML or anything else."""
        return _object(self._found.body) or {}


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = codec.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class OriginSession:
    """One call's session. `final` is awaited right before a POST leaves, the last moment at which it surely has not."""

    def __init__(self, http: SafeHttp, origin: str, *, final: Callable[[], Awaitable[None]] | None = None) -> None:
        self._http, self._origin, self._final = http, origin, final
        self.late = False
        """Whether `final` returned."""
        self.answer: Answer | None = None

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: object,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Answer]:
        """`url` may be any object that is a URL as text. Raises Unreachable."""
        target = str(url)
        assert target.startswith(ORIGIN), target
        if method == "POST" and self._final is not None:
            await self._final()
            self.late = True
        found = await self._http.request(
            method,
            self._origin + target.removeprefix(ORIGIN),
            params={name: _text(value) for name, value in params.items() if value is not None} if params else None,
            json=json,
            headers=headers,
            max_bytes=MAX_ANSWER,
            timeout=UPLOAD_SECONDS if "/media/upload" in target else REQUEST_SECONDS,
        )
        self.answer = Answer(found)
        yield self.answer


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
