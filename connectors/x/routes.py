"""The webhook, below `/channels/x`: challenges are answered, and what comes in is stored before anybody is told so.

One app has one webhook for all its accounts: what comes in is handed, by the account it is for, to every inbox that
has the same app's secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.x import crc
from connectors.x.config import XConfig, own_id
from connectors.x.envelopes import Item, split
from helpdesk.channels import InboxView, RawInbound, WebhookHost
from helpdesk.clock import now
from helpdesk.errors import NotFound
from helpdesk.logs import fault

log = structlog.get_logger()

MOST_BYTES: Final = 1024 * 1024
HEADER: Final = "x-twitter-webhooks-signature"


def routes(host: WebhookHost) -> APIRouter:
    webhook = Webhook(host)
    router = APIRouter()
    router.add_route("/{inbox_id:uuid}/webhook", webhook.challenged, ["GET"], include_in_schema=False)
    router.add_route("/{inbox_id:uuid}/webhook", webhook.told, ["POST"], include_in_schema=False)
    return router


class _Refused(Exception):
    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.answer = JSONResponse({"error": error}, status)


class Webhook:
    """Both methods of one address. The vendor reads nothing of an answer but its status."""

    def __init__(self, host: WebhookHost) -> None:
        self._host = host

    async def challenged(self, request: Request) -> Response:
        try:
            _, secret = await self._known(request)
        except _Refused as refused:
            return refused.answer
        found = crc.answer(secret, request.query_params.get("crc_token", ""))
        return JSONResponse({"response_token": found} if found else {"error": "no_challenge"}, 200 if found else 400)

    async def told(self, request: Request) -> Response:
        try:
            view, secret = await self._known(request)
            body = await _believed(request, secret)
        except _Refused as refused:
            return refused.answer
        try:
            await self._keep(view, secret, split(body))
        except Exception as error:  # whatever it is: the vendor keeps what it was not told is stored
            log.error("webhook.not_stored", inbox_id=str(view.inbox_id), **fault(error))
            return JSONResponse({"error": "not_stored"}, 503)
        return Response(status_code=200)

    async def _known(self, request: Request) -> tuple[InboxView, str]:
        inbox_id: UUID = request.path_params["inbox_id"]
        try:
            view = await self._host.inbox(inbox_id)
        except NotFound:
            raise _Refused(404, "not_found") from None
        secret = _secret(view)
        if not secret:  # anybody could sign with none
            raise _Refused(404, "not_found")
        return view, secret

    async def _keep(self, view: InboxView, secret: str, items: Sequence[Item]) -> None:
        """For each inbox at once. Where one fails all come again, and those that have theirs take nothing twice."""
        homes: dict[str, list[UUID]] = {}
        for one in await self._host.inboxes():
            if hmac.compare_digest(_secret(one).encode(), secret.encode()):
                homes.setdefault(_own(one), []).append(one.inbox_id)
        batches: dict[UUID, list[RawInbound]] = {}
        strangers: set[str] = set()
        for item in items:
            found = homes.get(item.account, []) if item.account else [view.inbox_id]
            if not found:
                strangers.add(item.account)
                item = item.of_nobody()
            for inbox_id in found or [view.inbox_id]:
                batches.setdefault(inbox_id, []).append(RawInbound(item.position, item.body, now()))
        for inbox_id, batch in sorted(batches.items()):
            await self._host.accept(inbox_id, batch)
        for account in sorted(strangers):
            await self._host.unknown_account(view.inbox_id, account)


async def _believed(request: Request, secret: str) -> bytes:
    """The body, which the app's secret vouches for."""
    header = request.headers.get(HEADER, "")
    if not header:
        raise _Refused(401, "signature_missing")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise _Refused(413, "too_large")
    found = bytes(body)
    # Only what begins with a brace: for other texts an answered challenge would be a signature.
    if not crc.signed(secret, found, header) or not found.startswith(b"{"):
        raise _Refused(403, "signature_wrong")
    return found


def _secret(view: InboxView) -> str:
    assert isinstance(view.config, XConfig)
    return view.config.consumer_secret.get_secret_value()


def _own(view: InboxView) -> str:
    assert isinstance(view.config, XConfig)
    return own_id(view.config)
