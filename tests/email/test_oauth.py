"""OAuth 2: tokens ahead of time, rotation that survives a crash, and the first grant."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from connectors.email import oauth
from connectors.email.authorize import authorize
from connectors.email.config import EmailConfig
from connectors.email.oauth import TokenSource, provider
from helpdesk.channels import AuthenticationFailed, Misconfigured, RateLimited, Unreachable
from helpdesk.net import Guard, SafeHttp, safe_http
from tests.email.imap_house import LOOPBACK
from tests.peers.token_server import CLIENT_ID, CLIENT_SECRET, TokenServer


@pytest.fixture
def issuer() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[SafeHttp]:
    async with safe_http(LOOPBACK) as client:
        yield client


def config(issuer: TokenServer, **more: str) -> EmailConfig:
    return EmailConfig.model_validate(
        {
            "address": "support@example.com",
            "auth": "xoauth2",
            "oauth_provider": "custom",
            "oauth_client_id": CLIENT_ID,
            "oauth_client_secret": CLIENT_SECRET,
            "oauth_token_url": issuer.url("/token"),
            **more,
        }
    )


class Store:
    """Where refresh tokens are kept; `broken` is a database that is away."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.broken = False

    async def save(self, changed: Mapping[str, str]) -> None:
        if self.broken:
            raise ConnectionError
        self.saved.append(changed["oauth_refresh_token"])


async def test_a_token_is_fetched_once_and_kept(issuer: TokenServer, http: SafeHttp) -> None:
    source = TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, Store().save)
    assert await source.token() == await source.token()
    assert len(issuer.forms) == 1


async def test_many_that_ask_at_once_share_one_refresh(issuer: TokenServer, http: SafeHttp) -> None:
    issuer.delay = 0.05
    source = TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, Store().save)
    assert len(set(await asyncio.gather(*(source.token() for _ in range(20))))) == 1
    assert len(issuer.forms) == 1


async def test_a_token_is_replaced_before_it_ends(issuer: TokenServer, http: SafeHttp) -> None:
    issuer.life = 1
    source = TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, Store().save)
    first = await source.token()
    await asyncio.sleep(0.6)
    assert await source.token() != first


async def test_a_rotated_refresh_token_is_saved_and_then_used(issuer: TokenServer, http: SafeHttp) -> None:
    store, first = Store(), issuer.grant("support")
    source = TokenSource(config(issuer, oauth_refresh_token=first), http, store.save)
    for _ in range(3):
        source.forget(await source.token())
    used = [form["refresh_token"] for form in issuer.forms]
    assert used == [first, *store.saved[:2]]
    assert len(set(used)) == 3


async def test_nothing_is_used_that_could_not_be_saved(issuer: TokenServer, http: SafeHttp) -> None:
    store = Store()
    source = TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, store.save)
    store.broken = True
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await source.token()
    assert len(issuer.forms) == 1
    store.broken = False
    await source.token()
    assert issuer.forms[1]["refresh_token"] == store.saved[0]


async def test_being_cancelled_in_the_middle_does_not_lose_a_rotated_token(issuer: TokenServer, http: SafeHttp) -> None:
    issuer.delay = 0.2
    store = Store()
    task = asyncio.create_task(
        TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, store.save).token()
    )
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await TokenSource(config(issuer, oauth_refresh_token=store.saved[0]), http, store.save).token()


async def test_a_new_process_goes_on_with_what_was_saved(issuer: TokenServer, http: SafeHttp) -> None:
    store = Store()
    await TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, store.save).token()
    again = TokenSource(config(issuer, oauth_refresh_token=store.saved[-1]), http, store.save)
    assert await again.token()


async def test_a_withdrawn_grant_needs_a_person(issuer: TokenServer, http: SafeHttp) -> None:
    source = TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, Store().save)
    issuer.withdraw()
    with pytest.raises(AuthenticationFailed, match="inbox authorize"):
        await source.token()


async def test_a_wrong_client_secret_needs_a_person(issuer: TokenServer, http: SafeHttp) -> None:
    settings = config(issuer, oauth_refresh_token=issuer.grant("support"), oauth_client_secret="other")
    with pytest.raises(AuthenticationFailed, match="oauth_client_secret"):
        await TokenSource(settings, http, Store().save).token()


async def test_no_grant_yet_needs_a_person(issuer: TokenServer, http: SafeHttp) -> None:
    with pytest.raises(AuthenticationFailed, match="inbox authorize"):
        await TokenSource(config(issuer), http, Store().save).token()
    assert issuer.forms == []


@pytest.mark.parametrize(("status", "error"), [(500, Unreachable), (503, Unreachable), (429, RateLimited)])
async def test_an_endpoint_in_trouble_is_tried_again_later(
    issuer: TokenServer, http: SafeHttp, status: int, error: type[Exception]
) -> None:
    issuer.status = status
    source = TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, Store().save)
    with pytest.raises(error):
        await source.token()
    issuer.status = 0
    assert await source.token()


async def test_a_token_that_has_not_ended_is_given_while_the_endpoint_is_away(
    issuer: TokenServer, http: SafeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.life = 4
    source = TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, Store().save)
    first = await source.token()
    issuer.status = 503
    await asyncio.sleep(2.1)
    assert await source.token() == first


