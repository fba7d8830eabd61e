"""Routes with a short way, for what is asked all day and nearly always means the same.

On FastAPI's way to a route dependencies are solved anew, and contexts opened and closed around it; a chat's answer
spends as long there as in the database. A short way is a function that answers the usual request by itself. Whatever is
not usual, or not right, it leaves to the route, which is what the reference describes and gets the same bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

ShortWay = Callable[[Request, bytes], Awaitable[Response | None]]
"""Answers a request with this body, or None, having written nothing. What it raises is answered as if a route did."""


def shortened(short: ShortWay) -> type[APIRoute]:
    """The class of routes that go this way first."""

    class Shortened(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            response, body = None, b""
            if scope["method"] in (self.methods or ()):
                request = Request(scope, receive)
                try:
                    body = await request.body()
                except ClientDisconnect:
                    return
                response = await short(request, body)
                receive = _again(body, receive)
            if response is None:
                await super().handle(scope, receive, send)
            else:
                await response(scope, receive, send)

    return Shortened


def _again(body: bytes, receive: Receive) -> Receive:
    """`receive` as it was before the body was read."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return left.pop() if left else await receive()

    return received
