"""What is said at once to somebody who wrote, and to whom nothing is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.models.contacts import contact_identities
from helpdesk.models.events import events
from helpdesk.models.messages import acknowledgements, deliveries, messages
from helpdesk.services.acknowledgements import acknowledge
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House, bare, mail, read
from tests.peers.smtp_sink import SmtpSink

MINA = "mina@customer.test"


@pytest.fixture(params=[True, False], ids=["by filing", "by the relay"])
async def house(services: Services, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """Acknowledged is while the mail is filed, or afterwards: whoever does it, it comes to the same."""
    async with House(services, alongside=request.param) as opened:
        await opened.relay()
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


def words(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def outcomes(house: House) -> list[str]:
    rows = {row["conversation_id"]: row["outcome"] for row in await house.rows(acknowledgements)}
    return [rows[one["id"]] for one in await house.conversations()]


async def age(house: House, by: timedelta) -> None:
    """Let time have passed since what was acknowledged."""
    async with house.services.database.transaction() as session:
        for row in (await session.execute(select(acknowledgements))).mappings().all():
            earlier = {"created_at": row["created_at"] - by}
            mine = acknowledgements.c.conversation_id == row["conversation_id"]
            await session.execute(update(acknowledgements).where(mine).values(earlier))


async def test_a_new_conversation_is_acknowledged_in_its_language(house: House, desk: Desk) -> None:
    await house.receive(
        desk,
        mail("a@customer.test", "My withdrawal has been pending since yesterday."),
        mail("b@customer.test", "你们好，我的提现从昨天起一直没有到账，请帮忙处理。"),
        mail("c@customer.test", "你們好，我的提領從昨天起一直沒有到帳，請幫忙處理。"),
        mail("d@customer.test", "Не приходит перевод со вчерашнего дня."),
    )
    found = {str(one["To"]).partition("@")[0]: one for one in house.outgoing()}
    numbers = {row["contact_handle"][0]: row["number"] for row in await house.conversations()}
    wanted = {"a": "within 24 hours", "b": "24 小时内回复", "c": "24 小時內回覆", "d": "within 24 hours"}
    phrase = {"a": "recovery phrase", "b": "助记词", "c": "助記詞", "d": "recovery phrase"}
    for who, message in found.items():
        text = words(message)
        assert wanted[who] in text
        assert phrase[who] in text
        assert f"#{numbers[who]}" in text
        assert f"#{numbers[who]}" in message["Subject"]
        assert desk.address in text
    assert set(found) == set(wanted)


async def test_it_is_a_message_of_the_conversation_and_told_like_any_other(house: House, desk: Desk) -> None:
    await house.post(desk, mail(MINA))
    await house.process()
    assert len(await house.rows(acknowledgements)) == int(house.alongside)
    await house.relay()
    (conversation,) = await house.conversations()
    assert (conversation["seq"], conversation["message_count"], conversation["last_incoming_seq"]) == (2, 2, 1)
    found = {row["seq"]: row for row in await house.rows(messages)}
    assert [(found[seq]["type"], found[seq]["delivery_status"]) for seq in sorted(found)] == [
        ("incoming", None),
        ("outgoing", "queued"),
    ]
    (delivery,) = await house.rows(deliveries)
    assert delivery["message_id"] == found[2]["id"]
    told = sorted(await house.rows(events), key=lambda row: row["position"])
    assert [row["type"] for row in told] == [
        "conversation.created",
        "contact.created",
        "message.received",
        "message.created",
    ]
    assert [row["position"] for row in told] == [1, 2, 3, 4]
    assert (told[3]["seq"], told[3]["data"]["message_id"]) == (2, str(found[2]["id"]))


async def test_nothing_of_what_came_in_is_repeated(house: House, desk: Desk) -> None:
    secret = "Zanzibar"
    inbound = mail(
        f'"{secret} Name" <{MINA}>', f"{secret} body", subject=f"{secret} subject", html=f"<p>{secret}</p>",
        to=f"{secret} <support@wallet.test>", headers=[("Cc", f"{secret} <x@y.test>"), ("X-Any", secret)],
        files=[(f'attachment; filename="{secret}.txt"', "text/plain", secret.encode())],
    )  # fmt: skip
    await house.receive(desk, inbound)
    (sent,) = house.outgoing()
    assert secret.lower() not in sent.as_string().lower()
    assert [part.get_filename() for part in sent.walk() if part.get_filename()] == []
    assert sorted(set(sent.keys())) == sorted(
        ["Date", "From", "Reply-To", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
         "X-Auto-Response-Suppress", "Precedence", "MIME-Version", "Content-Type"]
    )  # fmt: skip


async def test_it_says_that_it_is_automatic_and_answers_the_mail(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA, message_id="theirs@customer.test"))
    (sent,) = house.outgoing()
    assert sent["Auto-Submitted"] == "auto-replied"
    assert sent["X-Auto-Response-Suppress"] == "All"
    assert sent["Precedence"] == "auto_reply"
    assert bare(sent["In-Reply-To"]) == bare(sent["References"]) == "theirs@customer.test"
    assert str(sent["To"]) == MINA


async def test_a_mail_without_an_id_is_acknowledged_without_naming_it(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA, message_id=""))
    (sent,) = house.outgoing()
    assert (sent["In-Reply-To"], sent["References"]) == (None, None)


async def test_it_leaves_with_the_null_sender_over_smtp(house: House) -> None:
    async with SmtpSink() as sink:
        desk = await house.inbox(smtp_url=sink.url())
        await house.receive(desk, mail(MINA))
        (taken,) = sink.messages
        (delivery,) = await house.rows(deliveries)
    assert (taken.sender, taken.recipients) == ("", (MINA,))
    assert read(taken.body)["Auto-Submitted"] == "auto-replied"
    assert (delivery["status"], delivery["sender"], delivery["automatic"]) == ("sent", "", True)


async def test_a_server_that_refuses_the_null_sender_gets_the_inboxs_address(house: House) -> None:
    async with SmtpSink() as sink:
        sink.reply("mail", "553 5.1.8 sender wanted", match="<>")
        desk = await house.inbox(smtp_url=sink.url())
        await house.receive(desk, mail(MINA))
        assert [(one.sender, one.recipients) for one in sink.messages] == [(desk.address, (MINA,))]


async def test_a_conversation_is_acknowledged_once(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA, dmarc="pass"))
    (sent,) = house.outgoing()
    await age(house, timedelta(days=3))
    await house.receive(desk, mail(MINA, "More.", answers=sent["Message-ID"], dmarc="pass"))
    assert len(await house.conversations()) == 1
    assert not house.outgoing()
    # The same events again, as after a relay that died: one outcome for ever.
    async with house.services.database.transaction() as session:
        again = (await session.execute(select(events).where(events.c.type == "message.received"))).mappings().all()
        await acknowledge(house.services, session, again, now=clock.now())
    await house.drain()
    assert not house.outgoing()


async def test_an_answer_to_the_acknowledgement_joins(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA))
    (sent,) = house.outgoing()
    (address,) = sent["Reply-To"].addresses
    await house.receive(desk, mail(MINA, "By the id.", answers=sent["Message-ID"]))
    await house.receive(desk, mail(MINA, "By the address.", to=address.addr_spec))
    await house.receive(desk, mail(MINA, "By the envelope.", to="undisclosed"), recipients=[address.addr_spec.upper()])
    assert len(await house.conversations()) == 1
    assert [row["text"].strip() for row in await house.incoming()][1:] == [
        "By the id.",
        "By the address.",
        "By the envelope.",
    ]


async def test_an_address_gets_one_a_day(house: House, desk: Desk) -> None:
    billing = await house.inbox("billing@wallet.test")
    await house.receive(desk, mail(MINA, "One"), mail(MINA.upper(), "Two"))
    await house.receive(billing, mail(MINA, "Three"))
    assert await outcomes(house) == ["queued", "address_cap", "address_cap"]
    await age(house, timedelta(hours=23, minutes=59))
    await house.receive(desk, mail(MINA, "Four"))
    await age(house, timedelta(minutes=2))
    await house.receive(desk, mail(MINA, "Five"))
    assert (await outcomes(house))[3:] == ["address_cap", "queued"]
    assert len(house.outgoing()) == 2


async def test_a_tag_behind_a_plus_does_not_make_another_address(house: House, desk: Desk) -> None:
    """Otherwise a forged sender fills one victim's mailbox: victim+1@, victim+2@ and so on."""
    await house.receive(desk, *(mail(f"victim+{n}@bystander.test", f"Mail {n}") for n in range(20)))
    assert await outcomes(house) == ["queued"] + ["address_cap"] * 19
    assert len(house.outgoing()) == 1


