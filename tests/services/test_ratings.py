"""Asking contacts how it went: after a conversation stayed resolved, once, by the one way out; and what they say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, select, update

from helpdesk import clock
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import HelpdeskError
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import deliveries, messages
from helpdesk.models.rules import ratings as rating_rows
from helpdesk.services import conversations as verbs
from helpdesk.services import rating_requests, ratings
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House, mail

MINA = "mina@customer.test"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ANNA = Actor(AuthorKind.AGENT, name="Anna", role=Role.ADMIN)


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox(rating="on")


async def helped(house: House, desk: Desk, sender: str = MINA, text: str = "My transfer is lost.") -> UUID:
    """Somebody writes and is answered."""
    await house.receive(desk, mail(sender, text, subject="Zanzibar", dmarc="pass"))
    found = (await house.conversations())[-1]["id"]
    await house.reply(found)
    await house.drain()
    house.outgoing()
    return UUID(str(found))


async def change(house: House, conversation_id: UUID, **wanted: Any) -> None:
    async with house.services.database.transaction() as session:
        row = await get_conversation(session, ANNA, conversation_id, lock=True)
        await verbs.change(house.services, session, row, wanted, by=ANNA, now=clock.now())
    await house.relay()


async def ask(house: House, *, at: timedelta = HOUR) -> int:
    async with house.services.database.transaction() as session:
        return await rating_requests.ask(house.services, session, now=clock.now() + at)


async def asked(house: House, desk: Desk, **how: Any) -> tuple[UUID, EmailMessage]:
    """Helped, resolved, and asked: the conversation and the letter."""
    conversation_id = await helped(house, desk, **how)
    await change(house, conversation_id, status="resolved")
    assert await ask(house) == 1
    await send_later(house)
    (letter,) = house.outgoing()
    return conversation_id, letter


async def send_later(house: House) -> None:
    """What was queued an hour from now is due at once."""
    async with house.services.database.transaction() as session:
        await session.execute(update(deliveries).values(next_attempt_at=clock.now()))
    await house.drain()


def token_in(letter: EmailMessage) -> str:
    part = letter.get_body(("plain",))
    assert part is not None
    found = re.search(r"/rate/([\w-]{43})\s", part.get_content())
    assert found, part.get_content()
    return found[1]


async def told(house: House, conversation_id: UUID) -> list[RowMapping]:
    mine = (events.c.conversation_id == conversation_id, events.c.type == "conversation.updated")
    return [row for row in await house.rows(events, *mine) if "rating" in row["data"]["changes"]]


async def rate(services: Services, token: str, score: int, comment: str = "", *, now: datetime | None = None) -> Any:
    return await ratings.give(
        services, token, score=score, comment=comment, address="192.0.2.1", now=now or clock.now()
    )


async def test_who_was_helped_is_asked_once_it_stayed_resolved(house: House, desk: Desk) -> None:
    conversation_id = await helped(house, desk)
    before = (await house.conversations())[0]
    await change(house, conversation_id, status="resolved")
    assert await ask(house, at=HOUR - timedelta(seconds=30)) == 0
    assert await ask(house) == 1
    await send_later(house)
    (letter,) = house.outgoing()
    assert letter["Auto-Submitted"] == "auto-generated"
    assert (letter["In-Reply-To"], str(letter["To"])) == (None, MINA)
    assert letter["Subject"] == f"How did we do? [#{before['number']}]"
    assert "zanzibar" not in letter.as_string().lower()
    html = letter.get_body(("html",))
    assert html is not None
    assert f"/rate/{token_in(letter)}?score=5" in html.get_content()
    # It is no answer, it opens nothing, and nobody but its addressee can read the link.
    row = (await house.conversations())[0]
    for name in ("status", "last_agent_seq", "last_message_direction", "last_activity_at", "waiting_since", "preview"):
        assert row[name] == before[name] or name == "status"
    assert (row["status"], row["message_count"]) == ("resolved", before["message_count"] + 1)
    (stored,) = await house.rows(messages, messages.c.auto_submitted == "auto-generated")
    assert (stored["author_kind"], stored["delivery_status"]) == ("system", "sent")
    assert token_in(letter) not in stored["text"] + (stored["html"] or "")
    (rating,) = await house.rows(rating_rows)
    assert (rating["state"], rating["message_id"], rating["score"]) == ("asked", stored["id"], None)
    assert token_in(letter) not in str(dict(rating))


async def test_it_is_asked_in_the_language_that_the_contact_writes(house: House, desk: Desk) -> None:
    _, letter = await asked(house, desk, sender="li@customer.test", text="我的转账不见了，请帮我看看。")
    assert letter["Subject"].startswith("请评价我们的服务")


async def test_nobody_is_asked_where_the_inbox_does_not(house: House) -> None:
    silent = await house.inbox("silent@wallet.test")
    await change(house, await helped(house, silent), status="resolved")
    assert await house.rows(rating_rows) == []


async def test_what_came_back_is_asked_about_when_it_is_resolved_again(house: House, desk: Desk) -> None:
    mina = await helped(house, desk)
    await change(house, mina, status="resolved")
    await change(house, mina, status="open")
    assert await ask(house) == 0
    await change(house, mina, status="resolved")
    await change(house, mina, status="closed")
    assert await ask(house) == 1
    assert [row["outcome"] for row in await house.rows(rating_rows)] == ["reopened", "asked"]


async def test_a_contact_is_asked_once_in_a_while_and_two_who_ask_ask_once(house: House, desk: Desk) -> None:
    first, second = await helped(house, desk), await helped(house, desk, text="And one more.")
    await change(house, first, status="resolved")
    await change(house, second, status="resolved")
    counts = await asyncio.gather(ask(house), ask(house))
    assert sum(counts) == 2
    assert sorted(row["outcome"] for row in await house.rows(rating_rows)) == ["asked", "asked_lately"]
    # He was known as two: what the other one was asked counts for both.
    (contact_id,) = {row["contact_id"] for row in await house.conversations()}
    twin = await factories.contact(house.services)
    async with house.services.database.transaction() as session:
        await session.execute(update(contacts).where(contacts.c.id == twin).values(merged_into_id=contact_id))
        await session.execute(update(rating_rows).values(contact_id=twin))
    second = await helped(house, desk, text="Another one.")
    await change(house, second, status="resolved")
    await ask(house)
    assert (await house.rows(rating_rows))[-1]["outcome"] == "asked_lately"
    third = await helped(house, desk, text="Once more.")
    async with house.services.database.transaction() as session:
        earlier = {"asked_at": clock.now() - 31 * DAY}
        await session.execute(update(rating_rows).where(rating_rows.c.state == "asked").values(earlier))
    await change(house, third, status="resolved")
    await ask(house)
    assert (await house.rows(rating_rows))[-1]["outcome"] == "asked"


async def test_facts_of_the_conversation_stand_against_asking(house: House, desk: Desk) -> None:
    """Each by its own way through the database; the reasons themselves are `test_ratings` of the domain."""
    wanted: dict[UUID, str] = {}
    robot = await helped(house, desk, "robot@customer.test")
    await _set(house, messages, robot, {"auto_submitted": "auto-replied"}, messages.c.type == "incoming")
    wanted[robot] = "automatic"
    forged = await helped(house, desk, "forged@customer.test")
    await _set(house, messages, forged, {"sender_verified": False}, messages.c.type == "incoming")
    wanted[forged] = "unverified"
    await house.receive(desk, mail("silent@customer.test", dmarc="pass"))
    unanswered = UUID(str((await house.conversations())[-1]["id"]))
    wanted[unanswered] = "unanswered"
    queued = await helped(house, desk, "queued@customer.test")
    await house.reply(queued, undo_seconds=300)
    wanted[queued] = "later"
    for one in wanted:
        await change(house, one, status="resolved")
    assert await ask(house) == len(wanted)
    assert {row["conversation_id"]: row["outcome"] for row in await house.rows(rating_rows)} == wanted
    states = {row["outcome"]: row["state"] for row in await house.rows(rating_rows)}
    assert (states["later"], states["automatic"]) == ("planned", "dropped")


async def _set(house: House, table: Any, conversation_id: UUID, values: dict[str, Any], *where: Any) -> None:
    async with house.services.database.transaction() as session:
        mine = update(table).where(table.c.conversation_id == conversation_id, *where)
        await session.execute(mine.values(values))


async def test_a_rating_is_kept_noted_and_can_be_changed_until_it_is_too_late(house: House, desk: Desk) -> None:
    conversation_id, letter = await asked(house, desk)
    token, services = token_in(letter), house.services
    first = await rate(services, token, 2, "  Slow.\r\nVery. ")
    assert (first.score, first.comment) == (2, "Slow.\nVery.")
    await rate(services, token, 2, "Slow.\nVery.")
    await rate(services, token, 5)
    (row,) = await house.rows(rating_rows)
    assert (row["score"], row["comment"], row["rated_at"] is not None) == (5, "", True)
    noted = await told(house, conversation_id)
    assert [one["data"]["changes"]["rating"] for one in noted] == [[None, 2], [2, 5]]
    assert noted[0]["data"]["by"] == f"contact:{row['contact_id']}"
    assert "Slow" not in str([dict(one) for one in noted])
    for wrong, status in ((0, 422), (6, 422), (None, 422)):
        with pytest.raises(HelpdeskError) as refused:
            await ratings.give(services, token, score=wrong, comment="", address="192.0.2.1", now=clock.now())
        assert refused.value.code == status
    await change(house, conversation_id, status="closed")
    with pytest.raises(HelpdeskError) as late:
        await rate(services, token, 1, now=clock.now() + 15 * DAY)
    assert (late.value.code, late.value.problem) == (410, "rating_over")
    assert (await house.row(rating_rows))["score"] == 5


async def test_a_conversation_that_went_into_another_notes_its_rating_there(house: House, desk: Desk) -> None:
    source, letter = await asked(house, desk)
    target = await helped(house, desk, "other@customer.test")
    async with house.services.database.transaction() as session:
        mine = update(conversations).where(conversations.c.id == source)
        await session.execute(mine.values(merged_into_id=target, status="closed", status_changed_at=clock.now()))
    await rate(house.services, token_in(letter), 4)
    assert [len(await told(house, one)) for one in (source, target)] == [0, 1]


async def test_a_link_that_was_never_sent_is_no_link(house: House, desk: Desk) -> None:
    mina = await helped(house, desk)
    await change(house, mina, status="resolved")
    (row,) = await house.rows(rating_rows)
    token = rating_requests.secret_of(house.services, row["id"])
    for wrong in (token, "nobody's", ""):
        with pytest.raises(HelpdeskError) as refused:
            await rate(house.services, wrong, 5)
        assert refused.value.code == 404
    async with house.services.database.reading() as session:
        assert await session.scalar(select(rating_rows.c.score)) is None
