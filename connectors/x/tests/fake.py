"""The vendor on loopback: what is asked of it and what it answers is held against its own document.

    with FakeX() as x:
        post = x.mention("ann", "@desk where is my money?")
        x.fail("POST /2/tweets", 503, body=b"<html>", times=1)      # before anything is stored
        x.accept_then_cut("POST /2/tweets")                         # stored, and nobody is told
        ...                                                         # api_url=x.origin, keys x.tokens.oauth1 or .oauth2
        x.sent                                                      # our posts, x.dms_sent our messages

Whatever is wrong with a request or an answer is in `findings`, is answered with 500, and fails the test at the end.
"""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from connectors.x.tests import spec
from connectors.x.tests.fake_auth import Tokens
from connectors.x.tests.fake_calls import CALLS, Answer, Asked, problem
from connectors.x.tests.fake_world import Thing, World
from tests.peers.loopback import Loopback

US: Final = "1001"
_NOT_ENROLLED: Final = "https://api.twitter.com/2/problems/client-forbidden"
_CAPPED: Final = "https://api.twitter.com/2/problems/usage-capped"
_READ_ONLY: Final = "https://api.twitter.com/2/problems/oauth1-permissions"


@dataclass
class _Fault:
    """`take`: the request is carried out first. A status of 0 hangs up."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    take: bool = False


class FakeX(Loopback):
    """`calls` counts requests by call, `page` is how many things it gives at most, whatever it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = Tokens(US)
        self.world = World(self.origin, US)
        self.findings: list[str] = []
        self.calls: Counter[str] = Counter()
        self.page = 100
        self.webhooks: dict[str, Thing] = {}
        self.subscribed: set[str] = set()
        self._plan, self._read_only = "basic", False
        self._faults: dict[str, list[_Fault]] = {}
        self._spec = spec.load(tuple(CALLS))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        assert error is not None or self.findings == []

    # -- what a test makes happen -------------------------------------------------------------------------------------

    def mention(self, username: str, text: str, **more: Any) -> str:
        """A post by somebody, who is made where there is none. Its id. `more` as of `World.post`."""
        return self.world.post(self.world.user(username), text, **more)

    def dm(self, username: str, text: str, *, media: tuple[str, ...] = (), at: datetime | None = None) -> str:
        """A direct message to us. Its event id."""
        return self.world.message(self.world.user(username), US, text, media=media, at=at)

    def delete(self, post_id: str) -> None:
        with self.world.lock:
            del self.world.posts[post_id]

    def fail(
        self,
        call: str,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        times: int = 1,
    ) -> None:
        """The next `times` requests are answered so and are not carried out."""
        self._faults.setdefault(call, []).extend([_Fault(status, headers or {}, body)] * times)

    def accept_then_cut(self, call: str, times: int = 1) -> None:
        """The next ones are carried out, and the connection closes without an answer."""
        self._faults.setdefault(call, []).extend([_Fault(0, take=True)] * times)

    def accept_then_answer(self, call: str, status: int, body: bytes, times: int = 1) -> None:
        """The next ones are carried out, and the answer is one that says nothing: half a document, a proxy's page."""
        self._faults.setdefault(call, []).extend([_Fault(status, {}, body, take=True)] * times)

    def plan(self, name: str) -> None:
        """`basic`; `free` reads nothing; `capped` has read what it may this month; `spent` has no credits left."""
        self._plan = name

    def read_only(self) -> None:
        """The app's permissions are taken back to reading."""
        self._read_only = True

    def revoke(self) -> None:
        self.tokens.revoked = True

    @property
    def sent(self) -> list[Thing]:
        """Our posts, the oldest first."""
        return [post for post in self.world.posts.values() if post["author_id"] == US]

    @property
    def dms_sent(self) -> list[Thing]:
        return [message for message in self.world.messages.values() if message["sender_id"] == US]

    # -- how it answers -----------------------------------------------------------------------------------------------

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        self._serve(request, "GET")

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        self._serve(request, "POST")

    def _put(self, request: BaseHTTPRequestHandler) -> None:
        self._serve(request, "PUT")

    def _serve(self, request: BaseHTTPRequestHandler, method: str) -> None:
        address = urlsplit(request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        with self.world.lock:
            answer = self._answer(request, method, address.path, query, body)
        if answer is None:
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        request.send_response(answer.status)
        for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer.body)))
        request.end_headers()
        request.wfile.write(answer.body)

    def _answer(
        self, request: BaseHTTPRequestHandler, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> Answer | None:
        """None: hang up."""
        header = request.headers.get("Authorization") or ""
        if method == "GET" and path in self.world.files:
            kind, content = self.world.files[path]
            return Answer(200, content, kind)
        call = _call(method, path)
        self.calls[call] += 1
        waiting = self._faults.get(call)
        fault = waiting.pop(0) if waiting else None
        if fault is not None and not fault.take:
            return Answer(fault.status, fault.body, headers=fault.headers)
        if path in ("/2/oauth2/token", "/oauth2/token"):
            grant = self.tokens.grant if path.startswith("/2") else self.tokens.app_grant
            status, found = grant(header, body)
            answer = Answer(status, json.dumps(found).encode())
        elif call not in CALLS:
            self.findings.append(f"{call}: nobody knows this call")
            answer = problem(404, "Not Found")
        else:
            answer = self._called(call, path, query, body, header)
        if fault is not None:
            return Answer(fault.status, fault.body, headers=fault.headers) if fault.status else None
        return answer

    def _called(self, call: str, path: str, query: Mapping[str, str], body: bytes, header: str) -> Answer:
        known = CALLS[call]
        if why := self.tokens.refuses(call.split(" ")[0], path, query, header, kinds=known.kinds):
            return problem(401, "Unauthorized", f"Unauthorized: {why}")
        refused = self._refused(call)
        answer = refused or known.answer(Asked(self, path.split("/"), query, json.loads(body or b"{}")))
        if self._spec is not None and answer.checked:
            told = (answer.status, answer.content_type, answer.body)
            found = self._spec.faults(call, path, query, body, told, binary=known.binary)
            if found:
                self.findings += found
                return Answer(500, json.dumps(found).encode())
        return answer

    def _refused(self, call: str) -> Answer | None:
        """What the plan does not offer."""
        writes = not call.startswith("GET")
        if writes and self._read_only and "webhook" not in call:
            detail = "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint."
            return problem(403, "Forbidden", detail, kind=_READ_ONLY, checked=False)
        if writes or call == "GET /2/users/me" or self._plan == "basic":
            return None
        if self._plan == "free":
            more = {"reason": "client-not-enrolled", "registration_url": "https://developer.twitter.com/en/docs"}
            return problem(403, "Client Forbidden", "Not enrolled.", kind=_NOT_ENROLLED, **more)
        if self._plan == "capped":
            more = {"period": "Monthly", "scope": "Product"}
            return problem(429, "UsageCapExceeded", "Usage cap exceeded: Monthly product cap", kind=_CAPPED, **more)
        return problem(402, "CreditsDepleted", "Your account does not have any credits to fulfill this request.")


def _call(method: str, path: str) -> str:
    """`GET /2/users/17/mentions` → `GET /2/users/{id}/mentions`, as the document has it."""
    for call in CALLS:
        its, pattern = call.split(" ")
        if its == method and re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", pattern), path):
            return call
    return f"{method} {path}"
