"""Single sign-on against a provider that speaks the real protocol, and what is done to get in without it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from joserfc import jwk
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from helpdesk import clock
from helpdesk.app import create_app
from helpdesk.models.agents import agents, sessions, sso_logins, sso_providers
from helpdesk.models.alerts import alerts
from helpdesk.models.events import audit
from helpdesk.services import sign_on
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import BASE_URL, ON_ONE_DATABASE
from tests.peers.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider

SSO = "/api/v1/auth/sso"
PROVIDERS = "/api/v1/sso-providers"


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as opened:
        yield opened


@dataclass
class Door:
    """A provider that is set up, an agent with the address that it vouches for, and his browser."""

    services: Services
    provider: OpenIdProvider
    browser: httpx.AsyncClient
    provider_id: UUID
    anna: factories.Someone

    async def start(self, browser: httpx.AsyncClient | None = None) -> str:
        answer = await (browser or self.browser).post(f"{SSO}/{self.provider_id}/start")
        assert answer.status_code == 200, answer.text
        url: str = answer.json()["url"]
        return url

    async def come_back(self, code: str, state: str, **more: str) -> httpx.Response:
        return await self.browser.get(f"{SSO}/callback", params={"code": code, "state": state, **more})

    async def sign_on(self) -> httpx.Response:
        return await self.come_back(*self.provider.visit(await self.start()))

    async def refused(self, reason: str) -> None:
        """A whole sign-on that lets nobody in; only the log has the reason."""
        with capture_logs() as logs:
            answer = await self.sign_on()
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:helpdesk:problem:sso_refused")
        assert [line["reason"] for line in logs if line["event"] == "sso.refused"] == [reason]
        assert "set-cookie" not in answer.headers
        assert await self.count(sessions) == await self.count(sso_logins) == 0

    async def count(self, table: Any) -> int:
        async with self.services.database.reading() as session:
            return await session.scalar(select(func.count()).select_from(table)) or 0

    async def subject(self) -> str | None:
        async with self.services.database.reading() as session:
            query = select(agents.c.external_subject).where(agents.c.id == self.anna.id)
            return (await session.execute(query)).scalar_one()


@pytest.fixture
async def door(services: Services, provider: OpenIdProvider, client: httpx.AsyncClient) -> Door:
    anna = await factories.agent(services)
    provider.person["email"] = anna.email
    given = {"client_id": CLIENT_ID, "secret": CLIENT_SECRET, "domains": ["helpdesk.test"]}
    return Door(
        services, provider, client, await factories.sso_provider(services, issuer=provider.issuer, **given), anna
    )


@pytest.fixture
async def other_browser(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as opened:
        yield opened


async def test_whoever_the_provider_vouches_for_is_linked_once_and_known_from_then_on(door: Door) -> None:
    choices = (await door.browser.get(SSO)).json()["items"]
    assert [one["id"] for one in choices] == [str(door.provider_id)]
    url = await door.start()
    asked = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{door.provider.issuer}/authorize?tenant=1&")
    assert asked["redirect_uri"] == [f"{BASE_URL}{SSO}/callback"]
    answer = await door.come_back(*door.provider.visit(url))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE_URL}/")
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("helpdesk="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    me = (await door.browser.get("/api/v1/me")).json()
    assert me["id"] == str(door.anna.id)
    assert await door.subject() == f"{door.provider.issuer}|u-1"
    # From now on his address may be another's, and his own another one.
    door.provider.person["email"] = "anna.married@helpdesk.test"
    assert (await door.sign_on()).status_code == 303
    async with door.services.database.reading() as session:
        done = await session.execute(select(audit.c.actor_id).where(audit.c.action == "agent.linked"))
        assert list(done.scalars()) == [door.anna.id]
        assert set((await session.execute(select(sessions.c.method))).scalars()) == {"sso"}
    # Discovery and keys are kept; each sign-on exchanges one code.
    assert door.provider.requests == {"/.well-known/openid-configuration": 1, "/keys": 1, "/token": 2}


async def test_an_account_of_another_name_does_not_take_a_linked_agent_over(door: Door) -> None:
    assert (await door.sign_on()).status_code == 303
    door.browser.cookies.clear()
    async with door.services.database.transaction() as session:
        await session.execute(sessions.delete())
    door.provider.person["sub"] = "u-2"
    await door.refused("linked_elsewhere")
    assert await door.subject() == f"{door.provider.issuer}|u-1"
    boss = await factories.agent(door.services, role="admin")
    path = f"/api/v1/agents/{door.anna.id}"
    version = (await door.browser.get(path, headers=boss.headers)).headers["etag"]
    answer = await door.browser.delete(f"{path}/sso", headers={**boss.headers, "If-Match": version})
    assert answer.status_code == 204
    assert (await door.sign_on()).status_code == 303
    assert await door.subject() == f"{door.provider.issuer}|u-2"


@ON_ONE_DATABASE
async def test_a_provider_may_change_its_keys_at_any_time_and_has_a_choice_of_algorithms(door: Door) -> None:
    for number, algorithm in enumerate(("ES256", "EdDSA", "RS256", "PS256"), 1):
        if number > 1:
            door.provider.algorithm = algorithm
            door.provider.rotate()
        for _ in range(2):
            assert (await door.sign_on()).status_code == 303, algorithm
        assert door.provider.requests["/keys"] == number


@ON_ONE_DATABASE
async def test_a_client_is_named_in_the_form_where_the_provider_takes_nothing_else(door: Door) -> None:
    door.provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert (await door.sign_on()).status_code == 303


# -- what a provider may not say -----------------------------------------------------------------------------------


WRONG_CLAIMS: Final[Sequence[tuple[dict[str, Any], str]]] = (
    ({"iss": "https://id.example.com"}, "iss"),
    ({"aud": "another"}, "aud"),
    ({"aud": []}, "aud"),
    ({"aud": [CLIENT_ID, "another"]}, "azp"),
    ({"azp": "another"}, "azp"),
    ({"exp": 1}, "exp"),
    ({"exp": None}, "exp"),
    ({"iat": 4_000_000_000}, "iat"),
    ({"nonce": "another"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"sub": ""}, "sub"),
    ({"sub": 7}, "sub"),
    ({"email_verified": False}, "email_unverified"),
    ({"email_verified": "true"}, "email_unverified"),
    ({"email": "anna@helpdesk.test@evil.test"}, "email"),
    ({"email": "anna@sub.helpdesk.test"}, "domain"),
    ({"email": "anna@evil.test"}, "domain"),
    ({"email": "nobody@helpdesk.test"}, "unknown"),
)


@ON_ONE_DATABASE
async def test_claims_that_are_not_right_let_nobody_in(door: Door) -> None:
    for claims, reason in WRONG_CLAIMS:
        door.provider.claims = claims
        await door.refused(reason)
    assert await door.subject() is None


def _unsigned(provider: OpenIdProvider, header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({"alg": "none"}, claims))
    return ".".join(part.rstrip(b"=").decode() for part in parts) + "."


def _with_the_secret(provider: OpenIdProvider, header: dict[str, Any], claims: dict[str, Any]) -> str:
    key = jwk.import_key({"kty": "oct", "k": base64.urlsafe_b64encode(CLIENT_SECRET.encode() * 4).decode().rstrip("=")})
    return provider.signed({**header, "alg": "HS256"}, claims, key)


def _with_the_published_key_as_secret(provider: OpenIdProvider, header: dict[str, Any], claims: dict[str, Any]) -> str:
    public = base64.urlsafe_b64encode(json.dumps(provider.key.as_dict(private=False)).encode())
    key = jwk.import_key({"kty": "oct", "k": public.decode().rstrip("=")})
    return provider.signed({**header, "alg": "HS256"}, claims, key)


def _with_another_key(provider: OpenIdProvider, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return provider.signed(header, claims, jwk.generate_key("EC", "P-256"))


def _with_a_key_that_it_brings(provider: OpenIdProvider, header: dict[str, Any], claims: dict[str, Any]) -> str:
    key = jwk.generate_key("EC", "P-256", {"kid": "mine"})
    return provider.signed({"alg": "ES256", "kid": "mine", "jwk": key.as_dict(private=False)}, claims, key)


def _garbage(provider: OpenIdProvider, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return "not.a.token"


@ON_ONE_DATABASE
async def test_a_token_that_no_published_key_has_signed_lets_nobody_in(door: Door) -> None:
    for forge, reason in (
        (_unsigned, "algorithm"),
        (_with_the_secret, "algorithm"),
        (_with_the_published_key_as_secret, "algorithm"),
        (_with_another_key, "signature"),
        (_with_a_key_that_it_brings, "key"),
        (_garbage, "signature"),
    ):
        door.provider.sign = partial(forge, door.provider)
        await door.refused(reason)


@ON_ONE_DATABASE
async def test_an_agent_who_has_left_stays_outside(door: Door) -> None:
    async with door.services.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == door.anna.id).values(active=False))
    await door.refused("inactive")


@ON_ONE_DATABASE
async def test_a_code_of_somebody_elses_is_worth_nothing_without_his_verifier(door: Door) -> None:
    stolen, _ = door.provider.visit(await door.start())
    _, state = door.provider.visit(await door.start())
    answer = await door.come_back(stolen, state)
    assert answer.json()["type"] == "urn:helpdesk:problem:sso_refused"


# -- what a browser may not bring ----------------------------------------------------------------------------------


async def _expired(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 401
    found: dict[str, Any] = answer.json()
    assert found["type"] == "urn:helpdesk:problem:sso_expired"
    return found


async def test_a_state_counts_once_in_its_own_browser_and_not_for_long(
    door: Door, other_browser: httpx.AsyncClient
) -> None:
    code, state = door.provider.visit(await door.start())
    assert (await door.come_back(code, state)).status_code == 303
    replayed = await _expired(await door.come_back(code, state))
    unknown = await _expired(await door.come_back(code, "made up"))
    missing = await _expired(await door.browser.get(f"{SSO}/callback"))
    # Somebody begins, and has another's browser finish: it would be signed on as him.
    code, state = door.provider.visit(await door.start(other_browser))
    foreign = await _expired(await door.come_back(code, state))
    again = await _expired(await other_browser.get(f"{SSO}/callback", params={"code": code, "state": state}))
    code, state = door.provider.visit(await door.start())
    async with door.services.database.transaction() as session:
        await session.execute(update(sso_logins).values(expires_at=clock.now()))
    late = await _expired(await door.come_back(code, state))
    assert replayed == unknown == missing == foreign == again == late
    assert await door.count(sessions) == 1


@ON_ONE_DATABASE
async def test_what_the_provider_or_another_one_answers_in_place_of_a_code_ends_it(door: Door) -> None:
    for more in ({"error": "access_denied"}, {"iss": "https://id.example.com"}):
        code, state = door.provider.visit(await door.start())
        answer = await door.come_back(code, state, **more)
        assert answer.json()["type"] == "urn:helpdesk:problem:sso_refused"
        await _expired(await door.come_back(code, state))
    # A browser shows no JSON to whoever stands before it: the console says it
    door.browser.headers["Accept"] = "text/html,application/xhtml+xml,*/*;q=0.8"
    for more, word in (({"error": "access_denied"}, "sso_refused"), ({"state": "made up"}, "sso_expired")):
        code, state = door.provider.visit(await door.start())
        answer = await door.come_back(code, **{"state": state, **more})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE_URL}/#sso={word}")
        assert "set-cookie" not in answer.headers
    del door.browser.headers["Accept"]
    assert door.provider.requests["/token"] == 0
    code, state = door.provider.visit(await door.start())
    answer = await door.come_back(code, state, iss=door.provider.issuer, next="https://evil.test/", session_state="x")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE_URL}/")


@ON_ONE_DATABASE
async def test_another_site_cannot_begin_for_a_browser_and_nobody_can_begin_without_end(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await door.browser.post(f"{SSO}/{door.provider_id}/start", headers={"Origin": "https://evil.test"})
    assert answer.json()["type"] == "urn:helpdesk:problem:csrf"
    monkeypatch.setattr(sign_on, "STARTS_PER_ADDRESS", 1)
    await door.start()
    answer = await door.browser.post(f"{SSO}/{door.provider_id}/start")
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
    async with door.services.database.transaction() as session:
        await sign_on.forget_old(session, now=clock.now() + timedelta(minutes=11))
    assert await door.count(sso_logins) == 0


@ON_ONE_DATABASE
async def test_a_provider_that_publishes_what_is_of_no_use_is_not_spoken_to(door: Door) -> None:
    metadata: Sequence[dict[str, Any]] = (
        {"issuer": "https://id.example.com"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": None},
        {"jwks_uri": "http://169.254.169.254/keys"},
        {"response_types_supported": ["id_token"]},
        {"code_challenge_methods_supported": ["plain"]},
    )
    for published in metadata:
        door.provider.metadata = published
        answer = await door.browser.post(f"{SSO}/{door.provider_id}/start")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:helpdesk:problem:provider_unavailable")


@ON_ONE_DATABASE
async def test_a_token_endpoint_in_trouble_is_no_refusal(door: Door) -> None:
    door.provider.status = 502
    answer = await door.sign_on()
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:helpdesk:problem:provider_unavailable")


# -- setting one up ------------------------------------------------------------------------------------------------

BODY: dict[str, Any] = {
    "name": "Company",
    "issuer": "https://id.example.com/tenant/",
    "client_id": "desk",
    "secret": "hush",
    "domains": ["Example.com", "example.com"],
}


async def test_a_secret_is_sealed_and_never_goes_to_an_issuer_that_was_named_later(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    answer = await client.post(PROVIDERS, headers=boss.headers, json=BODY)
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert (shown["has_secret"], shown["domains"], shown["issuer"]) == (True, ["example.com"], BODY["issuer"])
    assert "hush" not in answer.text
    path = f"{PROVIDERS}/{shown['id']}"
    moved = {"issuer": "https://id.evil.test"}
    answer = await client.patch(path, headers={**boss.headers, "If-Match": '"1"'}, json=moved)
    assert [error["field"] for error in answer.json()["errors"]] == ["secret"]
    answer = await client.patch(path, headers={**boss.headers, "If-Match": '"1"'}, json={**moved, "secret": None})
    assert (answer.status_code, answer.json()["has_secret"], answer.json()["version"]) == (200, False, 2)
    answer = await client.patch(path, headers={**boss.headers, "If-Match": '"1"'}, json={"enabled": False})
    assert answer.status_code == 412
    answer = await client.patch(
        path, headers={**boss.headers, "If-Match": '"2"'}, json={"enabled": False, "name": None}
    )
    assert (answer.json()["enabled"], answer.json()["name"]) == (False, "Company")
    assert (await client.get(SSO)).json()["items"] == []
    assert (await client.post(f"{SSO}/{shown['id']}/start")).status_code == 404
    assert (await client.delete(path, headers={**boss.headers, "If-Match": '"3"'})).status_code == 204
    async with services.database.reading() as session:
        told = (await session.execute(select(alerts.c.data))).scalars().all()
    assert [(one["change"], one["subject_id"], one["agent_id"]) for one in told] == [
        ("sign_on", shown["id"], str(boss.id))
    ] * 3
    async with services.database.reading() as session:
        entries = select(audit.c.action, audit.c.data).where(audit.c.subject_type == "sso_provider")
        found = [tuple(row) for row in await session.execute(entries.order_by(audit.c.id))]
    assert found == [
        ("sso_provider.created", {"issuer": BODY["issuer"]}),
        (
            "sso_provider.updated",
            {"fields": ["issuer", "secret"], "issuer_before": BODY["issuer"], "issuer": moved["issuer"]},
        ),
        ("sso_provider.updated", {"fields": ["enabled"]}),
        ("sso_provider.removed", {"issuer": moved["issuer"]}),
    ]


async def test_a_change_ends_what_was_begun_at_the_provider_as_it_was(door: Door) -> None:
    code, state = door.provider.visit(await door.start())
    boss = await factories.agent(door.services, role="admin")
    headers = {**boss.headers, "If-Match": '"1"'}
    answer = await door.browser.patch(f"{PROVIDERS}/{door.provider_id}", headers=headers, json={"client_id": "other"})
    assert answer.status_code == 200
    await _expired(await door.come_back(code, state))
    async with door.services.database.reading() as session:
        sealed = (await session.execute(select(sso_providers.c.secret))).scalar_one()
    assert CLIENT_SECRET.encode() not in sealed


@ON_ONE_DATABASE
async def test_a_provider_that_cannot_be_meant_is_refused_by_its_field(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    changes: Sequence[tuple[dict[str, Any], str]] = (
        ({"issuer": "https://169.254.169.254/"}, "issuer"),
        ({"issuer": "https://id.example.com/?tenant=1"}, "issuer"),
        ({"issuer": "https://id.example.com/#a"}, "issuer"),
        ({"issuer": "https://id.example.com/a|b"}, "issuer"),
        ({"issuer": "not an address"}, "issuer"),
        ({"client_id": ""}, "client_id"),
        ({"domains": []}, "domains"),
        ({"domains": ["@example.com"]}, "domains.0"),
        ({"domains": ["example.com", "com"]}, "domains.1"),
        ({"name": ""}, "name"),
        ({"roles": []}, "roles"),
    )
    for change, field in changes:
        answer = await client.post(PROVIDERS, headers=boss.headers, json=BODY | change)
        assert answer.status_code == 422, change
        assert [error["field"] for error in answer.json()["errors"]] == [field]
