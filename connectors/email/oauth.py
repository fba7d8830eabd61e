"""OAuth 2 access tokens for IMAP and SMTP (RFC 6749): fetched ahead of time, one refresh at a time, never logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from connectors.email.config import EmailConfig
from helpdesk import net
from helpdesk.channels import (
    AuthenticationFailed,
    ChannelError,
    Misconfigured,
    RateLimited,
    TemporaryFailure,
    Unreachable,
)

AHEAD_SECONDS = 300.0
"""How long before its end a token is replaced. Half of its life, where that is shorter."""
FRESH_SECONDS = 10.0
LAST_WORDS_SECONDS = 5.0
MAX_ANSWER = 65_536
REQUEST_SECONDS = 20.0

Save = Callable[[Mapping[str, str]], Awaitable[None]]
Stored = Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Provider:
    """Endpoints and scope. An empty `device_url` means that the device flow cannot grant this scope there."""

    token_url: str
    authorize_url: str
    device_url: str
    scope: str
    extra: Mapping[str, str]


_GOOGLE = Provider(
    token_url="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    # Google's device flow grants a short list of scopes, and mail is not among them.
    device_url="",
    scope="https://mail.google.com/",
    # Without these two no refresh token comes, or only the first time that somebody consents.
    extra={"access_type": "offline", "prompt": "consent"},
)
_MICROSOFT = Provider(
    token_url="https://login.microsoftonline.com/common/oauth2/v2.0/token",  # noqa: S106 - an address
    authorize_url="",
    device_url="",
    scope="https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access",
    extra={"prompt": "select_account"},
)


def provider(config: EmailConfig) -> Provider:
    """The endpoints of an inbox. Each URL that is configured replaces the provider's own.

    Microsoft's three differ in the last word only, so that a tenant's `oauth_token_url` is enough for an application
    of one tenant, which `common` does not serve.
    """
    known = {"google": _GOOGLE, "microsoft": _MICROSOFT}.get(config.oauth_provider, Provider("", "", "", "", {}))
    found = replace(
        known,
        token_url=config.oauth_token_url or known.token_url,
        authorize_url=config.oauth_authorize_url or known.authorize_url,
        device_url=config.oauth_device_url or known.device_url,
        scope=config.oauth_scope or known.scope,
    )
    if config.oauth_provider == "microsoft":
        base = found.token_url.removesuffix("/token")
        found = replace(
            found,
            authorize_url=found.authorize_url or f"{base}/authorize",
            device_url=found.device_url or f"{base}/devicecode",
        )
    return found


class OAuthError(Exception):
    """An error answer of RFC 6749 section 5.2 or RFC 8628 section 3.5; `code` is its stable word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def post(http: net.SafeHttp, url: str, form: Mapping[str, str]) -> dict[str, Any]:
    """A form to a token or device endpoint, its JSON back. Raises OAuthError and ChannelErrors."""
    try:
        answer = await http.request(
            "POST",
            url,
            data={name: value for name, value in form.items() if value},
            headers={"Accept": "application/json"},
            max_bytes=MAX_ANSWER,
            timeout=REQUEST_SECONDS,
        )
    except net.Unreachable as error:
        if error.kind is net.Kind.BLOCKED:
            raise Misconfigured("The token endpoint's address is not one that connections may go to") from None
        raise Unreachable("The token endpoint cannot be reached") from None
    if answer.status == 429:
        delay = answer.headers.get("retry-after", "")
        raise RateLimited("The token endpoint asks for patience", retry_after=float(delay) if delay.isdigit() else None)
    if answer.status >= 500:
        raise Unreachable(f"The token endpoint is in trouble (HTTP {answer.status})")
    try:
        body = answer.json()
    except net.Unreachable:
        body = None
    if not isinstance(body, dict):
        raise Misconfigured(f"The token endpoint's answer is no JSON object (HTTP {answer.status})")
    if not answer.ok or "error" in body:
        raise OAuthError(str(body.get("error", ""))[:60])
    return body


