"""The log without a WebSocket: pages of it, a long poll, and server-sent events of the same frames."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.chat import frames
from connectors.chat.calls import Calls, address_of, answer
from connectors.chat.door import Door, bearer
from connectors.chat.following import SLOW_SECONDS, TOKEN, Follower, close_code
from connectors.chat.frames import MOST_SEQ, BadFrame, Out
from helpdesk.live import Log, Passing, SessionRefused, Subscription, Visitor

MOST_ITEMS: Final = 100
ITEMS: Final = 50
MOST_WAIT: Final = 30
RETRY_MS: Final = 2000
_NUMBER: Final = re.compile("-?[0-9]{1,10}")


class Streams:
    """The handlers of what is read, over one door."""

    def __init__(self, door: Door, calls: Calls) -> None:
        self._door, self._host, self._calls = door, door.host, calls

    async def messages(self, request: Request) -> Response:
        """A page of the log; with `wait`, once there is something on it."""
        visitor = await self._calls.visitor(request, "log")
        given = request.query_params
        limit = number(given, "limit", most=MOST_ITEMS, least=1) or ITEMS
        after, before = number(given, "after_seq"), number(given, "before_seq", least=-MOST_SEQ)
        wait = number(given, "wait", most=MOST_WAIT) or 0
        if after is None:
            return answer(_page(await self._host.log_before(visitor, before, limit=limit)))
        if before is not None:
            raise BadFrame("before_seq")
        log = await self._host.log_after(visitor, after, limit=limit)
        if wait and not log.items:
            # From the last entry that there is: what he has may be split off by now, and is no reason to answer.
            await self._wait(request, visitor, log.head_seq, log.conversation_id, wait)
            # He may have logged out meanwhile, or begun a conversation elsewhere.
            visitor = await self._door.visitor(bearer(request.headers["authorization"]))
            log = await self._host.log_after(visitor, after, limit=limit)
        return answer(_page(log))

    async def _wait(self, request: Request, visitor: Visitor, after: int, known: UUID | None, seconds: int) -> None:
        """Until there is an entry, the time is over, or he has gone."""
        gone = asyncio.create_task(_gone(request.receive))
        try:
            at = address_of(request)
            async with self._door.subscribe(at, visitor, after=after, conversation_id=known) as line:
                something = asyncio.create_task(_something(line))
                await asyncio.wait((gone, something), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                something.cancel()
                await asyncio.gather(something, return_exceptions=True)
        finally:
            gone.cancel()

    async def events(self, request: Request) -> Response:
        visitor = await self._calls.visitor(request, "listen")
        after = number(request.query_params, "after_seq")
        log = await self._host.log_after(visitor, after or 0, limit=1)
        asked = identifier(request.query_params, "conversation_id")
        known = log.conversation_id if asked is None else asked
        opened = AsyncExitStack()
        since = log.head_seq if after is None else after
        line = await opened.enter_async_context(
            self._door.subscribe(address_of(request), visitor, after=since, conversation_id=known)
        )
        token = bearer(request.headers["authorization"])
        return _EventStream(opened, line, Follower(self._door, token, visitor, log))


class _EventStream(Response):
    """Frames for as long as he listens. It has joined already, so that a refusal is a problem and no stream."""

    def __init__(self, opened: AsyncExitStack, line: Subscription, follower: Follower) -> None:
        super().__init__(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self.headers["X-Accel-Buffering"] = "no"
        self._opened, self._line, self._follower = opened, line, follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writing = asyncio.create_task(self._write(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            async with self._opened:
                await asyncio.wait((writing, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, gone):
                task.cancel()
            await asyncio.gather(writing, gone, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await _put(send, b"retry: %d\n\n" % RETRY_MS + _event(self._follower.welcome))
        try:
            code = await self._follow(send)
        except SessionRefused:
            code = TOKEN
        await _put(send, _event({"type": "closed", "code": code}), more=False)

    async def _follow(self, send: Send) -> int:
        """Until the subscription ends; answers the close code of a WebSocket."""
        while True:
            try:
                async with asyncio.timeout(frames.HEARTBEAT_SECONDS):
                    heard = await self._line.take()
            except TimeoutError:
                await _put(send, _event(self._follower.sign_of_life("ping")))
                continue
            if not heard:
                return close_code(self._line)
            await _put(send, b"".join(map(_event, await self._follower.told(heard))))


def _event(frame: Out) -> bytes:
    """JSON has no line ends of its own. What has a seq can be gone on from there."""
    begin = b"id: %d\n" % frame["seq"] if "seq" in frame else b""
    return begin + b"data: " + frames.encode(frame).encode() + b"\n\n"


async def _put(send: Send, chunk: bytes, *, more: bool = True) -> None:
    """Raises `TimeoutError` for one who does not read: he comes back to where he was."""
    async with asyncio.timeout(SLOW_SECONDS):
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _something(line: Subscription) -> None:
    while heard := await line.take():
        if any(not isinstance(one, Passing) for one in heard):
            return


async def _gone(receive: Receive) -> None:
    with suppress(OSError):
        while (await receive())["type"] != "http.disconnect":
            pass


def _page(log: Log) -> dict[str, Any]:
    return {
        "conversation_id": log.conversation_id,
        "head_seq": log.head_seq,
        "items": [frames.item(one, log.conversation_id) for one in log.items],
        "more": log.more,
    }


def number(given: Mapping[str, str], name: str, *, most: int = MOST_SEQ, least: int = 0) -> int | None:
    """Raises `BadFrame`."""
    text = given.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise BadFrame(name)
    return int(text)


def identifier(given: Mapping[str, str], name: str) -> UUID | None:
    """Raises `BadFrame`."""
    try:
        return UUID(given[name]) if name in given else None
    except ValueError:
        raise BadFrame(name) from None
