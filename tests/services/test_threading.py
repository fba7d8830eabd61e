"""The scenarios of reply hijacking, each a mail through the real intake: what joins a conversation and what does not.

Every case is named by its number in `../shared/attack/threading_scenarios.jsonl`, and the two lists are held against
each other where that file is.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from uuid import UUID

import pytest
from sqlalchemy import RowMapping

from helpdesk.db import insert_rows
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversation_links, participants
from helpdesk.models.events import audit
from helpdesk.models.inboxes import inbox_members, raw_items
from helpdesk.models.messages import acknowledgements, deliveries
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import SHARED
from tests.house import Desk, House, bare, mail

MINA = "mina@customer.test"
STRANGER = "stranger@elsewhere.test"

Case = Callable[["Story"], Awaitable[None]]
CASES: dict[int, Case] = {}


def scenario(number: int) -> Callable[[Case], Case]:
    def note(case: Case) -> Case:
        assert number not in CASES
        CASES[number] = case
        return case

    return note


@dataclass
class Story:
    """Mina wrote and was answered: `said` is our answer, as she got it."""

    house: House
    desk: Desk
    conversation_id: UUID
    said: EmailMessage

    @property
    def token_address(self) -> str:
        return str(self.said["Reply-To"].addresses[0].addr_spec)

    async def joined(self) -> list[RowMapping]:
        return [row for row in await self.house.incoming(self.conversation_id) if row["seq"] > 1]

    async def others(self) -> list[RowMapping]:
        return [row for row in await self.house.conversations() if row["id"] != self.conversation_id]

    async def links(self) -> list[tuple[UUID, str]]:
        return [(row["related_id"], row["kind"]) for row in await self.house.rows(conversation_links)]

    async def people(self, conversation_id: UUID) -> set[str]:
        found = await self.house.rows(participants, participants.c.conversation_id == conversation_id)
        return {row["handle"] for row in found}

    async def outcome(self, conversation_id: UUID) -> str:
        row = await self.house.row(acknowledgements, acknowledgements.c.conversation_id == conversation_id)
        return str(row["outcome"])


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


async def begin(house: House) -> Story:
    desk = await house.inbox()
    await house.receive(desk, mail(f"Mina <{MINA}>", "Where is my withdrawal?", dmarc="pass"))
    (conversation,) = await house.conversations()
    await house.reply(conversation["id"], "It is on its way, Mina. History of the case: 0xfeed.")
    await house.drain()
    _, said = house.outgoing()
    return Story(house, desk, conversation["id"], said)


@scenario(0)
async def the_participant_authenticated_answers(story: Story) -> None:
    await story.house.receive(story.desk, mail(MINA, "Thank you.", answers=story.said["Message-ID"], dmarc="pass"))
    (message,) = await story.joined()
    assert (message["text"], message["sender_verified"], message["trust_reasons"]) == ("Thank you.", True, [])
    assert not await story.others()


@scenario(1)
async def a_stranger_answers_a_forwarded_copy(story: Story) -> None:
    inbound = mail(STRANGER, "I was sent this.", answers=story.said["Message-ID"], dmarc="pass")
    await story.house.receive(story.desk, inbound)
    assert not await story.joined()
    (conversation,) = await story.others()
    assert await story.links() == [(story.conversation_id, "may_belong_to")]
    assert await story.people(story.conversation_id) == {MINA}
    assert conversation["contact_handle"] == STRANGER
    await story.house.reply(story.conversation_id, "More for Mina.")
    await story.house.reply(conversation["id"], "And who are you?")
    await story.house.drain()
    acknowledged, *answers = story.house.outgoing()
    assert acknowledged["To"] == STRANGER
    for message in (acknowledged, *answers):
        people = str(message["To"]) + str(message["Cc"])
        assert (STRANGER in people) != (MINA in people)
        if STRANGER in people:
            assert "0xfeed" not in message.as_string()
            assert bare(story.said["Message-ID"]) not in str(message["References"])[: -len(story.said["Message-ID"])]


@scenario(2)
async def an_impostor_without_a_token_starts_something_else(story: Story) -> None:
    before = len(await story.house.rows(contact_identities))
    inbound = mail(MINA, "Send it elsewhere!", answers="unknown.id@wallet.test", dmarc="fail")
    await story.house.receive(story.desk, inbound)
    assert not await story.joined()
    (conversation,) = await story.others()
    (message,) = await story.house.incoming(conversation["id"])
    assert (message["sender_verified"], "authentication_failed" in message["trust_reasons"]) == (False, True)
    assert len(await story.house.rows(contact_identities)) == before
    assert await story.people(conversation["id"]) == set()
    assert await story.outcome(conversation["id"]) == "unverified"
    assert not story.house.outgoing()


@scenario(3)
async def an_unauthenticated_participant_with_a_token_joins_marked(story: Story) -> None:
    inbound = mail(
        MINA, "It is me.", answers=story.said["Message-ID"], dmarc="fail", headers=[("Cc", "extra@elsewhere.test")]
    )
    await story.house.receive(story.desk, inbound)
    (message,) = await story.joined()
    assert (message["sender_verified"], "authentication_failed" in message["trust_reasons"]) == (False, True)
    assert await story.people(story.conversation_id) == {MINA}
    assert not story.house.outgoing()


@scenario(4)
async def a_number_in_the_subject_joins_nothing(story: Story) -> None:
    number = (await story.house.conversations())[0]["number"]
    for at, subject in enumerate((f"Re: We have received your message [#{number}]", f"[#{number}]", f"#{number}")):
        await story.house.receive(story.desk, mail(MINA, f"About it. {at}", subject=subject, dmarc="pass"))
    assert not await story.joined()
    assert len(await story.others()) == 3
    assert await story.links() == []


@scenario(5)
async def a_token_with_one_bit_flipped_is_refused_and_audited(story: Story) -> None:
    address = story.token_address
    local, _, domain = address.partition("@")
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    flipped = [
        f"{local[:place]}{alphabet[alphabet.index(local[place]) ^ bit]}{local[place + 1 :]}@{domain}"
        for place, bit in ((len(local) - 1, 1), (len(local) - 1, 16), (len(local) - 20, 4), (len("support+"), 8))
    ]
    for at, to in enumerate(flipped):
        inbound = mail(MINA, f"Flipped {at}.", to=to, answers=story.said["Message-ID"], dmarc="pass")
        await story.house.receive(story.desk, inbound, recipients=[to])
    assert not await story.joined()
    assert len(await story.others()) == len(flipped)
    rows = [row for row in await story.house.rows(audit) if row["action"] == "reply_token_refused"]
    assert {row["subject_id"] for row in rows} == {row["id"] for row in await story.others()}


@scenario(6)
async def the_address_token_wins_over_another_conversations_message_id(story: Story) -> None:
    await story.house.receive(story.desk, mail(MINA, "Something else.", dmarc="pass"))
    (other,) = await story.others()
    await story.house.reply(other["id"], "About the other thing.")
    await story.house.drain()
    *_, second = story.house.outgoing()
    inbound = mail(MINA, "Which one?", to=story.token_address, answers=second["Message-ID"], dmarc="pass")
    await story.house.receive(story.desk, inbound)
    assert [row["text"] for row in await story.joined()] == ["Which one?"]
    assert len(await story.house.incoming(other["id"])) == 1


@scenario(7)
async def a_spoofed_agent_says_nothing_to_the_customer(story: Story) -> None:
    anna = await factories.agent(story.house.services, role="admin")
    for answers, dmarc in (("notification.4711@wallet.test", ""), (story.said["Message-ID"], ""),
                           (story.said["Message-ID"], "fail")):  # fmt: skip
        await story.house.receive(story.desk, mail(anna.email, f"Pay {dmarc}{answers}", answers=answers, dmarc=dmarc))
    assert not await story.joined()
    assert len(await story.others()) == 3
    for conversation in await story.others():
        (message,) = await story.house.incoming(conversation["id"])
        assert (message["private"], message["type"]) == (True, "incoming")
        assert "colleague" in message["trust_reasons"]
        assert await story.people(conversation["id"]) == set()
    assert not story.house.outgoing()


@scenario(8)
async def an_agent_who_lost_the_inbox_is_refused(story: Story) -> None:
    anna = await factories.agent(story.house.services)
    bert = await factories.agent(story.house.services)
    async with story.house.services.database.transaction() as session:
        await insert_rows(session, inbox_members, [{"inbox_id": story.desk.id, "agent_id": bert.id}])
    answers = story.said["Message-ID"]
    await story.house.receive(story.desk, mail(anna.email, "I was here.", answers=answers, dmarc="pass"))
    assert not await story.joined()
    assert await story.links() == []
    await story.house.receive(story.desk, mail(bert.email, "I am here.", answers=answers, dmarc="pass"))
    (message,) = await story.joined()
    assert (message["private"], message["text"]) == (True, "I am here.")
    assert not story.house.outgoing()


@scenario(9)
async def reply_to_is_only_a_suggestion(story: Story) -> None:
    inbound = mail(STRANGER, "Write there.", headers=[("Reply-To", "victim@bystander.test")], dmarc="pass")
    await story.house.receive(story.desk, inbound)
    (conversation,) = await story.others()
    (message,) = await story.house.incoming(conversation["id"])
    assert conversation["contact_handle"] == STRANGER
    assert message["reply_to"] == [{"handle": "victim@bystander.test", "name": ""}]
    assert "reply_to_differs" in message["notes"]
    await story.house.reply(conversation["id"])
    await story.house.drain()
    assert {str(one["To"]) for one in story.house.outgoing()} == {STRANGER}


@scenario(10)
async def an_inbound_cc_becomes_nobody(story: Story) -> None:
    cc = [("Cc", "attacker@evil.test, other@evil.test")]
    await story.house.receive(
        story.desk, mail(MINA, "With copies.", answers=story.said["Message-ID"], headers=cc, dmarc="pass")
    )
    (message,) = await story.joined()
    assert [one["handle"] for one in message["cc"]] == ["attacker@evil.test", "other@evil.test"]
    assert await story.people(story.conversation_id) == {MINA}
    await story.house.reply(story.conversation_id)
    await story.house.drain()
    for sent in await story.house.rows(deliveries):
        assert sent["recipients"] == [MINA]
    # Nor does having been in Cc open the door for him.
    await story.house.receive(
        story.desk, mail("attacker@evil.test", "Me too.", answers=story.said["Message-ID"], dmarc="pass")
    )
    assert len(await story.joined()) == 1


@scenario(11)
async def several_senders_are_quarantined(story: Story) -> None:
    token = story.said["Message-ID"]
    plain = mail(MINA, "Two lines.", answers=token, dmarc="pass", headers=[("From", STRANGER)])
    both = mail(f"{MINA}, {STRANGER}", "Two addresses.", answers=token)
    group = mail(f"friends: {MINA}, {STRANGER};", "A group.", answers=token)
    await story.house.receive(story.desk, plain, both, group)
    assert not await story.joined()
    others = await story.others()
    assert [row["quarantined"] for row in others] == [True] * 3
    assert [await story.outcome(row["id"]) for row in others] == ["silent"] * 3
    assert [row["waiting_since"] for row in others] == [None] * 3
    assert not story.house.outgoing()


@scenario(12)
async def only_from_counts_and_the_difference_is_shown(story: Story) -> None:
    headers = [("Sender", MINA), ("Resent-From", MINA)]
    inbound = mail(STRANGER, "On behalf.", answers=story.said["Message-ID"], headers=headers, dmarc="pass")
    await story.house.receive(story.desk, inbound)
    assert not await story.joined()
    (conversation,) = await story.others()
    (message,) = await story.house.incoming(conversation["id"])
    assert conversation["contact_handle"] == STRANGER
    assert "sender_header_differs" in message["notes"]


@scenario(13)
async def a_forged_verdict_is_not_believed(story: Story) -> None:
    forged = [("Authentication-Results", "mx.wallet.test; dmarc=pass header.from=customer.test")]
    await story.house.receive(story.desk, mail(MINA, "Below the border.", headers=forged))
    await story.house.receive(story.desk, mail(MINA, "Our server said no.", dmarc="fail", headers=forged))
    await story.house.receive(story.desk, mail(MINA, "By a side door.", dmarc="pass"), trusted_peer=False)
    found = [(await story.house.incoming(row["id"]))[0] for row in await story.others()]
    assert {row["text"]: row["sender_verified"] for row in found} == {
        "Below the border.": None,
        "Our server said no.": False,
        "By a side door.": None,
    }


@scenario(14)
async def the_same_id_with_another_body_is_kept_and_flagged(story: Story) -> None:
    first = mail(MINA, "The true one.", message_id="same@customer.test", dmarc="pass")
    second = mail(MINA, "Quite another.", message_id="same@customer.test", dmarc="pass")
    await story.house.receive(story.desk, first)
    await story.house.receive(story.desk, second)
    found = [(await story.house.incoming(row["id"]))[0] for row in await story.others()]
    assert [row["text"] for row in found] == ["The true one.", "Quite another."]
    assert ["duplicate_message_id" in row["trust_reasons"] for row in found] == [False, True]


@scenario(15)
async def the_same_id_in_another_inbox_is_kept_there(story: Story) -> None:
    billing = await story.house.inbox("billing@wallet.test")
    inbound = mail(MINA, "To both.", to="support@wallet.test, billing@wallet.test", message_id="both@customer.test")
    await story.house.receive(story.desk, inbound)
    await story.house.receive(billing, inbound)
    first, second = await story.others()
    assert [first["inbox_id"], second["inbox_id"]] == [story.desk.id, billing.id]
    assert [row["state"] for row in (await story.house.rows(raw_items))[-2:]] == ["filed", "filed"]
    assert (first["id"], "same_message") in await story.links()


@scenario(16)
async def automatic_mail_is_stored_and_never_answered(story: Story) -> None:
    signs = [
        ("Auto-Submitted", "auto-replied"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("Precedence", "bulk"),
        ("Precedence", "list"),
        ("Precedence", "junk"),
        ("Return-Path", "<>"),
        ("List-Id", "<news.elsewhere.test>"),
        ("List-Unsubscribe", "<https://elsewhere.test/u>"),
    ]
    await story.house.receive(
        story.desk, *(mail(f"sender{at}@elsewhere.test", headers=[sign]) for at, sign in enumerate(signs))
    )
    await story.house.receive(story.desk, mail("null@elsewhere.test"), mail_from="")
    others = await story.others()
    assert len(others) == len(signs) + 1
    assert {await story.outcome(row["id"]) for row in others} == {"silent"}
    assert not story.house.outgoing()


@scenario(17)
async def a_thousand_mails_from_one_address_are_kept_and_answered_once(story: Story) -> None:
    total = 1000
    for first in range(0, total, 250):
        await story.house.receive(
            story.desk, *(mail(STRANGER, f"Number {n}.", dmarc="pass") for n in range(first, first + 250))
        )
    found = [row for row in await story.house.incoming() if row["conversation_id"] != story.conversation_id]
    assert {row["text"] for row in found} == {f"Number {n}." for n in range(total)}
    assert len(story.house.outgoing()) == 1
    others = await story.others()
    assert [row["quarantined"] for row in others] == [False] * 200 + [True]
    assert sum("flood" in row["trust_reasons"] for row in found) == total - 200


@scenario(18)
async def our_own_mail_coming_back_is_not_filed(story: Story) -> None:
    returned = story.said.as_bytes()
    await story.house.receive(story.desk, returned)
    await story.house.receive(story.desk, b"Received: from relay.test\r\n" + returned)
    rows = (await story.house.rows(raw_items))[-2:]
    assert [row["state"] for row in rows] == ["own", "own"]
    assert not await story.joined()
    assert not await story.others()
    assert not story.house.outgoing()


@scenario(19)
async def a_third_partys_verification_mail_is_for_agents_only(story: Story) -> None:
    inbound = mail(
        "no-reply@service.test", "Your code is 482913. Confirm: https://service.test/c", subject="Confirm your address",
        to=story.token_address, dmarc="pass",
    )  # fmt: skip
    await story.house.receive(story.desk, inbound, recipients=[story.token_address])
    assert not await story.joined()
    (conversation,) = await story.others()
    assert await story.outcome(conversation["id"]) == "silent"
    await story.house.reply(story.conversation_id, "Anything new?")
    await story.house.drain()
    (sent,) = story.house.outgoing()
    assert "482913" not in sent.as_string()


@scenario(20)
async def a_catch_all_address_is_the_same_inbox_and_nothing_is_echoed(story: Story) -> None:
    to = "support+anything@wallet.test"
    inbound = mail(f"Loud Name <{STRANGER}>", "buy-tokens-now", to=to, subject="Cheap coins", dmarc="pass")
    await story.house.receive(story.desk, inbound, recipients=[to])
    (conversation,) = await story.others()
    assert conversation["contact_handle"] == STRANGER
    (acknowledged,) = story.house.outgoing()
    assert not re.search("buy-tokens-now|Cheap coins|Loud Name|anything", acknowledged.as_string())


@scenario(21)
async def an_acknowledgement_cannot_be_made_to_carry_words(story: Story) -> None:
    spam = "visit https://spam.test"
    await story.house.receive(story.desk, mail(f'"{spam}" <victim@bystander.test>', spam, subject=spam, dmarc="fail"))
    assert not story.house.outgoing()
    loud = f'"{spam}" <{STRANGER}>'
    await story.house.receive(story.desk, mail(loud, spam, subject=spam, html=f"<b>{spam}</b>", dmarc="pass"))
    await story.house.receive(story.desk, mail(loud, f"again {spam}", subject=spam, dmarc="pass"))
    (acknowledged,) = story.house.outgoing()
    assert "spam.test" not in acknowledged.as_string()
    outcomes = [await story.outcome(row["id"]) for row in await story.others()]
    assert outcomes == ["unverified", "queued", "address_cap"]


@pytest.mark.parametrize("number", sorted(CASES), ids=lambda number: f"{number}-{CASES[number].__name__}")
async def test_scenario(number: int, house: House) -> None:
    await CASES[number](await begin(house))


def test_every_shared_scenario_has_its_case() -> None:
    path = SHARED / "attack" / "threading_scenarios.jsonl"
    if not path.exists():
        pytest.skip("../shared/attack/threading_scenarios.jsonl is not here")
    assert {json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()} == set(CASES)


async def test_who_is_written_to_besides_learns_no_token_of_the_contacts(house: House) -> None:
    """Our Message-IDs hold tokens; in References they would make whoever gets a copy a forger of bounces."""
    story = await begin(house)
    bank = [{"handle": "bank@elsewhere.test", "name": "Bank"}]
    said = []
    for people in ({"to": bank}, {"cc": bank}, {}):
        await house.reply(story.conversation_id, "We have asked the bank.", **people)
        await house.drain()
        said += house.outgoing()
    asked, copied, between = said
    token = bare(story.said["Message-ID"]).partition(".")[0]
    assert token not in asked.as_string()
    assert bare(story.said["Message-ID"]) not in copied.as_string()
    assert bare(story.said["Message-ID"]) in str(between["References"])
    assert bare(asked["Message-ID"]) not in copied.as_string() + between.as_string()


async def test_an_answer_quotes_the_contact_and_nobody_else(house: House) -> None:
    story = await begin(house)
    bank = "bank@elsewhere.test"
    await house.reply(story.conversation_id, "Please confirm the transfer.", to=[{"handle": bank, "name": ""}])
    await house.drain()
    (asked,) = house.outgoing()
    inbound = mail(bank, "Confidential: the account is under review.", answers=asked["Message-ID"], dmarc="pass")
    await house.receive(story.desk, inbound)
    assert [row["text"].strip() for row in await story.joined()] == ["Confidential: the account is under review."]
    await house.reply(story.conversation_id, "Mina, we are looking into it.")
    await house.drain()
    (sent,) = house.outgoing()
    assert MINA in str(sent["To"])
    assert "Confidential" not in sent.as_string()
    assert "Where is my withdrawal?" in sent.as_string()


async def test_a_letter_that_only_looks_like_the_participants_is_another_sender(house: House) -> None:
    story = await begin(house)
    look_alike = MINA.replace("mina", "m\u0131na")
    kelvin = "mark@customer.test".replace("k", "\u212a")
    await house.receive(story.desk, mail("mark@customer.test", "I am Mark.", dmarc="pass"))
    (mark,) = await story.others()
    *_, said = house.outgoing()
    await house.receive(
        story.desk,
        mail(look_alike, "One", answers=story.said["Message-ID"], dmarc="pass"),
        mail(kelvin, "Two", answers=said["Message-ID"], dmarc="pass"),
    )
    assert not await story.joined()
    assert len(await house.incoming(mark["id"])) == 1
    assert len({row["contact_id"] for row in await house.conversations()}) == 4