async def test_an_endpoint_that_may_not_be_reached_is_a_misconfiguration(issuer: TokenServer) -> None:
    async with safe_http(Guard()) as http:
        source = TokenSource(config(issuer, oauth_refresh_token=issuer.grant("support")), http, Store().save)
        with pytest.raises(Misconfigured):
            await source.token()


async def test_tokens_stay_out_of_logs_and_errors(
    issuer: TokenServer, http: SafeHttp, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    grant = issuer.grant("support")
    source = TokenSource(config(issuer, oauth_refresh_token=grant), http, Store().save)
    access = await source.token()
    source.forget(access)
    issuer.withdraw()
    with pytest.raises(AuthenticationFailed) as caught:
        await source.token()
    printed = capsys.readouterr()
    for text in (caplog.text, printed.out, printed.err, repr(caught.value), repr(source)):
        assert grant not in text
        assert access not in text
        assert CLIENT_SECRET not in text


def test_the_providers_endpoints(issuer: TokenServer) -> None:
    google = provider(config(issuer, oauth_provider="google", oauth_token_url=""))
    assert google.token_url == "https://oauth2.googleapis.com/token"
    assert google.scope == "https://mail.google.com/"
    assert google.device_url == ""
    microsoft = provider(config(issuer, oauth_provider="microsoft", oauth_token_url=""))
    assert microsoft.device_url == "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode"
    assert "offline_access" in microsoft.scope
    tenant = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/oauth2/v2.0"
    own = provider(config(issuer, oauth_provider="microsoft", oauth_token_url=f"{tenant}/token"))
    assert own.authorize_url == f"{tenant}/authorize"
    assert own.device_url == f"{tenant}/devicecode"


def test_an_absurd_life_of_a_token_counts_as_an_hour() -> None:
    assert [oauth._seconds(value) for value in ("1800", 60, None, -1, True, 1e30, "soon")] == [
        1800.0,
        60.0,
        3600.0,
        3600.0,
        3600.0,
        3600.0,
        3600.0,
    ]


async def test_a_person_consents_by_device_code(issuer: TokenServer, http: SafeHttp) -> None:
    told: list[str] = []
    settings = config(issuer, oauth_device_url=issuer.url("/device"))
    task = asyncio.create_task(authorize(settings, http, told.append))
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0.02)
        assert issuer.url("/activate") in told[0]
        code = re.search(r"\b\d{8}\b", told[0])
        assert code
        await asyncio.sleep(0.1)
        issuer.consent(code[0], "support")
        granted = await task
    fresh = config(issuer, **granted)
    assert await TokenSource(fresh, http, Store().save).token()


async def _browse(url: str, http: SafeHttp) -> tuple[int, bytes]:
    answer = await http.request("GET", url)
    if answer.status == 302:
        return await _browse_loopback(answer.headers["location"])
    return answer.status, answer.body


async def _browse_loopback(url: str) -> tuple[int, bytes]:
    target = urlsplit(url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    writer.write(f"GET {target.path}?{target.query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), answer


async def _redirect_flow(
    issuer: TokenServer, http: SafeHttp, told: list[str], **more: str
) -> tuple[asyncio.Task[dict[str, str]], str, dict[str, Any]]:
    settings = config(issuer, oauth_authorize_url=issuer.url("/authorize"), **more)
    task = asyncio.create_task(authorize(settings, http, told.append))
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0.01)
    url = told[0].removeprefix("Open ")
    return task, url, {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_a_person_consents_by_a_redirect_with_pkce(issuer: TokenServer, http: SafeHttp) -> None:
    task, url, query = await _redirect_flow(issuer, http, [])
    assert query["redirect_uri"].startswith("http://127.0.0.1:")
    assert query["code_challenge_method"] == "S256"
    status, page = await _browse(url, http)
    assert status == 200
    assert b"no-store" in page
    granted = await asyncio.wait_for(task, 5)
    assert await TokenSource(config(issuer, **granted), http, Store().save).token()


async def test_a_redirect_with_another_state_changes_nothing(issuer: TokenServer, http: SafeHttp) -> None:
    task, url, query = await _redirect_flow(issuer, http, [])
    for wrong in ("?code=stolen&state=guess", "?code=stolen", "favicon.ico", "?error=access_denied"):
        status, _ = await _browse_loopback(query["redirect_uri"] + wrong)
        assert status == 404
    assert not task.done()
    await _browse(url, http)
    assert "oauth_refresh_token" in await asyncio.wait_for(task, 5)


async def test_refused_consent_is_told(issuer: TokenServer, http: SafeHttp) -> None:
    task, _, query = await _redirect_flow(issuer, http, [])
    await _browse_loopback(f"{query['redirect_uri']}?error=access_denied&state={query['state']}")
    with pytest.raises(AuthenticationFailed, match="refused"):
        await asyncio.wait_for(task, 5)


async def test_without_an_endpoint_nobody_can_consent(issuer: TokenServer, http: SafeHttp) -> None:
    with pytest.raises(Misconfigured, match="oauth_authorize_url"):
        await authorize(config(issuer), http, lambda _: None)


def test_an_endpoint_without_tls_is_refused_outside_loopback(issuer: TokenServer) -> None:
    with pytest.raises(ValidationError, match="https"):
        config(issuer, oauth_token_url="http://login.example.com/token")
