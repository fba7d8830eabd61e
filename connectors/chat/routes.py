"""The routes of the chat, below `/channels/chat`: docs/chat.md is their reference, since they are the visitors' own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from fastapi import APIRouter
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from connectors.chat import ws
from connectors.chat.calls import Calls
from connectors.chat.door import Door, OriginRefused, QueryRefused, origin_of
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
    # By address, since preflights are as well: what each method does there, and what its query may have.
    table: dict[str, dict[str, tuple[Handler, frozenset[str]]]] = {}

    def add(method: str, path: str, handler: Handler, *queries: str) -> None:
        table.setdefault(path, {})[method] = handler, frozenset(queries)

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

    router = APIRouter()
    for path, methods in table.items():
        router.add_route(path, _endpoint(door, path, methods), [*methods, "OPTIONS"], include_in_schema=False)

    async def socket(one: WebSocket) -> None:
        await ws.serve(door, one)

    router.add_websocket_route("/ws", socket)
    for name in static.names:
        router.add_route(f"/{name}", static.serve, ["GET"], include_in_schema=False)
    return router


def _endpoint(door: Door, path: str, methods: Mapping[str, tuple[Handler, frozenset[str]]]) -> Handler:
    """Handlers whose errors are problems, and whose answers a page may read if its origin is on the list.

    The list is looked at twice: first whether the origin is on any of ours, then, by the handler, whether it is on
    that of the inbox. Only what passes both is told to the page. A preflight carries no token, and gets no further
    than the first.
    """

    async def endpoint(request: Request) -> Response:
        origin = None
        try:
            origin = origin_of(request.scope["headers"])
            await door.check_origin(origin)
            if request.method == "OPTIONS":
                response = Response(status_code=204, headers=_PREFLIGHT)
            else:
                handler, queries = methods["GET" if request.method == "HEAD" else request.method]
                check_query(request.query_params, queries)
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


def check_query(given: QueryParams, known: frozenset[str]) -> None:
    """Raises `QueryRefused` for what nobody asked for, and for what is there twice."""
    if not known.issuperset(given) or len(given.multi_items()) > len(given):
        raise QueryRefused
