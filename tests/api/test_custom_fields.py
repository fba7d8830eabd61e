"""Custom fields: defined by administrators, held to their definition where they are given, archived when in use."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

FIELDS = "/api/v1/custom-fields"


def at(someone: factories.Someone, version: int) -> dict[str, str]:
    return {**someone.headers, "If-Match": f'"{version}"'}


@ON_ONE_DATABASE
async def test_a_field_is_kept_with_what_it_allows_and_each_change_is_audited(
    client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    body = {"subject": "conversation", "key": "chain", "title": "Chain", "type": "choice", "options": ["BTC", "ETH"]}
    made = await client.post(FIELDS, headers=boss.headers, json=body)
    assert made.status_code == 201, made.text
    shown = made.json()
    assert {name: shown[name] for name in body} == body
    assert (shown["archived"], shown["version"]) == (False, 1)
    again = await client.post(FIELDS, headers=boss.headers, json=body | {"type": "text", "options": []})
    assert (again.status_code, again.json()["type"].rpartition(":")[2]) == (409, "key_taken")
    other = await client.post(FIELDS, headers=boss.headers, json=body | {"subject": "contact", "position": 2})
    assert other.status_code == 201
    url = f"{FIELDS}/{shown['id']}"
    changed = await client.patch(url, headers=at(boss, 1), json={"options": ["BTC", "ETH", "SOL"], "title": "Network"})
    assert (changed.json()["options"], changed.json()["title"]) == (["BTC", "ETH", "SOL"], "Network")
    assert (await client.patch(url, headers=at(boss, 1), json={"title": "x"})).status_code == 412
    empty = await client.patch(url, headers=at(boss, 2), json={"options": []})
    assert [error["field"] for error in empty.json()["errors"]] == ["options"]
    listed = (await client.get(f"{FIELDS}?subject=contact", headers=boss.headers)).json()["items"]
    assert [one["id"] for one in listed] == [other.json()["id"]]
    first = (await client.get(f"{FIELDS}?limit=1", headers=boss.headers)).json()
    second = (await client.get(f"{FIELDS}?limit=1&cursor={first['next_cursor']}", headers=boss.headers)).json()
    assert [page["items"][0]["subject"] for page in (first, second)] == ["conversation", "contact"]
    async with services.database.reading() as session:
        query = select(audit.c.action).where(audit.c.subject_type == "custom_field").order_by(audit.c.id)
        done = (await session.execute(query)).scalars().all()
    assert done == ["custom_field.created", "custom_field.created", "custom_field.updated"]


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"key": "Chain"}, "key"),
        ({"type": "colour"}, "type"),
        ({"type": "choice"}, "options"),
        ({"options": ["a"]}, "options"),
        ({"type": "choice", "options": ["a\nb"]}, "options.0"),
        ({"subject": "agent"}, "subject"),
        ({"archived": True}, "archived"),
    ],
)
async def test_a_field_that_cannot_be_is_refused(
    body: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    boss = await factories.agent(services, role="admin")
    fine = {"subject": "contact", "key": "plan", "title": "Plan", "type": "text"}
    answer = await client.post(FIELDS, headers=boss.headers, json=fine | body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


async def test_values_are_held_to_their_field_and_what_was_kept_before_stays(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    await factories.custom_field(services, "amount", kind="number")
    await factories.custom_field(services, "chains", kind="multi_choice", options=["BTC", "ETH"])
    await factories.custom_field(services, "plan", subject="contact")
    made = await factories.conversation(services, inbox_id=desk)
    async with services.database.transaction() as session:
        await session.execute(update(conversations).values(custom_fields={"legacy": "kept"}))
    url = f"/api/v1/conversations/{made}"
    wrong = {"amount": "many", "plan": "pro", "chains": ["DOGE"]}
    refused = await client.patch(url, headers=at(anna, 1), json={"custom_fields": wrong})
    assert refused.status_code == 422
    assert {error["field"] for error in refused.json()["errors"]} == {f"custom_fields.{key}" for key in wrong}
    fine = await client.patch(
        url, headers=at(anna, 1), json={"custom_fields": {"amount": 1.5, "chains": ["ETH", "BTC"]}}
    )
    assert fine.json()["custom_fields"] == {"legacy": "kept", "amount": 1.5, "chains": ["BTC", "ETH"]}
    gone = await client.patch(url, headers=at(anna, 2), json={"custom_fields": {"legacy": None, "amount": None}})
    assert gone.json()["custom_fields"] == {"chains": ["BTC", "ETH"]}
    contact = f"/api/v1/contacts/{fine.json()['contact']['id']}"
    assert (await client.patch(contact, headers=at(anna, 1), json={"custom_fields": {"amount": 1}})).status_code == 422
    pro = await client.patch(contact, headers=at(anna, 1), json={"custom_fields": {"plan": "pro"}})
    assert pro.json()["custom_fields"] == {"plan": "pro"}


@pytest.mark.parametrize("subject", ["conversation", "contact"])
async def test_a_field_in_use_is_archived_and_one_that_is_not_can_go(
    subject: str, client: httpx.AsyncClient, services: Services
) -> None:
    boss, desk = await factories.agent(services, role="admin"), await factories.inbox(services)
    used = f"{FIELDS}/{await factories.custom_field(services, 'used', subject=subject)}"
    idle = f"{FIELDS}/{await factories.custom_field(services, 'idle', subject=subject)}"
    made = await factories.conversation(services, inbox_id=desk)
    contact = (await client.get(f"/api/v1/conversations/{made}", headers=boss.headers)).json()["contact"]["id"]
    url = f"/api/v1/conversations/{made}" if subject == "conversation" else f"/api/v1/contacts/{contact}"
    await client.patch(url, headers=at(boss, 1), json={"custom_fields": {"used": "yes"}})
    refused = await client.delete(used, headers=at(boss, 1))
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "in_use")
    assert (await client.delete(idle, headers=at(boss, 1))).status_code == 204
    assert (await client.patch(used, headers=at(boss, 1), json={"archived": True})).json()["archived"] is True
    new = await client.patch(url, headers=at(boss, 2), json={"custom_fields": {"used": "no"}})
    assert [error["field"] for error in new.json()["errors"]] == ["custom_fields.used"]
    assert (await client.get(url, headers=boss.headers)).json()["custom_fields"] == {"used": "yes"}
    cleared = await client.patch(url, headers=at(boss, 2), json={"custom_fields": {"used": None}})
    assert cleared.json()["custom_fields"] == {}
    assert (await client.delete(used, headers=at(boss, 2))).status_code == 204
    assert (await client.get(f"{FIELDS}/{uuid4()}", headers=boss.headers)).status_code == 404
