"""OAuth 2.0 access tokens, whose refresh token is another one after each use (RFC 6749 section 6)."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Coroutine, Mapping
from typing import Any

from connectors.x import limits
from connectors.x.config import XConfig, origin
from helpdesk import net
from helpdesk.channels import (
    AccessRevoked,
    AuthenticationFailed,
    House,
    Misconfigured,
    RateLimited,
    TemporaryFailure,
    Unreachable,
)
from helpdesk.clock import now
from helpdesk.net import SafeHttp

AHEAD_SECONDS = 120.0
LAST_WORDS_SECONDS = 5.0
MAX_ANSWER = 65_536
OTHERS_SECONDS = (0.0, 0.3, 0.7)
"""When a refresh is refused: how long is waited for another process to store what it got for the same token."""


class Refused(Exception):
    """The token endpoint's `error`, a stable word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def ask(http: SafeHttp, config: XConfig, form: Mapping[str, str]) -> dict[str, Any]:
    """A form to the token endpoint, its JSON back. Raises Refused and ChannelErrors."""
    headers, secret = {"Accept": "application/json"}, config.client_secret.get_secret_value()
    if secret:
        headers["Authorization"] = basic(config.client_id, secret)
    else:
        form = {**form, "client_id": config.client_id}
    return await post(http, f"{origin(config)}/2/oauth2/token", form, headers)


async def post(http: SafeHttp, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
    try:
        answer = await http.request("POST", url, data=form, headers=headers, max_bytes=MAX_ANSWER)
        if answer.status == 429:
            patience = limits.patience(answer.headers, now())
            raise RateLimited("The token endpoint asks for patience", retry_after=patience)
        if answer.status >= 500:
            raise TemporaryFailure(f"The token endpoint is in trouble (HTTP {answer.status})")
        body = answer.json()
    except net.Unreachable as error:
        if error.kind is net.Kind.BLOCKED:
            raise Misconfigured("api_url is not an address that connections may go to") from None
        raise Unreachable("The token endpoint cannot be reached") from None
    if not isinstance(body, dict):
        raise Misconfigured(f"The token endpoint's answer is no JSON object (HTTP {answer.status})")
    if not answer.ok:
        raise Refused(str(body.get("error", ""))[:60])
    return body


def basic(name: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode('ascii')}"


class TokenSource:
    """Access tokens of one inbox. Keep one instance in a process.

    Both tokens are stored before they are used, and read again before a refresh: of several processes one refreshes
    and the others take over what it stored. A refresh that was refused since another process came first is no failure.
    """

    def __init__(self, config: XConfig, http: SafeHttp, house: House) -> None:
        self._config, self._http, self._house = config, http, house
        self._refresh = config.refresh_token.get_secret_value()
        self._access = config.oauth2_access_token.get_secret_value()
        self._ends_at = float("inf")
        self._one_at_a_time = asyncio.Lock()

    async def token(self) -> str:
        """An access token that nobody has refused yet. Raises AccessRevoked, Unreachable, Misconfigured."""
        async with self._one_at_a_time:
            if not self._access or time.monotonic() > self._ends_at - AHEAD_SECONDS:
                await _to_its_end(self._renew())
            return self._access

    def forget(self, token: str) -> None:
        """The vendor refused it."""
        if token == self._access:
            self._access = ""

    async def _renew(self) -> None:
        refused = self._access or None
        if await self._take_over(besides=refused):
            return
        if not self._refresh:
            raise AuthenticationFailed("There is no grant yet: run `helpdesk inbox authorize`")
        try:
            body = await ask(self._http, self._config, {"grant_type": "refresh_token", "refresh_token": self._refresh})
        except Refused as error:
            if error.code in ("invalid_client", "unauthorized_client"):
                raise AuthenticationFailed("The vendor does not accept client_id with its client_secret") from None
            for seconds in OTHERS_SECONDS:
                await asyncio.sleep(seconds)
                if await self._take_over(besides=refused):
                    return
            raise AccessRevoked("The grant has ended or was withdrawn: run `helpdesk inbox authorize`") from None
        changed = grant(body, self._refresh)
        await self._house.save_secrets(changed)
        self._refresh, self._access = changed["refresh_token"], changed["oauth2_access_token"]
        self._ends_at = time.monotonic() + life(body)

    async def _take_over(self, *, besides: str | None) -> bool:
        """Take what another process has stored. Answers whether that is an access token to try."""
        stored = await self._house.stored_secrets()
        newer = stored.get("refresh_token", "")
        if not newer or newer == self._refresh:
            return False
        self._refresh, self._access = newer, stored.get("oauth2_access_token", "")
        self._ends_at = float("inf")
        return bool(self._access) and self._access != besides


def grant(body: Mapping[str, Any], refresh_token: str = "") -> dict[str, str]:
    """The secrets to store of a token answer. Raises Misconfigured."""
    access, rotated = body.get("access_token"), body.get("refresh_token") or refresh_token
    if not isinstance(access, str) or not access.isascii() or not access.isprintable():
        raise Misconfigured("The token endpoint gave no usable access token")
    if not isinstance(rotated, str) or not rotated:
        raise Misconfigured("The vendor granted no refresh token: the scope offline.access is missing")
    return {"refresh_token": rotated, "oauth2_access_token": access}


def life(body: Mapping[str, Any]) -> float:
    """`expires_in`, or two hours where it is missing or absurd."""
    value = body.get("expires_in")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 7200.0


async def _to_its_end(renewal: Coroutine[Any, Any, None]) -> None:
    """A refresh that is cancelled half-way would lose a token that was rotated already: finish it first."""
    task = asyncio.ensure_future(renewal)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=LAST_WORDS_SECONDS)
        if not task.cancel():
            task.exception()
        raise
