"""Drafts on the server, and notes that name colleagues."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversation_watchers, drafts, mentions
from helpdesk.models.events import events
from helpdesk.services.house import Services
from tests import factories

V = "/api/v1"


class Case:
    """Anna at her desk, with a conversation."""

    def __init__(self, client: httpx.AsyncClient, services: Services, anna: factories.Someone, desk: UUID) -> None:
        self.client, self.services, self.anna, self.desk = client, services, anna, desk
        self.id: UUID

    def url(self, identifier: UUID | None = None) -> str:
        return f"{V}/conversations/{identifier or self.id}"

    async def keep(
        self, text: str, *, at: Any = None, by: factories.Someone | None = None, **given: Any
    ) -> httpx.Response:
        """`at` is the version that is replaced."""
        condition = {"If-None-Match": "*"} if at is None else {"If-Match": f'"{at}"'}
        headers = {**(by or self.anna).headers, **condition}
        return await self.client.put(f"{self.url()}/draft", headers=headers, json={"text": text, **given})

    async def kept(self, by: factories.Someone | None = None) -> httpx.Response:
        return await self.client.get(f"{self.url()}/draft", headers=(by or self.anna).headers)

    async def write(self, text: str = "Look.", *, by: factories.Someone | None = None, **given: Any) -> httpx.Response:
        headers = {**(by or self.anna).headers, "Idempotency-Key": str(uuid4())}
        return await self.client.post(f"{self.url()}/messages", headers=headers, json={"text": text, **given})

    async def rows(self, table: Any) -> list[Any]:
        async with self.services.database.reading() as session:
            return list((await session.execute(select(table))).mappings().all())


@pytest.fixture
async def case(client: httpx.AsyncClient, services: Services) -> Case:
    anna = await factories.agent(services, name="Anna")
    case = Case(client, services, anna, await factories.inbox(services, members=[anna.id]))
    case.id = await factories.conversation(services, inbox_id=case.desk)
    return case


async def test_a_draft_is_kept_and_read_by_its_writer_alone(case: Case, services: Services) -> None:
    boss = await factories.agent(services, role="supervisor")
    answer = await case.keep("Thank you for", private=False, to=["mina@customer.test"])
    assert answer.status_code == 200, answer.text
    version = answer.json()["version"]
    assert (answer.headers["ETag"], (await case.kept()).headers["ETag"]) == (f'"{version}"',) * 2
    kept = {"text": "Thank you for", "private": False, "to": [{"handle": "mina@customer.test"}]}
    assert (await case.kept()).json()["content"] == kept
    assert (await case.kept(boss)).status_code == 404
    answer = await case.keep("Thank you for waiting.", at=version)
    assert (answer.json()["version"], answer.json()["content"]) == (version + 1, {"text": "Thank you for waiting."})
    assert await case.rows(events) == [] or "draft" not in str(await case.rows(events))


async def test_no_window_overwrites_what_another_has_kept(case: Case) -> None:
    version = (await case.keep("One.")).json()["version"]
    second = await case.keep("From the other window.")
    assert (second.status_code, second.json()["draft"]["content"]) == (412, {"text": "One."})
    assert (await case.keep("Two.", at=version)).status_code == 200
    stale = await case.keep("Older.", at=version)
    assert (stale.status_code, stale.json()["draft"]["version"]) == (412, version + 1)
    assert (await case.kept()).json()["content"] == {"text": "Two."}
    headers = {**case.anna.headers, "If-Match": f'"{version}"'}
    thrown = await case.client.delete(f"{case.url()}/draft", headers=headers)
    assert (thrown.status_code, thrown.json()["draft"]["content"]) == (412, {"text": "Two."})
    headers["If-Match"] = f'"{version + 1}"'
    assert (await case.client.delete(f"{case.url()}/draft", headers=headers)).status_code == 204
    gone = await case.keep("Three.", at=version + 1)
    assert (gone.status_code, gone.json()["draft"]) == (412, None)


async def test_a_draft_needs_a_condition_and_known_fields(case: Case) -> None:
    for condition in ({}, {"If-Match": "3"}, {"If-None-Match": '"3"'}):
        answer = await case.client.put(
            f"{case.url()}/draft", headers={**case.anna.headers, **condition}, json={"text": "x"}
        )
        assert answer.status_code == 428, condition
    assert (await case.keep("x", colour="red")).json()["errors"][0]["field"] == "colour"
    assert await case.rows(drafts) == []


async def test_sending_takes_the_draft_of_its_kind_away(case: Case, services: Services) -> None:
    boss = await factories.agent(services, role="supervisor")
    await case.keep("Mine.")
    await case.keep("His.", by=boss)
    assert (await case.write("A note.", private=True)).status_code == 201
    assert (await case.kept()).status_code == 200
    assert (await case.write("An answer.")).status_code == 201
    assert (await case.kept()).status_code == 404
    assert (await case.kept(boss)).status_code == 200


async def test_drafts_are_listed_newest_first_where_they_may_be_seen(case: Case, services: Services) -> None:
    first, now = case.id, clock.now()
    identifiers = [first]
    for _ in range(2):
        case.id = await factories.conversation(services, inbox_id=case.desk)
        identifiers.append(case.id)
    for number, identifier in enumerate(identifiers):
        case.id = identifier
        await case.keep(f"Draft {number}")
        async with services.database.transaction() as session:
            at = {"updated_at": now + timedelta(seconds=number)}
            await session.execute(update(drafts).where(drafts.c.conversation_id == identifier).values(at))
    found, cursor = [], ""
    while cursor is not None:
        answer = await case.client.get(f"{V}/drafts?limit=2{cursor}", headers=case.anna.headers)
        found += [one["conversation"]["id"] for one in answer.json()["items"]]
        cursor = (next_cursor := answer.json()["next_cursor"]) and f"&cursor={next_cursor}"
    assert found == [str(one) for one in reversed(identifiers)]
    stranger = await factories.agent(services)
    assert (await case.kept(stranger)).status_code == 404
    assert (await case.keep("Hello", by=stranger)).status_code == 404


async def test_a_note_that_names_a_colleague_tells_him_and_lets_him_watch(case: Case, services: Services) -> None:
    boss = await factories.agent(services, role="supervisor")
    named = [str(boss.id), str(case.anna.id), str(boss.id)]
    answer = await case.write("Please look at this.", private=True, mentions=named, status="pending")
    assert answer.status_code == 201, answer.text
    (told,) = [row for row in await case.rows(events) if row["type"] == "message.created"]
    assert told["data"]["mentions"] == [str(boss.id), str(case.anna.id)]
    seqs = sorted(row["seq"] for row in await case.rows(events) if row["conversation_id"] == case.id and row["seq"])
    assert seqs[-3:] == [told["seq"], told["seq"] + 1, told["seq"] + 2]
    assert {row["agent_id"] for row in await case.rows(conversation_watchers)} == {boss.id, case.anna.id}
    shown = (await case.client.get(f"{V}/me/mentions", headers=boss.headers)).json()["items"]
    assert [(one["message_id"], one["preview"], one["author"]["name"], one["read_at"]) for one in shown] == [
        (answer.json()["id"], "Please look at this.", "Anna", None)
    ]
    assert shown[0]["conversation"]["id"] == str(case.id)


async def test_what_is_unread_comes_first_until_it_is_read(case: Case, services: Services) -> None:
    boss = await factories.agent(services, role="supervisor")
    notes, first = [], case.id
    for number in range(3):
        if number:
            case.id = await factories.conversation(services, inbox_id=case.desk)
        note = await case.write(f"Note {number}", private=True, mentions=[str(boss.id)])
        notes.append(note.json()["id"])
    case.id = first
    last = (await case.rows(mentions))[-1]["conversation_id"]
    for _ in range(2):
        answer = await case.client.put(f"{V}/conversations/{last}/read", headers=boss.headers)
        assert answer.status_code == 200, answer.text
    found, cursor = [], ""
    while cursor is not None:
        answer = await case.client.get(f"{V}/me/mentions?limit=2{cursor}", headers=boss.headers)
        found += [(one["message_id"], one["read_at"] is None) for one in answer.json()["items"]]
        cursor = (next_cursor := answer.json()["next_cursor"]) and f"&cursor={next_cursor}"
    (read,) = [str(row["message_id"]) for row in await case.rows(mentions) if row["read_at"]]
    unread = sorted((one for one in notes if one != read), reverse=True)
    assert found == [*((one, True) for one in unread), (read, False)]
    answer = await case.client.get(f"{V}/me/mentions?unread=true", headers=boss.headers)
    assert [one["message_id"] for one in answer.json()["items"]] == unread


async def test_only_those_who_may_see_it_are_named_and_only_in_notes(case: Case, services: Services) -> None:
    boss, stranger = await factories.agent(services, role="supervisor"), await factories.agent(services)
    gone = await factories.agent(services, role="admin")
    async with services.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == gone.id).values(active=False))
    named = [str(one) for one in (boss.id, stranger.id, gone.id, uuid4())]
    answer = await case.write(private=True, mentions=named)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["mentions.1", "mentions.2", "mentions.3"]
    answer = await case.write(mentions=[str(boss.id)])
    assert [one["field"] for one in answer.json()["errors"]] == ["mentions"]
    assert await case.rows(mentions) == []
    team = await factories.team(services, members=[stranger.id])
    headers = {**boss.headers, "If-Match": '"1"'}
    await case.client.patch(case.url(), headers=headers, json={"team_id": str(team)})
    assert (await case.write(private=True, mentions=[str(stranger.id)], by=boss)).status_code == 201
