"""Letting messages go into a conversation of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

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
from helpdesk.models.messages import attachments, deliveries, messages
from helpdesk.models.sla import sla_clocks
from helpdesk.services import conversations as verbs
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House, mail
from tests.services.test_bounces import report

URL = "/api/v1/conversations"
MINA = "mina@customer.test"
STRANGER = "stranger@elsewhere.test"


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


class Case:
    """Mina asked, was answered, and asked something else in the same conversation."""

    def __init__(self, client: httpx.AsyncClient, house: House, boss: factories.Someone, desk: Desk) -> None:
        self.client, self.house, self.boss, self.desk = client, house, boss, desk
        self.id: UUID

    async def mail(self, text: str, sender: str = f"Mina <{MINA}>", **given: Any) -> None:
        await self.house.receive(self.desk, mail(sender, text, dmarc="pass", **given))

    async def begin(self) -> None:
        await self.mail("Where is my withdrawal?")
        (first,) = await self.house.conversations()
        self.id = first["id"]
        await self.house.reply(self.id, "It has arrived.")
        await self.house.drain()
        self.answer = self.house.outgoing()[-1]
        await self.mail("Thanks. My card does not work.", answers=self.answer["Message-ID"])

    async def row(self, identifier: UUID) -> Any:
        return await self.house.row(conversations, conversations.c.id == identifier)

    async def messages(self, identifier: UUID) -> list[Any]:
        found = await self.house.rows(messages, messages.c.conversation_id == identifier)
        return sorted(found, key=lambda row: row["seq"])

    async def texts(self, identifier: UUID) -> list[str]:
        return [row["text"].strip() for row in await self.messages(identifier) if row["author_kind"] != "system"]

    async def ids(self, *texts: str) -> list[str]:
        found = {row["text"].strip(): row["id"] for row in await self.messages(self.id)}
        return [str(found[text]) for text in texts]

    async def split(self, *message_ids: str, version: int | None = None, source: UUID | None = None) -> httpx.Response:
        source = source or self.id
        at = (await self.row(source))["version"] if version is None else version
        headers = {**self.boss.headers, "If-Match": f'"{at}"'}
        body = {"message_ids": list(message_ids)}
        return await self.client.post(f"{URL}/{source}/split", headers=headers, json=body)

    async def parted(self, *texts: str) -> UUID:
        answer = await self.split(*await self.ids(*texts))
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    async def clocks(self, identifier: UUID) -> list[tuple[str, str, Any]]:
        found = await self.house.rows(sla_clocks, sla_clocks.c.conversation_id == identifier)
        return sorted((row["kind"], row["state"], row["started_at"]) for row in found)

    async def told(self, identifier: UUID, after: int = -1) -> list[tuple[str, Any]]:
        found = await self.house.rows(events, events.c.conversation_id == identifier, events.c.seq > after)
        return [(row["type"], row["data"]) for row in sorted(found, key=lambda row: row["seq"])]

    async def set(self, identifier: UUID, **wanted: Any) -> None:
        async with self.house.services.database.transaction() as session:
            query = select(conversations).where(conversations.c.id == identifier).with_for_update()
            row = (await session.execute(query)).mappings().one()
            await verbs.change(self.house.services, session, row, wanted, by=SYSTEM, now=clock.now())


@pytest.fixture
async def case(client: httpx.AsyncClient, services: Services, house: House) -> Case:
    await factories.policy(
        services, position=1, targets={"first_response": 3600, "next_response": 3600, "resolution": 86400}
    )
    case = Case(client, house, await factories.agent(services, role="supervisor"), await house.inbox())
    await case.begin()
    return case


CARD, WITHDRAWAL, ARRIVED = "Thanks. My card does not work.", "Where is my withdrawal?", "It has arrived."


async def test_the_messages_are_in_a_conversation_of_their_own(case: Case) -> None:
    await case.set(case.id, tags=["vip"], priority=2, category="transaction")
    before = await case.row(case.id)
    answer = await case.split(*await case.ids(CARD))
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    new = UUID(shown["id"])
    assert answer.headers["Location"] == f"{URL}/{new}"
    names = ("status", "priority", "category", "tags", "message_count", "last_message_direction", "preview", "unread")
    assert [shown[name] for name in names] == ["open", "high", "transaction", ["vip"], 1, "incoming", CARD, True]
    assert [(one["id"], one["kind"]) for one in shown["related"]] == [(str(case.id), "split")]
    assert [one["handle"] for one in shown["participants"]] == [MINA]
    assert (await case.texts(case.id), await case.texts(new)) == ([WITHDRAWAL, ARRIVED], [CARD])
    assert [row["seq"] for row in await case.messages(new)] == [1]
    old, row = await case.row(case.id), await case.row(new)
    assert row["number"] == before["number"] + 1
    assert (old["version"], old["message_count"]) == (before["version"] + 1, before["message_count"] - 1)
    assert (old["last_message_direction"], old["preview"]) == ("outgoing", ARRIVED)
    assert old["last_incoming_seq"] < old["last_agent_seq"] < before["last_incoming_seq"]
    by = f"agent:{case.boss.id}"
    counted = [before["message_count"], old["message_count"]]
    assert await case.told(case.id, before["seq"]) == [
        ("conversation.updated", {"changes": {"split": [None, str(new)], "messages": counted}, "by": by})
    ]
    (created, data), updated = await case.told(new)
    assert (created, data["number"], data["contact_id"]) == (
        "conversation.created",
        row["number"],
        str(row["contact_id"]),
    )
    assert updated == ("conversation.updated", {"changes": {"split_from": [None, str(case.id)]}, "by": by})
    (noted,) = await case.house.rows(audit, audit.c.action == "conversation.split")
    assert noted["data"] == {"into": str(new), "messages": 1}


async def test_each_has_its_own_promises(case: Case) -> None:
    (asked,) = [row for row in await case.messages(case.id) if row["text"].strip() == CARD]
    new = await case.parted(CARD)
    at = asked["received_at"]
    assert await case.clocks(new) == [("first_response", "running", at), ("resolution", "running", at)]
    old, row = await case.row(case.id), await case.row(new)
    assert (row["waiting_since"], old["waiting_since"]) == (at, None)
    assert [(kind, state) for kind, state, _ in await case.clocks(case.id)] == [
        ("first_response", "met"),
        ("next_response", "cancelled"),
        ("resolution", "running"),
    ]
    assert row["next_due_at"] < old["next_due_at"]


async def test_what_waits_on_in_the_old_one_waits_since_its_own_message(case: Case) -> None:
    await case.mail("And where is my deposit?", answers=case.answer["Message-ID"])
    *_, deposit = await case.messages(case.id)
    await case.parted(CARD)
    assert ("next_response", "running", deposit["received_at"]) in await case.clocks(case.id)
    assert (await case.row(case.id))["waiting_since"] == deposit["received_at"]


async def test_a_question_whose_answer_went_elsewhere_waits_again(case: Case) -> None:
    asked, *_ = await case.messages(case.id)
    new = await case.parted(ARRIVED, CARD)
    assert (await case.row(case.id))["waiting_since"] == asked["received_at"]
    assert ("next_response", "running", asked["received_at"]) in await case.clocks(case.id)
    assert await case.texts(new) == [ARRIVED, CARD]


async def test_later_mail_goes_where_the_message_went_that_it_answers(case: Case) -> None:
    """The token is the old one's: what was answered says where it belongs."""
    new = await case.parted(ARRIVED, CARD)
    await case.mail("It came, thank you.", answers=case.answer["Message-ID"])
    assert await case.texts(new) == [ARRIVED, CARD, "It came, thank you."]
    asked, *_ = await case.house.incoming(case.id)
    named = [("In-Reply-To", asked["external_id"]), ("References", str(case.answer["Message-ID"]))]
    await case.mail("Still about the withdrawal.", headers=named)
    assert (await case.texts(case.id))[-1] == "Still about the withdrawal."
    assert len(await case.house.conversations()) == 2


