"""The route that the vendor calls: signed by a secret of ours, stored before it is answered."""

from __future__ import annotations

import hmac
from typing import Final
from uuid import UUID

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.telegram import updates
from connectors.telegram.config import TelegramConfig
from helpdesk.channels import WebhookHost
from helpdesk.clock import now
from helpdesk.errors import NotFound
from helpdesk.logs import fault

log = structlog.get_logger()

MAX_BODY: Final = 1024 * 1024
_HEADER: Final = "x-telegram-bot-api-secret-token"


def routes(host: WebhookHost) -> APIRouter:
    async def take(request: Request) -> Response:
        try:
            return await _take(host, request)
        except Exception as error:  # not taken: it comes again
            log.error("webhook.not_taken", inbox_id=str(request.path_params["inbox_id"]), **fault(error))
            return _refused(503, "not_stored")

    router = APIRouter()
    router.add_route("/{inbox_id:uuid}/webhook", take, ["POST"], include_in_schema=False)
    return router


async def _take(host: WebhookHost, request: Request) -> Response:
    inbox_id: UUID = request.path_params["inbox_id"]
    try:
        config = (await host.inbox(inbox_id)).config
    except NotFound:
        return _refused(404, "no_such_inbox")
    assert isinstance(config, TelegramConfig)
    given = request.headers.get(_HEADER)
    if given is None:
        return _refused(401, "signature_missing")
    if not config.secret or not hmac.compare_digest(given.encode("latin-1"), config.secret.encode("ascii")):
        return _refused(403, "signature_wrong")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            return _refused(413, "too_large")
    await host.accept(inbox_id, [updates.raw(bytes(body), bot_id=config.bot_id, username=config.username, now=now())])
    return Response()


def _refused(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status)
