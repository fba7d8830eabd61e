"""A visitor's end of the wire, which may say anything: sessions over HTTP, and a WebSocket by the byte.

async with Served(services) as served:
    token = await begin(served.port, inbox_id)
    async with Wire(served.port) as wire:
        await wire.hello(token)
        assert await wire.ask({"type": "ping", "last_seq": 0}) == {"type": "pong", "head_seq": 0}
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.services import inboxes
from helpdesk.services.house import Services
from tests.chat.malformed import CLOSE, TEXT, frame

SITE = "https://wallet.example"
SECRET = "a secret of the host site, 32 and more"

Json = dict[str, Any]


async def inbox(services: Services, **settings: str) -> UUID:
    """A chat inbox that SITE may embed, unless `settings` say otherwise."""
    given = {"origins": SITE, "identity_secret": SECRET} | settings
    async with services.database.transaction() as session:
        return await inboxes.add(
            services, session, channel="chat", name="Website", settings=given, by=SYSTEM, now=clock.now()
        )


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/channels/chat"


async def begin(port: int, inbox_id: UUID, **given: Any) -> str:
    """A session; its token."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url(port)}/{inbox_id}/sessions", json=given)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


class Wire:
    """One connection. `closed` is the code that the server ended it with, None while it has not (1006: without one).

    `given` headers replace those of a proper handshake; None leaves one out. `limit` bounds what is read ahead.
    """

    def __init__(self, port: int, path: str = "/channels/chat/ws", *, limit: int = 2**20, **given: str | None) -> None:
        self._port, self._path, self._limit, self._given = port, path, limit, given
        self.status = 0
        self.head = b""
        self.closed: int | None = None
        self.seen: list[str] = []
        """All that came, for whoever looks for what must not be in it."""

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=self._limit)
        headers: dict[str, str | None] = {
            "Host": "helpdesk.test",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol": "helpdesk.chat.v1",
        }
        headers |= {name.replace("_", "-"): value for name, value in self._given.items()}
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        self.writer.write("\r\n".join([f"GET {self._path} HTTP/1.1", *lines, "", ""]).encode())
        async with asyncio.timeout(10):
            self.head = await self.reader.readuntil(b"\r\n\r\n")
        self.status = int(self.head.split(b" ", 2)[1])
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.writer.transport.abort()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    def write(self, raw: bytes) -> None:
        self.writer.write(raw)

    def send(self, data: Mapping[str, Any] | str) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        self.write(frame(TEXT, text.encode("utf-8", "surrogatepass")))

    async def hello(self, token: str, **given: Any) -> Json:
        """Its welcome."""
        self.send({"type": "hello", "token": token, **given})
        return await self.until("welcome")

    async def ask(self, data: Mapping[str, Any] | str) -> Json:
        """The next that is an answer: no news, which come by themselves."""
        self.send(data)
        return await self.until("pong", "error", "message.ack")

    async def until(self, *kinds: str, seconds: float = 10) -> Json:
        """The next frame of one of these kinds."""
        async with asyncio.timeout(seconds):
            while True:
                found = await self.take()
                assert found is not None, f"closed with {self.closed}, waiting for {kinds}"
                if found["type"] in kinds:
                    return found

    async def take(self) -> Json | None:
        """The next frame; None once the server has closed."""
        try:
            while True:
                first, size = await self.reader.readexactly(2)
                if size == 126:
                    (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                body = await self.reader.readexactly(size)
                assert not first & 0x70, "compressed"
                if first & 0x0F == CLOSE:
                    self.closed = struct.unpack("!H", body[:2])[0] if body else 1005
                    self.seen.append(body[2:].decode())
                    return None
                if first & 0x0F == TEXT:
                    self.seen.append(body.decode())
                    found: Json = json.loads(body)
                    return found
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed = self.closed or 1006
            return None

    async def end(self, *, seconds: float = 10) -> int:
        """Read until the server closes it; the code."""
        async with asyncio.timeout(seconds):
            while await self.take() is not None:
                pass
        assert self.closed is not None
        return self.closed