async def test_mail_follows_what_was_split_twice(case: Case) -> None:
    new = await case.parted(ARRIVED, CARD)
    (moved, _) = await case.messages(new)
    answer = await case.split(str(moved["id"]), source=new)
    assert answer.status_code == 201, answer.text
    last = UUID(answer.json()["id"])
    assert {
        row["related_id"]
        for row in await case.house.rows(conversation_links, conversation_links.c.conversation_id == last)
    } == {case.id, new}
    await case.mail("Arrived indeed.", answers=case.answer["Message-ID"])
    assert await case.texts(last) == [ARRIVED, "Arrived indeed."]


async def test_a_message_id_alone_leads_nowhere_that_its_token_does_not(case: Case) -> None:
    """Mina names the Message-ID of somebody else's mail beside her own token: it is no part of what hers was."""
    await case.mail("My secret.", sender=STRANGER)
    (other,) = [row for row in await case.house.conversations() if row["id"] != case.id]
    (secret,) = await case.house.incoming(other["id"])
    named = [("In-Reply-To", secret["external_id"]), ("References", str(case.answer["Message-ID"]))]
    await case.mail("Let me in.", headers=named)
    assert [row["text"].strip() for row in await case.house.incoming(other["id"])] == ["My secret."]
    new = await case.parted(ARRIVED, CARD)
    await case.mail("Me too.", sender=STRANGER, answers=case.answer["Message-ID"])
    assert await case.texts(new) == [ARRIVED, CARD]


