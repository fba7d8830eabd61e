"""A Bot API server on loopback, for one bot.

    with FakeBots() as bots:
        bots.say("Where is my withdrawal?")          # waits until it is asked for, as over there
        ...                                           # an inbox whose api_url is bots.origin
        (sent,) = bots.sent

Calls and answers are held against the Bot API's description, where that is at hand; `findings` is what did not fit.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any

from connectors.telegram.tests.spec import Spec
from tests.peers.loopback import Loopback

BOT_ID = 700_000_001
TOKEN = f"{BOT_ID}:" + "A" * 35
USERNAME = "wallet_desk_bot"
BOT = {"id": BOT_ID, "is_bot": True, "first_name": "Wallet desk", "username": USERNAME}
MINA = {"id": 5_000_000_017, "is_bot": False, "first_name": "Mina", "last_name": "Ito", "username": "mina"}
GROUP = {"id": -1_001_234_567_890, "type": "supergroup", "title": "Wallets", "username": "wallets"}
DATE = 1_793_000_000
"""October 2026."""

_HOLD_SECONDS = 0.3
"""How long a question for updates is held at most, whatever it asks for."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it was taken, with its files by name."""

    method: str
    fields: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return str(self.fields.get("text", self.fields.get("caption", "")))


@dataclass(frozen=True, slots=True)
class _Script:
    """What comes in place of an answer. `taken`: the call has its effect all the same."""

    status: int = 200
    body: bytes = b""
    taken: bool = False
    cut: bool = False


def private(person: dict[str, Any]) -> dict[str, Any]:
    return {"id": person["id"], "type": "private", "first_name": person["first_name"]}


class FakeBots(Loopback):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.findings: list[str] = []
        self.files: dict[str, bytes] = {}
        self.webhook: dict[str, Any] = {}
        self.webhook_error_at = 0
        self.revoked = False
        self.forgets_nothing = False
        """Whoever acknowledges updates is refused."""
        self._spec = Spec.found()
        self._updates: deque[dict[str, Any]] = deque()
        self._numbers, self._messages = count(900), count(40)
        self._scripts: dict[str, deque[_Script]] = defaultdict(deque)
        self._news = threading.Condition()

    # -- what people do -----------------------------------------------------------------------------------------------

    def say(self, text: str = "", *, chat: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """Mina writes; answers the update. `fields` are added to the message."""
        message = {"message_id": next(self._messages), "date": DATE, "from": MINA, "chat": chat or private(MINA)}
        return self.tell(message=message | ({"text": text} if text else {}) | fields)

    def tell(self, **update: Any) -> dict[str, Any]:
        """An update of any kind."""
        whole = {"update_id": next(self._numbers), **update}
        self.findings += self._spec.check(whole, ["Update"], "update") if self._spec else []
        with self._news:
            self._updates.append(whole)
            self._news.notify_all()
        return whole

    def odd(self, update: Any) -> None:
        """Something that no description allows."""
        with self._news:
            self._updates.append(update)
            self._news.notify_all()

    @property
    def waiting(self) -> int:
        """Updates that nobody has acknowledged."""
        return len(self._updates)

    # -- how it fails -------------------------------------------------------------------------------------------------

    def fail(self, method: str, status: int, body: bytes | dict[str, Any] = b"", *, times: int = 1) -> None:
        content = body if isinstance(body, bytes) else json.dumps({"ok": False, "error_code": status} | body).encode()
        self._scripts[method].extend([_Script(status, content)] * times)

    def accept_then_cut(self, method: str) -> None:
        """It takes the call and hangs up."""
        self._scripts[method].append(_Script(taken=True, cut=True))

    def accept_then_say(self, method: str, body: bytes) -> None:
        self._scripts[method].append(_Script(body=body, taken=True))

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        start = f"/file/bot{TOKEN}/"
        body = self.files.get(request.path.removeprefix(start)) if request.path.startswith(start) else None
        _write(request, 404 if body is None else 200, body or b"")

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        start = f"/bot{TOKEN}/"
        method = request.path.removeprefix(start)
        if self.revoked or not request.path.startswith(start):
            return _answer(request, 401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
        fields, files = self._read(method, request.headers["Content-Type"], body)
        self.calls.append((method, fields))
        self.findings += self._spec.check_call(method, fields, files) if self._spec else []
        script = self._scripts[method].popleft() if self._scripts[method] else None
        if self.forgets_nothing and "offset" in fields:
            script = _Script(502, b"<html>Bad Gateway</html>")
        if script is not None and not script.taken:
            return _write(request, script.status, script.body)
        result = self._do(method, fields, files)
        self.findings += self._spec.check_result(method, result) if self._spec else []
        if script is None:
            return _answer(request, 200, {"ok": True, "result": result})
        if not script.cut:
            return _write(request, script.status, script.body)
        request.close_connection = True
        return None

    def _read(self, method: str, content_type: str, body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
        if content_type.startswith("application/json"):
            return json.loads(body), {}
        whole = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
        fields: dict[str, Any] = {}
        files: dict[str, bytes] = {}
        for part in whole.iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            content = part.get_payload(decode=True)
            if part.get_filename() is not None:
                files[name] = content
            else:
                value = content.decode()
                fields[name] = value if name in ("caption", "text", "photo", "document") else json.loads(value)
        return fields, files

    def _do(self, method: str, fields: dict[str, Any], files: dict[str, bytes]) -> Any:
        match method:
            case "getMe":
                return BOT | {"can_join_groups": True, "can_read_all_group_messages": False}
            case "getUpdates":
                return self._waited_for(fields)
            case "setWebhook" | "deleteWebhook":
                self.webhook = fields if method == "setWebhook" else {}
                return True
            case "getWebhookInfo":
                info = {"url": self.webhook.get("url", ""), "has_custom_certificate": False, "pending_update_count": 0}
                return info | ({"last_error_date": self.webhook_error_at} if self.webhook_error_at else {})
            case "getFile":
                found = {"file_id": fields["file_id"], "file_unique_id": "u"}
                known = fields["file_id"] in self.files
                return found | ({"file_path": fields["file_id"]} if known else {})
            case "sendMediaGroup":
                return [
                    self._taken(method, fields, files) if not index else self._message(fields)
                    for index, _ in enumerate(fields["media"])
                ]
        return self._taken(method, fields, files)

    def _taken(self, method: str, fields: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        self.sent.append(Sent(method, fields, files))
        return self._message(fields)

    def _message(self, fields: dict[str, Any]) -> dict[str, Any]:
        kind = "supergroup" if fields["chat_id"] < 0 else "private"
        return {
            "message_id": next(self._messages),
            "date": int(time.time()),
            "from": BOT,
            "chat": {"id": fields["chat_id"], "type": kind},
        }

    def _waited_for(self, fields: dict[str, Any]) -> list[dict[str, Any]]:
        deadline = time.monotonic() + min(fields.get("timeout", 0), _HOLD_SECONDS)
        with self._news:
            while self._updates and _number(self._updates[0]) < fields.get("offset", 0):
                self._updates.popleft()
            while not self._updates and (left := deadline - time.monotonic()) > 0:
                self._news.wait(left)
            return list(self._updates)[: fields.get("limit", 100)]


def _number(update: Any) -> int:
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if isinstance(number, int) else 0


def _answer(request: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
    _write(request, status, json.dumps(body).encode())


def _write(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    with suppress(OSError):  # whoever asked may have hung up
        request.end_headers()
        request.wfile.write(body)
