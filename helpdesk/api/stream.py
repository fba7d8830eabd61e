"""What happens, as it happens: server-sent events, and the same as long poll."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from helpdesk.api import queries
from helpdesk.api.answers import Json
from helpdesk.api.dependencies import Csrf, check_origin, cookie_name, read_conversations, services_of
from helpdesk.api.problems import documented
from helpdesk.api.queries import Query
from helpdesk.api.schemas.stream import Polled
from helpdesk.domain import events
from helpdesk.errors import Forbidden, NotFound, TooMany, Unavailable
from helpdesk.services import feed
from helpdesk.services.access import get_conversation
from helpdesk.services.digests import digest_of
from helpdesk.services.streaming import Hub, Listener

router = APIRouter(prefix="/api/v1/stream", tags=["stream"])

MEDIA: Final = "text/event-stream"
RETRY_MS: Final = 2000
WAIT: Final = 25
_AT_ONCE: Final = 200

_WANTED: Final = (
    queries.types({*events.ALL, feed.PRESENCE}, "message.received,conversation.assigned"),
    queries.identifier("conversation_id", "Only of this conversation"),
)
STREAM: Final = Query(
    queries.number("after", "Go on after this position; `Last-Event-ID` goes before it", least=0, most=2**53), *_WANTED
)
POLL: Final = Query(
    queries.number("after", "`position` of the last answer; default: from now on", least=0, most=2**53),
    queries.number("wait", "Seconds to wait while there is nothing", least=0, most=30, default=WAIT),
    *_WANTED,
)
_STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events, for as long as you listen",
        "content": {
            MEDIA: {
                "schema": {"type": "string"},
                "example": 'id: 42\nevent: message.received\ndata: {"position": 42, "type": "message.received"}\n\n',
            }
        },
    }
}


@router.get(
    "",
    summary="Listen to what happens",
    response_class=Response,
    responses=_STREAMED | documented(Forbidden, Csrf, NotFound, TooMany, Unavailable),
    openapi_extra=STREAM.openapi,
)
async def stream_events(request: Request) -> Response:
    """Server-sent events. `id` is the position: come back with it in `Last-Event-ID` and nothing is left out.

    `resync` says that the position is too old or unknown, or that what you may see has changed: read again what you
    show; the stream goes on from the position that it names. `presence` comes without `id`; its `data` is
    `{presence: [{agent, state, since}], contact: {online, typing, read_seq} | null}`. What you may not see is not told;
    of a conversation that is taken from you, the `conversation.assigned` that does it is the last.
    """
    given = STREAM.read(request)
    listener = await _listener(request, given)
    last, known = request.headers.get("last-event-id", "").strip(), True
    after = given.get("after")
    if last:
        known = last.isascii() and last.isdecimal() and len(last) <= 18
        after = int(last) if known else None
    hub: Hub = request.app.state.hub
    known = await hub.join(listener, after) and known
    return _Stream(hub, listener, known=known)


@router.get(
    "/poll",
    summary="Ask what has happened",
    response_model=Polled,
    responses=documented(Forbidden, Csrf, NotFound, TooMany, Unavailable),
    openapi_extra=POLL.openapi,
)
async def poll_events(request: Request) -> Response:
    """The stream as long poll: waits until there is something, at most `wait` seconds. At most 500 events at once."""
    given = POLL.read(request)
    listener = await _listener(request, given)
    hub: Hub = request.app.state.hub
    known = await hub.join(listener, given.get("after"))
    watching = asyncio.create_task(_watch(hub, listener, request.receive))
    try:
        items, position, missing = await _polled(hub, listener, given.get("wait", WAIT) if known else 0)
    finally:
        hub.leave(listener)
        watching.cancel()
    flags = b"true" if missing or not known else b"false"
    return Json(b'{"items":[%s],"position":%d,"resync":%s}' % (b",".join(items), position, flags))


async def _polled(hub: Hub, listener: Listener, wait: float) -> tuple[list[bytes], int, bool]:
    """Events, how far they go, and whether something is missing."""
    position = listener.after
    async for position, told in hub.missed(listener):
        if told:
            return [one.body for one in told], position, False
    position = max(position, listener.joined)
    with suppress(TimeoutError):
        async with asyncio.timeout(wait):
            while told := await listener.line.take(feed.BATCH):
                position = max(position, *(one.position or 0 for one in told))
                if any(one.type == feed.RESYNC for one in told):
                    return [], position, True
                if items := [one.body for one in told if one.type and one.position]:
                    return items, position, False
    return [], position, False


async def _listener(request: Request, given: dict[str, Any]) -> Listener:
    """Who asks, checked as everywhere, and by what he would be known again.

    A page of another origin may send the cookie along. It could read nothing, and is turned away all the same.
    """
    actor = await read_conversations(request)
    header = request.headers.get("authorization")
    if header is None and "origin" in request.headers:
        check_origin(request)
    proof = request.cookies.get(cookie_name(request), "") if header is None else header.partition(" ")[2].strip()
    conversation_id: UUID | None = given.get("conversation_id")
    if conversation_id is not None:
        async with services_of(request).database.reading() as session:
            await get_conversation(session, actor, conversation_id)
    types = frozenset[str]().union(*given.get("types", ()))
    return Listener(actor, digest_of(proof), types=types, conversation_id=conversation_id)


class _Stream(Response):
    """A client that has joined: what it missed, then what it is told, until either side ends it.

    It is written to by one task and held by no timer. One that does not read is not written to either; the hub ends
    its line when too much waits, and the rest of it goes when its connection does.
    """

    def __init__(self, hub: Hub, listener: Listener, *, known: bool) -> None:
        super().__init__(media_type=MEDIA)
        del self.headers["content-length"]
        self.headers["X-Accel-Buffering"] = "no"
        self._hub, self._listener, self._known = hub, listener, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(_watch(self._hub, self._listener, receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._write(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._hub.leave(self._listener)
            watching.cancel()

    async def _write(self, send: Send) -> None:
        hub, listener = self._hub, self._listener
        begin = b"retry: %d\nid: %d\n\n" % (RETRY_MS, listener.after)
        await send(_body(begin if self._known else begin + feed.resync(listener.after).lines))
        async for position, told in hub.missed(listener):
            if told and not listener.line.ended:
                await send(_body(b"".join(one.lines for one in told)))
            elif not told:
                await send(_body(feed.sign_of_life(position).lines))
        while told := await listener.line.take(_AT_ONCE):
            await send(_body(b"".join(one.lines for one in told)))


async def _watch(hub: Hub, listener: Listener, receive: Receive) -> None:
    """A client that goes away listens no longer."""
    while (await receive())["type"] != "http.disconnect":
        pass
    hub.leave(listener)


def _body(chunk: bytes) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": True}
