"""What rules say to contacts: marked as automatic, once, and never where no machine should answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from helpdesk import clock
from helpdesk.domain import automatic_reply
from helpdesk.domain.language import SUPPORTED
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import Invalid
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.desk import canned_responses
from helpdesk.models.events import events
from helpdesk.models.messages import automatic_replies, messages
from helpdesk.models.rules import automation_runs
from helpdesk.models.sla import sla_clocks
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import Desk, House, mail
from tests.services.test_automation import settles
from workers.automate import sweep_rules

HOLIDAY = {"do": "reply", "text": "We are closed today. Your number is {{conversation.number}}."}


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


async def writes(house: House, desk: Desk, text: str = "Hello?", *, sender: str = "mina", **given: Any) -> None:
    """A contact does, rules answer, and what they say is sent."""
    given = {"dmarc": "pass"} | given
    await house.receive(desk, mail(f"Mina <{sender}@customer.test>", text, **given))
    await settles(house.services)
    await house.drain()


def said(house: House, part: str) -> list[EmailMessage]:
    """Of what has left since the last look, the mails with this in their text."""
    return [one for one in house.outgoing() if part in plain(one)]


def plain(one: EmailMessage) -> str:
    body = one.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def problems(house: House) -> list[str]:
    """What became of each run's first action, the oldest first."""
    async with house.services.database.reading() as session:
        found = await session.execute(select(automation_runs.c.actions).order_by(automation_runs.c.id))
    return [actions[0]["problem"] for actions in found.scalars()]


async def test_a_reply_by_rule_is_marked_as_automatic_and_answers_no_promise(house: House, desk: Desk) -> None:
    await factories.policy(house.services)
    await factories.automation_rule(house.services, HOLIDAY)
    await writes(house, desk, "Buy cheap watches", subject="Buy cheap watches")
    (row,) = await house.conversations()
    (answer,) = said(house, "closed today")
    assert answer["Auto-Submitted"] == "auto-replied"
    assert answer["Subject"] == f"About your message [#{row['number']}]"
    assert f"Your number is {row['number']}." in plain(answer)
    assert "watches" not in answer.as_string()
    assert (answer["To"], bool(answer["In-Reply-To"])) == ("mina@customer.test", True)
    (kept,) = [one for one in await house.messages() if "closed today" in one["text"]]
    assert (kept["author_kind"], kept["auto_submitted"], kept["delivery_status"]) == ("system", "auto-replied", "sent")
    assert row["waiting_since"] is not None
    assert (row["last_agent_seq"], row["last_message_direction"]) == (0, "incoming")
    (promise,) = await house.rows(sla_clocks)
    assert promise["ended_at"] is None


@ON_ONE_DATABASE
async def test_a_rule_answers_once_in_a_conversation(house: House, desk: Desk) -> None:
    await factories.automation_rule(house.services, HOLIDAY)
    await writes(house, desk)
    for text in ("And now?", "And then?"):
        await writes(house, desk, text, answers=house.outgoing()[-1]["Message-ID"] if text == "And now?" else "")
    assert (await problems(house))[:2] == ["", "already_replied"]


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("given", "change", "problem"),
    [
        ({"headers": [("Auto-Submitted", "auto-replied")]}, {}, "silent"),
        ({"headers": [("Precedence", "bulk")]}, {}, "silent"),
        ({"dmarc": "fail"}, {}, "unverified"),
        ({}, {"quarantined": True}, "silent"),
        ({}, {"contact_handle": "support@wallet.test"}, "own_address"),
        ({}, {"status": "closed"}, "conversation_closed"),
    ],
)
async def test_no_machine_and_nobody_doubtful_is_answered(
    house: House, desk: Desk, given: dict[str, Any], change: dict[str, Any], problem: str
) -> None:
    await factories.automation_rule(house.services, HOLIDAY)
    await house.receive(desk, mail("Mina <mina@customer.test>", **({"dmarc": "pass"} | given)))
    if change:
        async with house.services.database.transaction() as session:
            await session.execute(update(conversations).values(change))
    await settles(house.services)
    assert await problems(house) == [problem]
    assert await house.rows(automatic_replies) == []


