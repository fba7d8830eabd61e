"""What becomes of a mail that came in: contact, conversation, clock and files, and what is done with odd ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.values import Status
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversation_inboxes, conversation_links, conversations, participants
from helpdesk.models.events import events
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import acknowledgements, attachments, messages
from helpdesk.services import blobs, filing, intake
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House, mail

MINA = "mina@customer.test"


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


async def set_conversation(house: House, conversation_id: Any, **values: Any) -> None:
    async with house.services.database.transaction() as session:
        await session.execute(update(conversations).where(conversations.c.id == conversation_id).values(values))


async def happened(house: House, *types: str) -> list[tuple[str, Any]]:
    rows = await house.rows(events, events.c.type.in_(types))
    return [(row["type"], row["data"]) for row in sorted(rows, key=lambda row: row["id"])]


async def answered(house: House, desk: Desk) -> tuple[Any, str]:
    """A conversation in which we have written: its id, and the Message-ID of the acknowledgement."""
    await house.receive(desk, mail(f"Mina <{MINA}>", dmarc="pass"))
    (sent,) = house.outgoing()
    return (await house.conversations())[0]["id"], str(sent["Message-ID"])


async def test_a_mail_becomes_a_conversation_of_its_sender(house: House, desk: Desk) -> None:
    before = clock.now()
    received = before - timedelta(minutes=7)
    text = "您好，我的提现没有到账。"
    await house.receive(
        desk, mail("Mína Zh <MINA@Customer.test>", text, subject="提现 问题", dmarc="pass"), at=received
    )
    (conversation,) = await house.conversations()
    (message,) = await house.incoming()
    (contact,) = await house.rows(contacts)
    (identity,) = await house.rows(contact_identities)
    (person,) = await house.rows(participants)
    assert (contact["name"], identity["handle"], identity["channel"]) == ("Mína Zh", MINA, "email")
    assert identity["contact_id"] == person["contact_id"] == conversation["contact_id"] == contact["id"]
    assert conversation["contact_handle"] == person["handle"] == MINA
    wanted = {
        "number": 1, "subject": "提现 问题", "status": "open", "channel": "email", "inbox_id": desk.id,
        "preview": text, "language": "zh-CN", "quarantined": False, "priority": 1, "last_incoming_seq": 1,
        "waiting_since": received, "next_due_at": received + timedelta(hours=24),
    }  # fmt: skip
    assert {name: conversation[name] for name in wanted} == wanted
    assert conversation["last_activity_at"] >= before
    assert (message["author_id"], message["seq"], message["received_at"]) == (contact["id"], 1, received)
    assert (message["sender_verified"], message["private"], message["backfilled"]) == (True, False, False)
    assert message["text"].strip() == message["new_text"].strip() == text
    told = await happened(house, "conversation.created", "message.received", "contact.created")
    assert sorted(type_ for type_, _ in told) == ["contact.created", "conversation.created", "message.received"]


async def test_a_second_mail_of_the_same_sender_finds_the_same_contact(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA, "One"), mail(MINA.upper(), "Two"))
    await house.receive(desk, mail(MINA, "Three"))
    assert len(await house.rows(contacts)) == len(await house.rows(contact_identities)) == 1
    assert [row["number"] for row in await house.conversations()] == [1, 2, 3]


async def test_the_same_bytes_again_are_a_duplicate(house: House, desk: Desk) -> None:
    inbound = mail(MINA)
    await house.post(desk, inbound, inbound)
    await house.receive(desk, inbound)
    assert [row["state"] for row in await house.rows(raw_items)] == ["filed", "duplicate", "duplicate"]
    assert len({row["message_id"] for row in await house.rows(raw_items)}) == len(await house.incoming()) == 1


async def test_the_same_mail_by_another_way_is_a_duplicate(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA, message_id="one@customer.test"))
    await house.receive(desk, b"Received: by relay.test\r\n" + mail(MINA, message_id="one@customer.test"))
    assert [row["state"] for row in await house.rows(raw_items)] == ["filed", "duplicate"]


async def test_a_duplicate_is_erased_with_the_contact(house: House, desk: Desk) -> None:
    """Whatever way its bytes came in, none of the copies may be readable by the inbox's key alone."""
    await house.receive(desk, mail(MINA, message_id="one@customer.test"))
    await house.receive(desk, mail(MINA, message_id="one@customer.test"))
    await house.receive(desk, b"Received: by relay.test\r\n" + mail(MINA, message_id="one@customer.test"))
    contact = await house.row(contacts)
    assert {row["key_owner"] for row in await house.rows(raw_items)} == {f"contact:{contact['id']}"}


