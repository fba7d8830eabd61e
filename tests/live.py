"""A real server on loopback and real clients of its stream, which may go away at any byte.

async with Served(services) as served:
    async with Listening(served.port, someone.token) as client:
        (event,) = await client.until(1)
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import orjson
import uvicorn

from helpdesk.api import sockets
from helpdesk.app import create_app
from helpdesk.services.house import Services
from helpdesk.services.streaming import Hub
from helpdesk.services.visiting import VisitorHub


class _Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.hub.close()
        await self.visitors.close()
        await super().shutdown(sockets)

    hub: Hub
    visitors: VisitorHub


class Served:
    """The API under uvicorn, rung by the commits of this process."""

    def __init__(self, services: Services) -> None:
        self.services, self.hub = services, Hub(services, rung=True)
        self.visitors = VisitorHub(services, rung=True)
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio looks there whether to send at once
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            create_app(services, hub=self.hub, visitors=self.visitors),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
            **sockets.SETTINGS,
        )
        self._server = _Quiet(config)
        self._server.hub, self._server.visitors = self.hub, self.visitors

    async def __aenter__(self) -> Self:
        self.services.database.on_commit = self.rung
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        async with asyncio.timeout(10):
            while not self._server.started:
                await asyncio.sleep(0.01)
        return self

    def rung(self, names: frozenset[str]) -> None:
        self.hub.ring(sorted(names))
        self.visitors.ring(sorted(names))

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await self._task


class Parser:
    """Server-sent events out of the bytes of a chunked answer, whole ones only."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.last_id = ""
        self._raw = self._text = b""
        self._head: bytes | None = None

    @property
    def status(self) -> int | None:
        return int(self._head.split(b" ", 2)[1]) if self._head else None

    def feed(self, more: bytes) -> None:
        self._raw += more
        if self._head is None:
            head, found, rest = self._raw.partition(b"\r\n\r\n")
            if not found:
                return
            self._head, self._raw = head, rest
        while True:
            size, found, rest = self._raw.partition(b"\r\n")
            if not found or len(rest) < int(size, 16) + 2:
                break
            self._text += rest[: int(size, 16)]
            self._raw = rest[int(size, 16) + 2 :]
        *blocks, self._text = self._text.split(b"\n\n")
        for block in blocks:
            self._block(block.decode())

    def _block(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields:
            told = orjson.loads(fields["data"])
            assert told["type"] == fields["event"]
            assert fields.get("id") == (str(told["position"]) if "position" in told else None)
            self.events.append(told)


class Listening:
    """One connection to the stream."""

    def __init__(self, port: int, token: str, *, query: str = "", last_id: str = "") -> None:
        self._port, self._token, self._query, self._last_id = port, token, query, last_id
        self.parser = Parser()
        self.ended = False

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        last = f"Last-Event-ID: {self._last_id}\r\n" if self._last_id else ""
        self._writer.write(
            f"GET /api/v1/stream{self._query} HTTP/1.1\r\nHost: helpdesk.test\r\n"
            f"Authorization: Bearer {self._token}\r\n{last}\r\n".encode()
        )
        async with asyncio.timeout(10):
            while not self.parser.last_id and not self.ended:
                await self.read()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._writer.transport.abort()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.parser.events

    async def read(self, most: int = 65536) -> int:
        """Read a piece; answers how many bytes there were. At the end of the answer `ended` is set."""
        found = await self._reader.read(most)
        self.ended = not found or found.endswith(b"0\r\n\r\n")
        self.parser.feed(found)
        return len(found)

    async def until(self, done: int | Callable[[Sequence[Any]], bool], *, seconds: float = 10) -> list[dict[str, Any]]:
        """Read on until there are so many events, or those that there are do."""
        enough = (lambda events: len(events) >= done) if isinstance(done, int) else done
        async with asyncio.timeout(seconds):
            while not enough(self.events):
                assert not self.ended, "the stream has ended"
                await self.read()
        return self.events

    async def end(self, *, seconds: float = 10) -> None:
        """Read until the server ends it."""
        async with asyncio.timeout(seconds):
            while not self.ended:
                await self.read()