@ON_ONE_DATABASE
async def test_an_address_that_bounced_is_left_alone(house: House, desk: Desk) -> None:
    await factories.automation_rule(house.services, HOLIDAY)
    await house.receive(desk, mail("Mina <mina@customer.test>", dmarc="pass"))
    (row,) = await house.conversations()
    async with house.services.database.transaction() as session:
        await session.execute(update(contact_identities).values(automatic_held_at=row["created_at"]))
    await settles(house.services)
    assert await problems(house) == ["bounced"]


async def test_two_desks_that_answer_each_other_come_to_an_end(house: House, desk: Desk) -> None:
    """The other one says neither that it is a machine nor what it answers, and varies its address."""
    await factories.automation_rule(house.services, HOLIDAY)
    sent = 0
    for turn in range(8):
        await writes(house, desk, f"We are closed, too. Case {turn}.", sender=f"desk+{turn}", subject=f"Case {turn}")
        sent += len(said(house, "closed today"))
    assert sent == automatic_reply.MOST
    assert await problems(house) == [""] * automatic_reply.MOST + ["address_cap"] * (8 - automatic_reply.MOST)


@ON_ONE_DATABASE
async def test_a_canned_response_is_said_in_the_language_of_the_contact(house: House, desk: Desk) -> None:
    texts = {"en": "Closed today.", "zh-CN": "今天休息。", "zh-TW": "今天休息，敬請見諒。"}
    response = await factories.canned_response(house.services, by=SYSTEM, shared="everybody", texts=texts)
    await factories.automation_rule(house.services, {"do": "reply", "canned_response_id": str(response)})
    await writes(house, desk, "我的錢包打不開了，請幫我處理", sender="lin")
    (answer,) = said(house, "敬請見諒")
    (row,) = await house.conversations()
    assert answer["Subject"] == f"關於您的來信 [#{row['number']}]"
    # Whoever changes the text later must not put a contact's words into a machine's mouth either.
    async with house.services.database.transaction() as session:
        await session.execute(update(canned_responses).values(texts={"en": "Hi {{contact.name}}"}))
    await writes(house, desk, sender="chen")
    assert await problems(house) == ["", "invalid"]
    async with house.services.database.reading() as session:
        assert len((await session.execute(select(messages.c.id).where(messages.c.text.like("Hi %")))).all()) == 0


@ON_ONE_DATABASE
async def test_a_rule_on_time_reminds_though_the_event_of_the_message_is_gone(house: House, desk: Desk) -> None:
    still = {"since": "created_at", "minutes": 15, "include_existing": True}
    await writes(house, desk)
    async with house.services.database.transaction() as session:
        await session.execute(delete(events))
        await session.execute(update(conversations).values(created_at=clock.now() - timedelta(hours=1)))
    rule_id = await factories.automation_rule(house.services, HOLIDAY, elapsed=still)
    for _ in range(2):
        await sweep_rules(house.services)
    await house.drain()
    assert (await problems(house), len(said(house, "closed today"))) == ([""], 1)
    assert [row["rule_id"] for row in await house.rows(automatic_replies)] == [rule_id]


@ON_ONE_DATABASE
@pytest.mark.parametrize("name", ["contact.name", "conversation.subject", "agent.name"])
async def test_a_rule_says_nothing_that_is_not_ours(services: Services, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        await factories.automation_rule(services, {"do": "reply", "text": f"Hello {{{{{name}}}}}"})
    assert [one.field for one in refused.value.errors] == ["do.0.text"]
    given = {"shared": "everybody", "texts": {"en": "Hello", "zh-CN": f"您好 {{{{{name}}}}}"}}
    response = await factories.canned_response(services, by=SYSTEM, **given)
    with pytest.raises(Invalid) as refused:
        await factories.automation_rule(services, {"do": "reply", "canned_response_id": str(response)})
    assert [one.field for one in refused.value.errors] == ["do.0.canned_response_id"]


def test_each_language_has_a_subject_of_its_own() -> None:
    assert len({automatic_reply.subject(language, 7) for language in SUPPORTED}) == len(SUPPORTED)
    assert automatic_reply.subject("fr", 7) == automatic_reply.subject("en", 7) == "About your message [#7]"
