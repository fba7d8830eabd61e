"""The link: one connection after the other, over a WebSocket, an event stream or long polls."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from helpdesk.chat_client.hearing import Hearing, Stopped, closed
from helpdesk.chat_client.log import Log
from helpdesk.chat_client.requests import ANSWER_SECONDS, Requests
from helpdesk.chat_client.values import LOST, Changes, Outgoing, Refused, Transport

PROTOCOL: Final = "helpdesk.chat.v1"
SILENCE: Final = 60.0
"""After so many seconds without a word a connection counts as lost."""

_POLL: Final = 25
_LONGEST: Final = 30.0


class Link:
    """`follow` stays connected; `send` and `tell` take the same way, or a request where it leads in one direction."""

    def __init__(
        self,
        transport: Transport,
        requests: Requests,
        log: Log,
        hearing: Hearing,
        changes: Changes,
        chance: random.Random,
        *,
        proxies: bool,
    ) -> None:
        self._transport, self._requests, self._log, self._hearing = transport, requests, log, hearing
        self._changes, self._chance, self._proxies = changes, chance, proxies
        self._socket: ClientConnection | None = None
        self._nudged = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether something can be sent."""
        return self._transport is not Transport.WEBSOCKET or self._socket is not None

    def nudge(self) -> None:
        self._nudged.set()

    async def follow(self) -> None:
        """Until it is refused for good."""
        by = {
            Transport.WEBSOCKET: self._by_socket,
            Transport.EVENTS: self._by_events,
            Transport.POLL: self._by_poll,
        }[self._transport]
        tries = 0
        while True:
            before, least = self._hearing.connections, 0.0
            try:
                await by()
            except Refused as error:
                if error.for_good:
                    self._changes.end(error)
                    return
                least = error.retry_after or 0.0
            except Stopped:
                self._nudged.set()
            except LOST:
                pass
            tries = 0 if self._hearing.connections > before else tries + 1
            await self._pause(max(least, self._chance.uniform(0, min(_LONGEST, 2.0**tries))))

    async def send(self, outgoing: Outgoing) -> Mapping[str, Any]:
        """The desk's answer. Raises `Refused`, or what is raised when the network takes it."""
        if self._transport is not Transport.WEBSOCKET:
            token = self._requests.token
            try:
                return await self._requests.call("POST", "/messages", json=outgoing.body)
            except Refused as error:
                if error.for_good and token != self._requests.token:
                    raise ConnectionResetError from None  # he is somebody else by now, who was not refused
                raise
        if self._socket is None:
            raise ConnectionResetError
        answered = self._hearing.awaited(outgoing.client_id)
        await self._socket.send(json.dumps({"type": "message.send", **outgoing.body}))
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answered

    async def tell(self, kind: str, body: Mapping[str, Any]) -> None:
        """What may be lost: nobody hears of it when it is."""
        with suppress(*LOST, Refused):
            if self._transport is not Transport.WEBSOCKET:
                await self._requests.call("POST", f"/{kind}", json=body)
            elif self._socket is not None:
                await self._socket.send(json.dumps({"type": kind, **body}))

    async def _pause(self, seconds: float) -> None:
        """Shorter when somebody says that the network is back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        self._nudged.clear()

    async def _by_socket(self) -> None:
        address = urlsplit(f"{self._requests.base}/ws")
        url = address._replace(scheme={"http": "ws", "https": "wss"}[address.scheme]).geturl()
        proxy: Literal[True] | None = True if self._proxies else None
        async with connect(
            url, subprotocols=[Subprotocol(PROTOCOL)], compression=None, ping_interval=None, proxy=proxy, max_queue=256
        ) as socket:
            resume = {"conversation_id": self._log.conversation_id, "last_seq": self._log.last_seq}
            hello = {"type": "hello", "token": self._requests.token}
            await socket.send(json.dumps(hello | ({"resume": resume} if self._log.conversation_id else {})))
            try:
                await self._listen(socket)
            except ConnectionClosed as end:
                raise closed(end.rcvd.code if end.rcvd else 1006) from None
            finally:
                self._socket = None
                self._hearing.lost()

    async def _listen(self, socket: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        beat, heard = 25.0, loop.time()
        ping = heard + beat
        while True:
            try:
                async with asyncio.timeout_at(ping):
                    raw = await socket.recv()
            except TimeoutError:
                if loop.time() > heard + SILENCE:
                    raise
                await socket.send(json.dumps({"type": "ping", "last_seq": self._log.last_seq}))
                ping = loop.time() + beat
                continue
            heard = loop.time()
            frame = json.loads(raw)
            if frame["type"] == "welcome":
                beat = frame["heartbeat_s"]
                ping, self._socket = heard + beat, socket
            await self._hearing.take(frame)

    async def _by_events(self) -> None:
        query = {"after_seq": str(self._log.last_seq)}
        if self._log.conversation_id:
            query["conversation_id"] = self._log.conversation_id
        async with self._requests.lines("/events", query, silence=SILENCE) as lines:
            async for line in lines:
                if line.startswith("data:"):
                    await self._hearing.take(json.loads(line[5:]))

    async def _by_poll(self) -> None:
        patience = httpx.Timeout(ANSWER_SECONDS, read=SILENCE)
        while True:
            query = {"after_seq": self._log.last_seq, "wait": _POLL}
            self._log.merge(await self._requests.call("GET", "/messages", params=query, timeout=patience))
            self._hearing.connections += 1
