"""Signing in, tokens, and when they stop."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.app import create_app
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import TooMany, Unauthenticated
from helpdesk.models.agents import agents, api_tokens, login_attempts, sessions
from helpdesk.services import attempts, logins, tokens
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import BASE_URL

LOGIN = "/api/v1/auth/login"
ME = "/api/v1/me"
ORIGIN = {"Origin": BASE_URL}


async def sign_in(client: httpx.AsyncClient, someone: factories.Someone, password: str = factories.PASSWORD) -> int:
    answer = await client.post(LOGIN, json={"email": someone.email.upper(), "password": password})
    return answer.status_code


async def test_a_login_sets_a_cookie_that_scripts_and_other_sites_do_not_get(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    answer = await client.post(LOGIN, json={"email": anna.email, "password": factories.PASSWORD})
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["scopes"]) == (str(anna.id), None)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("helpdesk=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert (await client.get(ME)).json()["email"] == anna.email
    async with services.database.reading() as session:
        digest = await session.scalar(select(sessions.c.digest))
    assert digest not in cookie


async def test_over_https_the_cookie_is_secure_and_bound_to_the_host(services: Services) -> None:
    anna = await factories.agent(services, password=True)
    base = "https://desk.test"
    from dataclasses import replace

    app = create_app(replace(services, settings=services.settings.model_copy(update={"base_url": base})))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
        answer = await client.post(LOGIN, json={"email": anna.email, "password": factories.PASSWORD})
        assert answer.headers["set-cookie"].startswith("__Host-helpdesk=")
        assert "Secure" in answer.headers["set-cookie"]
        assert "Domain" not in answer.headers["set-cookie"]


async def test_each_login_is_a_new_session_and_logout_ends_one(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services, password=True)
    await sign_in(client, anna)
    first = client.cookies["helpdesk"]
    await sign_in(client, anna)
    second = client.cookies["helpdesk"]
    assert first != second
    assert (await client.post("/api/v1/auth/logout", headers=ORIGIN)).status_code == 204
    assert (await client.get(ME, headers={"Cookie": f"helpdesk={second}"})).status_code == 401
    assert (await client.get(ME, headers={"Cookie": f"helpdesk={first}"})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": BASE_URL + ".evil.test"},
        {"Origin": BASE_URL.replace("http:", "https:")},
        {**ORIGIN, "Content-Type": "text/plain"},
        {**ORIGIN, "Content-Type": "application/x-www-form-urlencoded"},
    ],
)
async def test_a_cookie_from_another_site_changes_nothing(
    headers: dict[str, str], client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, role="admin", password=True)
    await sign_in(client, anna)
    answer = await client.post("/api/v1/teams", headers=headers, content=b'{"name": "x"}')
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:helpdesk:problem:csrf")
    fine = await client.post("/api/v1/teams", headers=ORIGIN, json={"name": "x"})
    assert fine.status_code == 201


async def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    without = await factories.agent(services)
    answers = [
        await client.post(LOGIN, json={"email": email, "password": "not the password"})
        for email in (anna.email, without.email, "nobody@helpdesk.test")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_attempts_are_counted_per_account_even_with_the_right_password(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services, password=True), await factories.agent(services, password=True)
    for _ in range(attempts.PER_ACCOUNT):
        assert await sign_in(client, anna, "wrong") == 401
    answer = await client.post(LOGIN, json={"email": anna.email, "password": factories.PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= attempts.WINDOW.total_seconds()
    assert await sign_in(client, bert) == 200
    async with services.database.transaction() as session:
        await session.execute(update(login_attempts).values(created_at=clock.now() - attempts.WINDOW))
    assert await sign_in(client, anna) == 200


async def test_attempts_are_counted_per_address_over_all_accounts(services: Services) -> None:
    now = clock.now()
    for number in range(attempts.PER_ADDRESS):
        with pytest.raises(Unauthenticated):
            await logins.login(
                services, email=f"a{number}@x.test", password="x" * 300, address=f"2001:db8::{number:x}", now=now
            )
    with pytest.raises(TooMany):
        await logins.login(services, email="new@x.test", password="x", address="2001:db8::ffff:1", now=now)
    with pytest.raises(Unauthenticated):
        await logins.login(services, email="new@x.test", password="x" * 300, address="2001:db8:0:1::1", now=now)


async def test_a_token_stops_when_it_is_revoked_expired_or_its_agent_leaves(
    client: httpx.AsyncClient, services: Services
) -> None:
    revoked, expired, gone = [await factories.agent(services) for _ in range(3)]
    async with services.database.transaction() as session:
        await tokens.revoke_token(session, revoked.token_id, by=SYSTEM, now=clock.now())
        await session.execute(
            update(api_tokens).where(api_tokens.c.id == expired.token_id).values(expires_at=clock.now())
        )
        await session.execute(update(agents).where(agents.c.id == gone.id).values(active=False))
    for someone in (revoked, expired, gone):
        answer = await client.get(ME, headers=someone.headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Bearer hd_" + "x" * 43, "Basic aGQ6eA==", "hd_x"])
async def test_what_is_no_token_is_401(header: str, client: httpx.AsyncClient) -> None:
    assert (await client.get(ME, headers={"Authorization": header})).status_code == 401


async def test_a_session_ends_when_it_is_old_or_idle(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services, password=True)
    for stale in ({"expires_at": clock.now()}, {"last_seen_at": clock.now() - timedelta(hours=25)}):
        await sign_in(client, anna)
        assert (await client.get(ME)).status_code == 200
        async with services.database.transaction() as session:
            await session.execute(update(sessions).values(stale))
        assert (await client.get(ME)).status_code == 401


async def test_the_use_of_a_token_is_noted_once_a_minute(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)

    async def used() -> object:
        await client._transport.app.state.touches.settle()  # type: ignore[attr-defined]
        async with services.database.reading() as session:
            return await session.scalar(select(api_tokens.c.last_used_at).where(api_tokens.c.id == anna.token_id))

    assert await used() is None
    await client.get(ME, headers=anna.headers)
    first = await used()
    assert first is not None
    await client.get(ME, headers=anna.headers)
    assert await used() == first
    async with services.database.transaction() as session:
        await session.execute(update(api_tokens).values(last_used_at=clock.now() - timedelta(minutes=2)))
    await client.get(ME, headers=anna.headers)
    assert await used() != first


async def test_a_new_password_or_role_ends_an_agents_sessions(client: httpx.AsyncClient, services: Services) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services, password=True)
    for version, change in ((1, {"password": "another good one"}), (2, {"role": "supervisor"})):
        await sign_in(client, anna, factories.PASSWORD if version == 1 else "another good one")
        headers = {**boss.headers, "If-Match": f'"{version}"'}
        assert (await client.patch(f"/api/v1/agents/{anna.id}", headers=headers, json=change)).status_code == 200
        assert (await client.get(ME)).status_code == 401


async def test_a_token_is_shown_once_and_kept_as_a_digest(services: Services) -> None:
    anna = await factories.agent(services)
    assert len(anna.token) == 46
    assert anna.token.startswith("hd_")
    async with services.database.reading() as session:
        kept = (await session.execute(select(api_tokens).where(api_tokens.c.id == anna.token_id))).mappings().one()
    assert anna.token not in str(dict(kept))
