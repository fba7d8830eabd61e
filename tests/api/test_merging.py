"""Merging conversations, and taking them out again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.models.conversations import (
    conversation_links,
    conversation_tags,
    conversation_watchers,
    conversations,
    participants,
)
from helpdesk.models.events import audit, events
from helpdesk.services import conversations as verbs
from helpdesk.services import merging, uniting, watchers
from helpdesk.services.house import Services
from tests import factories

URL = "/api/v1/conversations"
MINA = "mina@customer.test"


class Case:
    """Anna, her desk, and conversations of one contact in it."""

    def __init__(self, client: httpx.AsyncClient, services: Services, anna: factories.Someone, desk: UUID) -> None:
        self.client, self.services, self.anna, self.desk = client, services, anna, desk

    async def conversation(self, **given: Any) -> UUID:
        return await factories.conversation(self.services, inbox_id=self.desk, **{"handle": MINA, **given})

    async def post(
        self, path: str, body: Any = None, *, version: int | None = None, by: factories.Someone | None = None
    ) -> httpx.Response:
        identifier = UUID(path.split("/")[0])
        at = (await self.row(identifier))["version"] if version is None else version
        headers = {**(by or self.anna).headers, "If-Match": f'"{at}"', "Idempotency-Key": str(uuid4())}
        return await self.client.post(f"{URL}/{path}", headers=headers, json=body)

    async def merge(self, source: UUID, into: UUID, **given: Any) -> httpx.Response:
        version, by = given.pop("version", None), given.pop("by", None)
        return await self.post(f"{source}/merge", {"into": str(into), **given}, version=version, by=by)

    async def unmerge(self, source: UUID, **given: Any) -> httpx.Response:
        return await self.post(f"{source}/unmerge", **given)

    async def shown(self, identifier: UUID) -> Any:
        return (await self.client.get(f"{URL}/{identifier}", headers=self.anna.headers)).json()

    async def row(self, identifier: UUID) -> Any:
        return (await self.rows(conversations, conversations.c.id == identifier))[0]

    async def rows(self, table: Any, *where: Any) -> list[Any]:
        async with self.services.database.reading() as session:
            return list((await session.execute(select(table).where(*where))).mappings().all())

    async def events(self, identifier: UUID) -> list[tuple[str, Any]]:
        async with self.services.database.reading() as session:
            query = select(events.c.type, events.c.data).where(events.c.conversation_id == identifier)
            return [(row.type, row.data) for row in await session.execute(query.order_by(events.c.seq))]

    async def links(self) -> set[tuple[UUID, UUID]]:
        found = await self.rows(conversation_links, conversation_links.c.kind == "merged")
        return {(row["conversation_id"], row["related_id"]) for row in found}

    async def pointers(self, *identifiers: UUID) -> list[UUID | None]:
        return [(await self.row(one))["merged_into_id"] for one in identifiers]

    async def people(self, identifier: UUID) -> set[str]:
        p = participants.c
        found = await self.rows(participants, p.conversation_id == identifier, p.removed_at.is_(None))
        return {row["handle"] for row in found}

    async def watching(self, identifier: UUID) -> set[UUID]:
        found = await self.rows(conversation_watchers, conversation_watchers.c.conversation_id == identifier)
        return {row["agent_id"] for row in found}

    async def tags(self, identifier: UUID) -> set[str]:
        found = await self.rows(conversation_tags, conversation_tags.c.conversation_id == identifier)
        return {row["tag"] for row in found}

    async def change(self, identifier: UUID, **wanted: Any) -> None:
        async with self.services.database.transaction() as session:
            found = await session.execute(
                select(conversations).where(conversations.c.id == identifier).with_for_update()
            )
            row = found.mappings().one()
            await verbs.change(self.services, session, row, wanted, by=SYSTEM, now=clock.now())

    async def take_part(self, identifier: UUID, *handles: str) -> None:
        async with self.services.database.transaction() as session:
            row = {"id": identifier}
            people = [("email", handle, "") for handle in handles]
            await verbs.add_participants(session, row, people, by=SYSTEM, now=clock.now())

    async def watch(self, identifier: UUID, *agents: factories.Someone) -> None:
        for one in agents:
            async with self.services.database.transaction() as session:
                found = await session.execute(select(conversations).where(conversations.c.id == identifier))
                await watchers.add(session, found.mappings().one(), one.id, by=SYSTEM, now=clock.now())


@pytest.fixture
async def case(client: httpx.AsyncClient, services: Services) -> Case:
    anna = await factories.agent(services)
    return Case(client, services, anna, await factories.inbox(services, members=[anna.id]))


async def test_a_merged_conversation_is_closed_and_says_where_it_went(case: Case) -> None:
    source, target = await case.conversation(), await case.conversation()
    answer = await case.merge(source, target)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["status"], shown["merged_into_id"], shown["version"]) == ("closed", str(target), 2)
    assert [(one["id"], one["kind"]) for one in shown["related"]] == [(str(target), "merged")]
    other = await case.shown(target)
    assert [(one["id"], one["kind"]) for one in other["related"]] == [(str(source), "merged")]
    assert (other["merged_into_id"], other["status"], other["version"]) == (None, "open", 2)
    by = f"agent:{case.anna.id}"
    assert await case.events(source) == [
        ("conversation.merged", {"into_id": str(target), "by": by}),
        ("conversation.status_changed", {"before": "open", "after": "closed", "by": by}),
    ]
    assert await case.events(target) == [
        ("conversation.updated", {"changes": {"merged": [None, str(source)]}, "by": by})
    ]
    (noted,) = await case.rows(audit, audit.c.action == "conversation.merged")
    assert noted["data"] == {"into": str(target), "status": "open", "snoozed_until": None, "tags": []}


async def test_the_target_gets_what_the_source_had(case: Case, services: Services) -> None:
    source = await case.conversation(tag=["withdrawal", "vip"])
    target = await case.conversation(tag=["vip", "network"])
    bert = await factories.agent(services, role="supervisor")
    await case.take_part(source, "partner@customer.test")
    await case.watch(source, case.anna, bert)
    await case.watch(target, bert)
    await case.merge(source, target)
    assert await case.tags(target) == {"withdrawal", "vip", "network"}
    assert await case.people(target) == {MINA, "partner@customer.test"}
    assert await case.watching(target) == {case.anna.id, bert.id}
    changes = [data["changes"] for type_, data in await case.events(target) if "changes" in data]
    assert {"participants": [1, 2]}.items() <= changes[-1].items()
    assert (await case.row(target))["version"] == 2


async def test_unmerging_takes_back_what_came_with_it_and_nothing_else(case: Case, services: Services) -> None:
    source, target = await case.conversation(tag=["vip", "old"]), await case.conversation(tag=["vip"])
    bert = await factories.agent(services, role="supervisor")
    until = clock.now() + timedelta(days=1)
    await case.change(source, status="snoozed", snoozed_until=until)
    await case.take_part(source, "partner@customer.test", "both@customer.test")
    await case.take_part(target, "both@customer.test")
    await case.watch(source, case.anna, bert)
    await case.watch(target, bert)
    await case.merge(source, target)
    await case.take_part(target, "later@customer.test")
    answer = await case.unmerge(source)
    assert answer.status_code == 200, answer.text
    row = await case.row(source)
    assert (row["status"], row["snoozed_until"], row["merged_into_id"]) == ("snoozed", until, None)
    assert await case.tags(target) == {"vip"}
    assert await case.people(target) == {MINA, "both@customer.test", "later@customer.test"}
    assert await case.watching(target) == {bert.id}
    assert await case.people(source) == {MINA, "partner@customer.test", "both@customer.test"}
    assert await case.links() == set()
    assert (await case.shown(target))["related"] == []
    types = [(type_, data.get("into_id", data.get("after"))) for type_, data in await case.events(source)]
    assert types[-2:] == [("conversation.merged", None), ("conversation.status_changed", "snoozed")]
    assert (await case.events(target))[-1][1]["changes"] == {"merged": [str(source), None]}


async def test_one_that_would_have_been_woken_meanwhile_comes_back_open(case: Case) -> None:
    source, target = await case.conversation(), await case.conversation()
    now = clock.now()
    await case.change(source, status="snoozed", snoozed_until=now + timedelta(hours=1))
    await case.merge(source, target)
    version = (await case.row(source))["version"]
    async with case.services.database.transaction() as session:
        await merging.unmerge(case.services, session, source, version=version, by=SYSTEM, now=now + timedelta(hours=2))
    assert [(await case.row(source))[name] for name in ("status", "snoozed_until")] == ["open", None]


async def test_what_was_in_the_source_goes_along_and_comes_back_with_it(case: Case) -> None:
    first, second, third, last = [await case.conversation() for _ in range(4)]
    await case.take_part(first, "first@customer.test")
    await case.take_part(second, "second@customer.test")
    await case.merge(first, second)
    await case.merge(second, third)
    assert await case.pointers(first, second, third) == [third, third, None]
    await case.merge(third, last)
    assert await case.pointers(first, second, third, last) == [last, last, last, None]
    assert await case.people(last) == {MINA, "first@customer.test", "second@customer.test"}
    related = {(one["id"], one["kind"]) for one in (await case.shown(last))["related"]}
    assert related == {(str(one), "merged") for one in (first, second, third)}
    await case.unmerge(second)
    assert await case.pointers(first, second, third, last) == [second, None, last, None]
    assert await case.people(last) == await case.people(third) == {MINA}
    assert await case.people(second) == {MINA, "first@customer.test", "second@customer.test"}
    assert await case.links() == {(first, second), (third, last)}
    assert (await case.row(second))["status"] == "open"
    assert (await case.row(first))["status"] == "closed"
    assert ("conversation.merged", str(second)) in [
        (type_, data.get("into_id")) for type_, data in await case.events(first)
    ]


async def test_one_comes_out_of_the_middle_alone(case: Case) -> None:
    first, second, third = [await case.conversation() for _ in range(3)]
    await case.merge(first, second)
    await case.merge(second, third)
    await case.unmerge(first)
    assert await case.pointers(first, second, third) == [None, third, None]
    assert await case.links() == {(second, third)}
    await case.unmerge(second)
    assert await case.pointers(first, second, third) == [None, None, None]


async def test_whom_two_brought_stays_while_one_of_them_does(case: Case) -> None:
    first, second, target = [await case.conversation() for _ in range(3)]
    for one in (first, second):
        await case.take_part(one, "partner@customer.test")
        await case.watch(one, case.anna)
        await case.merge(one, target)
    await case.unmerge(first)
    assert await case.people(target) == {MINA, "partner@customer.test"}
    assert await case.watching(target) == {case.anna.id}


async def test_the_target_is_opened_when_somebody_waits(case: Case) -> None:
    waiting, answered = await case.conversation(), await case.conversation(waiting_since=None)
    for source, expected in ((waiting, "open"), (answered, "resolved")):
        target = await case.conversation()
        await case.change(target, status="resolved")
        await case.merge(source, target)
        assert (await case.row(target))["status"] == expected


@pytest.mark.parametrize(
    ("what", "status", "slug"),
    [
        ("self", 422, "invalid"),
        ("twice", 409, "conversation_merged"),
        ("into merged", 409, "target_merged"),
        ("into closed", 409, "conversation_closed"),
        ("other contact", 409, "other_contact"),
        ("stale", 412, "stale_version"),
        ("unknown", 404, "not_found"),
    ],
)
async def test_what_cannot_be_merged_is_said_by_its_type(what: str, status: int, slug: str, case: Case) -> None:
    source, target, other = [await case.conversation() for _ in range(3)]
    version = None
    match what:
        case "self":
            target = source
        case "twice":
            await case.merge(source, other)
        case "into merged":
            await case.merge(target, other)
        case "into closed":
            await case.change(target, status="closed")
        case "other contact":
            target = await case.conversation(handle="other@customer.test")
        case "stale":
            version = 7
        case "unknown":
            target = uuid4()
    before = await case.pointers(source)
    answer = await case.merge(source, target, version=version)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, slug)
    assert await case.pointers(source) == before


async def test_two_contacts_are_merged_by_whoever_means_it(case: Case) -> None:
    source, target = await case.conversation(), await case.conversation(handle="other@customer.test")
    assert (await case.merge(source, target, other_contact=True)).status_code == 200
    assert await case.people(target) == {MINA, "other@customer.test"}


async def test_both_have_to_be_seen(case: Case, services: Services) -> None:
    bert = await factories.agent(services)
    his = await factories.inbox(services, members=[bert.id])
    hers, foreign = await case.conversation(), await factories.conversation(services, inbox_id=his, handle=MINA)
    assert (await case.merge(hers, foreign)).status_code == 404
    assert (await case.merge(foreign, hers)).status_code == 404
    boss = await factories.agent(services, role="supervisor")
    assert (await case.merge(hers, foreign, by=boss)).status_code == 200
    assert (await case.unmerge(hers)).status_code == 404
    assert (await case.shown(hers))["related"] == []
    assert (await case.unmerge(hers, by=boss)).status_code == 200


async def test_a_merged_conversation_takes_no_messages_and_no_status(case: Case) -> None:
    source, target = await case.conversation(), await case.conversation()
    await case.merge(source, target)
    for body in ({"text": "Hello"}, {"text": "A note", "private": True}):
        refused = await case.post(f"{source}/messages", body)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:helpdesk:problem:conversation_merged")
    headers = {**case.anna.headers, "If-Match": '"2"'}
    refused = await case.client.patch(f"{URL}/{source}", headers=headers, json={"status": "open"})
    assert refused.json()["type"] == "urn:helpdesk:problem:conversation_merged"
    assert (await case.unmerge(target)).json()["type"] == "urn:helpdesk:problem:not_merged"


async def test_too_many_are_refused(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MAX_MERGED", 1)
    first, second, target = [await case.conversation() for _ in range(3)]
    await case.merge(first, target)
    refused = await case.merge(second, target)
    assert refused.json()["type"] == "urn:helpdesk:problem:too_many_merged"
    monkeypatch.setattr(merging, "MAX_MERGED", 9)
    monkeypatch.setattr(uniting, "MAX_PARTICIPANTS", 1)
    await case.take_part(second, "one@customer.test")
    refused = await case.merge(second, target)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "into")
    assert await case.pointers(second) == [None]


async def test_merging_two_into_each_other_at_once_merges_one(case: Case) -> None:
    for _ in range(4):
        one, other = await case.conversation(), await case.conversation()
        answers = await asyncio.gather(
            case.merge(one, other, version=1), case.merge(other, one, version=1), return_exceptions=True
        )
        statuses = sorted(answer.status_code for answer in answers if isinstance(answer, httpx.Response))
        assert statuses in ([200, 409], [200, 412])
        assert sum(pointer is not None for pointer in await case.pointers(one, other)) == 1


async def test_merging_and_unmerging_in_a_chain_at_once_leaves_no_pointer_to_a_merged_one(case: Case) -> None:
    for _ in range(4):
        first, second, third = [await case.conversation() for _ in range(3)]
        await case.merge(first, second)
        at = [(await case.row(one))["version"] for one in (first, second)]
        answers = await asyncio.gather(case.unmerge(first, version=at[0]), case.merge(second, third, version=at[1]))
        assert 200 in [answer.status_code for answer in answers]
        pointers = dict(zip((first, second, third), await case.pointers(first, second, third), strict=True))
        assert all(pointers[into] is None for into in pointers.values() if into is not None)


async def test_a_removed_participant_of_the_target_comes_back_with_the_source(case: Case) -> None:
    source, target = await case.conversation(), await case.conversation()
    for one in (source, target):
        await case.take_part(one, "partner@customer.test")
    async with case.services.database.transaction() as session:
        p = participants.c
        gone = update(participants).where(p.conversation_id == target, p.handle == "partner@customer.test")
        await session.execute(gone.values(removed_at=clock.now()))
    await case.merge(source, target)
    assert await case.people(target) == {MINA, "partner@customer.test"}
    await case.unmerge(source)
    assert await case.people(target) == {MINA}
