"""Webhooks as the vendor posts them: the signature is made over the very bytes, however they spell their letters."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

import httpx


def signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def written(payload: Any, *, escaped: bool = True) -> bytes:
    """JSON with every other letter escaped and slashes too, as the vendor does; or in plain UTF-8."""
    if escaped:
        return json.dumps(payload).replace("/", "\\/").encode()
    return json.dumps(payload, ensure_ascii=False).encode()


async def post(
    client: httpx.AsyncClient, inbox_id: UUID, payload: Any, *, secret: str, escaped: bool = True
) -> httpx.Response:
    body = written(payload, escaped=escaped)
    headers = {"X-Hub-Signature-256": signature(secret, body), "Content-Type": "application/json"}
    return await client.post(f"/channels/facebook/{inbox_id}/webhook", content=body, headers=headers)


def webhook(object_: str, account: str, *, time: int = 1_795_000_000_000, **lists: list[Any]) -> dict[str, Any]:
    """One entry; `lists` are `messaging`, `standby` or `changes`."""
    return {"object": object_, "entry": [{"id": account, "time": time, **lists}]}
