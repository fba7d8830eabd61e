"""Views: keeping questions to the list of conversations, sharing them, and asking them; filters of one's own."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import insert, select, text

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.dialects import Prepared
from helpdesk.domain.filter_tree import parse
from helpdesk.domain.filters import ConversationFilter, Sort
from helpdesk.domain.values import SYSTEM
from helpdesk.models.agents import team_members
from helpdesk.models.desk import views
from helpdesk.models.events import audit
from helpdesk.services import listing
from helpdesk.services.house import Services
from tests import factories
from tests.api.test_conversations import numbers
from tests.conftest import ON_ONE_DATABASE

URL = "/api/v1/views"


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


URGENT = leaf("priority", "eq", "urgent")


def asking(content: Any) -> str:
    return f"filter={quote(json.dumps(content))}"


async def test_a_view_is_kept_changed_and_removed(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    given = {"name": "Urgent", "filter": URGENT, "sort": "waiting_since", "position": 3}
    made = await client.post(URL, headers=anna.headers, json=given)
    assert made.status_code == 201, made.text
    view = made.json()
    assert {name: view[name] for name in given} == given
    assert (view["shared"], view["team_id"], view["version"]) == ("personal", None, 1)
    url = made.headers["Location"]
    headers = {**anna.headers, "If-Match": made.headers["ETag"]}
    assert (await client.patch(url, headers=anna.headers, json={"name": "Mine"})).status_code == 428
    changed = await client.patch(url, headers=headers, json={"name": "Mine", "filter": {"not": URGENT}})
    assert (changed.json()["name"], changed.json()["filter"], changed.json()["version"]) == ("Mine", {"not": URGENT}, 2)
    assert (await client.patch(url, headers=headers, json={"name": "Old"})).status_code == 412
    headers["If-Match"] = '"2"'
    assert (await client.delete(url, headers=headers)).status_code == 204
    assert (await client.get(url, headers=anna.headers)).status_code == 404
    async with services.database.reading() as session:
        assert (await session.execute(select(views.c.id))).all() == []
        noted = await session.execute(select(audit.c.action).where(audit.c.subject_type == "view").order_by(audit.c.id))
        assert list(noted.scalars()) == ["view.created", "view.updated", "view.removed"]


async def test_who_sees_and_keeps_what_is_shared(client: httpx.AsyncClient, services: Services) -> None:
    anna, bert, lead = [await factories.agent(services) for _ in range(3)]
    boss = await factories.agent(services, role="supervisor")
    team = await factories.team(services, members=[anna.id])
    async with services.database.transaction() as session:
        row = {"team_id": team, "agent_id": lead.id, "role": "lead"}
        await session.execute(insert(team_members).values(**row))

    async def keep(who: factories.Someone, shared: str, **more: Any) -> httpx.Response:
        body = {"name": f"{shared} of {who.name}", "shared": shared, **more}
        return await client.post(URL, headers=who.headers, json=body)

    of_team = {"shared": "team", "team_id": str(team)}
    assert (await keep(anna, **of_team)).status_code == 403
    assert (await keep(anna, "everybody")).status_code == 403
    assert (await keep(anna, "team")).status_code == 422
    assert (await keep(anna, "personal", team_id=str(team))).status_code == 422
    made = [await keep(anna, "personal"), await keep(lead, **of_team), await keep(boss, "everybody")]
    assert [one.status_code for one in made] == [201, 201, 201]
    own, shared, everybodys = (one.json()["id"] for one in made)

    async def seen(who: factories.Someone) -> set[str]:
        return {one["id"] for one in (await client.get(URL, headers=who.headers)).json()["items"]}

    assert await seen(anna) == {own, shared, everybodys}
    assert await seen(bert) == {everybodys}
    assert await seen(boss) == {shared, everybodys}
    for who, view, code in ((bert, shared, 404), (anna, shared, 403), (anna, everybodys, 403), (lead, shared, 200)):
        headers = {**who.headers, "If-Match": '"1"'}
        assert (await client.patch(f"{URL}/{view}", headers=headers, json={"position": 1})).status_code == code


async def test_views_are_listed_in_their_order_over_pages(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    for position in (3, 1, 2, 1):
        body = {"name": f"At {position}", "position": position}
        assert (await client.post(URL, headers=anna.headers, json=body)).status_code == 201
    found, cursor = [], ""
    for _ in range(2):
        page = (await client.get(f"{URL}?limit=2{cursor}", headers=anna.headers)).json()
        found += [one["position"] for one in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (found, page["next_cursor"]) == ([1, 1, 2, 3], None)


async def test_a_list_asks_a_view_and_a_filter_and_both_hold(client: httpx.AsyncClient, services: Services) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    desk, his = await factories.inbox(services), await factories.inbox(services, members=[bert.id])
    for row in ({"priority": 3, "tag": ["vip"]}, {"priority": 3}, {"tag": ["vip"]}, {"priority": 3, "spam": True}):
        await factories.conversation(services, inbox_id=desk, messages=0, **row)
    await factories.conversation(services, inbox_id=his, messages=0, priority=3)
    given = {"name": "Urgent", "filter": URGENT, "sort": "created_at"}
    view = (await client.post(URL, headers=anna.headers, json=given)).json()["id"]
    expected = {
        f"view_id={view}": [1, 2],
        f"view_id={view}&sort=-last_activity_at": [2, 1],
        f"view_id={view}&tag=vip": [1],
        f"view_id={view}&{asking(leaf('tag', 'missing', True))}": [2],
        asking(leaf("tag", "eq", "vip")): [3, 1],
        asking({"all": [URGENT, leaf("spam", "eq", True)]}): [4],
        asking({"any": [leaf("spam", "eq", True), leaf("number", "eq", 2)]}): [4, 2],
        "spam=true": [4],
        "spam=false": [3, 2, 1],
        "": [3, 2, 1],
    }
    assert {query: await numbers(client, anna, query) for query in expected} == expected
    assert await numbers(client, bert, f"{asking(URGENT)}&sort=created_at") == [1, 2, 5]
    answer = await client.get(f"/api/v1/conversations?view_id={view}", headers=bert.headers)
    assert answer.status_code == 404
    page = (await client.get(f"/api/v1/conversations?view_id={view}&limit=1", headers=anna.headers)).json()
    next_one = f"view_id={view}&limit=1&cursor={page['next_cursor']}"
    assert await numbers(client, anna, next_one) == [2]


@ON_ONE_DATABASE
async def test_a_filter_names_only_what_its_keeper_may_see(client: httpx.AsyncClient, services: Services) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    his = await factories.inbox(services, members=[bert.id])
    contact = await factories.contact(services)
    await factories.conversation(services, inbox_id=his, messages=0)
    leaves = [
        leaf("inbox_id", "eq", str(his)),
        leaf("contact_id", "in", [str(contact)]),
        leaf("team_id", "eq", str(new_id())),
        leaf("assignee_id", "in", ["me", str(bert.id), str(new_id())]),
    ]
    answer = await client.post(URL, headers=anna.headers, json={"name": "All", "filter": {"any": leaves}})
    assert answer.status_code == 422
    found = {error["field"] for error in answer.json()["errors"]}
    assert found == {
        "filter.any.0.value",
        "filter.any.1.value.0",
        "filter.any.2.value",
        "filter.any.3.value.2",
    }
    his_own = {"name": "All", "filter": leaves[0]}
    assert (await client.post(URL, headers=bert.headers, json=his_own)).status_code == 201


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("filter=x", "filter"),
        ("filter=[]", "filter"),
        (asking({"all": [leaf("status", "eq", "lost")]}), "filter.all.0.value"),
        (asking(leaf("message.text", "contains", "a")), "filter.field"),
        (asking({"x": "y" * 8000}), "filter"),
        ("view_id=1", "view_id"),
        ("spam=yes", "spam"),
    ],
)
async def test_what_a_list_cannot_be_asked_is_named(
    query: str, field: str, client: httpx.AsyncClient, services: Services
) -> None:
    anna = await factories.agent(services)
    answer = await client.get(f"/api/v1/conversations?{query}", headers=anna.headers)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@ON_ONE_DATABASE
async def test_there_is_an_end_to_the_views_of_one_agent(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    row = {"filter": {}, "sort": "created_at", "position": 0, "version": 1, "owner_id": anna.id, "name": "One"}
    row |= {"created_at": clock.now(), "updated_at": clock.now(), "team_id": None}
    async with services.database.transaction() as session:
        await session.execute(insert(views), [{"id": new_id(), **row} for _ in range(100)])
    answer = await client.post(URL, headers=anna.headers, json={"name": "One more"})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "too_many")


async def test_a_page_ends_where_too_much_would_be_looked_at_and_the_next_one_goes_on_there(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    for number in range(7):
        waits = {} if number % 2 else {"waiting_since": None}
        subject = "A fee" if number in (0, 3, 6) else "Else"
        at = clock.now() + timedelta(minutes=number)
        await factories.conversation(services, inbox_id=desk, subject=subject, messages=0, now=at, **waits)
    tree = {"all": [leaf("status", "eq", "open"), leaf("subject", "contains", "fee")]}

    async def pages(sort: str) -> list[list[int]]:
        found, cursor = list[list[int]](), ""
        while cursor is not None:
            url = f"/api/v1/conversations?{asking(tree)}&sort={sort}{cursor and f'&cursor={cursor}'}"
            answer = await client.get(url, headers=boss.headers)
            assert answer.status_code == 200, answer.text
            found.append([item["number"] for item in answer.json()["items"]])
            cursor = answer.json()["next_cursor"]
        return found

    whole = {sort: await pages(sort) for sort in ("-last_activity_at", "waiting_since")}
    assert whole == {"-last_activity_at": [[7, 4, 1]], "waiting_since": [[4, 1, 7]]}
    monkeypatch.setattr(listing, "LOOKED_AT", 2)
    assert await pages("-last_activity_at") == [[7], [4], [], [1]]
    assert await pages("waiting_since") == [[4], [1], [7]]


async def test_where_one_is_called_by_name_is_found_however_much_has_happened_elsewhere_since(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss, desk = await factories.agent(services, role="supervisor"), await factories.inbox(services)
    ids = [str(await factories.conversation(services, inbox_id=desk, messages=0)) for _ in range(5)]
    for number, one in enumerate(ids):
        named = [] if number else [str(boss.id)]  # whoever is named watches as well
        note, headers = {"text": "Have a look.", "private": True, "mentions": named}, {"Idempotency-Key": one}
        said = await client.post(f"/api/v1/conversations/{one}/messages", json=note, headers=boss.headers | headers)
        assert said.status_code == 201, said.text
    monkeypatch.setattr(listing, "LOOKED_AT", 2)
    for field in ("mentioned", "watched"):
        url = f"/api/v1/conversations?{asking(leaf(field, 'eq', 'me'))}"
        answer = (await client.get(url, headers=boss.headers)).json()
        assert ([item["id"] for item in answer["items"]], answer["next_cursor"]) == ([ids[0]], None)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_no_index_can_tell_is_asked_along_the_index_of_the_order(services: Services) -> None:
    """With the table too dear to be read whole, as a large one is."""
    tree = parse({"all": [leaf("subject", "contains", "fee"), {"not": leaf("tag", "eq", "vip")}]})
    asked = await listing.question(services, SYSTEM, ConversationFilter(), tree=tree, now=clock.now())
    assert asked.tree is not None
    shape = listing._Shape(True, asked.conditions, Sort.LAST_ACTIVITY, "values", False, 26)
    statement = Prepared(listing._within(shape, asked.tree, asked.near), services.database.engine.dialect)
    async with services.database.reading() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        rows = await driver.fetch(f"EXPLAIN {statement.sql}", *statement.arguments(asked.values))
    plan = "\n".join(row[0] for row in rows)
    assert "ix_conversations_activity" in plan, plan
    assert "Seq Scan on conversations" not in plan, plan
