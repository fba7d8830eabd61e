"""A file on its way to a visitor. It is in memory until he has it, so that he has to take it, and in good time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PATIENCE_SECONDS: Final = 30.0
LEAST_PER_SECOND: Final = 100_000
"""Bytes. Whoever is slower than that is cut off, once `PATIENCE_SECONDS` are over as well."""

_PIECE: Final = 64 * 1024


class SentFile(Response):
    """In pieces, each once there is room for it on the wire. `done` is called at the end, however that comes."""

    def __init__(self, body: bytes, headers: Mapping[str, str], *, done: Callable[[], None]) -> None:
        super().__init__(body, headers=headers)
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # The server closes the connection of an answer that has no end.
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS + len(self.body) / LEAST_PER_SECOND):
                    await self._send(send)
        finally:
            self._done()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for begin in range(0, len(self.body), _PIECE):
            piece = bytes(self.body[begin : begin + _PIECE])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