def as_channel_error(error: OAuthError) -> ChannelError:
    """What a refusal at the token endpoint means for the inbox."""
    if error.code in ("temporarily_unavailable", "server_error"):
        return TemporaryFailure("The token endpoint is not available at the moment")
    if error.code in ("invalid_client", "unauthorized_client"):
        return AuthenticationFailed("The provider does not accept oauth_client_id with its oauth_client_secret")
    if error.code in ("invalid_scope", "unsupported_grant_type", "invalid_request"):
        return Misconfigured(f"The provider refuses the request as it is configured ({error.code})")
    # invalid_grant, interaction_required, consent_required, ...: a person has to consent anew.
    return AuthenticationFailed("The grant has ended or was withdrawn: run `helpdesk inbox authorize`")


class TokenSource:
    """Access tokens of one inbox. Keep one instance per process, and share it between IMAP and SMTP.

    `stored` reads the secrets as they are now, so that what another process has rotated is used and not the old one.

    `save` stores `{"oauth_refresh_token": ...}`; it is awaited before a rotated token, or the access token that came
    with it, is used: an issuer that rotates withdraws the whole grant when it sees an old one again (RFC 9700 section
    4.14.2), and a crash must not leave the old one as the only one we have.
    """

    def __init__(self, config: EmailConfig, http: net.SafeHttp, save: Save, stored: Stored | None = None) -> None:
        self._config = config
        self._provider = provider(config)
        self._http = http
        self._save, self._stored = save, stored
        self._refresh_token = config.oauth_refresh_token.get_secret_value()
        self._saved = self._refresh_token
        self._access_token = ""
        self._fetched_at = 0.0
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def token(self) -> str:
        """An access token that is good for some minutes. Raises AuthenticationFailed, Unreachable, Misconfigured.

        While the endpoint is away, a token that has not ended yet is still given.
        """
        async with self._one_at_a_time:
            now = time.monotonic()
            if self._access_token and now < self._renew_at:
                return self._access_token
            try:
                await _to_its_end(self._refresh())
            except TemporaryFailure:
                if self._access_token and now < self._ends_at:
                    return self._access_token
                raise
            return self._access_token

    def forget(self, token: str) -> bool:
        """The server refused `token`. True when the next one will be another, so that trying again makes sense."""
        if token != self._access_token:
            return True
        fresh = time.monotonic() < self._fetched_at + FRESH_SECONDS
        self._renew_at = self._ends_at = 0.0
        self._access_token = ""
        return not fresh

    async def _catch_up(self) -> None:
        """Take over a grant that another process has rotated since this one last looked."""
        if self._stored is None or self._refresh_token != self._saved:
            return
        found = (await self._stored()).get("oauth_refresh_token", "")
        if found and found != self._saved:
            self._refresh_token = self._saved = found

    async def _refresh(self) -> None:
        await self._catch_up()
        if not self._refresh_token:
            raise AuthenticationFailed("There is no grant yet: run `helpdesk inbox authorize`")
        await self._keep()
        config = self._config
        started = time.monotonic()
        try:
            body = await post(
                self._http,
                self._provider.token_url,
                {
                    "grant_type": "refresh_token",
                    "refresh_token": self._refresh_token,
                    "client_id": config.oauth_client_id,
                    "client_secret": config.oauth_client_secret.get_secret_value(),
                    "scope": self._provider.scope,
                },
            )
        except OAuthError as error:
            raise as_channel_error(error) from None
        access, rotated = body.get("access_token"), body.get("refresh_token")
        if not isinstance(access, str) or not access.isascii() or not access.isprintable():
            raise Misconfigured("The token endpoint gave no usable access token")
        if isinstance(rotated, str) and rotated:
            self._refresh_token = rotated
            await self._keep()
        life = _seconds(body.get("expires_in"))
        self._access_token = access
        self._fetched_at = started
        self._ends_at = started + life
        self._renew_at = self._ends_at - min(AHEAD_SECONDS, life / 2)

    async def _keep(self) -> None:
        # Also reached when an earlier save failed: nothing goes on before the store has it.
        if self._refresh_token != self._saved:
            await self._save({"oauth_refresh_token": self._refresh_token})
            self._saved = self._refresh_token


async def _to_its_end(refresh: Coroutine[Any, Any, None]) -> None:
    """A refresh that is cancelled half-way would lose a token that the issuer has rotated already: finish it first."""
    task = asyncio.ensure_future(refresh)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=LAST_WORDS_SECONDS)
        if not task.cancel():
            task.exception()
        raise


def _seconds(value: object) -> float:
    """`expires_in`, a number or (against the RFC) a string of one; an hour where it is missing or absurd."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e7:
        return float(value)
    return 3600.0
