"""The first grant of OAuth 2, with a person at a browser: device code (RFC 8628), or loopback redirect (RFC 8252)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from urllib.parse import parse_qs, urlencode, urlsplit

from connectors.email.config import EmailConfig
from connectors.email.oauth import OAuthError, Provider, as_channel_error, post, provider
from helpdesk.channels import AuthenticationFailed, Consent, Misconfigured, TemporaryFailure
from helpdesk.net import SafeHttp

PATIENCE_SECONDS = 600.0
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def authorize(config: EmailConfig, http: SafeHttp, tell: Callable[[str], None]) -> dict[str, str]:
    """Ask a person for consent; returns the secrets to store. `tell` is given what that person has to do.

    By device code where the provider has it: that works from a server without a browser. Else by a redirect to this
    very machine, where the browser has to be (or an SSH tunnel from there). Raises a ChannelError.
    """
    found = provider(config)
    if found.device_url:
        return await _by_device_code(config, found, http, tell)
    if found.authorize_url:
        return await _by_redirect(config, found, http, tell)
    raise Misconfigured("oauth_device_url or oauth_authorize_url: one of them is needed to ask for consent")


def _client(config: EmailConfig) -> dict[str, str]:
    return {
        "client_id": config.oauth_client_id,
        "client_secret": config.oauth_client_secret.get_secret_value(),
    }


def _granted(body: dict[str, object]) -> dict[str, str]:
    token = body.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise Misconfigured("The provider granted no refresh token: does oauth_scope ask for offline access?")
    return {"oauth_refresh_token": token}


def _shown(value: object) -> str:
    """A provider's word, fit for a terminal."""
    return "".join(c for c in str(value or "") if c.isprintable())[:500]


async def _by_device_code(
    config: EmailConfig, found: Provider, http: SafeHttp, tell: Callable[[str], None]
) -> dict[str, str]:
    try:
        body = await post(http, found.device_url, {"client_id": config.oauth_client_id, "scope": found.scope})
    except OAuthError as error:
        raise as_channel_error(error) from None
    # Google named it before the RFC did.
    address = _shown(body.get("verification_uri") or body.get("verification_url"))
    code = str(body.get("device_code", ""))
    if not code or not address.startswith(("https://", "http://")):
        raise Misconfigured("oauth_device_url does not answer as a device authorization endpoint")
    interval = max(1.0, _bounded(body.get("interval"), 5.0, 60.0))
    until = time.monotonic() + _bounded(body.get("expires_in"), PATIENCE_SECONDS, 1800.0)
    tell(f"Open {address} and enter the code {_shown(body.get('user_code'))}")
    form = {"grant_type": _DEVICE_GRANT, "device_code": code, **_client(config)}
    while time.monotonic() < until:
        await asyncio.sleep(interval)
        try:
            return _granted(await post(http, found.token_url, form))
        except TemporaryFailure:
            interval = min(interval * 2, 60.0)  # RFC 8628 section 3.5: back off when the endpoint is away
        except OAuthError as error:
            if error.code == "slow_down":
                interval += 5.0
            elif error.code == "access_denied":
                raise AuthenticationFailed("Consent was refused") from None
            elif error.code != "authorization_pending":
                raise as_channel_error(error) from None
    raise AuthenticationFailed("Nobody consented in time")


def _bounded(value: object, default: float, most: float) -> float:
    return min(float(value), most) if isinstance(value, int | float) and value >= 0 else default


async def _by_redirect(
    config: EmailConfig, found: Provider, http: SafeHttp, tell: Callable[[str], None]
) -> dict[str, str]:
    """Authorization code with PKCE (RFC 7636, S256). The redirect goes to a port of 127.0.0.1 that is ours alone."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(_redirected(state, answer), "127.0.0.1", 0, limit=16_384)
    async with server:
        asked = Consent(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", state, verifier)
        tell(f"Open {_address(config, found, asked)}")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                code = await answer
        except TimeoutError:
            raise AuthenticationFailed("Nobody consented in time") from None
    return await redeem(config, http, code, asked)


def consent_url(config: EmailConfig, asked: Consent) -> str:
    """Where a browser asks for consent that comes back to `asked.redirect_uri`. Raises `Misconfigured`."""
    if config.auth != "xoauth2":
        raise Misconfigured("auth is not xoauth2: a password needs no consent")
    found = provider(config)
    if not found.authorize_url:
        raise Misconfigured("oauth_authorize_url is needed to ask for consent in a browser")
    return _address(config, found, asked)


def _address(config: EmailConfig, found: Provider, asked: Consent) -> str:
    query = {
        "response_type": "code",
        "client_id": config.oauth_client_id,
        "redirect_uri": asked.redirect_uri,
        "scope": found.scope,
        "state": asked.state,
        "code_challenge": asked.challenge,
        "code_challenge_method": "S256",
        **found.extra,
    }
    return f"{found.authorize_url}{'&' if '?' in found.authorize_url else '?'}{urlencode(query)}"


async def redeem(config: EmailConfig, http: SafeHttp, code: str, asked: Consent) -> dict[str, str]:
    """What came back from there, for the secrets to store. Raises a ChannelError."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked.redirect_uri}
    form |= {"code_verifier": asked.verifier, **_client(config)}
    try:
        return _granted(await post(http, provider(config).token_url, form))
    except OAuthError as error:
        raise as_channel_error(error) from None


_PAGE = (
    "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}"
)


def _redirected(
    state: str, answer: asyncio.Future[str]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A page for the browser to land on. A request without our state is nobody's business here, and changes nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                status, text = _land(head.split(b"\r\n", 1)[0].decode("latin-1"), state, answer)
                writer.write(_PAGE.format(status=status, text=text, length=len(text)).encode("utf-8"))
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    return serve


def _land(request: str, state: str, answer: asyncio.Future[str]) -> tuple[str, str]:
    method, _, rest = request.partition(" ")
    target = urlsplit(rest.partition(" ")[0])
    given = {name: values[0] for name, values in parse_qs(target.query).items()}
    if method != "GET" or target.path != "/" or not compare_digest(given.get("state", "").encode(), state.encode()):
        return "404 Not Found", "There is nothing here."
    if not answer.done():
        if code := given.get("code"):
            answer.set_result(code)
        else:
            answer.set_exception(AuthenticationFailed("Consent was refused"))
    return "200 OK", "Thank you. You may close this window and go back to the terminal."