async def test_a_bounce_follows_the_message(case: Case) -> None:
    new = await case.parted(ARRIVED, CARD)
    await case.house.receive(case.desk, report(case.answer["Message-ID"], (MINA, "failed", "5.1.1")), mail_from="")
    assert [row["trust_reasons"] for row in await case.messages(new) if row["private"]] == [["bounce"]]
    (sent,) = [row for row in await case.messages(new) if row["text"] == ARRIVED]
    delivery = await case.house.row(deliveries, deliveries.c.message_id == sent["id"])
    assert (sent["delivery_status"], delivery["error"]) == ("failed", "bounced")


async def test_merging_it_back_undoes_the_split(case: Case) -> None:
    waiting = (await case.row(case.id))["waiting_since"]
    new = await case.parted(ARRIVED, CARD)
    row = await case.row(new)
    headers = {**case.boss.headers, "If-Match": f'"{row["version"]}"', "Idempotency-Key": str(uuid4())}
    answer = await case.client.post(f"{URL}/{new}/merge", headers=headers, json={"into": str(case.id)})
    assert answer.status_code == 200, answer.text
    assert {(one["id"], one["kind"]) for one in answer.json()["related"]} == {
        (str(case.id), "split"),
        (str(case.id), "merged"),
    }
    old = await case.row(case.id)
    assert old["waiting_since"] <= waiting
    await case.mail("So it is one matter.", answers=case.answer["Message-ID"])
    assert (await case.texts(case.id))[-1] == "So it is one matter."
    again = (await case.row(new))["version"]
    answer = await case.client.post(f"{URL}/{new}/unmerge", headers={**headers, "If-Match": f'"{again}"'})
    assert answer.json()["status"] == "open"
    await case.mail("Or two.", answers=case.answer["Message-ID"])
    assert (await case.texts(new))[-1] == "Or two."


async def test_what_another_contact_wrote_becomes_his_own_matter(case: Case, services: Services) -> None:
    async with services.database.transaction() as session:
        row = {"id": case.id}
        await verbs.add_participants(session, row, [("email", "partner@customer.test", "")], by=SYSTEM, now=clock.now())
    sender = "Partner <partner@customer.test>"
    partner = await factories.contact(services, handle="partner@customer.test", name="Partner")
    message_id = await factories.incoming(services, case.id, text="I have a question, too.")
    async with services.database.transaction() as session:
        await session.execute(messages.update().where(messages.c.id == message_id).values(author_id=partner))
    answer = await case.split(str(message_id))
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert (shown["contact"]["id"], shown["contact"]["handle"]) == (str(partner), sender[9:-1])
    assert [one["handle"] for one in shown["participants"]] == ["partner@customer.test"]


async def test_files_and_watchers_come_along(case: Case, services: Services) -> None:
    async with services.database.transaction() as session:
        watching = {"conversation_id": case.id, "agent_id": case.boss.id, "added_by": None, "created_at": clock.now()}
        await session.execute(conversation_watchers.insert().values(watching))
    new = await case.parted(CARD)
    found = await case.house.rows(conversation_watchers, conversation_watchers.c.conversation_id == new)
    assert [row["agent_id"] for row in found] == [case.boss.id]
    assert await case.house.rows(attachments) == []
    assert await case.house.rows(conversation_tags) == []
    people = await case.house.rows(participants, participants.c.conversation_id == new)
    assert [row["handle"] for row in people] == [MINA]


@pytest.mark.parametrize(
    ("what", "status", "slug", "field"),
    [
        ("all", 422, "invalid", "message_ids"),
        ("none", 422, "invalid", "message_ids"),
        ("unknown", 422, "invalid", "message_ids.1"),
        ("foreign", 422, "invalid", "message_ids.1"),
        ("twice", 422, "invalid", "message_ids.1"),
        ("stale", 412, "stale_version", None),
        ("merged", 409, "conversation_merged", None),
        ("spam", 409, "conversation_spam", None),
    ],
)
async def test_what_cannot_be_split_is_said_with_its_reason(
    what: str, status: int, slug: str, field: str | None, case: Case, services: Services
) -> None:
    wanted, version = await case.ids(CARD), None
    other = await factories.conversation(services, inbox_id=case.desk.id)
    match what:
        case "all":
            wanted = [str(row["id"]) for row in await case.messages(case.id)]
        case "none":
            wanted = []
        case "unknown":
            wanted.append(str(uuid4()))
        case "foreign":
            wanted.append(str((await case.messages(other))[0]["id"]))
        case "twice":
            wanted *= 2
        case "stale":
            version = 77
        case "merged" | "spam":
            values = {"merged_into_id": other} if what == "merged" else {"spam": True}
            async with services.database.transaction() as session:
                await session.execute(conversations.update().where(conversations.c.id == case.id).values(values))
    before = await case.texts(case.id)
    answer = await case.split(*wanted, version=version)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, slug)
    assert [one["field"] for one in answer.json().get("errors", [])] == ([field] if field else [])
    assert await case.texts(case.id) == before
