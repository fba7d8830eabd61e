"""Where one is signed in, giving the password again, one's own password, and API tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import RowMapping, select, update

from helpdesk import clock
from helpdesk.domain.values import Scope
from helpdesk.models.agents import api_tokens, sessions
from helpdesk.models.alerts import alert_recipients, alerts
from helpdesk.models.webhooks import webhooks
from helpdesk.services import attempts
from helpdesk.services import sessions as service
from helpdesk.services.access import RECENT
from helpdesk.services.house import Services
from helpdesk.services.security_alerts import leads_elsewhere
from tests import factories
from tests.conftest import BASE_URL, ON_ONE_DATABASE
from tests.factories import PASSWORD, Someone

V = "/api/v1"
MINE = f"{V}/me/sessions"
ORIGIN = {"Origin": BASE_URL}
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:130.0) Gecko/20100101 Firefox/130.0"
ROOM = {"url": "https://hooks.slack.com/services/T0/B0/abc"}


async def sign_in(client: httpx.AsyncClient, anna: Someone, password: str = PASSWORD) -> dict[str, str]:
    """The cookie by hand, so that one client can have several sessions."""
    client.cookies.clear()
    body = {"email": anna.email, "password": password}
    answer = await client.post(f"{V}/auth/login", headers={"User-Agent": FIREFOX}, json=body)
    assert answer.status_code == 200
    cookie = client.cookies["helpdesk"]
    client.cookies.clear()
    return {**ORIGIN, "Cookie": f"helpdesk={cookie}"}


async def long_ago(services: Services) -> None:
    """The password was given just too long ago."""
    async with services.database.transaction() as session:
        await session.execute(update(sessions).values(verified_at=clock.now() - RECENT - timedelta(seconds=1)))


async def raised(services: Services) -> Sequence[RowMapping]:
    async with services.database.reading() as session:
        return (await session.execute(select(alerts).order_by(alerts.c.id))).mappings().all()


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_one_sees_where_one_is_signed_in_and_ends_what_one_likes(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = [await factories.agent(services, password=True) for _ in range(2)]
    first, second, third = [await sign_in(client, anna) for _ in range(3)]
    his = await sign_in(client, bert)
    items = (await client.get(MINE, headers=second)).json()["items"]
    assert [item["current"] for item in items] == [False, True, False]
    assert {(item["method"], item["client"]) for item in items} == {("password", "Firefox on Windows")}
    (foreign,) = (await client.get(MINE, headers=his)).json()["items"]
    assert (await client.delete(f"{MINE}/{foreign['id']}", headers=second)).status_code == 404
    assert (await client.delete(f"{MINE}/{items[0]['id']}", headers=second)).status_code == 204
    assert (await client.get(f"{V}/me", headers=third)).status_code == 401
    assert (await client.delete(MINE, headers=second)).status_code == 204
    assert (await client.get(f"{V}/me", headers=first)).status_code == 401
    assert [(await client.get(f"{V}/me", headers=h)).status_code for h in (second, his)] == [200, 200]


async def test_what_one_persons_page_writes_is_refused_by_anothers_session(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services, password=True), await factories.agent(services, password=True)
    desk = await factories.inbox(services)
    place = f"{V}/conversations/{await factories.conversation(services, inbox_id=desk)}/draft"
    hers = await sign_in(client, anna)
    body = {"text": "Between us", "private": True}
    for meant, status in ((bert.id, 401), (anna.id, 200), (None, 412)):
        said = {"Helpdesk-Agent": str(meant)} if meant else {}
        answer = await client.put(place, json=body, headers={**hers, **said, "If-None-Match": "*"})
        assert answer.status_code == status, answer.text


async def test_an_administrator_sees_and_ends_the_sessions_of_others(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services, password=True)
    cookie = await sign_in(client, anna)
    url = f"{V}/agents/{anna.id}/sessions"
    (item,) = (await client.get(url, headers=boss.headers)).json()["items"]
    assert (item["client"], item["current"]) == ("Firefox on Windows", False)
    assert (await client.delete(url, headers=boss.headers)).status_code == 204
    assert (await client.get(f"{V}/me", headers=cookie)).status_code == 401


@ON_ONE_DATABASE
async def test_whoever_signs_in_without_end_keeps_his_latest_sessions(services: Services) -> None:
    anna = await factories.agent(services)
    async with services.database.transaction() as session:
        for _ in range(service.MOST + 2):
            await service.begin_session(session, anna.id, method="sso", client="", now=clock.now())
        assert len(await service.list_sessions(session, anna.id, now=clock.now())) == service.MOST


async def test_giving_the_password_again_opens_what_asks_for_it_under_a_new_cookie(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin", password=True)
    cookie = await sign_in(client, boss)
    await long_ago(services)
    body = {"name": "New", "url": "https://hooks.example.com/x", "events": ["*"]}
    assert kind_of(await client.post(f"{V}/webhooks", headers=cookie, json=body)) == (403, "verification_required")
    wrong = await client.post(f"{V}/auth/verify", headers=cookie, json={"password": "wrong"})
    assert kind_of(wrong) == (403, "login_failed")
    assert (await client.post(f"{V}/auth/verify", headers=cookie, json={"password": PASSWORD})).status_code == 200
    fresh = {**ORIGIN, "Cookie": f"helpdesk={client.cookies['helpdesk']}"}
    client.cookies.clear()
    assert (await client.get(f"{V}/me", headers=cookie)).status_code == 401, "a copied cookie is worth nothing now"
    assert (await client.post(f"{V}/webhooks", headers=fresh, json=body)).status_code == 201


@ON_ONE_DATABASE
async def test_guesses_of_the_password_are_counted_in_a_session_too(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    cookie = await sign_in(client, anna)
    for _ in range(attempts.PER_ACCOUNT):
        await client.post(f"{V}/auth/verify", headers=cookie, json={"password": "x" * 256})
    answer = await client.post(f"{V}/auth/verify", headers=cookie, json={"password": PASSWORD})
    assert answer.status_code == 429
    await sign_in(client, anna)


async def _guarded(services: Services) -> list[tuple[str, str, str, dict[str, Any]]]:
    """What is changed, how, where and to what, for each change that leads somewhere else or raises somebody."""
    desk = await factories.inbox(services, reply_address="desk+{token}@helpdesk.test")
    hook, room, anna = (
        await factories.webhook(services),
        await factories.alert_route(services),
        await factories.agent(services),
    )
    return [
        ("webhook", "POST", "/webhooks", {"name": "N", "url": "https://hooks.example.com/n", "events": ["*"]}),
        ("webhook", "PATCH", f"/webhooks/{hook}", {"url": "https://other.example.com/in"}),
        ("alert_route", "POST", "/alert-routes", {"name": "N", "kind": "slack", "address": ROOM}),
        ("alert_route", "PATCH", f"/alert-routes/{room}", {"address": ROOM}),
        ("inbox", "PATCH", f"/inboxes/{desk}", {"settings": {"reply_address": "evil+{token}@helpdesk.test"}}),
        ("token", "POST", "/tokens", {"name": "N"}),
        ("role", "POST", "/agents", {"email": "new@helpdesk.test", "name": "N", "role": "admin"}),
        ("role", "PATCH", f"/agents/{anna.id}", {"role": "supervisor"}),
        ("password", "PATCH", f"/agents/{anna.id}", {"password": "chosen by the boss"}),
    ]


async def test_what_could_lead_astray_asks_for_the_password_and_calls_every_administrator(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, other = [await factories.agent(services, role="admin", password=True) for _ in range(2)]
    cookie = await sign_in(client, boss)
    cases = await _guarded(services)
    await long_ago(services)
    for headers, status in ((cookie, 403), (boss.headers, 200)):
        for change, method, path, body in cases:
            match = {}
            if method == "PATCH":
                match = {"If-Match": (await client.get(V + path, headers=boss.headers)).headers["etag"]}
            answer = await client.request(method, V + path, headers={**headers, **match}, json=body)
            assert answer.status_code in (status, status + 1), (change, path, answer.text)
            if status == 403:
                assert kind_of(answer) == (403, "verification_required")
                assert await raised(services) == [], "and it is undone"
    found = await raised(services)
    assert [row["data"]["change"] for row in found] == [change for change, *_ in cases]
    assert {(row["kind"], row["severity"], row["next_due_at"]) for row in found} == {
        ("security_change", "warning", None)
    }
    async with services.database.reading() as session:
        called = select(alert_recipients.c.agent_id).where(alert_recipients.c.alert_id == found[0]["id"])
        assert set((await session.execute(called)).scalars()) == {boss.id, other.id}


@ON_ONE_DATABASE
async def test_what_leads_nowhere_else_asks_for_nothing(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin", password=True)
    desk, hook = await factories.inbox(services), await factories.webhook(services)
    cookie = await sign_in(client, boss)
    await long_ago(services)
    for path, body in (
        (f"/inboxes/{desk}", {"name": "Renamed", "settings": {"signature": "Bye"}}),
        (f"/webhooks/{hook}", {"name": "Renamed"}),
    ):
        answer = await client.patch(V + path, headers={**cookie, "If-Match": '"1"'}, json=body)
        assert answer.status_code == 200, answer.text
    async with services.database.reading() as session:
        assert await session.scalar(select(webhooks.c.name)) == "Renamed"
    assert await raised(services) == []


async def test_a_new_password_takes_the_old_one_and_ends_the_other_sessions(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    elsewhere, here = [await sign_in(client, anna) for _ in range(2)]
    new = "a better horse battery"

    async def ask(headers: dict[str, str], **body: str) -> httpx.Response:
        return await client.patch(f"{V}/me", headers={**headers, "If-Match": '"1"'}, json=body)

    for body in ({"new_password": new}, {"password": PASSWORD}):
        assert (await ask(here, **body)).status_code == 422
    assert kind_of(await ask(here, password="wrong", new_password=new)) == (403, "login_failed")
    assert (await ask(anna.headers, password=PASSWORD, new_password=new)).status_code == 403
    assert (await ask(here, password=PASSWORD, new_password=new)).status_code == 200
    fresh = {"Cookie": f"helpdesk={client.cookies['helpdesk']}"}
    client.cookies.clear()
    statuses = [(await client.get(f"{V}/me", headers=h)).status_code for h in (elsewhere, here, fresh)]
    assert statuses == [401, 401, 200]
    await sign_in(client, anna, new)


# -- tokens --


async def test_a_token_is_shown_once_listed_without_itself_and_revoked(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, password=True)
    cookie = await sign_in(client, anna)
    until = (clock.now() + timedelta(days=30)).isoformat()
    given = {"name": "Export", "kind": "bot", "scopes": ["conversations:read"], "expires_at": until}
    made = await client.post(f"{V}/tokens", headers=cookie, json=given)
    assert made.status_code == 201
    token = {"Authorization": f"Bearer {made.json()['token']}"}
    me = (await client.get(f"{V}/me", headers=token)).json()
    assert (me["id"], me["kind"], me["scopes"]) == (str(anna.id), "bot", ["conversations:read"])
    listed = await client.get(f"{V}/tokens", headers=cookie)
    assert [item["name"] for item in listed.json()["items"]] == ["test", "Export"]
    assert made.json()["token"] not in listed.text
    assert (await client.delete(f"{V}/tokens/{made.json()['id']}", headers=cookie)).status_code == 204
    assert (await client.get(f"{V}/me", headers=token)).status_code == 401
    assert (await client.delete(f"{V}/tokens/{made.json()['id']}", headers=cookie)).status_code == 404


@ON_ONE_DATABASE
async def test_a_token_never_has_more_than_its_maker(client: httpx.AsyncClient, services: Services) -> None:
    scopes = [Scope.SETTINGS_WRITE.value, Scope.CONVERSATIONS_READ.value]
    bot = await factories.agent(services, kind="bot", scopes=scopes)
    other = await factories.agent(services)
    for body, field in (
        ({"kind": "bot", "scopes": ["contacts:write"]}, "scopes"),
        ({"kind": "bot", "scopes": ["all:of:it"]}, "scopes"),
        ({"kind": "agent"}, "kind"),
        ({"kind": "bot", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ):
        answer = await client.post(f"{V}/tokens", headers=bot.headers, json={"name": "More", **body})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    foreign = {"name": "More", "kind": "bot", "agent_id": str(other.id)}
    assert (await client.post(f"{V}/tokens", headers=bot.headers, json=foreign)).status_code == 403
    made = await client.post(f"{V}/tokens", headers=bot.headers, json={"name": "Same", "kind": "bot"})
    assert made.json()["scopes"] == sorted(scopes), "without any it has what its maker has"


@ON_ONE_DATABASE
async def test_administrators_see_the_tokens_of_others_and_nobody_else_does(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, anna, bert = [await factories.agent(services, role=role) for role in ("admin", "agent", "agent")]
    url = f"{V}/tokens?agent_id="
    assert (await client.get(f"{url}{bert.id}", headers=anna.headers)).status_code == 403
    assert (await client.get(f"{url}all", headers=anna.headers)).status_code == 403
    (his,) = (await client.get(f"{url}{bert.id}", headers=boss.headers)).json()["items"]
    assert his["id"] == str(bert.token_id)
    pages, cursor = [], ""
    for _ in range(2):
        found = (await client.get(f"{url}all&limit=2{cursor}", headers=boss.headers)).json()
        pages += [item["agent_id"] for item in found["items"]]
        cursor = f"&cursor={found['next_cursor']}"
    assert pages == [str(one.id) for one in (boss, anna, bert)]
    made = await client.post(f"{V}/tokens", headers=boss.headers, json={"name": "For him", "agent_id": str(bert.id)})
    assert made.json()["agent_id"] == str(bert.id)
    assert (await client.delete(f"{V}/tokens/{bert.token_id}", headers=boss.headers)).status_code == 204
    async with services.database.reading() as session:
        gone = select(api_tokens.c.id).where(api_tokens.c.revoked_at.is_not(None))
        assert (await session.execute(gone)).scalars().all() == [bert.token_id]


@pytest.mark.parametrize(
    ("before", "after", "elsewhere"),
    [
        ({"smtp_url": "smtps://a.test"}, {"smtp_url": "smtps://b.test"}, True),
        ({"smtp_url": "smtps://a.test"}, {"smtp_url": "smtp://a.test"}, True),
        ({"smtp_url": "smtps://a.test/x"}, {"smtp_url": "smtps://a.test/y"}, False),
        ({"imap_url": ""}, {"imap_url": "imaps://a.test"}, True),
        ({"address": "a@a.test"}, {"address": "b@a.test"}, True),
        ({"trusted_forwarders": []}, {"trusted_forwarders": ["x@a.test"]}, True),
        ({"origins": ["https://a.test"]}, {"origins": ["https://a.test", "https://b.test"]}, True),
        ({"identity_public_key": ""}, {"identity_public_key": "-----BEGIN PUBLIC KEY-----"}, True),
        ({"signature": "a"}, {"signature": "b"}, False),
        ({"reply_address": None}, {"reply_address": ""}, False),
    ],
)
def test_it_is_told_whether_an_inbox_leads_elsewhere(
    before: dict[str, Any], after: dict[str, Any], elsewhere: bool
) -> None:
    assert leads_elsewhere(before, after) is elsewhere
    assert leads_elsewhere(before, after, ["identity_secret"]) is True
