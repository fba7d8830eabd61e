"""Where the vendor's webhooks arrive, one address per inbox: `/channels/facebook/{inbox_id}/webhook`.

An app has one address for all its Pages and accounts, so what comes there is handed to every inbox of the same app that
the event's account is. 200 means that all of it is committed; anything else makes the vendor post it again, and what
was stored of it before is then known by its position.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final
from uuid import UUID

import structlog
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from connectors.facebook import events
from connectors.facebook.config import MetaConfig
from connectors.facebook.events import Item
from connectors.facebook.signature import HEADER, is_signed, same
from helpdesk.channels import InboxView, RawInbound, WebhookHost
from helpdesk.clock import now
from helpdesk.errors import NotFound
from helpdesk.logs import fault

log = structlog.get_logger()

MAX_BODY: Final = 1024 * 1024
MAX_CHALLENGE: Final = 1000

_SAMPLE: Final = "0"
"""The account of the samples that the vendor's dashboard sends."""


class _Refused(Exception):
    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


def routes(host: WebhookHost) -> APIRouter:
    router = APIRouter()
    webhook = _Webhook(host)
    path = "/{inbox_id:uuid}/webhook"
    router.add_route(path, _endpoint(webhook.handshake), ["GET"], include_in_schema=False)
    router.add_route(path, _endpoint(webhook.receive), ["POST"], include_in_schema=False)
    return router


def _endpoint(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            response = await handler(request)
        except _Refused as refused:
            response = JSONResponse({"error": refused.error}, refused.status)
        except NotFound:
            response = JSONResponse({"error": "not_found"}, 404)
        except ClientDisconnect:
            response = JSONResponse({"error": "cut"}, 400)
        except Exception as error:  # nothing is said to be taken that may not be
            log.error("webhook.not_stored", inbox_id=str(request.path_params["inbox_id"]), **fault(error))
            response = JSONResponse({"error": "try_again"}, 503, {"Retry-After": "30"})
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return endpoint


class _Webhook:
    def __init__(self, host: WebhookHost) -> None:
        self._host = host

    async def handshake(self, request: Request) -> Response:
        """The vendor asks whether the address is ours when it is entered."""
        given = request.query_params
        config = _config(await self._host.inbox(request.path_params["inbox_id"]))
        if given.get("hub.mode") != "subscribe":
            raise _Refused(400, "mode_unknown")
        if not same(given.get("hub.verify_token", ""), config.verify_token.get_secret_value()):
            raise _Refused(403, "verify_token_wrong")
        challenge = given.get("hub.challenge", "")
        if not challenge or len(challenge) > MAX_CHALLENGE:
            raise _Refused(400, "challenge_missing")
        return PlainTextResponse(challenge)

    async def receive(self, request: Request) -> Response:
        at = await self._host.inbox(request.path_params["inbox_id"])
        body = await _body(request)
        secret = _config(at).app_secret.get_secret_value()
        if not (given := request.headers.get(HEADER, "")):
            raise _Refused(401, "signature_missing")
        if not is_signed(body, given, secret):
            raise _Refused(403, "signature_wrong")
        await self._store(at, body, [one for one in await self._host.inboxes() if _is_same_app(one, secret)])
        return JSONResponse({})

    async def _store(self, at: InboxView, body: bytes, known: Sequence[InboxView]) -> None:
        """Everything for one inbox in one commit. An account that nobody has is kept where it came in."""
        batches: dict[UUID, dict[str, RawInbound]] = {}
        strangers: list[str] = []
        for position, raw, item in _read(body):
            inboxes = _inboxes_of(item, known) if item is not None and _is_account(item) else [at]
            if not inboxes and item is not None:
                strangers.append(item["entry"])
            for inbox in inboxes or [at]:
                batches.setdefault(inbox.inbox_id, {})[position] = RawInbound(position, raw, now())
        for inbox_id, batch in batches.items():
            await self._host.accept(inbox_id, list(batch.values()))
        for account in dict.fromkeys(strangers):
            if account != _SAMPLE:
                await self._host.unknown_account(at.inbox_id, account)


def _read(body: bytes) -> Iterable[tuple[str, bytes, Item | None]]:
    """Position, bytes and meaning of each item; a signed body that is no JSON is one item without a meaning."""
    try:
        found = [(events.position(item), events.written(item), item) for item in events.split(json.loads(body))]
    except (ValueError, RecursionError):
        return [(events.digest(body), body, None)]
    return found


def _is_account(item: Item) -> bool:
    """What is told of no account is told of the app, and stays where it came in."""
    return item["object"] in ("page", "instagram") and bool(item["entry"])


def _inboxes_of(item: Item, known: Sequence[InboxView]) -> list[InboxView]:
    """Whose account it happened to. An account with an inbox of its own does not go to its Page's as well."""
    account = item["entry"]
    if item["object"] == "page":
        return [one for one in known if one.channel == "facebook" and _config(one).page_id == account]
    found = [one for one in known if _config(one).instagram_id == account]
    return [one for one in found if one.channel == "instagram"] or found


def _config(inbox: InboxView) -> MetaConfig:
    assert isinstance(inbox.config, MetaConfig)
    return inbox.config


def _is_same_app(inbox: InboxView, secret: str) -> bool:
    return same(_config(inbox).app_secret.get_secret_value(), secret)


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY:
        raise _Refused(413, "too_large")
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > MAX_BODY:
            raise _Refused(413, "too_large")
    return bytes(found)
