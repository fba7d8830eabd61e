"""Saying that a conversation is spam, and that it is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import audit, events
from helpdesk.models.messages import acknowledgements
from helpdesk.models.sla import sla_clocks
from helpdesk.services import conversations as verbs
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House, mail

URL = "/api/v1/conversations"
MINA = "mina@customer.test"


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


class Case:
    """An inbox with one mail of Mina in it, and a supervisor."""

    def __init__(self, client: httpx.AsyncClient, house: House, boss: factories.Someone, desk: Desk) -> None:
        self.client, self.house, self.boss, self.desk = client, house, boss, desk

    async def write(self, text: str = "Where is it?", **given: Any) -> UUID:
        """Mina writes; the newest conversation."""
        await self.house.receive(self.desk, mail(f"Mina <{MINA}>", text, dmarc="pass", **given))
        newest: UUID = (await self.house.conversations())[-1]["id"]
        return newest

    async def row(self, identifier: UUID) -> Any:
        return await self.house.row(conversations, conversations.c.id == identifier)

    async def ask(
        self, method: str, identifier: UUID, body: Any = None, *, version: int | None = None
    ) -> httpx.Response:
        at = (await self.row(identifier))["version"] if version is None else version
        headers = {**self.boss.headers, "If-Match": f'"{at}"'}
        return await self.client.request(method, f"{URL}/{identifier}/spam", headers=headers, json=body)

    async def state(self, identifier: UUID) -> tuple[Any, ...]:
        row = await self.row(identifier)
        return row["spam"], row["status"], row["waiting_since"] is not None, row["next_due_at"] is not None

    async def told(self, identifier: UUID, after: int = 0) -> list[tuple[str, Any]]:
        where = events.c.conversation_id == identifier, events.c.seq > after
        found = await self.house.rows(events, *where)
        return [(row["type"], row["data"]) for row in sorted(found, key=lambda row: row["seq"])]

    async def clocks(self, identifier: UUID) -> dict[str, str]:
        found = await self.house.rows(sla_clocks, sla_clocks.c.conversation_id == identifier)
        return {row["kind"]: row["state"] for row in found}

    async def set(self, identifier: UUID, **wanted: Any) -> None:
        async with self.house.services.database.transaction() as session:
            query = select(conversations).where(conversations.c.id == identifier).with_for_update()
            row = (await session.execute(query)).mappings().one()
            await verbs.change(self.house.services, session, row, wanted, by=SYSTEM, now=clock.now())

    async def block(self, blocked: bool) -> None:
        async with self.house.services.database.transaction() as session:
            await session.execute(update(contacts).values(blocked=blocked))


@pytest.fixture
async def case(client: httpx.AsyncClient, services: Services, house: House) -> Case:
    await factories.policy(services, position=1)
    return Case(client, house, await factories.agent(services, role="supervisor"), await house.inbox())


async def test_spam_is_resolved_and_its_clocks_stop(case: Case) -> None:
    identifier = await case.write()
    seq = (await case.row(identifier))["seq"]
    answer = await case.ask("POST", identifier)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["spam"], answer.json()["version"], answer.headers["ETag"]) == (True, 2, '"2"')
    assert await case.state(identifier) == (True, "resolved", False, False)
    assert (await case.clocks(identifier))["first_response"] == "stopped"
    by = f"agent:{case.boss.id}"
    assert await case.told(identifier, seq) == [
        ("conversation.status_changed", {"before": "open", "after": "resolved", "by": by}),
        ("conversation.updated", {"changes": {"spam": [False, True]}, "by": by}),
    ]
    (noted,) = await case.house.rows(audit, audit.c.action == "conversation.marked_spam")
    assert noted["data"] == {"status": "open", "snoozed_until": None}
    assert (await case.ask("POST", identifier)).json()["version"] == 2


async def test_no_spam_has_its_status_and_its_clocks_again(case: Case) -> None:
    identifier = await case.write()
    until = clock.now() + timedelta(days=1)
    await case.set(identifier, status="snoozed", snoozed_until=until)
    before = await case.row(identifier)
    await case.ask("POST", identifier)
    answer = await case.ask("DELETE", identifier)
    assert answer.status_code == 200, answer.text
    row = await case.row(identifier)
    names = ("status", "snoozed_until", "waiting_since", "assignee_id")
    assert [row[name] for name in names] == [before[name] for name in names]
    assert row["next_due_at"] > before["next_due_at"]
    assert (row["spam"], row["version"]) == (False, before["version"] + 2)
    assert (await case.clocks(identifier))["first_response"] == "running"
    assert (await case.ask("DELETE", identifier)).json()["version"] == row["version"]


async def test_mail_into_spam_is_kept_and_calls_nobody(case: Case) -> None:
    identifier = await case.write()
    said = case.house.outgoing()[-1]["Message-ID"]
    await case.ask("POST", identifier)
    before = await case.row(identifier)
    assert await case.write("Hello?", answers=said) == identifier
    row = await case.row(identifier)
    assert (row["seq"], row["message_count"], row["version"]) == (
        before["seq"] + 1,
        before["message_count"] + 1,
        before["version"],
    )
    assert await case.state(identifier) == (True, "resolved", False, False)
    ((type_, data),) = await case.told(identifier, before["seq"])
    assert (type_, data["silent"]) == ("message.received", True)


async def test_whoever_is_blocked_is_filed_as_spam_from_the_beginning(case: Case) -> None:
    first = await case.write()
    answer = await case.ask("POST", first, {"block_contact": True})
    assert answer.status_code == 200, answer.text
    assert (await case.house.rows(contacts))[0]["blocked"] is True
    second = await case.write("Buy this.")
    assert second != first
    assert await case.state(second) == (True, "resolved", False, False)
    assert await case.clocks(second) == {}
    (message,) = await case.house.incoming(second)
    assert message["trust_reasons"] == ["blocked"]
    acknowledged = await case.house.row(acknowledgements, acknowledgements.c.conversation_id == second)
    assert acknowledged["outcome"] != "queued"
    await case.block(False)
    assert await case.state(second) == (True, "resolved", False, False)
    await case.ask("DELETE", second)
    assert await case.state(second) == (False, "open", True, True)
    row, (message,) = await case.row(second), await case.house.incoming(second)
    assert row["waiting_since"] == message["received_at"]


async def test_a_matter_of_somebody_blocked_becomes_spam_when_he_writes_again(case: Case) -> None:
    identifier = await case.write()
    said = case.house.outgoing()[-1]["Message-ID"]
    await case.set(identifier, status="pending")
    await case.block(True)
    seq = (await case.row(identifier))["seq"]
    assert await case.write("You will hear from me.", answers=said) == identifier
    assert await case.state(identifier) == (True, "resolved", False, False)
    assert [
        (type_, data.get("changes", data.get("after", data.get("silent"))))
        for type_, data in await case.told(identifier, seq)
    ] == [
        ("conversation.status_changed", "resolved"),
        ("conversation.updated", {"spam": [False, True]}),
        ("message.received", True),
    ]
    await case.ask("DELETE", identifier)
    assert (await case.row(identifier))["status"] == "pending"


async def test_what_is_spam_takes_no_other_status_than_closed_and_stays_closed(case: Case) -> None:
    identifier = await case.write()
    await case.ask("POST", identifier)
    version = (await case.row(identifier))["version"]
    headers = {**case.boss.headers, "If-Match": f'"{version}"'}
    answer = await case.client.patch(f"{URL}/{identifier}", headers=headers, json={"status": "open"})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "conversation_spam")
    await case.set(identifier, status="closed")
    answer = await case.ask("DELETE", identifier)
    assert (answer.json()["status"], answer.json()["spam"]) == ("closed", False)


async def test_marking_needs_todays_version_and_blocking_the_scope_for_contacts(case: Case, services: Services) -> None:
    identifier = await case.write()
    assert (await case.ask("POST", identifier, version=7)).status_code == 412
    assert (await case.ask("DELETE", identifier, version=7)).status_code == 412
    narrow = await factories.agent(services, role="admin", scopes=["conversations:read", "conversations:write"])
    headers = {**narrow.headers, "If-Match": '"1"'}
    answer = await case.client.post(f"{URL}/{identifier}/spam", headers=headers, json={"block_contact": True})
    assert answer.status_code == 403
    assert await case.state(identifier) == (False, "open", True, True)


async def test_what_is_taken_out_of_quarantine_waits_as_any_other(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    at = clock.now() - timedelta(hours=1)
    kept: dict[str, Any] = {"quarantined": True, "waiting_since": None, "next_due_at": None, "due_soon_at": None}
    doubtful = await factories.conversation(services, inbox_id=desk, now=at, **kept)
    spam = await factories.conversation(services, inbox_id=desk, now=at, spam=True, **kept)
    url = f"/api/v1/conversations/{doubtful}"
    before = (await client.get(url, headers=anna.headers)).json()
    assert (before["quarantined"], before["waiting_since"]) == (True, None)
    headers = {**anna.headers, "If-Match": f'"{before["version"]}"'}
    after = (await client.delete(f"{url}/quarantine", headers=headers)).json()
    assert (after["quarantined"], after["version"]) == (False, before["version"] + 1)
    assert datetime.fromisoformat(after["waiting_since"]) == at
    told = (await client.get(f"{url}/events", headers=anna.headers)).json()["items"]
    assert [one["data"]["changes"] for one in told if one["type"] == "conversation.updated"] == [
        {"quarantined": [True, False]}
    ]
    again = {**anna.headers, "If-Match": f'"{after["version"]}"'}
    assert (await client.delete(f"{url}/quarantine", headers=again)).json()["version"] == after["version"]
    other = f"/api/v1/conversations/{spam}"
    version = (await client.get(other, headers=anna.headers)).headers["etag"]
    shown = (await client.delete(f"{other}/quarantine", headers={**anna.headers, "If-Match": version})).json()
    assert (shown["quarantined"], shown["spam"], shown["waiting_since"]) == (False, True, None)
