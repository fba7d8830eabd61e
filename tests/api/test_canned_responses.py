"""Canned responses: who sees and keeps which, how they are found, and how they read in a conversation."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk.models.agents import team_members
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

TEXTS = "/api/v1/canned-responses"
BODY: dict[str, Any] = {"shortcut": "thanks", "title": "Thank you", "texts": {"en": "Thanks, {{contact.first_name}}!"}}


def at(someone: factories.Someone, version: int = 1) -> dict[str, str]:
    return {**someone.headers, "If-Match": f'"{version}"'}


async def shortcuts(client: httpx.AsyncClient, someone: factories.Someone, query: str = "") -> list[str]:
    return [one["shortcut"] for one in (await client.get(f"{TEXTS}{query}", headers=someone.headers)).json()["items"]]


async def test_one_sees_his_own_those_of_his_teams_and_everybodys(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert, boss = [await factories.agent(services, role=role) for role in ("agent", "agent", "supervisor")]
    team = await factories.team(services, members=[anna.id])
    for someone, name, more in (
        (anna, "anna", {}),
        (bert, "bert", {}),
        (boss, "team", {"shared": "team", "team_id": str(team)}),
        (boss, "house", {"shared": "everybody"}),
    ):
        answer = await client.post(TEXTS, headers=someone.headers, json={**BODY, "shortcut": name, **more})
        assert answer.status_code == 201, answer.text
        assert answer.json()["shared"] == more.get("shared", "personal")
    assert await shortcuts(client, anna) == ["anna", "house", "team"]
    assert await shortcuts(client, bert) == ["bert", "house"]
    assert await shortcuts(client, boss) == ["house", "team"]
    first = (await client.get(f"{TEXTS}?limit=2", headers=anna.headers)).json()
    assert await shortcuts(client, anna, f"?limit=2&cursor={first['next_cursor']}") == ["team"]
    assert await shortcuts(client, anna, "?q=HO") == ["house"]
    assert await shortcuts(client, anna, "?q=thank") == ["anna", "house", "team"]
    assert await shortcuts(client, anna, "?q=%25") == []


@ON_ONE_DATABASE
async def test_what_is_shared_is_kept_by_supervisors_and_a_teams_by_its_leads(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, lead, boss = [await factories.agent(services, role=role) for role in ("agent", "agent", "supervisor")]
    narrow = await factories.agent(services, role="supervisor", scopes=["conversations:read", "conversations:write"])
    team = await factories.team(services, members=[anna.id, lead.id])
    async with services.database.transaction() as session:
        await session.execute(update(team_members).where(team_members.c.agent_id == lead.id).values(role="lead"))
    for_team, for_all = {"shared": "team", "team_id": str(team)}, {"shared": "everybody"}
    for someone, more, status in (
        (anna, for_team, 403),
        (anna, for_all, 403),
        (lead, for_all, 403),
        (narrow, for_all, 403),
        (lead, for_team, 201),
        (boss, {"shared": "team"}, 422),
        (boss, {"team_id": str(team)}, 422),
    ):
        answer = await client.post(TEXTS, headers=someone.headers, json={**BODY, **more})
        assert answer.status_code == status, answer.text
    found = (await client.get(TEXTS, headers=anna.headers)).json()["items"][0]
    url = f"{TEXTS}/{found['id']}"
    assert (await client.patch(url, headers=at(anna), json={"title": "Mine"})).status_code == 403
    assert (await client.delete(url, headers=at(anna))).status_code == 403
    changed = await client.patch(url, headers=at(boss), json={"title": "Ours", "texts": {"zh-TW": "謝謝"}})
    assert (changed.json()["title"], changed.json()["texts"], changed.json()["version"]) == (
        "Ours",
        {"zh-TW": "謝謝"},
        2,
    )
    assert (await client.delete(url, headers=at(lead))).status_code == 412
    assert (await client.delete(url, headers=at(lead, 2))).status_code == 204
    async with services.database.reading() as session:
        query = select(audit.c.action).where(audit.c.subject_type == "canned_response").order_by(audit.c.id)
        done = (await session.execute(query)).scalars().all()
    assert done == ["canned_response.created", "canned_response.updated", "canned_response.removed"]


async def test_a_shortcut_means_one_text_among_those_that_one_sees(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert, boss = [await factories.agent(services, role=role) for role in ("agent", "agent", "supervisor")]
    assert (await client.post(TEXTS, headers=anna.headers, json=BODY)).status_code == 201
    assert (await client.post(TEXTS, headers=bert.headers, json=BODY)).status_code == 201
    taken = await client.post(TEXTS, headers=anna.headers, json=BODY)
    assert (taken.status_code, taken.json()["type"].rpartition(":")[2]) == (409, "shortcut_taken")
    house = {**BODY, "shortcut": "hello", "shared": "everybody"}
    assert (await client.post(TEXTS, headers=boss.headers, json=house)).status_code == 201
    mine = (await client.get(TEXTS, headers=anna.headers)).json()["items"][-1]
    url = f"{TEXTS}/{mine['id']}"
    assert (await client.patch(url, headers=at(anna), json={"shortcut": "hello"})).status_code == 409
    assert (await client.patch(url, headers=at(anna), json={"shortcut": "thanks"})).status_code == 200


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shortcut": "Two words"}, "shortcut"),
        ({"texts": {}}, "texts"),
        ({"texts": {"en": " "}}, "texts.en"),
        ({"texts": {"en": "{{contact.phone}}"}}, "texts.en"),
        ({"texts": {"en": "Hi", "zh-CN": "请提供您的助记词。"}}, "texts.zh-CN"),
        ({"owner_id": "0198c0de-0000-7000-8000-000000000001"}, "owner_id"),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_its_field(
    change: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    answer = await client.post(TEXTS, headers=anna.headers, json=BODY | change)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


@ON_ONE_DATABASE
async def test_a_text_is_filled_in_in_the_contacts_language_and_says_what_is_missing(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, name="Anna Berg")
    desk = await factories.inbox(services, name="Wallet desk", members=[anna.id])
    made = await factories.conversation(services, inbox_id=desk, name="Mina Park", language="zh-TW")
    texts = {
        "en": "Dear {{contact.first_name}}, #{{conversation.number}}: {{conversation.subject}}",
        "zh-CN": "{{contact.name}}，{{agent.first_name}}（{{inbox.name}}，{{team.name}}）",
    }
    body = {**BODY, "texts": texts}
    url = f"{TEXTS}/{(await client.post(TEXTS, headers=anna.headers, json=body)).json()['id']}/render"

    async def rendered(query: str = "") -> dict[str, Any]:
        answer = await client.get(f"{url}?conversation_id={made}{query}", headers=anna.headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    nearest = {"language": "zh-CN", "text": "Mina Park，Anna（Wallet desk，）", "missing": ["team.name"]}
    assert await rendered() == nearest
    number = (await client.get(f"/api/v1/conversations/{made}", headers=anna.headers)).json()["number"]
    assert await rendered("&language=en") == {
        "language": "en",
        "text": f"Dear Mina, #{number}: Withdrawal",
        "missing": [],
    }
    async with services.database.transaction() as session:
        await session.execute(update(contacts).values(name="Win at https://evil.test now", language="en"))
        await session.execute(update(conversations).values(subject="Look:\n<i>now</i>"))
    assert await rendered() == {
        "language": "en",
        "text": f"Dear , #{number}: Look: inow/i",
        "missing": ["contact.first_name"],
    }
    other = await factories.conversation(
        services, inbox_id=await factories.inbox(services, members=[(await factories.agent(services)).id])
    )
    assert (await client.get(f"{url}?conversation_id={other}", headers=anna.headers)).status_code == 404
    assert (await client.get(url, headers=anna.headers)).status_code == 422
