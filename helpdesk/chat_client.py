"""A visitor's side of the live chat, for native apps and tests: what docs/chat.md asks of a client.

    async with ChatClient("https://desk.example", inbox_id) as chat:
        await chat.open(prechat={"name": "Ann"})
        await chat.say("Where is my transfer?").stored
        await chat.until(lambda: any(one.data["author"]["kind"] == "agent" for one in chat.messages))

What is said waits in an outbox until the desk has it, one message at a time so that their order stays, and goes again
under its `client_id` after every loss. What the desk says is in `log`, without a gap: an entry that does not follow the
last one makes the client ask for what is missing. Connections are made again by themselves. `state` is what an app
keeps to go on later with: the token in it is a secret.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

PROTOCOL: Final = "helpdesk.chat.v1"
SILENCE: Final = 60.0
"""After so many seconds without a word a connection counts as lost."""

_ANSWER: Final = 15.0
_POLL: Final = 25
_PAGE: Final = 100
_LONGEST: Final = 30.0
_PENALTY: Final = 60.0
_CLOSES: Final = {4001: "session_refused", 4003: "origin_refused", 4009: "replaced"}
"""Close codes after which a client does not come back by itself, and what they are called here."""

_FOR_GOOD: Final = frozenset(_CLOSES.values()) | {"forbidden", "not_found"}
_PASSING: Final = frozenset({"typing", "presence", "queue"})
_LASTING: Final = frozenset({"message.new", "conversation.state", "agent.joined"})
_LOST: Final = (OSError, httpx.HTTPError, WebSocketException, TimeoutError)


class Transport(StrEnum):
    """How the log is followed. The fallbacks are for networks that let no WebSocket through."""

    WEBSOCKET = "websocket"
    EVENTS = "events"
    POLL = "poll"


class Refused(Exception):
    """The desk said no: `code` is one of docs/chat.md, `retry_after` seconds where trying again makes sense."""

    def __init__(self, code: str, *, field: str = "", retry_after: float | None = None) -> None:
        super().__init__(code)
        self.code, self.field, self.retry_after = code, field, retry_after

    @property
    def again(self) -> bool:
        return self.retry_after is not None or self.code in ("internal", "rate_limited", "unavailable")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log; `data` is the message, the state or the name, as docs/chat.md has it."""

    type: str
    seq: int
    prev_seq: int
    data: Mapping[str, Any]


@dataclass(slots=True)
class Outgoing:
    """What waits in the outbox. `stored` is the desk's answer (id, conversation and seq) or `Refused`.

    `answered` is what comes back for the frame that is on its way.
    """

    client_id: str
    text: str
    attachment_ids: Sequence[str]
    stored: asyncio.Future[Mapping[str, Any]]
    answered: asyncio.Future[Mapping[str, Any]] | None = None

    @property
    def body(self) -> dict[str, Any]:
        files = {"attachment_ids": list(self.attachment_ids)} if self.attachment_ids else {}
        return {"client_id": self.client_id, "text": self.text, **files}


@dataclass(slots=True)
class Told:
    """What is only true for a moment, as it was last told: each of them empty until then."""

    typing: Mapping[str, Any] = field(default_factory=dict)
    presence: Mapping[str, Any] = field(default_factory=dict)
    queue: Mapping[str, Any] = field(default_factory=dict)