async def test_our_own_mail_is_erased_with_whom_it_was_for(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA))
    (sent,) = house.outgoing()
    await house.receive(desk, sent.as_bytes())
    contact = await house.row(contacts)
    assert [row["state"] for row in await house.rows(raw_items)] == ["filed", "own"]
    assert {row["key_owner"] for row in await house.rows(raw_items)} == {f"contact:{contact['id']}"}


async def test_one_id_with_two_bodies_is_two_messages(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA, "One", message_id="x@y.test"), mail(MINA, "Two", message_id="x@y.test"))
    found = await house.incoming()
    assert [row["text"] for row in found] == ["One", "Two"]
    assert ["duplicate_message_id" in row["trust_reasons"] for row in found] == [False, True]


async def test_a_mail_without_an_id_gets_one_of_its_bytes(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA, "One", message_id=""), mail(MINA, "Two", message_id=""))
    ids = {row["external_id"] for row in await house.incoming()}
    assert len(ids) == 2
    assert all(one.startswith("sha256-") for one in ids)


async def test_one_mail_in_two_inboxes_is_kept_in_both_and_linked(house: House, desk: Desk) -> None:
    billing = await house.inbox("billing@wallet.test")
    await house.receive(desk, mail(MINA))
    await house.receive(billing, mail(MINA))
    first, second = await house.conversations()
    (link,) = await house.rows(conversation_links)
    assert (link["conversation_id"], link["related_id"], link["kind"]) == (second["id"], first["id"], "same_message")
    assert len(house.outgoing()) == 1


async def test_older_mail_asks_for_nothing(house: House, desk: Desk) -> None:
    then = clock.now() - timedelta(days=300)
    await house.receive(desk, mail(MINA), backfilled=True, at=then)
    (conversation,) = await house.conversations()
    assert (conversation["waiting_since"], conversation["next_due_at"]) == (None, None)
    assert conversation["last_activity_at"] == then
    assert (await house.incoming())[0]["backfilled"]
    assert (await house.row(acknowledgements))["outcome"] == "silent"
    assert not house.outgoing()


async def test_an_unreadable_mail_is_seen_and_holds_nobody_up(house: House, desk: Desk) -> None:
    await house.post(desk, mail(MINA, "Before"), b"   \r\n\r\n", mail(MINA, "After"), mail_from="lost@customer.test")
    await house.drain()
    found = await house.incoming()
    assert [row["text"] for row in found] == ["Before", "", "After"]
    assert "unreadable" in found[1]["notes"]
    conversation = (await house.conversations())[1]
    assert conversation["waiting_since"] is not None
    assert [row["state"] for row in await house.rows(raw_items)] == ["filed", "failed", "filed"]
    assert [row["outcome"] for row in await house.rows(acknowledgements)].count("silent") == 1


async def break_reading(house: House, desk: Desk, inbound: bytes, **how: Any) -> None:
    """File `inbound` while parsing may take no time at all, not even to start, so that it cannot be read."""
    services = house.services
    hurried = services.settings.model_copy(update={"parse_seconds": 0.000001})
    await house.post(desk, inbound, **how)
    same = Services(hurried, services.database, services.keyring, services.blobs, services.channels)
    async with House(same, cold=True) as late:
        await late.drain()


async def again(house: House, desk: Desk) -> int:
    async with house.services.database.transaction() as session:
        done = await intake.reprocess(session, desk.id, message_id=None, now=clock.now())
    await house.drain()
    return done


async def test_what_is_read_later_takes_the_entrys_place(house: House, desk: Desk) -> None:
    files = [('attachment; filename="a.txt"', "text/plain", b"content")]
    received = clock.now() - timedelta(hours=2)
    inbound = mail(f"Mina <{MINA}>", "I am readable.", files=files, dmarc="pass")
    await break_reading(house, desk, inbound, at=received)
    (entry,) = await house.incoming()
    (before,) = await house.conversations()
    assert (entry["text"], entry["notes"]) == ("", ["unreadable", "limit"])
    assert await again(house, desk) == 1
    (message,) = await house.incoming()
    (conversation,) = await house.conversations()
    assert (message["id"], message["seq"], message["text"].strip()) == (entry["id"], entry["seq"], "I am readable.")
    assert (message["sender_verified"], message["trust_reasons"], message["attachment_count"]) == (True, [], 1)
    assert (conversation["number"], conversation["subject"]) == (before["number"], "Withdrawal")
    assert conversation["waiting_since"] == before["waiting_since"] == received
    assert conversation["next_due_at"] == received + timedelta(hours=24)
    assert (await house.row(participants))["handle"] == MINA
    raw = await house.row(raw_items)
    assert (raw["state"], raw["key_owner"]) == ("filed", f"contact:{conversation['contact_id']}")
    assert await again(house, desk) == 0


