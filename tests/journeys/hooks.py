"""A receiver of webhooks in a thread of its own, which believes only what is signed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections import Counter
from types import TracebackType
from typing import Any

from tests.peers.http_receiver import HttpReceiver, Request


class Hooks:
    """`secret` is what the house showed when the webhook was made."""

    def __init__(self) -> None:
        self.secret = ""
        self._receiver = HttpReceiver()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Hooks:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._receiver.__aenter__(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._receiver.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def url(self) -> str:
        return self._receiver.url("/hook")

    def forget(self) -> None:
        """As if nothing had come so far."""
        self._receiver.requests.clear()

    def told(self, type_: str = "") -> list[dict[str, Any]]:
        """The messages, or those of one type, in the order of their events; each has to be signed, and to come once."""
        requests = list(self._receiver.requests)
        copies = Counter(request.headers["webhook-id"] for request in requests)
        assert set(copies.values()) <= {1}, copies
        found = [self._opened(request) for request in requests]
        found.sort(key=lambda message: message["position"])
        return [message for message in found if type_ in ("", message["type"])]

    def _opened(self, request: Request) -> dict[str, Any]:
        """By the text of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body` with the decoded secret."""
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        headers = request.headers
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"].split(" ") == [expected]
        found: dict[str, Any] = json.loads(request.body)
        return found