class ChatClient:
    """One visitor on one device. `heard` is called with every frame that changed something.

    `connections` counts the times that a connection stood, `ended` is why there will be no other one. `proxies` lets
    the environment name proxies, as browsers' do.
    """

    def __init__(
        self,
        url: str,
        inbox_id: str,
        *,
        transport: Transport = Transport.WEBSOCKET,
        state: Mapping[str, Any] | None = None,
        heard: Callable[[Mapping[str, Any]], None] = lambda _frame: None,
        chance: random.Random | None = None,
        proxies: bool = True,
    ) -> None:
        kept = state or {}
        self.inbox_id, self.transport, self.heard = inbox_id, transport, heard
        self.token: str = kept.get("token", "")
        self.visitor: Mapping[str, Any] = {}
        self.conversation_id: str | None = kept.get("conversation_id")
        self.log: list[Entry] = []
        self.told = Told()
        self.connections = 0
        self.ended: Refused | None = None
        self._chance = chance or random.Random()  # noqa: S311 - spreads reconnects, and hides nothing
        self._proxies = proxies
        self._base = f"{url.rstrip('/')}/channels/chat"
        self._http = httpx.AsyncClient(base_url=self._base, timeout=_ANSWER, trust_env=proxies)
        self._outbox: dict[str, Outgoing] = {}
        self._kept: Sequence[Mapping[str, Any]] = kept.get("outbox", ())
        self._socket: ClientConnection | None = None
        self._nudged = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._link: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for one in self._kept:
            self._put(one["client_id"], one["text"], one.get("attachment_ids", ()))
        if self.token:
            self._begin()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for outgoing in self._outbox.values():
            outgoing.stored.cancel()
        await self._http.aclose()

    # -- what an app asks --

    @property
    def state(self) -> dict[str, Any]:
        """To be kept, and given to the next client: JSON. The log is read anew."""
        outbox = [outgoing.body for outgoing in self._outbox.values()]
        return {"token": self.token, "conversation_id": self.conversation_id, "outbox": outbox}

    @property
    def messages(self) -> list[Entry]:
        return [entry for entry in self.log if entry.type == "message.new"]

    @property
    def last_seq(self) -> int:
        return self.log[-1].seq if self.log else 0

    @property
    def waiting(self) -> int:
        """How many messages the desk has not confirmed."""
        return len(self._outbox)

    async def until(self, done: Callable[[], bool], *, seconds: float | None = None) -> None:
        """Wait until this is so, asked again whenever something came. Raises `TimeoutError`, or why it has ended."""
        async with asyncio.timeout(seconds):
            while not done():
                if self.ended is not None:
                    raise self.ended
                await asyncio.shield(self._change)

    async def config(self) -> Mapping[str, Any]:
        return await self._call("GET", f"/{self.inbox_id}/config")

    async def open(self, *, prechat: Mapping[str, str] | None = None, identity: str = "", language: str = "") -> None:
        """Begin a session and connect. `identity` is the host site's JWT."""
        given = {"prechat": dict(prechat or {}), "identity": identity, "language": language}
        body = {name: value for name, value in given.items() if value}
        self._adopt(await self._call("POST", f"/{self.inbox_id}/sessions", json=body))

    async def identify(self, identity: str) -> None:
        """Say who he is, in a session that there is: the token is replaced."""
        self._adopt(await self._call("POST", "/session/identify", json={"identity": identity}))

    async def claim_email(self, email: str) -> None:
        """Have a code sent to this address."""
        await self._call("POST", "/email", json={"email": email})

    async def prove_email(self, code: str) -> None:
        """The code that came: what was said under that address is his, and shown."""
        self._adopt(await self._call("POST", "/email/verify", json={"code": code}))

    def say(self, text: str, *, attachment_ids: Sequence[str] = ()) -> Outgoing:
        """Put a message into the outbox. It leaves as soon as it can; who has to know awaits its `stored`."""
        return self._put(secrets.token_urlsafe(12), text, attachment_ids)

    async def feedback(self, category: str, text: str, **more: Any) -> Mapping[str, Any]:
        """A conversation of its own. `more`: app_version, device, attachment_ids, client_id."""
        body = {"client_id": secrets.token_urlsafe(12), "category": category, "text": text, **more}
        return await self._call("POST", "/feedback", json=body)

    async def upload(self, filename: str, content_type: str, body: bytes) -> str:
        """Its id, for `say`."""
        made = await self._call("POST", "/attachments", files={"file": (filename, body, content_type)})
        return str(made["id"])

    async def download(self, attachment_id: str) -> bytes:
        answer = await self._http.get(f"/attachments/{attachment_id}", headers=self._bearer)
        _judge(answer)
        return answer.content

    async def read(self, seq: int) -> None:
        """He has read up to here."""
        await self._tell("read", {"seq": seq})

    async def typing(self, ttl: float = 5.0) -> None:
        """He writes, for so many seconds; 0: no longer."""
        await self._tell("typing", {"ttl": ttl})

    async def rate(self, score: int, comment: str = "") -> None:
        await self._call("POST", "/rating", json={"score": score, "comment": comment})

    async def transcript(self) -> None:
        """Have it mailed, to the address that is proved."""
        await self._call("POST", "/transcript")

    async def leave(self) -> None:
        await self._call("POST", "/leave")

    async def log_out(self) -> None:
        await self._call("DELETE", "/session")
        self._end(Refused("session_refused"))

    def nudge(self) -> None:
        """The network or the app is back: connect at once."""
        self._nudged.set()

    # -- connections --

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _adopt(self, opened: Mapping[str, Any]) -> None:
        self.token, self.visitor = opened["token"], opened["visitor"]
        self._forget(opened["conversation_id"])
        self.ended = None
        self._begin()

    def _begin(self) -> None:
        if self._link is not None:
            self._link.cancel()
        else:
            self._tasks.append(asyncio.create_task(self._empty_outbox(), name="chat outbox"))
        self._link = asyncio.create_task(self._stay_connected(), name="chat link")
        self._tasks = [task for task in self._tasks if not task.done()] + [self._link]

    async def _stay_connected(self) -> None:
        follow = {
            Transport.WEBSOCKET: self._by_socket,
            Transport.EVENTS: self._by_events,
            Transport.POLL: self._by_poll,
        }[self.transport]
        tries = 0
        while True:
            before, least = self.connections, 0.0
            try:
                await follow()
            except Refused as error:
                if error.code in _FOR_GOOD:
                    self._end(error)
                    return
                least = error.retry_after or 0.0
            except _LOST:
                pass
            tries = 0 if self.connections > before else tries + 1
            await self._pause(max(least, self._chance.uniform(0, min(_LONGEST, 2.0**tries))))

    async def _pause(self, seconds: float) -> None:
        """Shorter when somebody says that the network is back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        self._nudged.clear()

    async def _by_socket(self) -> None:
        address = urlsplit(f"{self._base}/ws")
        url = address._replace(scheme={"http": "ws", "https": "wss"}[address.scheme]).geturl()
        proxy: Literal[True] | None = True if self._proxies else None
        async with connect(
            url, subprotocols=[Subprotocol(PROTOCOL)], compression=None, ping_interval=None, proxy=proxy, max_queue=256
        ) as socket:
            resume = {"conversation_id": self.conversation_id, "last_seq": self.last_seq}
            hello = {"type": "hello", "token": self.token} | ({"resume": resume} if self.conversation_id else {})
            await socket.send(json.dumps(hello))
            try:
                await self._listen(socket)
            except ConnectionClosed as closed:
                self._closed(closed.rcvd.code if closed.rcvd else 1006)
            finally:
                self._socket = None
                for outgoing in self._outbox.values():
                    if outgoing.answered is not None and not outgoing.answered.done():
                        outgoing.answered.set_exception(ConnectionResetError())

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
                await socket.send(json.dumps({"type": "ping", "last_seq": self.last_seq}))
                ping = loop.time() + beat
                continue
            heard = loop.time()
            frame = json.loads(raw)
            if frame["type"] == "welcome":
                beat = frame["heartbeat_s"]
                ping, self._socket = heard + beat, socket
            await self._take(frame)

    async def _by_events(self) -> None:
        query = {"after_seq": str(self.last_seq)}
        if self.conversation_id:
            query["conversation_id"] = self.conversation_id
        patience = httpx.Timeout(_ANSWER, read=SILENCE)
        async with self._http.stream("GET", "/events", params=query, headers=self._bearer, timeout=patience) as answer:
            if answer.is_error:
                await answer.aread()
            _judge(answer)
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    await self._take(json.loads(line[5:]))

    async def _by_poll(self) -> None:
        patience = httpx.Timeout(_ANSWER, read=SILENCE)
        while True:
            query = {"after_seq": self.last_seq, "wait": _POLL}
            self._merge(await self._call("GET", "/messages", params=query, timeout=patience))
            self.connections += 1

    def _closed(self, code: int) -> None:
        """Raises what a close code means; after a server that stops one may come back at once."""
        if code in _CLOSES:
            raise Refused(_CLOSES[code])
        if code == 4029:
            raise Refused("rate_limited", retry_after=_PENALTY)
        if code in (1000, 1001):
            self._nudged.set()
        raise ConnectionResetError

    # -- what comes --

    async def _take(self, frame: Mapping[str, Any]) -> None:
        kind = frame["type"]
        if kind == "welcome":
            self.connections += 1
            self.visitor = frame["visitor"]
            if frame["conversation_id"] != self.conversation_id:
                await self._read_anew(frame["conversation_id"])
        elif kind == "resync":
            await self._read_anew(frame["conversation_id"])
        elif kind in _LASTING:
            await self._append(frame)
        elif kind in _PASSING:
            setattr(self.told, kind, frame)
        elif kind == "pong" or kind == "ping":
            if frame["head_seq"] > self.last_seq:
                await self._catch_up()
        elif kind in ("message.ack", "error"):
            self._answered(frame)
        elif kind == "closed":
            self._closed(frame["code"])
        self._notify(frame)

    async def _append(self, frame: Mapping[str, Any]) -> None:
        if frame["conversation_id"] != self.conversation_id:
            await self._read_anew(frame["conversation_id"])
        elif frame["seq"] > self.last_seq and frame["prev_seq"] != self.last_seq:
            await self._catch_up()
        elif frame["seq"] > self.last_seq:
            self.log.append(_entry(frame))

    async def _read_anew(self, conversation_id: str | None) -> None:
        self._forget(conversation_id)
        if conversation_id is not None:
            await self._catch_up()

    async def _catch_up(self) -> None:
        more = True
        while more:
            query = {"after_seq": self.last_seq, "limit": _PAGE}
            more = self._merge(await self._call("GET", "/messages", params=query))

    def _merge(self, page: Mapping[str, Any]) -> bool:
        """Take a page of the log; whether there is another one."""
        if page["conversation_id"] != self.conversation_id:
            stale = bool(self.log)
            self._forget(page["conversation_id"])
            if stale:
                return True
        fresh = [item for item in page["items"] if item["seq"] > self.last_seq]
        self.log += [_entry(item) for item in fresh]
        for item in fresh:
            self._notify(item)
        return bool(page["more"] and fresh)

    def _forget(self, conversation_id: str | None) -> None:
        self.conversation_id = conversation_id
        self.log.clear()

    def _answered(self, frame: Mapping[str, Any]) -> None:
        outgoing = self._outbox.get(frame.get("client_id", ""))
        answered = outgoing.answered if outgoing else None
        if frame["type"] == "error":
            error = Refused(frame["code"], field=frame.get("field", ""), retry_after=frame.get("retry_after"))
            if answered is not None and not answered.done():
                answered.set_exception(error)
            elif error.code in _FOR_GOOD:
                raise error
        elif answered is not None and not answered.done():
            answered.set_result({name: value for name, value in frame.items() if name != "type"})

    def _notify(self, frame: Mapping[str, Any]) -> None:
        self.heard(frame)
        self._changed()

    def _changed(self) -> None:
        change, self._change = self._change, asyncio.get_running_loop().create_future()
        change.set_result(None)

    def _end(self, error: Refused) -> None:
        self.ended = error
        self._changed()

    # -- what goes --

    def _put(self, client_id: str, text: str, attachment_ids: Sequence[str]) -> Outgoing:
        outgoing = Outgoing(client_id, text, attachment_ids, asyncio.get_running_loop().create_future())
        outgoing.stored.add_done_callback(_seen)
        self._outbox[client_id] = outgoing
        self._changed()
        return outgoing

    def _ready(self) -> bool:
        return bool(self._outbox) and (self.transport is not Transport.WEBSOCKET or self._socket is not None)

    async def _empty_outbox(self) -> None:
        tries = 0
        while True:
            with suppress(Refused):
                await self.until(self._ready)
            if self.ended is not None:
                await asyncio.shield(self._change)
                continue
            outgoing = next(iter(self._outbox.values()))
            try:
                stored = await self._send(outgoing)
            except Refused as error:
                if error.code in _FOR_GOOD or not error.again:
                    self._done(outgoing, error)
                    continue
                await asyncio.sleep(error.retry_after or self._chance.uniform(0, min(_LONGEST, 2.0**tries)))
                tries += 1
            except _LOST:
                await asyncio.sleep(self._chance.uniform(0, min(_LONGEST, 2.0**tries)))
                tries += 1
            else:
                tries = 0
                self._done(outgoing, stored)

    async def _send(self, outgoing: Outgoing) -> Mapping[str, Any]:
        if self.transport is not Transport.WEBSOCKET:
            return await self._call("POST", "/messages", json=outgoing.body)
        if self._socket is None:
            raise ConnectionResetError
        answered = outgoing.answered = asyncio.get_running_loop().create_future()
        answered.add_done_callback(_seen)
        await self._socket.send(json.dumps({"type": "message.send", **outgoing.body}))
        async with asyncio.timeout(_ANSWER):
            stored: Mapping[str, Any] = await answered
        return stored

    def _done(self, outgoing: Outgoing, result: Mapping[str, Any] | Refused) -> None:
        del self._outbox[outgoing.client_id]
        if outgoing.stored.done():  # whoever waited was cancelled
            pass
        elif isinstance(result, Refused):
            outgoing.stored.set_exception(result)
        else:
            outgoing.stored.set_result(result)
        self._changed()

    async def _tell(self, kind: str, body: Mapping[str, Any]) -> None:
        """What may be lost: nobody hears of it when it is."""
        with suppress(*_LOST, Refused):
            if self.transport is not Transport.WEBSOCKET:
                await self._call("POST", f"/{kind}", json=body)
            elif self._socket is not None:
                await self._socket.send(json.dumps({"type": kind, **body}))

    async def _call(self, method: str, path: str, **given: Any) -> Mapping[str, Any]:
        answer = await self._http.request(method, path, headers=self._bearer, **given)
        _judge(answer)
        found: Mapping[str, Any] = answer.json() if answer.content else {}
        return found


def _entry(item: Mapping[str, Any]) -> Entry:
    """Frames of the socket and items of a page are the same things."""
    beside = {name: value for name, value in item.items() if name not in ("type", "conversation_id", "seq", "prev_seq")}
    return Entry(item["type"], item["seq"], item["prev_seq"], beside.get("message", beside))


def _judge(answer: httpx.Response) -> None:
    """Raises what a problem says. Proxies in between say theirs in other words."""
    if answer.status_code < 400:
        return
    told = answer.json() if answer.headers.get("content-type", "").startswith("application/problem+json") else {}
    code = str(told.get("type", "")).rpartition(":")[2] or ("unavailable" if answer.status_code >= 500 else "refused")
    waits = answer.headers.get("retry-after", "")
    again = answer.status_code in (429, 503)
    raise Refused(code, retry_after=float(waits) if waits.isdigit() else 1.0 if again else None)


def _seen(future: asyncio.Future[Any]) -> None:
    """Nobody has to wait for it: an exception that nobody asked for is no fault."""
    if not future.cancelled():
        future.exception()
