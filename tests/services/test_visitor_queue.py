"""Waiting for an agent: what is kept of it, what visitors are told, and what becomes of whom nobody came for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import RowMapping, insert, select, update

from helpdesk import clock
from helpdesk.db import new_id
from helpdesk.domain.events import MessageReceived
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.models.agents import agents, api_tokens
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.visitors import visits
from helpdesk.services import agents as agent_verbs
from helpdesk.services import conversations as verbs
from helpdesk.services import events, teams, visitor_queue
from helpdesk.services import visits as visit_verbs
from helpdesk.services.access import get_conversation
from helpdesk.services.visitor_queue import Place
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import House
from workers.routing import route, take_back
from workers.visits import look_after

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ALWAYS = [[["00:00", "24:00"]]] * 7
ROUTING = {"method": "round_robin", "capacity": 10, "skills": "ignore", "take_back_minutes": None, "only_on_duty": True}


class Queue:
    """A chat inbox of a team, with one agent who is there."""

    def __init__(self, house: House, team_id: UUID, inbox_id: UUID, anna: factories.Someone, hours: UUID) -> None:
        self.house, self.services = house, house.services
        self.team_id, self.inbox_id, self.anna, self.hours = team_id, inbox_id, anna, hours
        self.by = Actor(AuthorKind.AGENT, anna.id, "Anna", Role.AGENT, (inbox_id,), (team_id,))

    @classmethod
    async def open(cls, house: House) -> Queue:
        services = house.services
        hours = await factories.hours(services, default=True, weekly=ALWAYS)
        anna = await factories.agent(services)
        team_id = await factories.team(services, members=[anna.id])
        inbox_id = await factories.inbox(services, channel="chat", team_id=team_id)
        queue = cls(house, team_id, inbox_id, anna, hours)
        await queue.sees(clock.now())
        return queue

    async def sees(self, at: datetime | None) -> None:
        """When Anna was seen last."""
        async with self.services.database.transaction() as session:
            mine = update(api_tokens).where(api_tokens.c.agent_id == self.anna.id)
            await session.execute(mine.values(last_used_at=at))

    async def routes(self, **given: Any) -> None:
        async with self.services.database.transaction() as session:
            team = await teams.get_team(session, self.team_id)
            await teams.edit(session, team, routing=ROUTING | given, by=SYSTEM, now=clock.now())

    async def comes(self, *, ago: timedelta = 2 * SECOND, proved: str = "", **given: Any) -> UUID:
        """A visitor who began to wait so long ago, and is there for some time to come."""
        at = clock.now() - ago
        usual: dict[str, Any] = {"team_id": self.team_id, "handle": f"visitor-{uuid4().hex}", "waiting_since": at}
        found = await factories.conversation(self.services, inbox_id=self.inbox_id, now=at, **usual | given)
        async with self.services.database.transaction() as session:
            row = await get_conversation(session, SYSTEM, found)
            await visit_verbs.begin(session, row, contact_id=row["contact_id"], now=at)
            await visit_verbs.online(session, [found], until=clock.now() + MINUTE, now=at)
            if proved:
                him = {"contact_id": row["contact_id"], "channel": "email", "handle": proved, "display": ""}
                him |= {"id": new_id(), "verified": True, "automatic_held_at": None, "created_at": at}
                await session.execute(insert(contact_identities).values(him))
        return found

    async def sets(self, conversation_id: UUID, **values: Any) -> None:
        async with self.services.database.transaction() as session:
            mine = update(visits).where(visits.c.conversation_id == conversation_id)
            await session.execute(mine.values(values))

    async def does(self, conversation_id: UUID, by: Actor | None = None, **wanted: Any) -> None:
        """Somebody changes it, and it is relayed."""
        async with self.services.database.transaction() as session:
            found = await get_conversation(session, SYSTEM, conversation_id, lock=True)
            await verbs.change(self.services, session, found, wanted, by=by or self.by, now=clock.now())
        await self.house.relay()

    async def visit(self, conversation_id: UUID) -> RowMapping:
        return await self.house.row(visits, visits.c.conversation_id == conversation_id)

    async def places(self, *conversation_ids: UUID) -> list[Place | None]:
        found = await visitor_queue.places(self.services.database, conversation_ids, now=clock.now())
        return [found.get(one) for one in conversation_ids]

    async def has(self, conversation_id: UUID) -> UUID | None:
        found: UUID | None = (await self.house.row(conversations, conversations.c.id == conversation_id))["assignee_id"]
        return found


@pytest.fixture
async def house(services: Any) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


async def test_he_waits_until_somebody_takes_it_and_again_when_it_is_given_back(house: House) -> None:
    queue = await Queue.open(house)
    chat = await queue.comes(ago=30 * SECOND)
    await queue.does(chat, assignee_id=queue.anna.id)
    visit = await queue.visit(chat)
    assert (visit["queued_at"], visit["joined_at"] is None, visit["responded_at"]) == (None, False, None)
    assert 30 <= visit["waited_seconds"] < 35
    await queue.does(chat, assignee_id=None)
    again = await queue.visit(chat)
    assert again["queued_at"] is not None
    assert again["joined_at"] == visit["joined_at"]
    await house.reply(chat, "Here I am.")
    await house.relay()
    answered = await queue.visit(chat)
    assert (answered["queued_at"], answered["responded_at"] is None) == (None, False)
    await queue.does(chat, status="resolved")
    assert (await queue.visit(chat))["ended_at"] is not None
    await queue.does(chat, status="open")
    opened = await queue.visit(chat)
    assert (opened["ended_at"], opened["queued_at"] is None) == (None, False)


@ON_ONE_DATABASE
async def test_the_first_answer_of_somebody_who_has_not_taken_it_joins_as_well_and_a_note_does_not(
    house: House,
) -> None:
    queue = await Queue.open(house)
    chat, feedback = await queue.comes(), await queue.comes()
    await queue.sets(feedback, feedback=True, queued_at=None)
    await house.reply(chat, "Who is that?", private=True)
    await house.relay()
    assert (await queue.visit(chat))["joined_at"] is None
    await house.reply(chat, "Hello!")
    await queue.does(feedback, team_id=None)
    await house.relay()
    visit = await queue.visit(chat)
    assert (visit["queued_at"], visit["joined_at"]) == (None, visit["responded_at"])
    assert (await queue.visit(feedback))["queued_at"] is None, "nobody waits behind a form"


async def test_who_ends_it_before_anybody_came_has_abandoned_it(house: House) -> None:
    queue = await Queue.open(house)
    left, served = await queue.comes(), await queue.comes()
    await queue.does(served, assignee_id=queue.anna.id)
    for chat in (left, served):
        contact_id = (await queue.visit(chat))["contact_id"]
        await queue.does(chat, by=Actor(AuthorKind.CONTACT, contact_id), status="resolved")
    abandoned, over = await queue.visit(left), await queue.visit(served)
    assert (abandoned["abandoned_at"] is None, abandoned["queued_at"], abandoned["missed"]) == (False, None, False)
    assert (over["abandoned_at"], over["ended_at"] is None) == (None, False)


async def test_places_are_told_as_routing_would_take_them_while_somebody_serves_the_queue(house: House) -> None:
    queue = await Queue.open(house)
    second, first = await queue.comes(), await queue.comes(ago=MINUTE)
    urgent = await queue.comes(priority=3)
    elsewhere = await queue.comes(team_id=None)
    for given in ({"assignee_id": queue.anna.id}, {"status": "resolved"}, {"spam": True}):
        await queue.comes(ago=MINUTE, **given)
    mail = await factories.conversation(house.services, inbox_id=await factories.inbox(house.services))
    found = await queue.places(urgent, first, second, elsewhere, mail)
    assert found == [Place(1, None), Place(2, None), Place(3, None), Place(1, None), None]
    assert await queue.places(second) == [Place(3, None)]
    await queue.sees(clock.now() - 6 * MINUTE)
    assert await queue.places(first) == [None]
    await queue.sees(clock.now())
    async with house.services.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == queue.anna.id).values(duty="off"))
    assert await queue.places(first, elsewhere) == [None, None]


@ON_ONE_DATABASE
async def test_how_long_it_takes_is_told_from_those_who_were_taken_lately(house: House) -> None:
    queue = await Queue.open(house)
    now = clock.now()
    for number in range(1, 6):
        joined = now - number * MINUTE
        chat = await queue.comes(ago=number * MINUTE + 20 * SECOND, assignee_id=queue.anna.id)
        await queue.sets(chat, joined_at=joined, queued_at=None)
    first, second = await queue.comes(ago=SECOND), await queue.comes(ago=timedelta(0))
    one, two = await queue.places(first, second)
    assert one is not None
    assert two is not None
    assert (one.position, two.position) == (1, 2)
    assert (one.eta, two.eta) == (20, 40)


async def test_an_inbox_is_attended_while_it_is_open_and_somebody_who_may_answer_is_there(house: House) -> None:
    queue = await Queue.open(house)
    named = await factories.agent(house.services)
    closed = await factories.inbox(house.services, channel="chat", members=[named.id])
    asked = [queue.inbox_id, closed, uuid4()]

    async def attended() -> frozenset[UUID]:
        return await visitor_queue.attended(house.services.database, asked, now=clock.now())

    assert await attended() == {queue.inbox_id}
    async with house.services.database.transaction() as session:
        mine = update(api_tokens).where(api_tokens.c.agent_id == named.id)
        await session.execute(mine.values(last_used_at=clock.now(), kind="bot"))
    assert await attended() == {queue.inbox_id}, "a bot is nobody"
    await queue.sees(clock.now() - 6 * MINUTE)
    assert await attended() == frozenset()
    await queue.sees(clock.now())
    await factories.hours(house.services, default=True, weekly=[*[[]] * 6, [["00:00", "00:01"]]])
    assert await attended() == frozenset()


async def test_whoever_went_away_or_waits_at_a_closed_desk_was_missed_and_goes_on_by_mail(house: House) -> None:
    queue = await Queue.open(house)
    desk = await house.inbox()
    now = clock.now()
    gone = await queue.comes(ago=5 * MINUTE, proved="mina@customer.test")
    unknown, lift = await queue.comes(ago=5 * MINUTE), await queue.comes(ago=5 * MINUTE)
    for chat, away in ((gone, 2 * MINUTE), (unknown, 2 * MINUTE), (lift, 50 * SECOND)):
        await queue.sets(chat, online_until=now - away)
    taken, there = await queue.comes(ago=5 * MINUTE, assignee_id=queue.anna.id), await queue.comes()
    await queue.sets(taken, online_until=now - 2 * MINUTE)
    assert await look_after(house.services) == 2
    assert await look_after(house.services) == 0
    for chat in (gone, unknown):
        visit = await queue.visit(chat)
        assert (visit["missed"], visit["queued_at"], visit["abandoned_at"]) == (True, None, now - 2 * MINUTE)
        assert 178 <= visit["waited_seconds"] <= 180
    for chat in (lift, taken, there):
        assert not (await queue.visit(chat))["missed"]
    mailed = await house.row(conversations, conversations.c.id == gone)
    assert (mailed["channel"], mailed["inbox_id"], mailed["status"]) == ("email", desk.id, "open")
    assert (await house.row(conversations, conversations.c.id == unknown))["channel"] == "chat"
    await factories.hours(house.services, default=True, weekly=[*[[]] * 6, [["00:00", "00:01"]]])
    assert await look_after(house.services) == 2
    closed = await queue.visit(there)
    assert (closed["missed"], closed["abandoned_at"]) == (True, None)


@ON_ONE_DATABASE
async def test_who_was_missed_and_comes_back_waits_again_and_then_was_not_missed(house: House) -> None:
    queue = await Queue.open(house)
    chat = await queue.comes(ago=5 * MINUTE)
    await queue.sets(chat, online_until=clock.now() - 2 * MINUTE)
    await look_after(house.services)
    message_id = await factories.incoming(house.services, chat)
    async with house.services.database.transaction() as session:
        again = MessageReceived(
            conversation_id=chat,
            seq=2,
            message_id=message_id,
            inbox_id=queue.inbox_id,
            channel="chat",
            first=False,
            silent=False,
        )
        await events.record(session, again, now=clock.now())
    await house.relay()
    waits = await queue.visit(chat)
    assert (waits["missed"], waits["queued_at"] is None) == (True, False)
    assert await queue.places(chat) == [Place(1, None)]
    await queue.does(chat, assignee_id=queue.anna.id)
    joined = await queue.visit(chat)
    assert (joined["missed"], joined["abandoned_at"], joined["joined_at"] is None) == (False, None, False)


async def test_chats_go_to_who_has_room_for_chats_and_come_back_when_he_goes_away(house: House) -> None:
    queue = await Queue.open(house)
    await queue.routes(capacity=1, live_capacity=2)
    hour_ago = clock.now() - 60 * MINUTE
    mail_inbox = await factories.inbox(house.services)
    mails = [
        await factories.conversation(house.services, inbox_id=mail_inbox, team_id=queue.team_id, now=hour_ago)
        for _ in range(2)
    ]
    missed = await queue.comes(ago=60 * MINUTE)
    await queue.sets(missed, missed=True, queued_at=None)
    chats = [await queue.comes(ago=number * SECOND) for number in (9, 6, 3)]
    settling = await queue.comes(ago=timedelta(0))
    assert await route(house.services) == 3
    assert [await queue.has(one) is not None for one in chats] == [True, True, False]
    assert sum([await queue.has(one) is not None for one in (*mails, missed)]) == 1
    assert await queue.has(settling) is None
    rung: list[frozenset[str]] = []
    house.services.database.on_commit = rung.append
    await queue.does(chats[0], status="resolved")
    assert any("routing" in names for names in rung), "whoever ends a chat is given the next at once"
    assert await route(house.services) == 1
    assert await queue.has(chats[2]) == queue.anna.id
    async with house.services.database.transaction() as session:
        mine = update(conversations).where(conversations.c.id.in_(chats[1:]))
        await session.execute(mine.values(assigned_at=hour_ago))
    assert await take_back(house.services) == 0
    await queue.sees(clock.now() - 3 * MINUTE)
    assert await take_back(house.services) == 2
    await house.relay()
    async with house.services.database.reading() as session:
        back = select(visits.c.conversation_id).where(visits.c.queued_at.is_not(None))
        assert {*chats[1:], settling} == set((await session.execute(back)).scalars())
    assert await route(house.services) == 0, "who is away for chats is given none"


@ON_ONE_DATABASE
async def test_the_queue_is_looked_through_when_an_agent_comes_on_duty_or_can_take_more(house: House) -> None:
    queue = await Queue.open(house)
    await queue.routes()
    chat = await queue.comes()
    rung: list[frozenset[str]] = []
    house.services.database.on_commit = rung.append
    for wanted in ({"duty": "off"}, {"duty": "on"}, {"live_capacity": 5}, {"locale": "zh-CN"}):
        async with house.services.database.transaction() as session:
            row = await agent_verbs.get_agent(session, queue.anna.id, lock=True)
            await agent_verbs.edit(session, row, wanted, by=SYSTEM, now=clock.now())
    assert ["routing" in names for names in rung] == [True, True, True]
    assert await route(house.services) == 1
    assert await queue.has(chat) == queue.anna.id


async def test_who_answers_a_chat_that_nobody_has_is_not_crossed_until_his_visitor_waits_too_long(house: House) -> None:
    queue = await Queue.open(house)
    await queue.routes()
    chat = await queue.comes()
    await house.reply(chat, "Hello!")
    await house.relay()
    assert await route(house.services) == 0
    for ago, queued in ((MINUTE, False), (3 * MINUTE, True)):
        async with house.services.database.transaction() as session:
            mine = update(conversations).where(conversations.c.id == chat)
            await session.execute(mine.values(waiting_since=clock.now() - ago))
        assert await look_after(house.services) == int(queued)
        assert ((await queue.visit(chat))["queued_at"] is not None) == queued
    assert await look_after(house.services) == 0
    assert await route(house.services) == 1
    assert await queue.has(chat) == queue.anna.id
