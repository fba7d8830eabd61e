"""Consent to use a mailbox, asked for in a browser, of an issuer that checks PKCE; and what is done to get it else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from helpdesk import clock
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.models.agents import sessions as session_rows
from helpdesk.models.alerts import alerts
from helpdesk.models.events import audit
from helpdesk.models.inboxes import inboxes as inbox_rows
from helpdesk.services import inbox_consent, inbox_settings, inboxes, sessions
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import BASE_URL, ON_ONE_DATABASE
from tests.peers.token_server import CLIENT_ID, CLIENT_SECRET, TokenServer

V = "/api/v1/inboxes"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}
pytestmark = ON_ONE_DATABASE


@pytest.fixture
def issuer() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@dataclass
class Desk:
    services: Services
    issuer: TokenServer
    browser: httpx.AsyncClient
    inbox_id: UUID
    boss: factories.Someone

    async def session_of(self, someone: factories.Someone) -> str:
        async with self.services.database.transaction() as session:
            return await sessions.begin_session(session, someone.id, method="password", client="", now=clock.now())

    async def start(self) -> httpx.Response:
        return await self.browser.post(f"{V}/{self.inbox_id}/consent", headers={"Origin": BASE_URL})

    async def consented(self) -> dict[str, str]:
        """What the issuer sends the browser back with."""
        answer = await self.start()
        assert answer.status_code == 200, answer.text
        async with httpx.AsyncClient(trust_env=False) as outside:
            back = (await outside.get(answer.json()["url"])).headers["location"]
        assert back.startswith(f"{BASE_URL}{V}/consent/callback?")
        assert back.startswith(answer.json()["redirect_uri"])
        return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}

    async def come_back(self, brought: dict[str, str], **headers: str) -> httpx.Response:
        return await self.browser.get(f"{V}/consent/callback", params=brought, headers=headers or BROWSER)

    async def led(self, brought: dict[str, str]) -> str:
        """The word that the page of the inbox is told."""
        answer = await self.come_back(brought)
        place, _, word = answer.headers["location"].partition("?consent=")
        assert (answer.status_code, place) == (303, f"{BASE_URL}/settings/inboxes/{self.inbox_id}")
        assert 'helpdesk-consent=""' in answer.headers["set-cookie"]
        return word

    async def granted(self) -> str:
        async with self.services.database.reading() as session:
            row = (await session.execute(select(inbox_rows).where(inbox_rows.c.id == self.inbox_id))).mappings().one()
        return inbox_settings.open_secrets(self.services, row).get("oauth_refresh_token", "")


@pytest.fixture
async def desk(services: Services, issuer: TokenServer, client: httpx.AsyncClient) -> Desk:
    boss = await factories.agent(services, role="admin")
    settings: dict[str, Any] = {"auth": "xoauth2", "oauth_provider": "custom", "imap_url": "imaps://mail.example.com"}
    settings |= {"oauth_client_id": CLIENT_ID, "oauth_client_secret": CLIENT_SECRET, "oauth_scope": "mail"}
    settings |= {"oauth_token_url": issuer.url("/token"), "oauth_authorize_url": issuer.url("/authorize")}
    made = Desk(services, issuer, client, await factories.inbox(services, **settings), boss)
    client.cookies.set("helpdesk", await made.session_of(boss))
    return made


async def test_consent_in_a_browser_stores_the_grant_and_tells_who_did_it(desk: Desk) -> None:
    with capture_logs() as logs:
        brought = await desk.consented()
        assert await desk.led(brought) == "granted"
    (form,) = desk.issuer.forms
    token = await desk.granted()
    assert token
    assert len(form["code_verifier"]) > 43
    told = str(logs)
    assert not [secret for secret in (brought["code"], brought["state"], token) if secret in told]
    async with desk.services.database.reading() as session:
        entry = (await session.execute(select(audit).where(audit.c.action == "inbox.authorized"))).mappings().one()
        (alert,) = (await session.execute(select(alerts.c.data).where(alerts.c.kind == "security_change"))).scalars()
    assert (entry["actor_id"], entry["subject_id"]) == (desk.boss.id, desk.inbox_id)
    assert entry["data"] == {"fields": ["oauth_refresh_token"]}
    assert alert["change"] == "inbox"
    answer = await desk.come_back(brought, Accept="application/json")
    assert answer.json()["type"] == "urn:helpdesk:problem:consent_expired", "the cookie is gone with the first time"


async def test_what_does_not_fit_stores_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = await desk.consented()
    assert await desk.led({**brought, "state": "guessed"}) == "consent_expired"
    brought = await desk.consented()
    assert await desk.led({"error": "access_denied", "state": brought["state"]}) == "consent_refused"
    brought = await desk.consented()
    assert await desk.led({**brought, "code": "guessed"}) == "consent_refused"
    brought = await desk.consented()
    desk.issuer.status = 503
    assert await desk.led(brought) == "unavailable"
    desk.issuer.status = 0

    brought = await desk.consented()
    async with desk.services.database.transaction() as session:
        await session.execute(update(inbox_rows).values(version=inbox_rows.c.version + 1))
    assert await desk.led(brought) == "consent_expired", "its settings may lead elsewhere by now"
    brought = await desk.consented()
    later = clock.now() + inbox_consent.LIFE
    monkeypatch.setattr("helpdesk.api.inbox_consent.clock.now", lambda: later)
    assert await desk.led(brought) == "consent_expired"
    monkeypatch.undo()
    assert await desk.granted() == ""


async def test_it_counts_in_the_session_that_began_it_alone(desk: Desk) -> None:
    brought = await desk.consented()
    other = await factories.agent(desk.services, role="admin")
    desk.browser.cookies.set("helpdesk", await desk.session_of(other))
    assert await desk.led(brought) == "consent_expired"
    desk.browser.cookies.delete("helpdesk")
    answer = await desk.come_back(brought, Accept="application/json")
    assert answer.status_code == 401
    answer = await desk.come_back(brought)
    assert answer.headers["location"] == f"{BASE_URL}/settings/inboxes?consent=unauthenticated"
    agent = await factories.agent(desk.services)
    desk.browser.cookies.set("helpdesk", await desk.session_of(agent))
    assert (await desk.start()).status_code == 403
    assert (await desk.come_back({"code": "1", "state": ""}, Accept="application/json")).status_code == 403
    assert await desk.granted() == ""


async def test_it_asks_for_the_password_again_and_for_settings_that_need_consent(desk: Desk) -> None:
    async with desk.services.database.transaction() as session:
        long_ago = {"verified_at": clock.now() - timedelta(hours=1)}
        await session.execute(update(session_rows).values(**long_ago))
    assert (await desk.start()).json()["type"] == "urn:helpdesk:problem:verification_required"
    desk.browser.cookies.set("helpdesk", await desk.session_of(desk.boss))
    desk.inbox_id = await factories.inbox(desk.services)
    refused = await desk.start()
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:helpdesk:problem:cannot_authorize")
    desk.inbox_id = await factories.inbox(desk.services, channel="chat")
    assert (await desk.start()).json()["type"] == "urn:helpdesk:problem:cannot_authorize"


@pytest.mark.parametrize("done", ["changed", "removed"])
async def test_a_grant_does_not_follow_to_what_was_made_of_the_inbox_while_it_was_fetched(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, done: str
) -> None:
    """The provider takes its time, and an inbox that leads elsewhere by then is another one; so is none."""
    redeemed = inbox_consent._redeemed

    async def slow(*asked: Any) -> Any:
        granted = await redeemed(*asked)
        async with desk.services.database.transaction() as session:
            if done == "changed":
                await session.execute(update(inbox_rows).values(version=inbox_rows.c.version + 1))
            else:
                by = Actor(AuthorKind.AGENT, desk.boss.id, "", Role.ADMIN)
                row = await inboxes.get_inbox(session, by, desk.inbox_id)
                await inboxes.remove(session, row, by=by, now=clock.now())
        return granted

    brought = await desk.consented()
    monkeypatch.setattr(inbox_consent, "_redeemed", slow)
    assert await desk.led(brought) == "consent_expired"
    assert await desk.granted() == ""
