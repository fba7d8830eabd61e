"""The first grant of OAuth 2.0, with a person at a browser: a redirect to this machine (RFC 8252), with PKCE."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from urllib.parse import parse_qs, urlencode, urlsplit

from connectors.x import auth
from connectors.x.config import XConfig
from helpdesk.channels import AuthenticationFailed, Consent, Misconfigured
from helpdesk.net import SafeHttp

SCOPES = "tweet.read tweet.write tweet.moderate.write users.read dm.read dm.write offline.access media.write"
CONSENT = "https://x.com/i/oauth2/authorize"
PATIENCE_SECONDS = 600.0
_PAGE = (
    "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}"
)


async def authorize(config: XConfig, http: SafeHttp, tell: Callable[[str], None]) -> dict[str, str]:
    """Ask a person for consent; answers the secrets to store. Raises a ChannelError.

    The browser has to be on this machine, or on one that forwards the port of `oauth_redirect` to it.
    """
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    asked = Consent(config.oauth_redirect, state, verifier)
    address = consent_url(config, asked)
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    here = urlsplit(config.oauth_redirect)
    try:
        landing = _redirected(here.path, state, answer)
        server = await asyncio.start_server(landing, here.hostname, here.port, limit=16_384)
    except OSError:
        raise Misconfigured("The port of oauth_redirect is taken: register another one") from None
    async with server:
        tell(f"Open {address}")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                code = await answer
        except TimeoutError:
            raise AuthenticationFailed("Nobody consented in time") from None
    return await redeem(config, http, code, asked)


def consent_url(config: XConfig, asked: Consent) -> str:
    """Where a browser asks for consent that comes back to `asked.redirect_uri`. Raises `Misconfigured`."""
    if not config.oauth2:
        raise Misconfigured("client_id is not set: keys of OAuth 1.0a need no consent")
    query = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": asked.redirect_uri,
        "scope": SCOPES,
        "state": asked.state,
        "code_challenge": asked.challenge,
        "code_challenge_method": "S256",
    }
    return f"{CONSENT}?{urlencode(query)}"


async def redeem(config: XConfig, http: SafeHttp, code: str, asked: Consent) -> dict[str, str]:
    """What came back from there, for the secrets to store. Raises a ChannelError."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": asked.redirect_uri,
        "code_verifier": asked.verifier,
    }
    try:
        return auth.grant(await auth.ask(http, config, form))
    except auth.Refused as error:
        raise AuthenticationFailed(f"The vendor does not take the consent ({error.code})") from None


def _redirected(
    path: str, state: str, answer: asyncio.Future[str]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A page for the browser to land on. A request without our state is nobody's business here, and changes nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                status, text = _land(head.split(b"\r\n", 1)[0].decode("latin-1"), path or "/", state, answer)
                writer.write(_PAGE.format(status=status, text=text, length=len(text)).encode("utf-8"))
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    return serve


def _land(request: str, path: str, state: str, answer: asyncio.Future[str]) -> tuple[str, str]:
    method, _, rest = request.partition(" ")
    target = urlsplit(rest.partition(" ")[0])
    given = {name: values[0] for name, values in parse_qs(target.query).items()}
    if method != "GET" or target.path != path or not compare_digest(given.get("state", "").encode(), state.encode()):
        return "404 Not Found", "There is nothing here."
    if not answer.done():
        if code := given.get("code"):
            answer.set_result(code)
        else:
            answer.set_exception(AuthenticationFailed("Consent was refused"))
    return "200 OK", "Thank you. You may close this window and go back to the terminal."
