"""Coming to a password: invitations and resets, by links that are good once and not for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import RowMapping, select, update

from helpdesk import clock
from helpdesk.commands import first_run
from helpdesk.domain.account_texts import Purpose
from helpdesk.domain.first_names import NAMES
from helpdesk.domain.values import SYSTEM
from helpdesk.models.agents import account_links, agents
from helpdesk.models.events import audit
from helpdesk.services import account_links as links
from helpdesk.services import attempts
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import BASE_URL, ON_ONE_DATABASE
from tests.factories import PASSWORD

AUTH = "/api/v1/auth"
NEW = "a better horse battery"
BEGINS_WITH = ("business-hours", "sla-policies", "escalation-rules")


async def invited(client: httpx.AsyncClient, services: Services) -> tuple[Any, str]:
    """Somebody new, and the token of his link."""
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services)
    answer = await client.post(f"/api/v1/agents/{anna.id}/invitation", headers=boss.headers, json={"mail": False})
    assert answer.status_code == 201
    link = answer.json()["link"]
    assert link.startswith(f"{BASE_URL}/#invitation=")
    return anna, link.partition("=")[2]


async def reset_link(services: Services, agent_id: UUID) -> str:
    async with services.database.transaction() as session:
        _, plain = await links.issue(
            session, agent_id, Purpose.PASSWORD_RESET, by=SYSTEM, letter=False, now=clock.now()
        )
    return plain


async def rows(services: Services) -> Sequence[RowMapping]:
    async with services.database.reading() as session:
        return (await session.execute(select(account_links).order_by(account_links.c.id))).mappings().all()


async def redeem(client: httpx.AsyncClient, what: str, token: str, **more: str) -> httpx.Response:
    return await client.post(f"{AUTH}/{what}", json={"token": token, "password": NEW, **more})


async def login(client: httpx.AsyncClient, email: str, password: str) -> int:
    return (await client.post(f"{AUTH}/login", json={"email": email, "password": password})).status_code


async def test_an_invitation_is_accepted_once_with_a_password_of_ones_own(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, token = await invited(client, services)
    (row,) = await rows(services)
    assert token not in str(dict(row))
    assert row["expires_at"] - row["created_at"] == timedelta(hours=72)
    short = await client.post(f"{AUTH}/accept-invitation", json={"token": token, "password": "short"})
    assert short.status_code == 422
    assert short.json()["errors"] == [{"field": "password", "message": "needs at least 10 characters"}]
    assert (await redeem(client, "reset-password", token)).status_code == 404, "it is no reset"
    assert (await redeem(client, "accept-invitation", token, name="Anna B")).status_code == 204
    assert await login(client, anna.email, NEW) == 200
    assert (await client.get("/api/v1/me")).json()["name"] == "Anna B"
    again = await redeem(client, "accept-invitation", token)
    assert (again.status_code, again.json()["type"]) == (404, "urn:helpdesk:problem:link_invalid")
    async with services.database.reading() as session:
        actions = (await session.execute(select(audit.c.action, audit.c.actor_id))).all()
    assert ("agent.invitation_used", anna.id) in actions


async def test_of_two_who_use_a_link_at_once_one_does(client: httpx.AsyncClient, services: Services) -> None:
    _, token = await invited(client, services)
    answers = await asyncio.gather(*(redeem(client, "accept-invitation", token) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [204, 404]


@ON_ONE_DATABASE
async def test_a_second_invitation_takes_the_place_of_the_first(client: httpx.AsyncClient, services: Services) -> None:
    anna, token = await invited(client, services)
    boss = await factories.agent(services, role="admin")
    url = f"/api/v1/agents/{anna.id}/invitation"
    answer = await client.post(url, headers=boss.headers)
    assert (answer.json()["status"], answer.json()["link"]) == ("queued", None)
    assert (await client.get(url, headers=boss.headers)).json()["id"] == answer.json()["id"]
    assert (await redeem(client, "accept-invitation", token)).status_code == 404


@ON_ONE_DATABASE
async def test_who_can_sign_in_or_has_left_is_not_invited(client: httpx.AsyncClient, services: Services) -> None:
    boss, joined = await factories.agent(services, role="admin"), await factories.agent(services, password=True)
    gone = await factories.agent(services)
    async with services.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == gone.id).values(active=False))
    for someone, slug in ((joined, "already_joined"), (gone, "not_active")):
        answer = await client.post(f"/api/v1/agents/{someone.id}/invitation", headers=boss.headers)
        assert (answer.status_code, answer.json()["type"]) == (409, f"urn:helpdesk:problem:{slug}")
    assert await rows(services) == []


@pytest.mark.parametrize("why", ["late", "left", "other password"])
@ON_ONE_DATABASE
async def test_a_link_ends_with_its_time_its_agent_or_another_password(
    client: httpx.AsyncClient, services: Services, why: str
) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services, password=True)
    token = await reset_link(services, anna.id)
    if why == "late":
        async with services.database.transaction() as session:
            await session.execute(update(account_links).values(expires_at=clock.now()))
    else:
        change = {"active": False} if why == "left" else {"password": "chosen by the boss"}
        headers = {**boss.headers, "If-Match": '"1"'}
        assert (await client.patch(f"/api/v1/agents/{anna.id}", headers=headers, json=change)).status_code == 200
    assert (await redeem(client, "reset-password", token)).status_code == 404


async def test_a_reset_ends_every_session_and_asks_for_the_second_step_all_the_same(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    assert await login(client, anna.email, PASSWORD) == 200
    async with services.database.transaction() as session:
        sealed = services.keyring.seal(b"JBSWY3DPEHPK3PXP", row=f"agent:{anna.id}:totp")
        await session.execute(update(agents).values(totp_secret=sealed, totp_confirmed_at=clock.now()))
    token = await reset_link(services, anna.id)
    assert (await redeem(client, "reset-password", token)).status_code == 204
    assert (await client.get("/api/v1/me")).status_code == 401
    answer = await client.post(f"{AUTH}/login", json={"email": anna.email, "password": NEW})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:helpdesk:problem:totp_required")
    assert await login(client, anna.email, PASSWORD) == 401


async def test_asking_for_a_new_password_answers_the_same_for_everybody_and_writes_to_those_who_have_one(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, without = await factories.agent(services, password=True), await factories.agent(services)
    asked = [anna.email.upper(), without.email, "nobody@helpdesk.test"]
    answers = [await client.post(f"{AUTH}/forgot-password", json={"email": email}) for email in asked]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    found = await rows(services)
    assert [row["agent_id"] for row in found] == [anna.id, None, None], "the same work is done for all of them"
    assert {row["status"] for row in found} == {"queued"}
    async with services.database.transaction() as session:
        letter = await links.claim(session, now=clock.now())
        assert letter is not None
        assert letter.agent["id"] == anna.id
        assert await links.claim(session, now=clock.now()) is None
    assert [row["agent_id"] for row in await rows(services)] == [anna.id]


@ON_ONE_DATABASE
async def test_letters_are_counted_per_account_and_links_per_address(
    client: httpx.AsyncClient, services: Services
) -> None:
    body = {"email": "nobody@helpdesk.test"}
    for _ in range(attempts.LETTERS_PER_ACCOUNT):
        assert (await client.post(f"{AUTH}/forgot-password", json=body)).status_code == 202
    assert (await client.post(f"{AUTH}/forgot-password", json=body)).status_code == 429
    for _ in range(attempts.LINKS_PER_ADDRESS):
        assert (await redeem(client, "reset-password", "guessed")).status_code == 404
    assert (await redeem(client, "accept-invitation", "guessed")).status_code == 429


@ON_ONE_DATABASE
async def test_another_site_asks_for_nothing_in_ones_name(client: httpx.AsyncClient, services: Services) -> None:
    for path in ("forgot-password", "reset-password", "accept-invitation", "first-run", "login"):
        body = {"email": "a@b.test", "password": NEW, "token": "x"}
        answer = await client.post(f"{AUTH}/{path}", headers={"Origin": "http://evil.test"}, json=body)
        assert answer.status_code in (403, 422)
    answer = await client.post(
        f"{AUTH}/forgot-password", headers={"Origin": "http://evil.test"}, json={"email": "a@b.test"}
    )
    assert answer.json()["type"] == "urn:helpdesk:problem:csrf"


async def test_the_first_administrator_says_who_he_is_once(client: httpx.AsyncClient, services: Services) -> None:
    printed, link = await first_run.prepare(services)
    token = link.partition("/#first-run=")[2]
    mine = {"email": "Mina@Desk.test", "name": "Mina", "locale": "zh-TW"}
    assert (await redeem(client, "accept-invitation", token)).status_code == 404, "it is no invitation"
    assert (await redeem(client, "first-run", token, **{**mine, "email": "mina"})).status_code == 422
    assert (await redeem(client, "first-run", token, **mine)).status_code == 204, "what was refused has not used it"
    assert await login(client, first_run.ADMIN, printed.split()[3]) == 401
    assert await login(client, "mina@desk.test", NEW) == 200
    me = (await client.get("/api/v1/me")).json()
    assert [me[name] for name in ("email", "name", "locale", "role")] == ["mina@desk.test", "Mina", "zh-TW", "admin"]
    assert (await redeem(client, "first-run", token, **mine)).status_code == 404
    assert await first_run.prepare(services) == [], "there is one first run"
    begun = [(await client.get(f"/api/v1/{kind}")).json()["items"] for kind in BEGINS_WITH]
    assert {(one["name"], one["version"]) for items in begun for one in items} == {
        (name, 1) for name in NAMES["zh-TW"].values()
    }, "what is there from the beginning is called in his language"


@pytest.mark.parametrize("why", ["late", "somebody is in"])
@ON_ONE_DATABASE
async def test_the_link_of_the_first_run_ends_with_its_time_or_when_anybody_is_in(
    client: httpx.AsyncClient, services: Services, why: str
) -> None:
    printed, link = await first_run.prepare(services)
    if why == "late":
        async with services.database.transaction() as session:
            await session.execute(update(account_links).values(expires_at=clock.now()))
    else:
        assert await login(client, first_run.ADMIN, printed.split()[3]) == 200
        assert (await client.post(f"{AUTH}/logout", headers={"Origin": BASE_URL})).status_code == 204
    answer = await redeem(client, "first-run", link.partition("=")[2], email="eve@evil.test", name="Eve")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:helpdesk:problem:link_invalid")
