"""The routes of the chat, below `/channels/chat`: docs/chat.md is their reference, since they are the visitors' own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from connectors.chat import ws
from connectors.chat.calls import Calls
from connectors.chat.door import Door, OriginRefused, TokenInUrl, origin_of
from connectors.chat.problem import problem
from connectors.chat.static import Static
from connectors.chat.streams import Streams
from helpdesk.errors import HelpdeskError
from helpdesk.live import LiveHost
from helpdesk.logs import fault

log = structlog.get_logger()

Handler = Callable[[Request], Awaitable[Response]]

_METHODS: Final = "GET, POST, DELETE"
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": _METHODS,
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def routes(host: LiveHost) -> APIRouter:
    door = Door(host)
    calls = Calls(door)
    streams, static = Streams(door, calls), Static()
    router = APIRouter()

    paths = dict[str, None]()

    def add(method: str, path: str, handler: Handler, *queries: str) -> None:
        paths[path] = None
        endpoint = _answered(door, path, handler, frozenset(queries))
        router.add_route(path, endpoint, [method], include_in_schema=False)

    add("GET", "/{inbox_id:uuid}/config", calls.config)
    add("POST", "/{inbox_id:uuid}/sessions", calls.begin)
    add("POST", "/session/identify", calls.identify)
    add("DELETE", "/session", calls.log_out)
    add("GET", "/messages", streams.messages, "after_seq", "before_seq", "limit", "wait")
    add("POST", "/messages", calls.say)
    add("GET", "/events", streams.events, "after_seq", "conversation_id")
    add("POST", "/read", calls.read)
    add("POST", "/typing", calls.typing)
    add("POST", "/attachments", calls.upload)
    add("GET", "/attachments/{attachment_id:uuid}", calls.download)
    add("POST", "/email", calls.claim_email)
    add("POST", "/email/verify", calls.prove_email)
    add("POST", "/rating", calls.rate)
    add("POST", "/transcript", calls.send_transcript)
    add("POST", "/leave", calls.leave)
    add("POST", "/feedback", calls.feedback)

    for path in paths:
        router.add_route(path, _preflight(door), ["OPTIONS"], include_in_schema=False)

    async def socket(one: WebSocket) -> None:
        await ws.serve(door, one)

    router.add_websocket_route("/ws", socket)
    for name in static.names:
        router.add_route(f"/{name}", static.serve, ["GET"], include_in_schema=False)
    return router


def _answered(door: Door, path: str, handler: Handler, queries: frozenset[str]) -> Handler:
    """A handler whose errors are problems, and whose answers a page may read if its origin is on the list.

    The list is looked at twice: first whether the origin is on any of ours, then, by the handler, whether it is on
    that of the inbox. Only what passes both is told to the page.
    """

    async def endpoint(request: Request) -> Response:
        origin = None
        try:
            origin = origin_of(request.scope["headers"])
            await door.check_origin(origin)
            if not queries.issuperset(request.query_params) or len(request.query_params.multi_items()) > len(
                request.query_params
            ):
                raise TokenInUrl
            response = await handler(request)
        except OriginRefused as error:
            origin, response = None, problem(error)
        except HelpdeskError as error:
            response = problem(error)
        except Exception as error:
            log.error("chat_request_failed", method=request.method, route=path, **fault(error))
            response = problem(HelpdeskError())
        response.headers["Vary"] = "Origin"
        if origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Content-Disposition, Retry-After"
        return response

    return endpoint


def _preflight(door: Door) -> Handler:
    """What a page may ask, before it asks. It carries no token, so that any inbox's list will do here."""

    async def endpoint(request: Request) -> Response:
        try:
            origin = origin_of(request.scope["headers"])
            await door.check_origin(origin)
        except OriginRefused as error:
            return problem(error)
        headers = {"Vary": "Origin", **_PREFLIGHT}
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
        return Response(status_code=204, headers=headers)

    return endpoint
