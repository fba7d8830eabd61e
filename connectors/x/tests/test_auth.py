"""Rotating refresh tokens: stored before they are used, and one process's refresh is every other's."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from connectors.x.client import Client
from connectors.x.config import XConfig
from connectors.x.tests.desk import Store, connector
from connectors.x.tests.fake import FakeX
from helpdesk.channels import AccessRevoked, AuthenticationFailed, TemporaryFailure


@pytest.fixture
async def x() -> AsyncIterator[FakeX]:
    with FakeX() as fake:
        yield fake


def client(x: FakeX, store: Store, **more: object) -> Client:
    return Client(XConfig.model_validate({**x.tokens.oauth2, "api_url": x.origin, **more}), store.house())


async def test_a_token_is_fetched_once_stored_and_used_until_it_is_refused(x: FakeX) -> None:
    store = Store()
    ours = client(x, store)
    await asyncio.gather(*(ours.call("get_me") for _ in range(4)))
    assert x.tokens.refreshed == store.saved == 1
    assert store.secrets == {"refresh_token": x.tokens.refresh_token, "oauth2_access_token": "access-1"}
    x.tokens.expire()
    await ours.call("get_me")
    assert x.tokens.refreshed == 2
    await ours.close()
    # After a restart the stored pair is what the settings hold.
    later = client(x, store, **store.secrets)
    await later.call("get_me")
    assert x.tokens.refreshed == 2
    await later.close()


async def test_two_processes_that_refresh_at_once_both_go_on(x: FakeX) -> None:
    store = Store()
    both = [client(x, store), client(x, store)]
    for _ in range(3):
        x.tokens.expire()
        await asyncio.gather(*(one.call("get_me") for one in both))
    assert store.secrets["refresh_token"] == x.tokens.refresh_token
    for one in both:
        await one.close()


async def test_a_token_that_could_not_be_stored_is_not_used(x: FakeX) -> None:
    class Full(Store):
        async def save(self, changed: Mapping[str, str]) -> None:
            raise OSError("the disk is full")

    ours = client(x, Full())
    with pytest.raises(OSError, match="full"):
        await ours.call("get_me")
    assert x.calls["GET /2/users/me"] == 0
    await ours.close()


async def test_a_grant_that_ended_is_for_a_person_and_a_vendor_in_trouble_is_not(x: FakeX) -> None:
    ours = client(x, Store())
    for status, headers, body in ((503, {}, b"<html>"), (429, {"retry-after": "5"}, b"")):
        x.fail("POST /2/oauth2/token", status, headers, body)
        with pytest.raises(TemporaryFailure):
            await ours.call("get_me")
    x.revoke()
    with pytest.raises(AccessRevoked, match="authorize"):
        await ours.call("get_me")
    none, stranger = client(x, Store(), refresh_token=""), client(x, Store(), client_secret="wrong")
    for one in (none, stranger):
        with pytest.raises(AuthenticationFailed):
            await one.call("get_me")
    for one in (ours, none, stranger):
        await one.close()


async def test_a_person_consents_in_the_browser(x: FakeX) -> None:
    made = connector(x, keys="oauth2", refresh_token="", oauth_redirect="http://127.0.0.1:18765/back")
    told: asyncio.Queue[str] = asyncio.Queue()
    asked = asyncio.create_task(made.authorize(told.put_nowait))
    address = urlsplit((await told.get()).split(" ")[1])
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert query["code_challenge_method"] == "S256"
    assert {"tweet.write", "dm.read", "offline.access"} < set(query["scope"].split())
    x.tokens.codes["code-1"] = (query["code_challenge"], query["redirect_uri"])

    def land(**given: str) -> int:
        try:
            with urllib.request.urlopen(f"{query['redirect_uri']}?{urlencode(given)}", timeout=5) as page:
                return int(page.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert await asyncio.to_thread(land, code="stolen", state="guessed") == 404
    assert not asked.done()
    assert await asyncio.to_thread(land, code="code-1", state=query["state"]) == 200
    assert await asked == {"refresh_token": x.tokens.refresh_token, "oauth2_access_token": "access-1"}
    await made.close()