async def test_what_is_read_later_belongs_to_whom_it_is_from(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(f"Mina <{MINA}>", "Known already."))
    await break_reading(house, desk, mail(MINA, "And again."))
    await again(house, desk)
    contact = await house.row(contacts)
    assert {row["contact_id"] for row in await house.conversations()} == {contact["id"]}
    assert {row["key_owner"] for row in await house.rows(raw_items)} == {f"contact:{contact['id']}"}
    assert {row["handle"] for row in await house.rows(participants)} == {MINA}
    assert len(await house.rows(participants)) == 2


async def test_reading_later_trusts_no_more_than_reading_at_once(house: House, desk: Desk) -> None:
    await break_reading(house, desk, mail(MINA, "I am not her.", dmarc="fail"))
    await break_reading(house, desk, mail(f"{MINA}, other@customer.test", "We are two."))
    anna = await factories.agent(house.services)
    await break_reading(house, desk, mail(anna.email, "A word from inside.", dmarc="pass"))
    await break_reading(house, desk, mail("robot@customer.test", headers=[("Auto-Submitted", "auto-replied")]))
    await again(house, desk)
    impostor, two, colleague, robot = await house.incoming()
    assert (impostor["sender_verified"], impostor["trust_reasons"]) == (False, ["authentication_failed"])
    assert "several_from" in two["trust_reasons"]
    assert (colleague["private"], "colleague" in colleague["trust_reasons"]) == (True, True)
    assert robot["auto_submitted"] == "auto_reply"
    assert [row["quarantined"] for row in await house.conversations()] == [False, True, False, False]
    assert [row["waiting_since"] is None for row in await house.conversations()] == [False, False, True, True]
    assert {row["handle"] for row in await house.rows(contact_identities)} == {"robot@customer.test"}
    assert not house.outgoing()


async def test_several_senders_are_quarantined_without_any_automation(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(f"{MINA}, other@customer.test"))
    (conversation,) = await house.conversations()
    assert (conversation["quarantined"], conversation["waiting_since"]) == (True, None)
    assert not await house.rows(contact_identities)
    assert not await house.rows(participants)
    assert not house.outgoing()


async def test_a_colleagues_mail_is_private(house: House, desk: Desk) -> None:
    conversation_id, said = await answered(house, desk)
    anna = await factories.agent(house.services, role="supervisor")
    await house.receive(desk, mail(anna.email, "Careful with her.", answers=said, dmarc="pass"))
    _, message = await house.incoming(conversation_id)
    assert (message["private"], message["trust_reasons"]) == (True, ["colleague"])
    assert {row["handle"] for row in await house.rows(participants)} == {MINA}
    await house.reply(conversation_id, "Dear Mina")
    await house.drain()
    (sent,) = house.outgoing()
    assert "Careful" not in sent.as_string()


async def test_an_answer_to_what_is_closed_starts_anew_and_is_linked(house: House, desk: Desk) -> None:
    conversation_id, said = await answered(house, desk)
    await set_conversation(house, conversation_id, status=Status.CLOSED.value, waiting_since=None, next_due_at=None)
    await house.receive(desk, mail(MINA, "One more thing.", answers=said, dmarc="pass"))
    closed, new = await house.conversations()
    (link,) = await house.rows(conversation_links)
    assert (closed["status"], closed["message_count"], new["status"]) == ("closed", 2, "open")
    assert (link["conversation_id"], link["related_id"], link["kind"]) == (new["id"], closed["id"], "follows")


