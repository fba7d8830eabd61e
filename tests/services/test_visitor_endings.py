"""How a chat ends: by either side, with a question how it was while he is there, and with a letter once he has left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import Conflict, Invalid
from helpdesk.live import ItemKind, Visitor
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import deliveries
from helpdesk.models.rules import ratings
from helpdesk.models.visitors import visits
from helpdesk.services import conversations as verbs
from helpdesk.services import (
    rating_requests,
    spam,
    transferring,
    visitor_endings,
    visitor_log,
    visitor_messages,
    visitor_sessions,
)
from helpdesk.services import visits as visit_verbs
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import House, mail

MINUTE = timedelta(minutes=1)
ANNA = Actor(AuthorKind.AGENT, name="Anna", role=Role.ADMIN)


class Chat:
    """One visitor of an inbox that asks for ratings, who is there and has been answered."""

    def __init__(self, house: House, inbox_id: UUID, token: str) -> None:
        self.house, self.services, self.inbox_id, self.token = house, house.services, inbox_id, token

    @classmethod
    async def open(cls, house: House, *, answered: bool = True, noted: bool = True, rating: str = "on") -> Chat:
        services = house.services
        inbox_id = await factories.inbox(services, channel="chat", rating=rating)
        async with services.database.transaction() as session:
            who: dict[str, Any] = {"identity": None, "name": "Mina", "email": "", "language": "en", "fields": {}}
            opened = await visitor_sessions.begin(services, session, inbox_id, **who, now=clock.now())
        chat = cls(house, inbox_id, opened.token)
        await chat.says("Where is my withdrawal?")
        if noted:
            await chat.there(MINUTE)
        if answered:
            await house.reply(await chat.id(), "It is on its way.")
        await house.relay()
        return chat

    async def who(self) -> Visitor:
        return await visitor_sessions.find(self.services.database, self.token, now=clock.now())

    async def id(self) -> UUID:
        found = (await self.who()).conversation_id
        assert found is not None
        return found

    async def says(self, text: str) -> None:
        async with self.services.database.transaction() as session:
            given: dict[str, Any] = {"client_id": new_id().hex, "text": text}
            await visitor_messages.say(self.services, session, await self.who(), **given, now=clock.now())

    async def there(self, lasts: timedelta | None) -> None:
        now = clock.now()
        async with self.services.database.transaction() as session:
            until = None if lasts is None else now + lasts
            await visit_verbs.online(session, [await self.id()], until=until, now=now)

    async def changes(self, **wanted: Any) -> None:
        async with self.services.database.transaction() as session:
            row = await get_conversation(session, ANNA, await self.id(), lock=True)
            await verbs.change(self.services, session, row, wanted, by=ANNA, now=clock.now())

    async def leaves(self) -> None:
        async with self.services.database.transaction() as session:
            await visitor_endings.leave(self.services, session, await self.who(), now=clock.now())

    async def rates(self, score: int, comment: str = "") -> None:
        async with self.services.database.transaction() as session:
            said: dict[str, Any] = {"score": score, "comment": comment}
            await visitor_endings.rate(self.services, session, await self.who(), **said, now=clock.now())

    async def states(self) -> Sequence[Any]:
        """What he is shown of how it stands, in order."""
        log = await visitor_log.after(self.services.database, await self.who(), await self.id(), 0, limit=100)
        return [item.data for item in log.items if item.kind is ItemKind.STATE]

    async def row(self) -> Any:
        return await self.house.row(conversations, conversations.c.id == await self.id())

    async def ratings(self) -> Sequence[Any]:
        found = await self.house.rows(ratings, ratings.c.conversation_id == await self.id())
        return sorted(found, key=lambda row: row["resolved_at"])


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


async def test_who_is_there_is_asked_where_he_is_and_may_think_better_of_it(house: House) -> None:
    chat = await Chat.open(house)
    await chat.changes(status="resolved")
    assert (await chat.states())[-1] == {"state": "resolved", "rating": True}
    await chat.rates(4)  # before the relay has come to it
    await house.relay()
    await chat.rates(2, " It took \r\nlong. ")
    (rating,) = await chat.ratings()
    assert (rating["state"], rating["score"], rating["comment"]) == ("asked", 2, "It took \nlong.")
    assert (rating["message_id"], rating["channel"], rating["contact_id"]) == (
        None,
        "chat",
        (await chat.who()).contact_id,
    )
    told = [e["data"] for e in await house.rows(events, events.c.type == "conversation.updated")]
    assert [data["changes"]["rating"] for data in told if "rating" in data["changes"]] == [[None, 4], [4, 2]]
    with pytest.raises(Invalid):
        await chat.rates(6)
    await chat.says("One more thing.")
    assert (await chat.states())[-1]["rating"] is False
    with pytest.raises(Conflict):
        await chat.rates(5)
    await chat.changes(status="resolved")
    await house.relay()
    await chat.rates(5)
    assert [row["score"] for row in await chat.ratings()] == [2, 5]
    async with house.services.database.transaction() as session:
        assert await rating_requests.ask(house.services, session, now=clock.now() + 70 * MINUTE) == 0


@ON_ONE_DATABASE
async def test_who_has_only_just_begun_is_there_before_anybody_has_noted_it(house: House) -> None:
    chat = await Chat.open(house, noted=False)
    await chat.changes(status="resolved")
    assert (await chat.states())[-1] == {"state": "resolved", "rating": True}


@ON_ONE_DATABASE
@pytest.mark.parametrize("how", ["not answered", "not asking", "away", "spam", "closed"])
async def test_nobody_is_asked_who_was_not_served_is_not_there_or_is_not_to_be_asked(house: House, how: str) -> None:
    rating = "off" if how == "not asking" else "on"
    chat = await Chat.open(house, answered=how != "not answered", rating=rating)
    if how == "away":
        await chat.there(None)
    if how == "spam":
        async with house.services.database.transaction() as session:
            row = await get_conversation(session, ANNA, await chat.id(), lock=True)
            await spam.mark(house.services, session, row, by=ANNA, now=clock.now())
        assert (await chat.states())[-1] == {"state": "resolved", "rating": False}
    else:
        await chat.changes(status="closed" if how == "closed" else "resolved")
        assert (await chat.states())[-1]["rating"] is False if how != "closed" else True
    with pytest.raises(Conflict):
        await chat.rates(5)


async def test_who_has_left_is_asked_by_a_letter_to_the_address_that_he_has_proved(house: House) -> None:
    desk = await house.inbox()
    known, unknown = await Chat.open(house), await Chat.open(house)
    async with house.services.database.transaction() as session:
        him = {"contact_id": (await known.who()).contact_id, "channel": "email", "handle": "mina@customer.test"}
        him |= {"id": new_id(), "display": "", "verified": True, "automatic_held_at": None, "created_at": clock.now()}
        await session.execute(insert(contact_identities).values(him))
    for chat in (known, unknown):
        await chat.there(None)
        await chat.changes(status="resolved")
    await house.relay()
    async with house.services.database.transaction() as session:
        assert await rating_requests.ask(house.services, session, now=clock.now() + 70 * MINUTE) == 2
        await session.execute(update(deliveries).values(next_attempt_at=clock.now()))
    await house.drain()
    (letter,) = house.outgoing()
    assert (str(letter["To"]), letter["From"].addresses[0].addr_spec) == ("mina@customer.test", desk.address)
    assert "/rate/" in letter.as_string()
    assert [row["outcome"] for chat in (known, unknown) for row in await chat.ratings()] == ["asked", "not_offered"]
    thanks = mail("mina@customer.test", "Thank you!", to=str(letter["Reply-To"] or letter["From"]), dmarc="pass")
    await house.receive(desk, thanks)
    assert [row["id"] for row in await house.conversations() if row["status"] == "open"] == [await known.id()]


async def test_he_ends_it_himself_and_opens_it_again_by_writing(house: House) -> None:
    chat = await Chat.open(house)
    await chat.leaves()
    await chat.leaves()
    contact_id = (await chat.who()).contact_id
    (ended,) = await house.rows(events, events.c.type == "conversation.status_changed")
    assert ended["data"] == {"before": "open", "after": "resolved", "by": f"contact:{contact_id}"}
    assert (await chat.states())[-1] == {"state": "resolved", "rating": True}
    before = await chat.id()
    await chat.says("Wait!")
    assert ((await chat.row())["status"], await chat.id()) == ("open", before)


@ON_ONE_DATABASE
async def test_nobody_ends_or_rates_what_is_anothers_by_merging(house: House) -> None:
    chat = await Chat.open(house)
    mail_inbox = await factories.inbox(house.services)
    other = await factories.conversation(house.services, inbox_id=mail_inbox)
    async with house.services.database.transaction() as session:
        mine = update(conversations).where(conversations.c.id == await chat.id())
        await session.execute(mine.values(merged_into_id=other, status="closed"))
        resolved = {"contact_id": (await row_of(house, other))["contact_id"], "conversation_id": other}
        visit = {"inbox_id": chat.inbox_id, "created_at": clock.now(), "rating_asked_at": clock.now() + MINUTE}
        await session.execute(insert(visits).values(resolved | visit))
    await chat.leaves()
    assert (await row_of(house, other))["status"] == "open"
    async with house.services.database.transaction() as session:
        await session.execute(
            update(conversations)
            .where(conversations.c.id == other)
            .values(status="resolved", status_changed_at=clock.now())
        )
    with pytest.raises(Conflict):
        await chat.rates(1)


@ON_ONE_DATABASE
async def test_who_is_handed_on_is_shown_who_is_there_and_never_why(house: House) -> None:
    chat = await Chat.open(house)
    ben = await factories.agent(house.services, name="Ben")
    payments = await factories.team(house.services, members=[ben.id])
    for to in ({"assignee_id": ben.id, "team_id": payments}, {"assignee_id": None, "team_id": payments}):
        async with house.services.database.transaction() as session:
            given: dict[str, Any] = {"note": "He is angry.", "version": (await chat.row())["version"], "by": ANNA}
            await transferring.transfer(house.services, session, await chat.id(), **to, **given, now=clock.now())
        await house.relay()
    log = await visitor_log.after(house.services.database, await chat.who(), await chat.id(), 0, limit=100)
    assert [(item.kind, item.data.get("name") or item.data.get("state")) for item in log.items[2:]] == [
        (ItemKind.JOINED, "Ben"),
        (ItemKind.STATE, "queued"),
    ]
    visit = await house.row(visits, visits.c.conversation_id == await chat.id())
    assert (visit["queued_at"] is None, visit["joined_at"] is None) == (False, False)


async def row_of(house: House, conversation_id: UUID) -> Any:
    return await house.row(conversations, conversations.c.id == conversation_id)
