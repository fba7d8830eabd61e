"""Merging contacts, and taking them out again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.models.contacts import contact_identities, contact_merges, contacts
from helpdesk.models.conversations import conversations, participants
from helpdesk.models.events import audit, events
from helpdesk.services import contact_merging, sources
from helpdesk.services.access import get_message
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House, mail

URL = "/api/v1/contacts"
WORK, HOME = "mina@work.test", "mina@home.test"


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


class Case:
    """Mina wrote under two addresses, and is two contacts."""

    def __init__(self, client: httpx.AsyncClient, house: House, boss: factories.Someone, desk: Desk) -> None:
        self.client, self.house, self.boss, self.desk = client, house, boss, desk

    async def mail(self, sender: str, text: str = "Where is it?") -> UUID:
        """The conversation that it came into."""
        await self.house.receive(self.desk, mail(f"Mina <{sender}>", text, dmarc="pass"))
        newest: UUID = (await self.house.conversations())[-1]["id"]
        return newest

    async def who(self, handle: str) -> UUID:
        row = await self.house.row(contact_identities, contact_identities.c.handle == handle)
        found: UUID = row["contact_id"]
        return found

    async def contact(self, identifier: UUID) -> Any:
        return await self.house.row(contacts, contacts.c.id == identifier)

    async def ask(self, what: str, identifier: UUID, body: Any = None, *, version: int | None = None) -> httpx.Response:
        at = (await self.contact(identifier))["version"] if version is None else version
        headers = {**self.boss.headers, "If-Match": f'"{at}"'}
        return await self.client.post(f"{URL}/{identifier}/{what}", headers=headers, json=body)

    async def merge(self, identifier: UUID, into: UUID, **given: Any) -> httpx.Response:
        return await self.ask("merge", identifier, {"into": str(into)}, **given)

    async def theirs(self, identifier: UUID) -> set[UUID]:
        return {row["id"] for row in await self.house.rows(conversations, conversations.c.contact_id == identifier)}

    async def set(self, identifier: UUID, **values: Any) -> None:
        async with self.house.services.database.transaction() as session:
            await session.execute(update(contacts).where(contacts.c.id == identifier).values(values))

    async def told(self) -> list[Any]:
        return [row["data"] for row in await self.house.rows(events, events.c.type == "contact.merged")]


@pytest.fixture
async def case(client: httpx.AsyncClient, services: Services, house: House) -> Case:
    boss = await factories.agent(services, role="supervisor")
    return Case(client, house, boss, await house.inbox())


async def test_handles_and_conversations_go_over_and_later_mail_follows(case: Case) -> None:
    old, kept = await case.mail(WORK), await case.mail(HOME)
    source, target = await case.who(WORK), await case.who(HOME)
    answer = await case.merge(source, target)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["merged_into_id"], shown["version"], shown["identities"]) == (str(target), 2, [])
    assert await case.theirs(target) == {old, kept}
    assert await case.who(WORK) == target
    people = await case.house.rows(participants)
    assert {row["contact_id"] for row in people} == {target}
    later = await case.mail(WORK, "Hello again.")
    assert later in await case.theirs(target)
    assert await case.told() == [{"contact_id": str(source), "into_id": str(target), "by": f"agent:{case.boss.id}"}]
    (noted,) = await case.house.rows(audit, audit.c.action == "contact.merged")
    assert noted["data"] == {"into": str(target), "identities": 1, "conversations": 1}
    assert [row["verified"] for row in await case.house.rows(contact_identities)] == [False, False]


async def test_what_was_sent_before_is_still_read(case: Case, services: Services) -> None:
    await case.mail(WORK, "Before the merge.")
    await case.mail(HOME)
    source = await case.who(WORK)
    await case.merge(source, await case.who(HOME))
    (message,) = [row for row in await case.house.incoming() if "Before" in row["text"]]
    async with services.database.transaction() as session:
        found = await get_message(session, SYSTEM, message["id"])
        assert b"Before the merge." in await sources.raw(services, session, found, by=SYSTEM, now=clock.now())
        assert await contact_merging.inside(session, await case.who(HOME)) == [await case.who(HOME), source]


async def test_a_merged_contact_is_read_but_neither_listed_nor_changed(case: Case) -> None:
    await case.mail(WORK)
    await case.mail(HOME)
    source, target = await case.who(WORK), await case.who(HOME)
    await case.merge(source, target)
    listed = (await case.client.get(URL, headers=case.boss.headers)).json()["items"]
    assert [one["id"] for one in listed] == [str(target)]
    answer = await case.client.get(f"{URL}/{source}", headers=case.boss.headers)
    assert (answer.status_code, answer.json()["merged_into_id"]) == (200, str(target))
    headers = {**case.boss.headers, "If-Match": answer.headers["ETag"]}
    answer = await case.client.patch(f"{URL}/{source}", headers=headers, json={"name": "M"})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "contact_merged")


async def test_the_one_who_stays_gets_what_he_lacks_and_gives_it_back(case: Case) -> None:
    first, _ = await case.mail(WORK), await case.mail(HOME)
    source, target = await case.who(WORK), await case.who(HOME)
    await case.set(source, custom_fields={"plan": "pro", "city": "Lima"}, blocked=True, language="es")
    await case.set(target, custom_fields={"plan": "free"})
    await case.merge(source, target)
    row = await case.contact(target)
    assert (row["custom_fields"], row["blocked"]) == ({"plan": "free", "city": "Lima"}, True)
    later = await case.mail(WORK, "Still here.")
    answer = await case.ask("unmerge", source)
    assert answer.status_code == 200, answer.text
    assert answer.json()["merged_into_id"] is None
    row = await case.contact(target)
    assert (row["custom_fields"], row["blocked"], (await case.contact(source))["blocked"]) == (
        {"plan": "free"},
        False,
        True,
    )
    assert (await case.theirs(source), await case.who(WORK)) == ({first}, source)
    assert later in await case.theirs(target)
    assert (await case.told())[-1]["into_id"] is None
    (merged,) = await case.house.rows(contact_merges)
    assert merged["undone_at"] is not None


async def test_who_was_in_somebody_goes_along_and_comes_back_with_him(case: Case) -> None:
    first, second, third = [await case.mail(f"m{number}@customer.test") for number in range(3)]
    one, two, three = [await case.who(f"m{number}@customer.test") for number in range(3)]
    await case.merge(one, two)
    await case.merge(two, three)
    assert [(await case.contact(who))["merged_into_id"] for who in (one, two, three)] == [three, three, None]
    assert await case.theirs(three) == {first, second, third}
    await case.ask("unmerge", two)
    assert [(await case.contact(who))["merged_into_id"] for who in (one, two, three)] == [two, None, None]
    assert (await case.theirs(two), await case.theirs(three)) == ({first, second}, {third})
    await case.ask("unmerge", one)
    assert (await case.theirs(one), await case.theirs(two)) == ({first}, {second})


async def test_what_was_begun_for_him_meanwhile_goes_over_later(case: Case, services: Services) -> None:
    await case.mail(WORK)
    await case.mail(HOME)
    source, target = await case.who(WORK), await case.who(HOME)
    await case.merge(source, target)
    late = await factories.conversation(services, inbox_id=case.desk.id, handle=HOME)
    async with services.database.transaction() as session:
        await session.execute(update(conversations).where(conversations.c.id == late).values(contact_id=source))
    async with services.database.transaction() as session:
        assert await contact_merging.gather(session, now=clock.now()) == 1
        assert await contact_merging.gather(session, now=clock.now()) == 0
    assert late in await case.theirs(target)
    await case.ask("unmerge", source)
    assert late in await case.theirs(source)


@pytest.mark.parametrize(
    ("what", "status", "slug"),
    [
        ("self", 422, "invalid"),
        ("nobody", 422, "invalid"),
        ("unknown", 404, "not_found"),
        ("twice", 409, "contact_merged"),
        ("into merged", 409, "target_merged"),
        ("stale", 412, "stale_version"),
        ("not merged", 409, "not_merged"),
    ],
)
async def test_what_cannot_be_merged_is_said_by_its_type(
    what: str, status: int, slug: str, case: Case, services: Services
) -> None:
    source, target, other = [await factories.contact(services) for _ in range(3)]
    version = None
    match what:
        case "self":
            target = source
        case "nobody":
            target = uuid4()
        case "unknown":
            source, version = uuid4(), 1
        case "twice":
            await case.merge(source, other)
        case "into merged":
            await case.merge(target, other)
        case "stale":
            version = 9
    if what == "not merged":
        answer = await case.ask("unmerge", source)
    else:
        answer = await case.merge(source, target, version=version)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, slug)


async def test_agents_merge_nobody(case: Case, services: Services) -> None:
    anna = await factories.agent(services)
    source, target = await factories.contact(services), await factories.contact(services)
    headers = {**anna.headers, "If-Match": '"1"'}
    answer = await case.client.post(f"{URL}/{source}/merge", headers=headers, json={"into": str(target)})
    assert answer.status_code == 403
    async with services.database.reading() as session:
        assert (await session.execute(select(contact_merges.c.id))).all() == []
