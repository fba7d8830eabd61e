"""Inboxes, agents, teams, tags, channels and contacts."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.models.events import audit
from helpdesk.models.inboxes import inbox_states
from helpdesk.models.inboxes import inboxes as inbox_rows
from helpdesk.services import inbox_settings, inboxes
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.searching import walked

INBOXES = "/api/v1/inboxes"
IMAP: dict[str, Any] = {
    "address": "Support@Helpdesk.test",
    "receive": "imap",
    "imap_url": "imaps://mail.helpdesk.test/INBOX",
    "imap_user": "support",
    "imap_password": "imap secret",
    "smtp_url": "smtps://mail.helpdesk.test",
    "smtp_user": "support",
    "smtp_password": "smtp secret",
}


async def test_an_inbox_keeps_its_secrets_sealed_and_shows_their_names_only(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    body = {"channel": "email", "name": "Support", "settings": IMAP}
    answer = await client.post(INBOXES, headers=boss.headers, json=body)
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert shown["secrets"] == ["imap_password", "smtp_password"]
    assert "secret" not in str(shown["settings"])
    assert shown["handle"] == "support@helpdesk.test"
    async with services.database.reading() as session:
        row = (await session.execute(select(inbox_rows))).mappings().one()
        assert await session.scalar(select(inbox_states.c.cursor)) == {}
    assert b"secret" not in row["secrets"]
    config: Any = inbox_settings.load_config(services, row)
    assert config.imap_password.get_secret_value() == "imap secret"
    async with services.database.transaction() as session:
        await inbox_settings.save_secrets(services, session, row["id"], {"imap_password": "rotated"})
        row = (await session.execute(select(inbox_rows))).mappings().one()
    config = inbox_settings.load_config(services, row)
    assert (config.imap_password.get_secret_value(), row["version"]) == ("rotated", 1)
    assert config.smtp_password.get_secret_value() == "smtp secret"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"imap_url": "imaps://evil.test/INBOX"}, "settings.imap_password"),
        ({"imap_url": "imap://mail.helpdesk.test/INBOX"}, "settings.imap_password"),
        ({"imap_url": "imaps://mail.helpdesk.test:1993/INBOX"}, "settings.imap_password"),
        ({"smtp_url": "smtps://evil.test", "imap_password": "known"}, "settings.smtp_password"),
        ({"smtp_url": ""}, "settings.smtp_password"),
        ({"imap_url": "imaps://mail.helpdesk.test/Other"}, None),
        ({"imap_url": "imaps://other.test/INBOX", "imap_password": "for it"}, None),
        ({"imap_url": "imaps://support:for%20it@other.test/INBOX"}, None),
        ({"display_name": "Desk"}, None),
    ],
)
async def test_a_saved_password_is_never_sent_to_a_changed_host(
    change: dict[str, str], field: str | None, client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    body = {"channel": "email", "name": "Support", "settings": IMAP}
    made = (await client.post(INBOXES, headers=boss.headers, json=body)).json()
    headers = {**boss.headers, "If-Match": '"1"'}
    answer = await client.patch(f"{INBOXES}/{made['id']}", headers=headers, json={"settings": change})
    if field is None:
        assert answer.status_code == 200, answer.text
        assert answer.json()["secrets"] == ["imap_password", "smtp_password"]
    else:
        assert answer.status_code == 422
        assert field in [error["field"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"channel": "pigeon", "name": "x"}, "channel"),
        ({"channel": "email", "name": " ", "settings": {"address": "a@b.test"}}, "name"),
        ({"channel": "email", "name": "x"}, "settings.address"),
        ({"channel": "email", "name": "x", "settings": {"address": "a"}}, "settings.address"),
        ({"channel": "email", "name": "x", "settings": {"address": "a@b.test", "no": 1}}, "settings.no"),
        (
            {"channel": "email", "name": "x", "settings": {"address": "a@b.test", "receive": "imap"}},
            "settings.imap_url",
        ),
        ({"channel": "email", "name": "x", "settings": {"address": "a@b.test"}, "key": "x"}, "key"),
    ],
)
async def test_a_wrong_setting_is_named(
    body: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    answer = await client.post(INBOXES, headers=boss.headers, json=body)
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_two_inboxes_do_not_share_an_address_until_one_is_gone(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    body = {"channel": "email", "name": "One", "settings": {"address": "same@helpdesk.test"}}
    first = (await client.post(INBOXES, headers=boss.headers, json=body)).json()
    taken = await client.post(INBOXES, headers=boss.headers, json=body)
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:helpdesk:problem:address_taken")
    gone = await client.delete(f"{INBOXES}/{first['id']}", headers={**boss.headers, "If-Match": '"1"'})
    assert gone.status_code == 204
    assert (await client.get(f"{INBOXES}/{first['id']}", headers=boss.headers)).status_code == 404
    assert (await client.post(INBOXES, headers=boss.headers, json=body)).status_code == 201


async def test_a_live_inbox_names_by_which_its_conversations_go_on(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    mail, desk = await factories.inbox(services), await factories.inbox(services, channel="chat")
    paused = await factories.inbox(services)
    async with services.database.transaction() as session:
        await session.execute(inbox_rows.update().where(inbox_rows.c.id == paused).values(state="paused"))

    async def name(inbox_id: UUID, by: UUID | None, version: int = 1) -> httpx.Response:
        headers = {**boss.headers, "If-Match": f'"{version}"'}
        body = {"continued_by_id": by and str(by)}
        return await client.patch(f"{INBOXES}/{inbox_id}", headers=headers, json=body)

    answers = [await name(desk, mail), await name(desk, None, 2), await name(desk, desk, 3), await name(mail, paused)]
    answers += [await name(desk, paused, 3), await name(desk, uuid4(), 3)]
    assert [answer.status_code for answer in answers] == [200, 200, 422, 422, 404, 404]
    assert [answer.json()["continued_by_id"] for answer in answers[:2]] == [str(mail), None]
    assert [answer.json()["errors"][0]["field"] for answer in answers[2:4]] == ["continued_by_id"] * 2


async def test_an_inbox_that_gets_members_closes_to_the_others_at_once(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss, anna, bert = [await factories.agent(services, role=role) for role in ("admin", "agent", "agent")]
    desk = await factories.inbox(services)
    await factories.conversation(services, inbox_id=desk)

    async def seen(someone: factories.Someone) -> int:
        answer = await client.get("/api/v1/conversations", headers=someone.headers)
        return len(answer.json()["items"])

    assert (await seen(anna), await seen(bert)) == (1, 1)
    url = f"{INBOXES}/{desk}"
    await client.patch(url, headers={**boss.headers, "If-Match": '"1"'}, json={"member_ids": [str(anna.id)]})
    assert (await seen(anna), await seen(bert)) == (1, 0)
    team = await factories.team(services, members=[bert.id])
    await client.patch(url, headers={**boss.headers, "If-Match": '"2"'}, json={"team_id": str(team)})
    assert (await seen(anna), await seen(bert)) == (1, 1)
    mine = (await client.get(INBOXES, headers=bert.headers)).json()["items"]
    assert mine == [
        {"id": str(desk), "channel": "email", "name": mine[0]["name"], "handle": mine[0]["handle"]}
        | {"state": "active", "team_id": str(team)}
    ]


async def test_texts_from_the_command_line_are_settings_too(services: Services) -> None:
    team = await factories.team(services)
    settings = {"address": "cli@helpdesk.test", "mark_seen": "false", "poll_seconds": "30", "team_id": str(team)}
    async with services.database.transaction() as session:
        identifier = await inboxes.add(
            services, session, channel="email", name="CLI", settings=settings, by=SYSTEM, now=clock.now()
        )
        row = (await session.execute(select(inbox_rows).where(inbox_rows.c.id == identifier))).mappings().one()
    assert (row["config"]["mark_seen"], row["config"]["poll_seconds"], row["team_id"]) == (False, 30, team)


async def test_a_check_tells_what_works(client: httpx.AsyncClient, services: Services) -> None:
    boss, desk = await factories.agent(services, role="admin"), await factories.inbox(services)
    answer = await client.post(f"{INBOXES}/{desk}/check", headers=boss.headers, json={"send": False})
    assert answer.status_code == 200
    assert answer.json()["ok"] is all(check["ok"] for check in answer.json()["checks"])


@ON_ONE_DATABASE
async def test_settings_are_tried_before_they_are_saved_and_a_saved_secret_goes_to_no_other_host(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    mail = {"address": "try@helpdesk.test", "receive": "imap", "imap_url": "imap://127.0.0.1:9"}
    secret = {"imap_user": "try", "imap_password": "s3cret"}
    body = {"channel": "email", "name": "Try", "settings": {**mail, **secret}, "state": "paused"}

    async def tried(inbox_id: str | None = None, **settings: Any) -> httpx.Response:
        body = {"channel": "email", "settings": settings} | ({"inbox_id": inbox_id} if inbox_id else {})
        return await client.post(f"{INBOXES}/check", headers=boss.headers, json=body)

    wrong = await tried(**mail, imap_tsl="on")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "settings.imap_tsl")
    shown = (await tried(**mail, **secret)).json()
    assert (shown["ok"], "s3cret" in str(shown)) == (False, False), "nobody listens there"
    assert (await client.get(INBOXES, headers=boss.headers)).json()["items"] == [], "nothing is kept"
    saved = (await client.post(INBOXES, headers=boss.headers, json=body)).json()
    assert saved["state"] == "paused"
    assert (await tried(saved["id"], display_name="Same host")).json()["ok"] is False
    for url in ("imap://127.0.0.1:10", "imap://localhost:9", "imaps://127.0.0.1:9", "imap://evil.test:9"):
        refused = await tried(saved["id"], imap_url=url)
        fields = [error["field"] for error in refused.json().get("errors", ())]
        assert (refused.status_code, fields) == (422, ["settings.imap_password"]), url
    assert (await tried(saved["id"], imap_url="imap://127.0.0.1:10", imap_password="new")).status_code == 200
    other = {"channel": "chat", "settings": {}, "inbox_id": saved["id"]}
    assert (await client.post(f"{INBOXES}/check", headers=boss.headers, json=other)).status_code == 422
    assert (await tried(str(uuid4()), **mail)).status_code == 404
    again = (await client.get(f"{INBOXES}/{saved['id']}", headers=boss.headers)).json()
    assert again == saved


async def test_channels_describe_their_settings(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    found = {one["name"]: one for one in (await client.get("/api/v1/channels", headers=anna.headers)).json()["items"]}
    assert "address" in found["email"]["config_schema"]["properties"]
    assert "imap_password" in found["email"]["secrets"]
    assert found["email"]["capabilities"]["letters"] is True


async def test_agents_are_shown_names_and_supervisors_everything(client: httpx.AsyncClient, services: Services) -> None:
    anna, boss = await factories.agent(services), await factories.agent(services, role="supervisor")
    mine = (await client.get(f"/api/v1/agents/{boss.id}", headers=anna.headers)).json()
    assert set(mine) == {"id", "name", "active"}
    full = (await client.get(f"/api/v1/agents/{anna.id}", headers=boss.headers)).json()
    assert full["email"] == anna.email
    assert "password_hash" not in full


async def test_somebody_stays_administrator(client: httpx.AsyncClient, services: Services) -> None:
    one, two = [await factories.agent(services, role="admin") for _ in range(2)]
    answers = await asyncio.gather(
        client.patch(f"/api/v1/agents/{one.id}", headers={**one.headers, "If-Match": '"1"'}, json={"role": "agent"}),
        client.delete(f"/api/v1/agents/{two.id}", headers={**two.headers, "If-Match": '"1"'}),
    )
    assert max(answer.status_code for answer in answers) == 409


async def test_an_agent_who_leaves_can_do_nothing_more(client: httpx.AsyncClient, services: Services) -> None:
    boss, anna = await factories.agent(services, role="admin"), await factories.agent(services)
    gone = await client.delete(f"/api/v1/agents/{anna.id}", headers={**boss.headers, "If-Match": '"1"'})
    assert gone.status_code == 204
    assert (await client.get("/api/v1/me", headers=anna.headers)).status_code == 401
    async with services.database.reading() as session:
        done = set((await session.execute(select(audit.c.action).where(audit.c.subject_id == anna.id))).scalars())
    assert {"agent.created", "agent.updated"} <= done


async def test_an_address_and_a_team_name_are_taken_once(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    for url, body, slug in (
        ("/api/v1/agents", {"email": boss.email.upper(), "name": "x"}, "email_taken"),
        ("/api/v1/teams", {"name": "Same"}, "name_taken"),
        ("/api/v1/tags", {"name": "same"}, "name_taken"),
        ("/api/v1/contacts", {"identities": [{"channel": "email", "handle": "a@b.test"}]}, "handle_taken"),
    ):
        first = await client.post(url, headers=boss.headers, json=body)
        second = await client.post(url, headers=boss.headers, json=body)
        assert second.status_code == 409, (url, first.text)
        assert second.json()["type"] == f"urn:helpdesk:problem:{slug}"


async def test_a_team_that_something_belongs_to_stays(client: httpx.AsyncClient, services: Services) -> None:
    boss, team = await factories.agent(services, role="admin"), await factories.team(services)
    await factories.inbox(services, team_id=team)
    answer = await client.delete(f"/api/v1/teams/{team}", headers={**boss.headers, "If-Match": '"1"'})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:helpdesk:problem:in_use")


async def test_ids_in_bodies_that_are_nobodys_are_404(client: httpx.AsyncClient, services: Services) -> None:
    boss = await factories.agent(services, role="admin")
    nobody = str(uuid4())
    for url, body in (
        ("/api/v1/teams", {"name": "x", "member_ids": [nobody]}),
        (INBOXES, {"channel": "email", "name": "x", "settings": {"address": "a@b.test"}, "team_id": nobody}),
        (INBOXES, {"channel": "email", "name": "x", "settings": {"address": "a@b.test"}, "member_ids": [nobody]}),
    ):
        assert (await client.post(url, headers=boss.headers, json=body)).status_code == 404
    async with services.database.reading() as session:
        assert (await session.execute(select(inbox_rows.c.id))).all() == []


async def test_a_renamed_tag_is_renamed_everywhere(client: httpx.AsyncClient, services: Services) -> None:
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk, tag=["old"])
    (tag,) = (await client.get("/api/v1/tags", headers=boss.headers)).json()["items"]
    headers = {**boss.headers, "If-Match": f'"{tag["version"]}"'}
    await client.patch(f"/api/v1/tags/{tag['id']}", headers=headers, json={"name": "new"})
    url = f"/api/v1/conversations/{identifier}"
    assert (await client.get(url, headers=boss.headers)).json()["tags"] == ["new"]
    await client.delete(f"/api/v1/tags/{tag['id']}", headers={**boss.headers, "If-Match": '"2"'})
    assert (await client.get(url, headers=boss.headers)).json()["tags"] == []


async def test_contacts_are_found_by_name_and_handle_within_sight(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, boss = await factories.agent(services), await factories.agent(services, role="supervisor")
    hers = await factories.inbox(services, members=[anna.id])
    his = await factories.inbox(services, members=[boss.id])
    await factories.conversation(services, inbox_id=hers, handle="seen@customer.test", name="Mina 50%")
    await factories.conversation(services, inbox_id=his, handle="hidden@customer.test", name="Mina 500")
    await walked(services)

    async def handles(someone: factories.Someone, query: str) -> list[str]:
        answer = await client.get(f"/api/v1/contacts?{query}", headers=someone.headers)
        return [one["identities"][0]["handle"] for one in answer.json()["items"]]

    assert await handles(anna, "q=mina") == ["seen@customer.test"]
    assert await handles(boss, "q=mina") == ["hidden@customer.test", "seen@customer.test"]
    assert await handles(boss, "q=MIN+50") == ["hidden@customer.test", "seen@customer.test"]
    assert await handles(boss, "q=500&handle=hidden@customer.test") == await handles(boss, "q=hidden@cust")
    assert await handles(boss, "q=ina") == [], "words are known by their beginnings"
    assert await handles(boss, "handle=HIDDEN@customer.test") == ["hidden@customer.test"]
    assert await handles(anna, "handle=hidden@customer.test") == []
    first = (await client.get("/api/v1/contacts?limit=1", headers=boss.headers)).json()
    second = (await client.get(f"/api/v1/contacts?limit=1&cursor={first['next_cursor']}", headers=boss.headers)).json()
    assert [p["items"][0]["identities"][0]["handle"] for p in (first, second)] == await handles(boss, "")
    contact = first["items"][0]
    await factories.custom_field(services, "plan", subject="contact")
    changed = await client.patch(
        f"/api/v1/contacts/{contact['id']}",
        headers={**boss.headers, "If-Match": '"1"'},
        json={"custom_fields": {"plan": "pro"}, "blocked": True},
    )
    assert (changed.json()["custom_fields"], changed.json()["blocked"]) == ({"plan": "pro"}, True)
    assert UUID(contact["id"])
