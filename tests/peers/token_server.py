"""An OAuth 2 issuer on loopback that is as strict as the strictest: it rotates, and punishes reuse.

    with TokenServer() as issuer:
        refresh_token = issuer.grant("support@example.com")
        config = {"oauth_token_url": issuer.url("/token"), ...}

A refresh token used a second time withdraws the whole grant (RFC 9700 section 4.14.2). The device flow is consented to
by `consent(user_code, account)`, the authorization code flow by whoever opens `/authorize` (as `account`), with PKCE
checked. `/introspect` tells Dovecot whose a bearer token is. `forms` is what was sent to `/token`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.peers.loopback import Loopback

CLIENT_ID, CLIENT_SECRET = "desk", "hush"


@dataclass
class _Grant:
    account: str
    current: str
    used: set[str] = field(default_factory=set)
    alive: bool = True


class TokenServer(Loopback):
    """`life`: seconds that access tokens live. `status`: answer everything at `/token` with this instead."""

    def __init__(self, *, life: int = 3600, account: str = "support") -> None:
        super().__init__()
        self.life = life
        self.account = account
        self.status = 0
        self.delay = 0.0
        self.interval = 0
        self.forms: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self._grants: list[_Grant] = []
        self._access: dict[str, tuple[_Grant, float]] = {}
        self._devices: dict[str, dict[str, Any]] = {}
        self._codes: dict[str, dict[str, str]] = {}

    def url(self, path: str) -> str:
        return f"{self.origin}{path}"

    def grant(self, account: str) -> str:
        """A grant as if somebody had consented; answers its refresh token."""
        with self._lock:
            made = _Grant(account, secrets.token_urlsafe(24))
            self._grants.append(made)
            return made.current

    def withdraw(self) -> None:
        """End all grants and all tokens that came of them."""
        with self._lock:
            for grant in self._grants:
                grant.alive = False

    def end_access(self) -> None:
        """Access tokens end before their time; the grants live on."""
        with self._lock:
            self._access.clear()

    def consent(self, user_code: str, account: str) -> None:
        with self._lock:
            next(d for d in self._devices.values() if d["user_code"] == user_code)["account"] = account

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        target = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        if target.path == "/authorize":
            code = secrets.token_urlsafe(16)
            with self._lock:
                self._codes[code] = query
            request.send_response(302)
            answer = urlencode({"code": code, "state": query.get("state", "")})
            request.send_header("Location", f"{query['redirect_uri']}?{answer}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            grant, ends = self._access.get(token, (None, 0.0))
        if grant is None or not grant.alive or ends < time.monotonic():
            self._answer(request, 200, {"active": False})
        else:
            self._answer(request, 200, {"active": True, "email": grant.account})

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        raw = request.rfile.read(int(request.headers.get("Content-Length", "0"))).decode()
        form = {name: values[0] for name, values in parse_qs(raw).items()}
        if request.path == "/device":
            code, user_code = secrets.token_urlsafe(16), f"{secrets.randbelow(10**8):08d}"
            with self._lock:
                self._devices[code] = {"user_code": user_code, "account": None}
            self._answer(
                request,
                200,
                {
                    "device_code": code,
                    "user_code": user_code,
                    "verification_uri": self.url("/activate"),
                    "expires_in": 300,
                    "interval": self.interval,
                },
            )
            return
        time.sleep(self.delay)
        with self._lock:
            self.forms.append(form)
            status, body = (self.status, {}) if self.status else self._token(form)
        self._answer(request, status, body)

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        kind = form.get("grant_type", "").rpartition(":")[2]
        if kind == "refresh_token":
            return self._refresh(form.get("refresh_token", ""))
        if kind == "device_code":
            device = self._devices.get(form.get("device_code", ""))
            if device is None:
                return 400, {"error": "expired_token"}
            if device["account"] is None:
                return 400, {"error": "authorization_pending"}
            return self._begin(device["account"])
        if kind == "authorization_code":
            asked = self._codes.pop(form.get("code", ""), None)
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if (
                asked is None
                or asked.get("code_challenge_method") != "S256"
                or asked.get("code_challenge") != challenge
                or asked.get("redirect_uri") != form.get("redirect_uri")
            ):
                return 400, {"error": "invalid_grant"}
            return self._begin(self.account)
        return 400, {"error": "unsupported_grant_type"}

    def _begin(self, account: str) -> tuple[int, dict[str, Any]]:
        grant = _Grant(account, secrets.token_urlsafe(24))
        self._grants.append(grant)
        return self._tokens(grant)

    def _refresh(self, token: str) -> tuple[int, dict[str, Any]]:
        for grant in self._grants:
            if token in grant.used:
                grant.alive = False
            if token == grant.current and grant.alive:
                grant.used.add(token)
                grant.current = secrets.token_urlsafe(24)
                return self._tokens(grant)
        return 400, {"error": "invalid_grant"}

    def _tokens(self, grant: _Grant) -> tuple[int, dict[str, Any]]:
        access = secrets.token_urlsafe(32)
        self._access[access] = (grant, time.monotonic() + self.life)
        return 200, {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.life,
            "refresh_token": grant.current,
        }

    def _answer(self, request: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