@pytest.mark.parametrize("status", [Status.RESOLVED, Status.PENDING, Status.SNOOZED])
async def test_an_answer_opens_what_rests(house: House, desk: Desk, status: Status) -> None:
    conversation_id, said = await answered(house, desk)
    until = clock.now() + timedelta(days=2) if status is Status.SNOOZED else None
    await set_conversation(
        house, conversation_id, status=status.value, snoozed_until=until, waiting_since=None, next_due_at=None
    )
    (before,) = await house.conversations()
    await house.receive(desk, mail(MINA, "Still not there.", answers=said, dmarc="pass"))
    (after,) = await house.conversations()
    assert (after["status"], after["snoozed_until"], after["version"]) == ("open", None, before["version"] + 1)
    assert after["waiting_since"] is not None
    changed = [row for row in await house.rows(events) if row["type"] == "conversation.status_changed"]
    assert [(row["data"]["before"], row["data"]["after"], row["data"]["by"]) for row in changed] == [
        (status.value, "open", "contact")
    ]
    # Every event has a place of its own, so that a stream can tell them apart.
    (message,) = (await house.incoming(conversation_id))[-1:]
    assert changed[0]["seq"] not in {row["seq"] for row in await house.messages(conversation_id)}
    assert after["seq"] == changed[0]["seq"] == message["seq"] + 1
    assert after["last_incoming_seq"] == message["seq"]


async def test_a_program_opens_nothing(house: House, desk: Desk) -> None:
    conversation_id, said = await answered(house, desk)
    await set_conversation(house, conversation_id, status="resolved", waiting_since=None, next_due_at=None)
    away = mail(MINA, "I am away.", answers=said, headers=[("Auto-Submitted", "auto-replied")], dmarc="pass")
    await house.receive(desk, away)
    (conversation,) = await house.conversations()
    assert (conversation["status"], conversation["waiting_since"]) == ("resolved", None)
    assert (await house.incoming(conversation_id))[-1]["auto_submitted"] == "auto_reply"


async def test_who_waits_goes_on_waiting_from_his_first_mail(house: House, desk: Desk) -> None:
    conversation_id, said = await answered(house, desk)
    (before,) = await house.conversations()
    await house.receive(desk, mail(MINA, "Anyone?", answers=said, dmarc="pass"))
    (after,) = await house.conversations()
    assert (after["waiting_since"], after["next_due_at"]) == (before["waiting_since"], before["next_due_at"])
    await house.reply(conversation_id)
    await house.drain()
    assert (await house.conversations())[0]["waiting_since"] is None


async def test_a_flood_by_single_mails_is_kept_together_and_apart_from_what_is_genuine(
    house: House, desk: Desk
) -> None:
    """Mail by mail, as a trickle is filed, and in a batch, as a backlog is."""
    await house.receive(desk, *(mail(MINA, f"Mail {n}") for n in range(199)))
    await house.receive(desk, mail(MINA, "Mail 199"))
    for n in range(200, 204):
        await house.receive(desk, mail(MINA, f"Mail {n}"))
    await house.receive(desk, *(mail(MINA, f"Mail {n}") for n in range(204, 210)))
    *genuine, flood = await house.conversations()
    assert len(genuine) == 200
    assert not any(row["quarantined"] for row in genuine)
    assert (flood["quarantined"], flood["message_count"]) == (True, 10)
    assert flood["waiting_since"] is not None
    assert {row["text"].strip() for row in await house.incoming(flood["id"])} == {f"Mail {n}" for n in range(200, 210)}
    assert len(house.outgoing()) == 1


async def test_one_mail_that_cannot_be_filed_does_not_take_the_others_along(house: House, desk: Desk) -> None:
    """A raw item that is not what its row says: the database refuses what filing makes of it."""
    await house.post(desk, *(mail(f"sender{n}@customer.test", f"Mail {n}") for n in range(5)))
    taken = new_id()
    async with house.services.database.transaction() as session:
        ids = (await session.execute(select(raw_items.c.id).order_by(raw_items.c.id))).scalars().all()
        # A contact whose key does not open makes filing his mail raise.
        await session.execute(
            insert(contacts).values(
                id=taken, name="", language="", key=b"\x01broken", custom_fields={}, blocked=False, version=1,
                created_at=clock.now(), updated_at=clock.now(),
            )
        )  # fmt: skip
        await session.execute(
            insert(contact_identities).values(
                id=new_id(), contact_id=taken, channel="email", handle="sender2@customer.test", display="",
                verified=False, created_at=clock.now(),
            )
        )  # fmt: skip
    await house.drain()
    states = {row["id"]: row["state"] for row in await house.rows(raw_items)}
    assert [states[one] for one in ids] == ["filed", "filed", "received", "filed", "filed"]
    assert {row["text"].strip() for row in await house.incoming()} == {"Mail 0", "Mail 1", "Mail 3", "Mail 4"}
    # What still fails after a few attempts is shown as unreadable rather than hidden for ever.
    for _ in range(filing.MAX_ATTEMPTS):
        async with house.services.database.transaction() as session:
            await session.execute(update(raw_items).values(next_attempt_at=clock.now()))
        await house.drain()
    assert {row["state"] for row in await house.rows(raw_items)} == {"filed", "failed"}
    assert len(await house.incoming()) == 5


