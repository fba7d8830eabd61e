"""An HTTP server on loopback that keeps what it is sent and answers as it is told.

    async with HttpReceiver() as receiver:
        receiver.answer(503, {"Retry-After": "30"}, times=1)
        ...                                    # POST to receiver.url("/hook")
        (request,) = receiver.requests

Without a script every request is answered with 204. `slow` seconds pass before an answer; `hang_up` closes in its
place, and `stall` promises a body that never comes.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

_REASONS = {200: "OK", 204: "No Content", 302: "Found", 410: "Gone", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Request:
    """As it came: names of headers in lower case, the body as bytes."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    slow: float = 0.0
    hang_up: bool = False
    stall: bool = False


class HttpReceiver:
    """`requests` are those that came whole; `most` is how many were open at the same time."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.pages: Mapping[str, bytes] = {}
        """What is answered under these targets, whatever else is."""
        self.connections = 0
        self.open = 0
        self.most = 0
        self._script: deque[_Answer] = deque()
        self._always = _Answer()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(
        self,
        status: int = 204,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes | Any = b"",
        slow: float = 0.0,
        hang_up: bool = False,
        stall: bool = False,
        times: int | None = None,
    ) -> None:
        """The next `times` requests, or all from now on. A body that is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        found = _Answer(status, headers or {}, content, slow, hang_up, stall)
        if times is None:
            self._always = found
        else:
            self._script.extend([found] * times)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                self.open += 1
                self.most = max(self.most, self.open)
                try:
                    if not await self._reply(writer, self.pages.get(request.target)):
                        break
                finally:
                    self.open -= 1
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _reply(self, writer: asyncio.StreamWriter, page: bytes | None) -> bool:
        """Answers whether the connection stays."""
        how = _Answer(200, body=page) if page is not None else self._script.popleft() if self._script else self._always
        await asyncio.sleep(how.slow)
        if how.hang_up:
            return False
        length = {} if how.status == 204 else {"Content-Length": str(len(how.body) + (10 if how.stall else 0))}
        lines = [f"HTTP/1.1 {how.status} {_REASONS.get(how.status, 'Answer')}"]
        lines += [f"{name}: {value}" for name, value in {**length, **how.headers}.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + how.body)
        await writer.drain()
        if how.stall:
            await asyncio.sleep(3600)
        return True


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *rest = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)
