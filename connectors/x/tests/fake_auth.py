"""Who asks: signatures of OAuth 1.0a, and bearer tokens of OAuth 2.0 whose refresh tokens are good for once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from itertools import count
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

SIGNED_ORIGIN: Final = "https://api.twitter.com"
"""What the client signs, wherever the request is really sent."""

Keys = Mapping[str, str]


class Tokens:
    """The app's and the account's. `app` calls take the app's bearer token, all others are made for the account."""

    def __init__(self, user_id: str) -> None:
        self.oauth1: Keys = {
            "consumer_key": "consumer-key",
            "consumer_secret": "consumer-secret",
            "access_token": f"{user_id}-access",
            "access_token_secret": "access-secret",
        }
        self.oauth2: Keys = {"client_id": "client-id", "client_secret": "client-secret", "refresh_token": "refresh-0"}
        self.revoked = False
        self.app_token = "app-only"
        self.refresh_token = "refresh-0"
        self.access: set[str] = set()
        self.codes: dict[str, tuple[str, str]] = {}
        """By authorization code: the S256 challenge, and the redirect it was given for."""
        self.refreshed = 0
        self._number = count(1)
        self._nonces: set[str] = set()

    def expire(self) -> None:
        """The access tokens that are out; whoever holds the refresh token gets another."""
        self.access.clear()

    def refuses(self, method: str, path: str, query: Mapping[str, str], header: str, *, kinds: set[str]) -> str:
        """Why a request with this Authorization may not make a call that takes `kinds`; empty if it may."""
        if self.revoked:
            return "the token was revoked"
        scheme, _, rest = header.partition(" ")
        if scheme == "OAuth":
            return self._signature(method, path, query, rest) if "oauth1" in kinds else "not with OAuth 1.0a"
        if scheme != "Bearer":
            return "no authorization"
        if rest == self.app_token:
            return "" if "app" in kinds else "not with the app's own token"
        if rest in self.access:
            return "" if "oauth2" in kinds else "not with a user's token"
        return "an unknown token"

    def _signature(self, method: str, path: str, query: Mapping[str, str], header: str) -> str:
        given = {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', header)}
        signature = given.pop("oauth_signature", "")
        named = (given.get("oauth_consumer_key"), given.get("oauth_token"))
        if named != (self.oauth1["consumer_key"], self.oauth1["access_token"]):
            return "an unknown key or token"
        if given["oauth_nonce"] in self._nonces:
            return "a nonce for the second time"
        self._nonces.add(given["oauth_nonce"])
        pairs = sorted((_quoted(k), _quoted(v)) for k, v in [*query.items(), *given.items()])
        base = [method, SIGNED_ORIGIN + path, "&".join(f"{k}={v}" for k, v in pairs)]
        key = f"{_quoted(self.oauth1['consumer_secret'])}&{_quoted(self.oauth1['access_token_secret'])}"
        wanted = hmac.new(key.encode(), "&".join(map(_quoted, base)).encode(), hashlib.sha1).digest()
        return "" if hmac.compare_digest(base64.b64encode(wanted).decode(), signature) else "a wrong signature"

    def grant(self, header: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """What POST /2/oauth2/token answers. The refresh token that was used is dead at once."""
        form = dict(parse_qsl(body.decode()))
        basic = base64.b64encode(f"{self.oauth2['client_id']}:{self.oauth2['client_secret']}".encode()).decode()
        if header != f"Basic {basic}" and (header or form.get("client_id") != self.oauth2["client_id"]):
            return 401, {"error": "unauthorized_client", "error_description": "Missing valid authorization header"}
        if self.revoked or not self._known(form):
            return 400, {"error": "invalid_request", "error_description": "Value passed for the token was invalid."}
        number = next(self._number)
        self.refresh_token, token = f"refresh-{number}", f"access-{number}"
        self.access.add(token)
        self.refreshed += 1
        answer = {"token_type": "bearer", "expires_in": 7200, "access_token": token, "scope": "tweet.read"}
        return 200, {**answer, "refresh_token": self.refresh_token}

    def _known(self, form: Mapping[str, str]) -> bool:
        if form.get("grant_type") == "refresh_token":
            return form.get("refresh_token") == self.refresh_token
        challenge, redirect = self.codes.pop(form.get("code", ""), ("", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return bool(challenge) and made == challenge and form.get("redirect_uri") == redirect

    def app_grant(self, header: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """What POST /oauth2/token answers: the token that an app uses for itself."""
        pair = f"{self.oauth1['consumer_key']}:{self.oauth1['consumer_secret']}"
        if header != f"Basic {base64.b64encode(pair.encode()).decode()}" or b"client_credentials" not in body:
            return 403, {"errors": [{"code": 99, "message": "Unable to verify your credentials"}]}
        return 200, {"token_type": "bearer", "access_token": self.app_token}


def _quoted(text: str) -> str:
    return quote(text, safe="-._~")
