"""Triage at work: what is suggested and applied after a message, what an agent's word is worth, and who may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.models.conversations import conversations
from helpdesk.models.desk import triage_suggestions
from helpdesk.models.events import events
from helpdesk.services import following, triage
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import Desk, House, mail
from workers.triage import sort_new
from workers.watch import QUESTIONS

URL = "/api/v1/conversations"
STOLEN = "My wallet was hacked and everything is gone"
GONE = ["everything is gone", "wallet"]


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    await sort(services)
    async with House(services) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


async def sort(services: Services) -> None:
    while await sort_new(services):
        pass


async def write(house: House, desk: Desk, text: str, *, mode: str = "apply", **given: Any) -> UUID:
    """Mina writes, and triage looks; the newest conversation."""
    written = mail("Mina <mina@customer.test>", text, subject="Hello", dmarc="pass", **given)
    await house.receive(desk, written)
    settings = house.services.settings.model_copy(update={"triage": mode})
    await sort(replace(house.services, settings=settings))
    newest: UUID = (await house.conversations())[-1]["id"]
    return newest


async def state(house: House, identifier: UUID) -> tuple[Any, ...]:
    row = await house.row(conversations, conversations.c.id == identifier)
    return row["category"], row["priority"], row["version"]


async def give(house: House, identifier: UUID, **values: Any) -> None:
    async with house.services.database.transaction() as session:
        await session.execute(update(conversations).where(conversations.c.id == identifier).values(values))


async def test_a_message_gets_its_category_and_priority_and_that_is_an_event(house: House, desk: Desk) -> None:
    made = await write(house, desk, STOLEN)
    assert await state(house, made) == ("security", 3, 2)
    (kept,) = await house.rows(triage_suggestions)
    assert (kept["category"], kept["priority"], kept["language"], kept["applied"]) == ("security", 3, "en", True)
    assert kept["reasons"] == [
        {"rule": "theft", "category": "security", "weight": 8, "priority": "urgent", "words": ["hacked"]},
        {"rule": "emptied", "category": "security", "weight": 8, "priority": "urgent", "words": GONE},
    ]
    (told,) = await house.rows(events, events.c.type == "conversation.updated")
    assert told["data"] == {"changes": {"priority": [1, 3], "category": [None, "security"]}, "by": "system"}


@ON_ONE_DATABASE
async def test_who_has_said_nothing_may_say_it_later_and_what_was_applied_stays(house: House, desk: Desk) -> None:
    made = await write(house, desk, "Good morning")
    assert await house.rows(triage_suggestions) == []
    said = house.outgoing()[-1]["Message-ID"]
    assert await write(house, desk, "提现没到账", answers=said) == made
    assert (await state(house, made))[:2] == ("transaction", 2)
    assert await write(house, desk, STOLEN, answers=said) == made
    assert (await state(house, made))[:2] == ("transaction", 2)


@ON_ONE_DATABASE
async def test_what_is_set_by_hand_is_never_overruled(house: House, desk: Desk) -> None:
    made = await write(house, desk, "Good morning")
    await give(house, made, category="vip", priority=0)
    await write(house, desk, STOLEN, answers=house.outgoing()[-1]["Message-ID"])
    assert (await state(house, made))[:2] == ("vip", 0)
    (kept,) = await house.rows(triage_suggestions)
    assert (kept["category"], kept["applied"]) == ("security", False)


@ON_ONE_DATABASE
async def test_a_house_may_have_suggestions_only_or_none_at_all(house: House, desk: Desk) -> None:
    made = await write(house, desk, STOLEN, mode="suggest")
    assert await state(house, made) == (None, 1, 1)
    (kept,) = await house.rows(triage_suggestions)
    assert (kept["category"], kept["applied"]) == ("security", False)
    other = await write(house, desk, "Somebody stole my coins", mode="off")
    assert (other != made, await house.rows(triage_suggestions)) == (True, [kept])
    assert await state(house, other) == (None, 1, 1)


@ON_ONE_DATABASE
async def test_machines_and_spam_suggest_nothing(house: House, desk: Desk) -> None:
    made = await write(house, desk, STOLEN, headers=[("Auto-Submitted", "auto-generated")])
    assert await state(house, made) == (None, 1, 1)
    await house.receive(desk, mail("Eve <eve@customer.test>", STOLEN, dmarc="pass"))
    spam = (await house.conversations())[-1]["id"]
    await give(house, spam, spam=True)
    await sort(house.services)
    assert (await state(house, spam))[:2] == (None, 1)
    assert await house.rows(triage_suggestions) == []


async def test_of_two_workers_who_look_at_once_one_is_believed(house: House, desk: Desk) -> None:
    services = house.services
    await house.receive(desk, mail("Mina <mina@customer.test>", STOLEN, subject="Hello", dmarc="pass"))
    async with services.database.reading() as session:
        ahead = await following.look(session, triage.FOLLOWER)
        assert await session.scalar(QUESTIONS["triage"]()[0].limit(1)) is not None
    found, came = ahead.found or [], []
    for _ in range(2):
        async with services.database.transaction() as session:
            keep = partial(triage.keep, services, now=clock.now())
            came.append(await following.keep(session, triage.FOLLOWER, ahead, keep))
    assert (came[0] > 0, came[1]) == (True, 0)
    assert (await state(house, found.read[0].conversation_id))[2] == 2
    await sort(services)
    async with services.database.reading() as session:
        assert await session.scalar(QUESTIONS["triage"]()[0].limit(1)) is None


async def test_an_agent_corrects_and_no_later_message_says_otherwise(
    house: House, desk: Desk, client: httpx.AsyncClient
) -> None:
    boss = await factories.agent(house.services, role="supervisor")
    made = await write(house, desk, "My deposit is still pending", mode="suggest")
    shown = await client.get(f"{URL}/{made}/triage", headers=boss.headers)
    assert shown.status_code == 200, shown.text
    assert (shown.json()["category"], shown.json()["priority"]) == (None, "normal")
    found = shown.json()["suggestion"]
    assert (found["category"], found["priority"], found["corrected_at"]) == ("transaction", "high", None)
    assert [one["rule"] for one in found["reasons"]] == ["money missing", "trouble with money", "moving money"]
    headers = {**boss.headers, "If-Match": shown.headers["ETag"]}
    answer = await client.post(f"{URL}/{made}/triage", headers=headers, json={"category": "account"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["category"], answer.headers["ETag"]) == ("account", '"2"')
    assert answer.json()["suggestion"]["corrected_by"] == str(boss.id)
    assert answer.json()["suggestion"]["corrected_at"].endswith("Z")
    await write(house, desk, STOLEN, answers=house.outgoing()[-1]["Message-ID"])
    assert await state(house, made) == ("account", 1, 2)
    stale = await client.post(f"{URL}/{made}/triage", headers=headers, json={"category": "security"})
    assert stale.status_code == 412


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "category"), ({"priority": "huge"}, "priority"), ({"priority": None}, "priority"), ({"x": 1}, "x")],
)
async def test_a_correction_says_something(
    house: House, desk: Desk, client: httpx.AsyncClient, body: Any, field: str
) -> None:
    boss = await factories.agent(house.services, role="supervisor")
    made = await write(house, desk, STOLEN)
    headers = {**boss.headers, "If-Match": '"2"'}
    answer = await client.post(f"{URL}/{made}/triage", headers=headers, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text
    (kept,) = await house.rows(triage_suggestions)
    assert kept["corrected_at"] is None


@ON_ONE_DATABASE
async def test_supervisors_read_the_rules(services: Services, client: httpx.AsyncClient) -> None:
    boss = await factories.agent(services, role="supervisor")
    answer = await client.get("/api/v1/triage/rules", headers=boss.headers)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["mode"], "security" in answer.json()["categories"]) == ("apply", True)
    theft = next(rule for rule in answer.json()["rules"] if rule["name"] == "theft")
    assert (theft["priority"], theft["deniable"], "被盗" in theft["words"]) == ("urgent", True, True)
