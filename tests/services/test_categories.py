"""Categories of a house's own: what suggests them, and that one place says which there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from helpdesk.domain import categories as domain
from helpdesk.domain.contents import Wrong
from helpdesk.domain.language import SUPPORTED
from helpdesk.domain.triage_rules import CATEGORIES
from helpdesk.models.desk import triage_suggestions
from helpdesk.models.events import audit
from helpdesk.services import categories
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import House
from tests.services.test_automation import numbered
from tests.services.test_triage import sort, state, write

URL = "/api/v1/triage"
NAMES = {"en": "Listing", "zh-CN": "上币", "zh-TW": "上幣"}
LISTING: dict[str, Any] = {"key": "listing", "names": NAMES, "words": ["list my coin*", "上幣申請"], "priority": "low"}


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    await sort(services)
    async with House(services) as opened:
        yield opened


async def test_a_category_of_ones_own_is_suggested_by_its_words_in_either_script(
    house: House, client: httpx.AsyncClient
) -> None:
    admin, desk = await factories.agent(house.services, role="admin"), await house.inbox()
    made = await client.post(f"{URL}/categories", headers=admin.headers, json=LISTING | {"weight": 6})
    assert made.status_code == 201, made.text
    written = [await write(house, desk, text) for text in ("Please list my coins on your exchange", "请问上币申请流程")]
    assert [(await state(house, one))[:2] for one in written] == [("listing", 1), ("listing", 1)]
    kept = await house.rows(triage_suggestions)
    assert [one["rule"] for one in kept[0]["reasons"]] == ["moving money", "category listing"]
    headers = {**admin.headers, "If-Match": made.headers["ETag"]}
    url = made.headers["Location"]
    changed = await client.patch(url, headers=headers, json={"archived": True, "priority": None})
    assert (changed.json()["archived"], changed.json()["priority"], changed.json()["version"]) == (True, None, 2)
    later = await write(house, desk, "Please list my coin")
    assert (await state(house, later))[0] != "listing"
    url = f"/api/v1/conversations/{later}"
    refused = await client.patch(
        url,
        headers={**admin.headers, "If-Match": (await client.get(url, headers=admin.headers)).headers["ETag"]},
        json={"category": "listing"},
    )
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "category")
    # What has it keeps it, and is found by it.
    view = {"name": "Listings", "filter": {"field": "category", "op": "eq", "value": "listing"}}
    assert (await client.post("/api/v1/views", headers=admin.headers, json=view)).status_code == 201


@ON_ONE_DATABASE
async def test_a_rule_that_is_switched_off_says_nothing(house: House, client: httpx.AsyncClient) -> None:
    admin, desk = await factories.agent(house.services, role="admin"), await house.inbox()
    for _ in range(2):
        off = await client.patch(f"{URL}/rules/anger", headers=admin.headers, json={"enabled": False})
        assert off.status_code == 204, off.text
    for name in ("joy", "a%00b"):
        answer = await client.patch(f"{URL}/rules/{name}", headers=admin.headers, json={"enabled": False})
        assert answer.status_code == 404
    made = await write(house, desk, "This is outrageous")
    assert await state(house, made) == (None, 1, 1)
    shown = (await client.get(f"{URL}/rules", headers=admin.headers)).json()["rules"]
    assert [one["name"] for one in shown if not one["enabled"]] == ["anger"]
    assert len(await house.rows(audit, audit.c.action == "triage_rule.switched")) == 1
    await client.patch(f"{URL}/rules/anger", headers=admin.headers, json={"enabled": True})
    again = await write(house, desk, "This is outrageous, again")
    assert (await state(house, again))[0] == "complaint"


@ON_ONE_DATABASE
async def test_what_agents_said_is_listed_wherever_they_said_it(house: House, client: httpx.AsyncClient) -> None:
    boss, desk = await factories.agent(house.services, role="supervisor"), await house.inbox()
    first = await write(house, desk, "My deposit is still pending")
    second = await write(house, desk, "How do I stake?")
    for one, url, given in (
        (first, f"/api/v1/conversations/{first}", {"category": "technical"}),
        (second, f"/api/v1/conversations/{second}/triage", {"category": "how-to", "priority": "low"}),
    ):
        tag = (await client.get(f"/api/v1/conversations/{one}", headers=boss.headers)).headers["ETag"]
        send = client.patch if url.endswith(str(one)) else client.post
        done = await send(url, headers={**boss.headers, "If-Match": tag}, json=given)
        assert done.status_code == 200, done.text
        await numbered(house.services)
        await sort(house.services)
    found, cursor = [], ""
    for _ in range(2):
        shown = (await client.get(f"{URL}/corrections?limit=1{cursor}", headers=boss.headers)).json()
        found += shown["items"]
        cursor = f"&cursor={shown['next_cursor']}"
    assert shown["next_cursor"] is None
    names = ("conversation_id", "suggested_category", "suggested_priority", "category", "priority", "corrected_by")
    assert [tuple(one[name] for name in names) for one in found] == [
        (str(second), "how-to", None, "how-to", "low", str(boss.id)),
        (str(first), "transaction", "high", "technical", None, str(boss.id)),
    ]
    assert "money missing" in [one["rule"] for one in found[1]["reasons"]]


@ON_ONE_DATABASE
async def test_a_category_that_there_is_not_is_refused_wherever_it_is_given(
    services: Services, client: httpx.AsyncClient
) -> None:
    admin = await factories.agent(services, role="admin")
    conversation = await factories.conversation(services, inbox_id=await factories.inbox(services))
    leaf = {"field": "category", "op": "in", "value": ["security", "nonsense"]}
    do = {"do": "category", "to": "nonsense"}
    rule = {"name": "R", "when": {"events": ["message.received"]}, "do": [do]}
    policy = {"name": "P", "clock": "calendar", "targets": {"first_response": 60}, "categories": ["nonsense"]}
    given: list[tuple[str, str, dict[str, Any], str]] = [
        ("PATCH", f"conversations/{conversation}", {"category": "nonsense"}, "category"),
        ("POST", "conversations/bulk", {"ids": [str(conversation)], "set": {"category": "nonsense"}}, "set.category"),
        ("POST", "views", {"name": "V", "filter": leaf}, "filter.value.1"),
        ("POST", "automation-rules", rule, "do.0.to"),
        ("POST", "automation-rules", rule | {"do": [{"do": "tag", "add": ["x"]}], "if": leaf}, "if.value.1"),
        ("POST", "macros", {"name": "M", "actions": [do]}, "actions.0.to"),
        ("POST", "sla-policies", policy, "categories.0"),
        (
            "PATCH",
            f"agents/{admin.id}",
            {"skills": {"languages": [], "categories": ["nonsense"]}},
            "skills.categories.0",
        ),
    ]
    for method, path, body, field in given:
        answer = await client.request(
            method, f"/api/v1/{path}", headers={**admin.headers, "If-Match": '"1"'}, json=body
        )
        assert answer.status_code == 422, (path, answer.text)
        assert [one["field"] for one in answer.json()["errors"]] == [field]


@ON_ONE_DATABASE
async def test_a_category_that_cannot_be_is_refused_by_its_field(services: Services, client: httpx.AsyncClient) -> None:
    admin = await factories.agent(services, role="admin")
    given = ({"key": "security"}, {"names": {"en": "Listing"}}, {"weight": 11}, {"priority": "huge"})
    for wrong in given:
        answer = await client.post(f"{URL}/categories", headers=admin.headers, json=LISTING | wrong)
        assert answer.status_code == 422, answer.text
        assert [one["field"] for one in answer.json()["errors"]] == list(wrong)


@pytest.mark.parametrize("key", ["security", "advertising", "Two Words", "x", "a" * 41, "9lives", "上币"])
def test_a_key_is_a_word_of_its_own_in_plain_letters(key: str) -> None:
    with pytest.raises(Wrong) as refused:
        domain.check_key(key)
    assert refused.value.field == "key"


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["x"], "words.0"),
        (["ａ"], "words.0"),
        (["*"], "words.0"),
        (["list", "。"], "words.1"),
        (["--*"], "words.0"),
        (["list", "a*b"], "words.1"),
        (["list", "list"], "words.1"),
        (["w" * 61], "words.0"),
        ([f"word{number}" for number in range(201)], "words"),
    ],
)
def test_a_word_that_would_be_found_everywhere_or_nowhere_is_none(words: list[str], field: str) -> None:
    domain.check_words(["买", "list*", "two words"])
    with pytest.raises(Wrong) as refused:
        domain.check_words(words)
    assert refused.value.field == field


@ON_ONE_DATABASE
async def test_there_are_so_many_and_each_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    await factories.category(services, "one")
    with pytest.raises(categories.Conflict) as taken:
        await factories.category(services, "one")
    monkeypatch.setattr(categories, "MOST", 1)
    with pytest.raises(categories.Conflict) as full:
        await factories.category(services, "two")
    assert [one.value.problem for one in (taken, full)] == ["key_taken", "too_many"]


def test_every_category_has_a_name_in_every_language() -> None:
    assert set(domain.NAMES) == set(CATEGORIES)
    for names in domain.NAMES.values():
        domain.check_names(names)
        assert set(names) == set(SUPPORTED)