async def test_files_are_kept_for_whom_they_are_from(house: House, desk: Desk) -> None:
    gif = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    html = "<p>See <img src='cid:shot@x'></p>"
    boundary = "outer"
    inbound = (
        f"From: {MINA}\r\nTo: support@wallet.test\r\nSubject: Files\r\nMessage-ID: <f@customer.test>\r\n"
        f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'
        f'--{boundary}\r\nContent-Type: multipart/related; boundary="inner"\r\n\r\n'
        f"--inner\r\nContent-Type: text/html\r\n\r\n{html}\r\n"
        f"--inner\r\nContent-Type: image/gif\r\nContent-ID: <shot@x>\r\nContent-Disposition: inline\r\n\r\n"
    ).encode() + gif + (
        f"\r\n--inner--\r\n--{boundary}\r\nContent-Type: text/plain\r\n"
        f'Content-Disposition: attachment; filename="log.txt"\r\n\r\nsame\r\n'
        f"--{boundary}\r\nContent-Type: text/plain\r\n"
        f'Content-Disposition: attachment; filename="copy.txt"\r\n\r\nsame\r\n--{boundary}--\r\n'
    ).encode()  # fmt: skip
    await house.receive(desk, inbound)
    (message,) = await house.incoming()
    found = {row["filename"]: row for row in await house.rows(attachments)}
    assert message["attachment_count"] == len(found) == 3
    inline = [row for row in found.values() if row["inline"]]
    assert [(row["content_type"], row["content_id"].strip("<>")) for row in inline] == [("image/gif", "shot@x")]
    assert found["log.txt"]["blob_id"] == found["copy.txt"]["blob_id"] != inline[0]["blob_id"]
    async with house.services.database.reading() as session:
        assert await blobs.get(house.services, session, found["log.txt"]["blob_id"]) == b"same"
        assert await blobs.get(house.services, session, inline[0]["blob_id"]) == gif


async def test_a_conversation_is_open_to_every_inbox_it_touched(house: House, desk: Desk) -> None:
    conversation_id, said = await answered(house, desk)
    billing = await house.inbox("billing@wallet.test")
    await house.receive(billing, mail(MINA, "Here as well.", to=billing.address, answers=said, dmarc="pass"))
    (conversation,) = await house.conversations()
    touched = await house.rows(conversation_inboxes, conversation_inboxes.c.conversation_id == conversation_id)
    assert {row["inbox_id"] for row in touched} == {desk.id, billing.id}
    assert conversation["inbox_id"] == billing.id


async def test_who_began_without_a_verdict_can_go_on_once_he_was_answered(house: House, desk: Desk) -> None:
    """His domain's DMARC may be broken for good: our answer went to his address, and with it the token."""
    await house.receive(desk, mail(MINA, "Please help.", dmarc="fail"))
    (conversation,) = await house.conversations()
    await house.reply(conversation["id"])
    await house.drain()
    (sent,) = house.outgoing()
    await house.receive(desk, mail(MINA, "Thanks.", answers=sent["Message-ID"], dmarc="fail"))
    assert len(await house.conversations()) == 1
    first, second = await house.incoming()
    assert (first["sender_verified"], second["sender_verified"]) == (False, False)
    await house.receive(desk, mail("other@customer.test", "Me too.", answers=sent["Message-ID"], dmarc="pass"))
    assert len(await house.conversations()) == 2


async def test_what_filing_wrote_is_whole_or_not_there(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA, "One"), mail(MINA, "Two", html="<p>Two</p>"))
    for row in await house.rows(messages, messages.c.type == "incoming"):
        assert row["conversation_id"] in {one["id"] for one in await house.conversations()}
    for raw in await house.rows(raw_items):
        assert (raw["state"], raw["claimed_until"]) == ("filed", 0.0)
