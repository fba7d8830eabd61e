"""Macros: kept, looked at beforehand, and run as a whole or not at all."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from helpdesk.domain.values import Actor
from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit, events
from helpdesk.models.messages import deliveries, messages
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE

MACROS = "/api/v1/macros"
REPLY = {"do": "reply", "text": "Hello {{contact.first_name}}, this is {{agent.name}}."}
SNOOZE = {"do": "status", "to": "snoozed", "snooze_seconds": 3600}


async def actor(services: Services, someone: factories.Someone) -> Actor:
    found = await factories.accounts.identify_token(services.database, someone.token, now=factories.clock.now())
    return found.actor


def run_headers(someone: factories.Someone, version: int = 1, key: str = "") -> dict[str, str]:
    return {**someone.headers, "If-Match": f'"{version}"', "Idempotency-Key": key or str(uuid4())}


async def kept(client: httpx.AsyncClient, someone: factories.Someone, *actions: dict[str, Any]) -> str:
    answer = await client.post(MACROS, headers=someone.headers, json={"name": "All at once", "actions": list(actions)})
    assert answer.status_code == 201, answer.text
    return f"{MACROS}/{answer.json()['id']}"


async def state(services: Services, conversation_id: UUID) -> dict[str, Any]:
    async with services.database.reading() as session:
        query = select(conversations).where(conversations.c.id == conversation_id)
        return dict((await session.execute(query)).mappings().one())


@ON_ONE_DATABASE
async def test_a_macro_is_kept_with_its_actions_and_each_change_is_audited(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, other = await factories.agent(services), await factories.agent(services)
    url = await kept(client, anna, {"do": "assign", "agent_id": "me"}, {"do": "tag", "add": ["vip"]})
    shown = (await client.get(url, headers=anna.headers)).json()
    assert shown["actions"] == [
        {"do": "assign", "agent_id": "me"},
        {"do": "tag", "add": ["vip"], "remove": []},
    ]
    assert (shown["shared"], shown["version"]) == ("personal", 1)
    assert (await client.get(url, headers=other.headers)).status_code == 404
    changes = {**anna.headers, "If-Match": '"1"'}
    changed = await client.patch(url, headers=changes, json={"actions": [REPLY], "description": "Says hello"})
    assert (changed.json()["description"], changed.json()["actions"][0]["text"]) == ("Says hello", REPLY["text"])
    assert [one["id"] for one in (await client.get(MACROS, headers=anna.headers)).json()["items"]] == [shown["id"]]
    assert (await client.delete(url, headers=changes)).status_code == 412
    assert (await client.delete(url, headers={**anna.headers, "If-Match": '"2"'})).status_code == 204
    async with services.database.reading() as session:
        query = select(audit.c.action).where(audit.c.subject_type == "macro").order_by(audit.c.id)
        assert (await session.execute(query)).scalars().all() == ["macro.created", "macro.updated", "macro.removed"]


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("action", "field"),
    [
        ({"do": "dance"}, "actions.0"),
        ({"do": "alert", "who": ["lead"]}, "actions.0"),
        ({"do": "assign", "agent_id": "you"}, "actions.0.agent_id"),
        ({"do": "assign", "agent_id": str(uuid4())}, "actions.0.agent_id"),
        ({"do": "team", "team_id": str(uuid4())}, "actions.0.team_id"),
        ({"do": "status", "to": "snoozed"}, "actions.0.snooze_seconds"),
        ({"do": "custom_field", "key": "chain", "value": "eth"}, "actions.0.value"),
        ({"do": "reply", "canned_response_id": str(uuid4())}, "actions.0.canned_response_id"),
        ({"do": "reply", "text": "Please tell us your private key."}, "actions.0.text"),
        ({"do": "reply", "text": "Hi {{secret}}"}, "actions.0.text"),
    ],
)
async def test_an_action_that_cannot_be_done_is_refused_when_it_is_kept(
    action: dict[str, Any], field: str, client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    answer = await client.post(MACROS, headers=anna.headers, json={"name": "x", "actions": [action]})
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


async def test_running_a_macro_does_all_of_it_in_the_name_of_whoever_runs_it(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services, name="Anna Berg")
    team, desk = await factories.team(services, members=[anna.id]), await factories.inbox(services)
    await factories.custom_field(services, "chain")
    text = await factories.canned_response(services, by=await actor(services, anna), texts={"en": "Solved."})
    made = await factories.conversation(services, inbox_id=desk, name="Mina Park", tag=["new"])
    url = await kept(
        client,
        anna,
        {"do": "assign", "agent_id": "me"},
        {"do": "team", "team_id": str(team)},
        {"do": "priority", "to": "high"},
        {"do": "category", "to": "transaction"},
        {"do": "tag", "add": ["vip"], "remove": ["new"]},
        {"do": "custom_field", "key": "chain", "value": "eth"},
        {"do": "watch", "agent_ids": [str(anna.id)]},
        {"do": "note", "text": "Done by macro."},
        REPLY,
        {"do": "reply", "canned_response_id": str(text)},
        SNOOZE,
    )
    body = {"conversation_id": str(made), "seen_seq": 1}
    answer = await client.post(f"{url}/run", headers=run_headers(anna, key="once"), json=body)
    assert answer.status_code == 200, answer.text
    shown = answer.json()["conversation"]
    assert (shown["assignee"]["id"], shown["team"]["id"]) == (str(anna.id), str(team))
    assert (shown["priority"], shown["category"], shown["tags"]) == ("high", "transaction", ["vip"])
    assert (shown["status"], shown["custom_fields"]) == ("snoozed", {"chain": "eth"})
    assert [one["id"] for one in shown["watchers"]] == [str(anna.id)]
    assert answer.headers["etag"] == f'"{shown["version"]}"'
    async with services.database.reading() as session:
        m = messages.c
        query = select(m.text, m.private, m.author_id, m.author_kind).where(m.type == "outgoing").order_by(m.seq)
        written = [tuple(row) for row in await session.execute(query)]
        told = select(events.c.data).where(events.c.conversation_id == made, events.c.type != "message.received")
        by = {data["by"] for data in (await session.execute(told)).scalars() if "by" in data}
        assert await session.scalar(select(func.count()).select_from(deliveries)) == 2
    assert written == [
        ("Done by macro.", True, anna.id, "agent"),
        ("Hello Mina, this is Anna Berg.", False, anna.id, "agent"),
        ("Solved.", False, anna.id, "agent"),
    ]
    assert by == {f"agent:{anna.id}"}
    again = await client.post(f"{url}/run", headers=run_headers(anna, key="once"), json=body)
    assert (again.status_code, again.json()) == (200, answer.json())
    assert (await state(services, made))["seq"] == shown["seq"]


async def test_what_is_refused_takes_all_that_was_done_before_it_back(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    closed = await factories.conversation(services, inbox_id=desk, status="closed")
    nameless = await factories.conversation(services, inbox_id=desk, name="")
    url = await kept(client, anna, {"do": "tag", "add": ["vip"]}, REPLY)
    for made, status, problem in ((closed, 409, "conversation_closed"), (nameless, 422, "invalid")):
        before = await state(services, made)
        answer = await client.post(f"{url}/run", headers=run_headers(anna), json={"conversation_id": str(made)})
        found = answer.json()
        assert (answer.status_code, found["type"].rpartition(":")[2], found["action"]) == (status, problem, 1)
        assert await state(services, made) == before


@ON_ONE_DATABASE
async def test_a_macro_is_run_on_what_was_seen_and_on_nothing_newer(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    made = await factories.conversation(services, inbox_id=desk, messages=2)
    url = await kept(client, anna, {"do": "priority", "to": "high"})
    body = {"conversation_id": str(made)}
    assert (await client.post(f"{url}/run", headers=anna.headers, json=body)).status_code == 428
    without = {**anna.headers, "If-Match": '"1"'}
    assert (await client.post(f"{url}/run", headers=without, json=body)).status_code == 400
    assert (await client.post(f"{url}/run", headers=run_headers(anna, 2), json=body)).status_code == 412
    moved = await client.post(f"{url}/run", headers=run_headers(anna), json=body | {"seen_seq": 1})
    assert (moved.status_code, moved.json()["type"].rpartition(":")[2]) == (409, "conversation_moved")
    assert [message["seq"] for message in moved.json()["messages"]] == [2]
    assert (await client.post(f"{url}/run", headers=run_headers(anna), json=body)).status_code == 200


async def test_a_preview_says_what_would_be_different_and_changes_nothing(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    made = await factories.conversation(services, inbox_id=desk, name="Mina Park", tag=["new"])
    url = await kept(
        client,
        anna,
        {"do": "tag", "add": ["vip"], "remove": ["new"]},
        {"do": "priority", "to": "normal"},
        REPLY,
        {"do": "reply", "text": "Of {{team.name}}"},
        {"do": "status", "to": "closed"},
        {"do": "status", "to": "open"},
    )
    async with services.database.reading() as session:
        count = select(func.count()).select_from(events)
        before = (await state(services, made), await session.scalar(count))
    answer = await client.post(f"{url}/preview", headers=anna.headers, json={"conversation_id": str(made)})
    assert answer.status_code == 200, answer.text
    tag, priority, reply, hole, close, reopen = answer.json()["actions"]
    assert (tag["before"], tag["after"]) == ({"tags": ["new"]}, {"tags": ["vip"]})
    assert priority["before"] == priority["after"] == {"priority": "normal"}
    assert (reply["before"], reply["after"]["text"]) == (None, f"Hello Mina, this is {anna.name}.")
    assert (hole["refused"], hole["after"]) == ("invalid", None)
    assert "team.name" in hole["detail"]
    assert close["after"] == {"status": "closed", "snoozed_until": None}
    assert reopen["refused"] == "conversation_closed"
    async with services.database.reading() as session:
        assert (await state(services, made), await session.scalar(count)) == before
        assert await session.scalar(select(func.count()).select_from(deliveries)) == 0
