"""A delivery that failed after it was accepted: back to the very message, and to nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import acknowledgements, deliveries, messages
from helpdesk.services import redelivery
from helpdesk.services.access import get_message
from helpdesk.services.house import Services
from tests.house import Desk, House, bare, mail

MINA = "mina@customer.test"
BERT = "bert@customer.test"
SERIAL = iter(range(10**6))


def report(returned_id: str, *recipients: tuple[str, str, str], action_header: bool = True) -> bytes:
    """A delivery status notification (RFC 3464). `recipients`: address, action, status."""
    groups = "\r\n".join(
        f"Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\n"
        for address, action, status in recipients
    )
    return (
        "Return-Path: <>\r\nFrom: Mail Delivery System <mailer-daemon@relay.test>\r\nTo: support@wallet.test\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        f"Message-ID: <dsn{next(SERIAL)}@relay.test>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="dsn"\r\n\r\n'
        "--dsn\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n"
        f"--dsn\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.test\r\n\r\n{groups}"
        "--dsn\r\nContent-Type: message/rfc822\r\n\r\n"
        f"Message-ID: <{bare(returned_id)}>\r\nFrom: support@wallet.test\r\nSubject: Re: Withdrawal\r\n\r\nText\r\n"
        "--dsn--\r\n"
    ).encode()


@dataclass
class Story:
    """Mina wrote, was acknowledged and answered, and the conversation was resolved."""

    house: House
    desk: Desk
    conversation_id: UUID
    answer_id: UUID
    said: EmailMessage
    acknowledged: EmailMessage

    @property
    def said_id(self) -> str:
        return str(self.said["Message-ID"])

    async def conversation(self) -> RowMapping:
        return await self.house.row(conversations, conversations.c.id == self.conversation_id)

    async def answer(self) -> RowMapping:
        return await self.house.row(messages, messages.c.id == self.answer_id)

    async def delivery(self) -> RowMapping:
        return await self.house.row(deliveries, deliveries.c.message_id == self.answer_id)

    async def told(self, type_: str) -> list[RowMapping]:
        return await self.house.rows(events, events.c.type == type_)

    async def held(self) -> dict[str, Any]:
        return {row["handle"]: row["automatic_held_at"] for row in await self.house.rows(contact_identities)}

    async def bounce(self, *recipients: tuple[str, str, str], message_id: str = "") -> None:
        inbound = report(message_id or self.said_id, *recipients)
        await self.house.receive(self.desk, inbound, mail_from="")


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


async def begin(house: House, *, cc: Sequence[str] = ()) -> Story:
    desk = await house.inbox()
    await house.receive(desk, mail(f"Mina <{MINA}>", dmarc="pass"))
    (conversation,) = await house.conversations()
    copies = [{"handle": one, "name": ""} for one in cc]
    answer_id = await house.reply(conversation["id"], "It is done.", cc=copies)
    await house.drain()
    acknowledged, said = house.outgoing()
    async with house.services.database.transaction() as session:
        await session.execute(update(conversations).values(status="resolved"))
    return Story(house, desk, conversation["id"], answer_id, said, acknowledged)


@pytest.fixture
async def story(house: House) -> Story:
    return await begin(house)


async def test_a_bounce_goes_back_to_the_very_message(story: Story) -> None:
    before = await story.conversation()
    assert before["waiting_since"] is None
    await story.bounce((MINA, "failed", "5.1.1"))
    answer, delivery, after = await story.answer(), await story.delivery(), await story.conversation()
    assert (answer["delivery_status"], delivery["status"], delivery["error"]) == ("failed", "failed", "bounced")
    (failed,) = await story.told("message.failed")
    assert (failed["data"]["message_id"], failed["seq"]) == (str(story.answer_id), answer["seq"])
    incoming = await story.house.incoming(story.conversation_id)
    assert after["status"] == "open"
    assert after["waiting_since"] == incoming[0]["received_at"]
    assert after["next_due_at"] is not None
    assert (await story.held())[MINA] is not None
    # It lies in the conversation, for agents only, and asks for nothing by itself.
    notice = incoming[-1]
    assert (notice["private"], notice["auto_submitted"], notice["trust_reasons"]) == (True, "bounce", ["bounce"])
    assert len(await story.house.conversations()) == 1
    assert not story.house.outgoing()


async def test_a_reopening_by_a_bounce_is_told(story: Story) -> None:
    await story.bounce((MINA, "failed", "5.1.1"))
    (changed,) = await story.told("conversation.status_changed")
    assert (changed["data"]["before"], changed["data"]["after"]) == ("resolved", "open")


async def test_the_bounce_is_erased_with_the_contact(story: Story) -> None:
    await story.bounce((MINA, "failed", "5.1.1"))
    owner = f"contact:{(await story.conversation())['contact_id']}"
    assert {row["key_owner"] for row in await story.house.rows(raw_items)} == {owner}
    assert len(await story.house.rows(contacts)) == 1


async def test_automatic_mail_to_a_bounced_address_is_held(story: Story) -> None:
    await story.bounce((MINA, "failed", "5.1.1"))
    async with story.house.services.database.transaction() as session:
        early = {"created_at": clock.now().replace(year=2020)}
        await session.execute(update(acknowledgements).values(early))
    await story.house.receive(story.desk, mail(MINA, "Quite another thing.", dmarc="pass"))
    assert sorted(row["outcome"] for row in await story.house.rows(acknowledgements)) == ["bounced", "queued"]
    assert not story.house.outgoing()


async def test_a_notice_of_delay_changes_nothing(story: Story) -> None:
    before = await story.conversation()
    await story.bounce((MINA, "delayed", "4.4.1"))
    after = await story.conversation()
    assert (await story.answer())["delivery_status"] == "sent"
    assert (after["status"], after["waiting_since"]) == (before["status"], before["waiting_since"])
    assert (await story.held())[MINA] is None
    assert not await story.told("message.failed")


async def test_a_bounced_acknowledgement_holds_the_next_and_touches_no_clock(story: Story) -> None:
    await story.bounce((MINA, "failed", "5.1.1"), message_id=story.acknowledged["Message-ID"])
    after = await story.conversation()
    assert (after["status"], after["waiting_since"]) == ("resolved", None)
    assert (await story.answer())["delivery_status"] == "sent"
    assert (await story.held())[MINA] is not None


async def test_a_forged_bounce_that_guesses_ids_is_ignored(story: Story) -> None:
    genuine = bare(story.said_id)
    token, _, rest = genuine.partition(".")
    incoming = (await story.house.incoming(story.conversation_id))[0]["external_id"]
    forged = [f"{token[:-1]}{'b' if token[-1] != 'b' else 'c'}.{rest}", f"{token}.aaaaaaaa@wallet.test", incoming]
    for one in forged:
        await story.bounce((MINA, "failed", "5.1.1"), message_id=one)
    assert (await story.answer())["delivery_status"] == "sent"
    assert (await story.conversation())["status"] == "resolved"
    assert (await story.held())[MINA] is None
    # What cannot be placed is still seen, by itself.
    others = [row for row in await story.house.conversations() if row["id"] != story.conversation_id]
    assert len(others) == len(forged)
    assert not story.house.outgoing()


async def test_recipients_that_we_never_wrote_to_are_ignored(story: Story) -> None:
    await story.house.receive(story.desk, mail("victim@bystander.test", "I am somebody else.", dmarc="pass"))
    await story.bounce(("victim@bystander.test", "failed", "5.1.1"))
    assert (await story.answer())["delivery_status"] == "sent"
    assert await story.held() == {MINA: None, "victim@bystander.test": None}


async def test_one_of_several_recipients_does_not_fail_the_message(house: House) -> None:
    story = await begin(house, cc=[BERT])
    await story.bounce((BERT, "failed", "5.1.1"))
    delivery = await story.delivery()
    assert (delivery["status"], (await story.answer())["delivery_status"]) == ("sent", "sent")
    assert delivery["refused"] == [{"recipient": BERT, "permanent": True, "code": "bounced"}]
    assert (await story.conversation())["status"] == "resolved"
    await story.bounce((BERT, "failed", "5.1.1"))
    assert len((await story.delivery())["refused"]) == 1
    await story.bounce((MINA.upper(), "failed", "5.1.1"))
    assert (await story.answer())["delivery_status"] == "failed"
    assert (await story.conversation())["status"] == "open"


async def test_a_hundred_bounces_fail_a_message_once(story: Story) -> None:
    inbound = [report(story.said_id, (MINA, "failed", "5.1.1")) for _ in range(100)]
    await story.house.receive(story.desk, *inbound, mail_from="")
    assert len((await story.delivery())["refused"]) == 1
    assert len(await story.told("message.failed")) == 1
    async with story.house.services.database.transaction() as session:
        await session.execute(update(conversations).values(status="resolved"))
    await story.bounce((MINA, "failed", "5.1.1"))
    assert (await story.conversation())["status"] == "resolved"


async def test_a_late_bounce_does_not_stop_a_second_attempt(story: Story) -> None:
    await story.bounce((MINA, "failed", "5.1.1"))
    async with story.house.services.database.transaction() as session:
        message = await get_message(session, SYSTEM, story.answer_id)
        await redelivery.retry(session, message, by=SYSTEM, now=clock.now())
    await story.house.post(story.desk, report(story.said_id, (MINA, "failed", "5.1.1")), mail_from="")
    await story.house.process()
    assert (await story.delivery())["status"] == "queued"
    await story.house.drain()
    assert (await story.delivery())["status"] == "sent"
    assert (await story.conversation())["waiting_since"] is None
    await story.bounce((MINA, "failed", "5.1.1"))
    assert (await story.answer())["delivery_status"] == "failed"


async def test_a_complaint_fails_nothing(story: Story) -> None:
    complaint = (
        "From: feedback@provider.test\r\nTo: support@wallet.test\r\nSubject: complaint\r\n"
        "Message-ID: <arf@provider.test>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="arf"\r\n\r\n'
        "--arf\r\nContent-Type: text/plain\r\n\r\nx\r\n--arf\r\nContent-Type: message/feedback-report\r\n\r\n"
        f"Feedback-Type: abuse\r\nVersion: 1\r\nUser-Agent: x/1\r\nOriginal-Rcpt-To: {MINA}\r\n\r\n"
        f"--arf\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <{bare(story.said_id)}>\r\nTo: {MINA}\r\n\r\nx\r\n"
        "--arf--\r\n"
    ).encode()
    await story.house.receive(story.desk, complaint)
    assert (await story.answer())["delivery_status"] == "sent"
    assert (await story.conversation())["status"] == "resolved"
    assert not story.house.outgoing()