async def test_an_inbox_says_so_much_a_minute(services: Services) -> None:
    capped = services.settings.model_copy(update={"ack_per_minute": 5})
    same = Services(capped, services.database, services.keyring, services.blobs, services.channels)
    async with House(same) as house:
        desk, other = await house.inbox(), await house.inbox("other@wallet.test")
        await house.receive(desk, *(mail(f"sender{n}@customer.test") for n in range(3)))
        await house.receive(desk, *(mail(f"sender{n}@customer.test") for n in range(3, 8)))
        await house.receive(other, mail("sender8@customer.test"))
        assert await outcomes(house) == ["queued"] * 5 + ["inbox_cap"] * 3 + ["queued"]
        await age(house, timedelta(minutes=1, seconds=1))
        await house.receive(desk, mail("sender9@customer.test"))
        assert (await outcomes(house))[-1] == "queued"
        assert len(house.outgoing()) == 7


@pytest.mark.parametrize(
    "sign",
    [
        ("Auto-Submitted", "auto-replied (vacation)"),
        ("Auto-Submitted", "auto-notified"),
        ("Precedence", "bulk"),
        ("Precedence", "junk"),
        ("Precedence", "list"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("List-Help", "<mailto:help@lists.test>"),
        ("List-Unsubscribe", "<mailto:leave@lists.test>"),
        ("Return-Path", "<>"),
    ],
    ids=lambda sign: f"{sign[0]}-{sign[1]}"[:32],
)
async def test_a_program_is_not_answered(house: House, desk: Desk, sign: tuple[str, str]) -> None:
    await house.receive(desk, mail(MINA, headers=[sign], dmarc="pass"))
    assert await outcomes(house) == ["silent"]
    assert (await house.incoming())[0]["auto_submitted"] is not None
    assert not house.outgoing()


async def test_mail_by_no_one_is_not_answered(house: House, desk: Desk) -> None:
    senders = [
        "mailer-daemon@elsewhere.test",
        "MAILER-DAEMON@elsewhere.test",
        "postmaster@elsewhere.test",
        "noreply@elsewhere.test",
        "no-reply@elsewhere.test",
        "do-not-reply+x@elsewhere.test",
    ]
    await house.receive(desk, *(mail(sender, dmarc="pass") for sender in senders))
    assert await outcomes(house) == ["silent"] * len(senders)
    assert not house.outgoing()


async def test_our_own_addresses_are_not_answered(house: House, desk: Desk) -> None:
    billing = await house.inbox("billing@wallet.test")
    await house.receive(desk, *(mail(one) for one in (desk.address, billing.address.upper(), "support+x@wallet.test")))
    assert await outcomes(house) == ["own_address"] * 3
    assert not house.outgoing()


async def test_a_colleague_is_not_answered(house: House, desk: Desk) -> None:
    anna = await factories.agent(house.services)
    await house.receive(desk, mail(anna.email))
    assert await outcomes(house) == ["silent"]


async def test_a_failed_verdict_withholds_it_and_no_verdict_does_not(house: House, desk: Desk) -> None:
    await house.receive(desk, mail("a@customer.test", dmarc="fail"), mail("b@customer.test"))
    await house.receive(desk, mail("c@customer.test", dmarc="fail"), trusted_peer=False)
    assert await outcomes(house) == ["unverified", "queued", "queued"]


async def test_an_address_that_bounced_lately_is_left_alone(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA))
    for days, wanted in ((6, "bounced"), (8, "queued")):
        await age(house, timedelta(days=2))
        async with house.services.database.transaction() as session:
            held: dict[str, Any] = {"automatic_held_at": clock.now() - timedelta(days=days)}
            await session.execute(update(contact_identities).values(held))
        await house.receive(desk, mail(MINA, f"After {days} days"))
        assert (await outcomes(house))[-1] == wanted


async def test_an_acknowledgement_answers_nobodys_wait(house: House, desk: Desk) -> None:
    await house.receive(desk, mail(MINA))
    (conversation,) = await house.conversations()
    assert len(house.outgoing()) == 1
    assert conversation["waiting_since"] is not None
