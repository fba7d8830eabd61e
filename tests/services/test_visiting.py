"""Reading along: everything once and in its order, whatever was rung, and an end to it when there has to be one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.db import Database, new_id
from helpdesk.domain.events import MessageSent
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import Unavailable
from helpdesk.live import Anew, Ended, Heard, Item, ItemKind, Passing, Visitor
from helpdesk.models.agents import api_tokens
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visitor_sessions as visitor_session_rows
from helpdesk.models.visitors import visits
from helpdesk.services import (
    conversations,
    events,
    merging,
    presence,
    replies,
    visiting,
    visitor_log,
    visitor_messages,
    visitor_news,
    visitor_rooms,
    visitor_sessions,
)
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.presence import State
from helpdesk.services.reply_writing import Draft
from helpdesk.services.visiting import VisitorHub
from helpdesk.services.visitor_rooms import Seat
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.peers.redis import Redis
from workers.doorbell import connector, hear
from workers.relaying import Relaying
from workers.ringing import Doorbell

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Desk:
    """A chat inbox, an agent, and a hub that is rung by the commits of this process."""

    def __init__(self, services: Services, inbox_id: UUID, anna: factories.Someone) -> None:
        self.services, self.database, self.inbox_id, self.anna = services, services.database, inbox_id, anna
        self.by = Actor(AuthorKind.AGENT, anna.id, "Anna", Role.ADMIN)
        self.hub = VisitorHub(services, rung=True)
        self.relaying = Relaying(services, worker="one")
        self.database.on_commit, self.database.on_handed = self.rung, self.handed

    def handed(self, what: Sequence[Any]) -> None:
        self.hub.hear(what)

    def rung(self, names: frozenset[str]) -> None:
        self.hub.ring(sorted(names))

    async def arrive(self, **given: Any) -> tuple[Visitor, str]:
        given = {"identity": None, "name": "Mina", "email": "", "language": "en", "fields": {}} | given
        async with self.database.transaction() as session:
            opened = await visitor_sessions.begin(self.services, session, self.inbox_id, **given, now=clock.now())
        return opened.visitor, opened.token

    async def again(self, token: str) -> Visitor:
        return await visitor_sessions.find(self.database, token, now=clock.now())

    async def chat(self) -> tuple[Visitor, str]:
        """A visitor who has said something."""
        visitor, token = await self.arrive()
        await self.say(visitor, "Hello?")
        return await self.again(token), token

    async def say(self, visitor: Visitor, text: str) -> UUID:
        async with self.database.transaction() as session:
            said = await visitor_messages.say(
                self.services, session, visitor, client_id=new_id().hex, text=text, now=clock.now()
            )
        return said.conversation_id

    async def write(self, conversation_id: UUID, text: str, **given: Any) -> None:
        """Anna answers, or writes a note."""
        async with self.database.transaction() as session:
            row = await get_conversation(session, self.by, conversation_id, lock=True)
            await replies.reply(self.services, session, row, Draft(text, **given), by=self.by, now=clock.now())

    async def change(self, conversation_id: UUID, **changes: Any) -> None:
        async with self.database.transaction() as session:
            row = await get_conversation(session, self.by, conversation_id, lock=True)
            await conversations.change(self.services, session, row, changes, by=self.by, now=clock.now())
        while await self.relaying.step():
            pass

    async def shown(self, visitor: Visitor, conversation_id: UUID) -> list[Item]:
        log = await visitor_log.after(self.database, visitor, conversation_id, 0, limit=1000)
        return list(log.items)


class Reader:
    """A client: what it has, by the rules of the protocol. Whoever is told to begin anew reads all of it."""

    def __init__(self, desk: Desk, visitor: Visitor, seat: Seat, *, has: list[Item]) -> None:
        self._desk, self._visitor, self.seat = desk, visitor, seat
        self.items, self.passed, self.anew = list(has), list[Passing](), list[Anew]()
        self.conversation_id = visitor.conversation_id

    def take(self, heard: Heard) -> None:
        if isinstance(heard, Passing):
            self.passed.append(heard)
        elif isinstance(heard, Anew):
            self.anew.append(heard)
            self.conversation_id, self.items = heard.conversation_id, []
        else:
            before = self.items[-1].seq if self.items else 0
            assert heard.prev_seq == before, f"{heard.seq} follows {heard.prev_seq}, and there is {before}"
            self.items.append(heard)

    async def _read_anew(self) -> None:
        if self.conversation_id is not None:
            shown = await self._desk.shown(self._visitor, self.conversation_id)
            self.items = [one for one in shown if one.seq <= self.anew[-1].head_seq]

    async def until(self, done: Callable[[Reader], object], *, seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not done(self):
                for heard in await self.seat.take():
                    self.take(heard)
                    if isinstance(heard, Anew):
                        await self._read_anew()
                assert self.seat.ended is None, self.seat.ended

    async def until_ended(self, *, seconds: float = 6) -> Ended:
        async with asyncio.timeout(seconds):
            while await self.seat.take():
                pass
        assert self.seat.ended is not None
        return self.seat.ended

    def __call__(self, kind: str) -> list[Any]:
        return [one.data for one in self.passed if one.kind == kind]

    @property
    def said(self) -> list[str]:
        return [one.data["text"] for one in self.items if one.kind == ItemKind.MESSAGE]


class Readers(AsyncExitStack):
    """Clients of one hub, which go away at the end."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    async def come(
        self,
        visitor: Visitor,
        *,
        has: list[Item] | None = None,
        known: UUID | None = None,
        hub: VisitorHub | None = None,
    ) -> Reader:
        after = has[-1].seq if has else 0
        hub = hub or self._desk.hub
        seat = await self.enter_async_context(hub.subscribe(visitor, after=after, conversation_id=known))
        return Reader(self._desk, visitor, seat, has=has or [])


@pytest.fixture
async def desk(services: Services) -> AsyncIterator[Desk]:
    anna = await factories.agent(services, name="Anna", role="admin")
    made = Desk(services, await factories.inbox(services, channel="chat"), anna)
    yield made
    await made.hub.close()
    await made.relaying.close()


async def test_what_is_said_is_told_once_to_each_of_his_tabs_and_notes_never(desk: Desk) -> None:
    visitor, token = await desk.chat()
    other, _ = await desk.arrive()
    conversation_id = visitor.conversation_id
    assert conversation_id is not None
    async with Readers(desk) as readers:
        first, second, stranger = [await readers.come(one) for one in (visitor, await desk.again(token), other)]
        await desk.say(visitor, "Are you there?")
        await desk.write(conversation_id, "He is in a hurry", private=True)
        await desk.write(conversation_id, "Yes, I am")
        for reader in (first, second):
            await reader.until(lambda one: len(one.said) == 3)
            assert reader.said == ["Hello?", "Are you there?", "Yes, I am"]
            assert [one.data.get("client_id") is None for one in reader.items] == [False, False, True]
        assert stranger.items == []
        assert (desk.hub.listeners, desk.hub.visitors) == (3, 2)
    assert (desk.hub.listeners, desk.hub.visitors) == (0, 0)


@pytest.mark.parametrize(
    ("database_url", "seed"),
    [("sqlite", 0), *(("postgresql", seed) for seed in range(1, 4))],
    indirect=["database_url"],
)
async def test_nothing_is_missing_and_nothing_comes_twice_whatever_happens_meanwhile(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    desk.database.on_commit = lambda names: desk.rung(names) if dice.random() < 0.6 else None
    hub = desk.hub = VisitorHub(desk.services)
    visitors = [(await desk.chat())[0] for _ in range(2)]
    rooms = [visitor.conversation_id for visitor in visitors]
    over = asyncio.Event()

    async def speak(number: int) -> None:
        conversation_id = rooms[number]
        assert conversation_id is not None
        for turn in range(10):
            text, what = f"{number}.{turn}", dice.random()
            if what < 0.5:
                await desk.say(visitors[number], text)
            else:
                await desk.write(conversation_id, text, private=what > 0.8)

    async def come_and_go(number: int) -> Reader:
        has: list[Item] = []
        while not over.is_set():
            async with Readers(desk) as readers:
                reader = await readers.come(visitors[number], has=has, known=rooms[number])
                for _ in range(dice.randrange(4)):
                    for heard in await asyncio.wait_for(reader.seat.take(), 5):
                        reader.take(heard)
                    if over.is_set():
                        break
                has = reader.items
                assert not reader.anew
            await asyncio.sleep(0)
        readers = await stack.enter_async_context(Readers(desk))
        return await readers.come(visitors[number], has=has, known=rooms[number])

    async with AsyncExitStack() as stack:
        coming = [asyncio.create_task(come_and_go(number)) for number in (0, 0, 1)]
        await asyncio.gather(*(speak(number) for number in (0, 1)))
        over.set()
        for visitor in visitors:
            await desk.say(visitor, "Thanks")
        for number, reader in zip((0, 0, 1), await asyncio.gather(*coming), strict=True):
            conversation_id = rooms[number]
            assert conversation_id is not None
            shown = await desk.shown(visitors[number], conversation_id)
            await reader.until(lambda one, shown=shown: len(one.items) >= len(shown))
            assert reader.items == shown
    await hub.close()


async def test_a_ring_that_is_lost_is_made_good_soon(desk: Desk) -> None:
    visitor, _ = await desk.chat()
    conversation_id = visitor.conversation_id
    assert conversation_id is not None
    newcomer, _ = await desk.arrive()
    desk.hub = VisitorHub(desk.services)
    async with Readers(desk) as readers:
        here, new = await readers.come(visitor), await readers.come(newcomer)
        await here.until(lambda one: one.said == ["Hello?"])
        desk.database.on_commit = lambda _: None
        await desk.write(conversation_id, "Yes?")
        begun = await desk.say(newcomer, "And I?")
        await asyncio.gather(
            here.until(lambda one: one.said == ["Hello?", "Yes?"], seconds=3),
            new.until(lambda one: one.anew, seconds=3),
        )
        assert new.anew == [Anew(begun, new.items[-1].seq)]
        assert new.said == ["And I?"]


class Reads:
    """How often the log was read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self._after = 0, visitor_log.after
        monkeypatch.setattr(visitor_log, "after", self)

    async def __call__(self, *args: Any, **given: Any) -> Any:
        self.count += 1
        return await self._after(*args, **given)


async def test_what_is_said_here_is_given_without_reading_it_and_is_what_would_be_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, _ = await desk.chat()
    conversation_id = visitor.conversation_id
    assert conversation_id is not None
    async with Readers(desk) as readers:
        here = await readers.come(visitor)
        await here.until(lambda one: one.said == ["Hello?"])
        reads = Reads(monkeypatch)
        for number in range(10):
            await desk.say(visitor, f"{number} 我的提现没有到账")
            await here.until(lambda one, number=number: len(one.said) == number + 2)
        assert reads.count <= 2, "the look every other second may have come between a commit and its ring"
        reads.count = 0
        await desk.write(conversation_id, "A note", private=True)
        await desk.say(visitor, "Are you there?")
        await here.until(lambda one: len(one.said) == 12)
        assert reads.count >= 1, "a note is not given, so that what follows has to be read"
        assert here.items == await desk.shown(visitor, conversation_id)


async def test_whoever_lacks_what_was_said_elsewhere_reads_before_he_is_given_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, token = await desk.chat()
    conversation_id = visitor.conversation_id
    assert conversation_id is not None
    async with Readers(desk) as readers:
        here = await readers.come(visitor)
        await here.until(lambda one: one.said == ["Hello?"])
        # Another process says it, and its ring is slow.
        desk.database.on_commit = desk.database.on_handed = lambda _: None
        await desk.say(visitor, "One")
        desk.database.on_commit, desk.database.on_handed = desk.rung, desk.handed
        reads = Reads(monkeypatch)
        await desk.say(visitor, "Two")
        await here.until(lambda one: one.said == ["Hello?", "One", "Two"])
        assert reads.count >= 1
        other = await readers.come(await desk.again(token))
        await other.until(lambda one: len(one.said) == 3)
        # Two sessions of his: whose client id it is has to be told to one of them alone.
        await desk.say(visitor, "Three")
        for reader in (here, other):
            await reader.until(lambda one: len(one.said) == 4)
            assert reader.items == await desk.shown(visitor, conversation_id)


@ON_ONE_DATABASE
async def test_a_ring_that_comes_while_the_log_is_read_is_not_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor, _ = await desk.chat()
    read, go_on, after = asyncio.Event(), asyncio.Event(), visitor_log.after

    async def slowly(*args: Any, **given: Any) -> Any:
        found = await after(*args, **given)
        read.set()
        await go_on.wait()
        return found

    async with Readers(desk) as readers:
        here = await readers.come(visitor)
        await here.until(lambda one: one.said and one("presence"))
        monkeypatch.setattr(visitor_log, "after", slowly)
        assert visitor.conversation_id is not None
        await desk.write(visitor.conversation_id, "One")
        await read.wait()
        await desk.say(visitor, "Two")
        go_on.set()
        await here.until(lambda one: one.said == ["Hello?", "One", "Two"], seconds=1)


@ON_POSTGRESQL
async def test_a_ring_reaches_the_visitors_of_another_process_through_redis(desk: Desk, services: Services) -> None:
    with Redis() as server:
        elsewhere = VisitorHub(services, rung=True)
        bell = Doorbell(connector(server.url), here=desk.hub.ring)
        heard = asyncio.Event()

        def there(names: Any) -> None:
            heard.set()
            elsewhere.ring(names)

        hearing = asyncio.create_task(hear(connector(server.url), there))
        visitor, token = await desk.chat()
        async with Readers(desk) as readers:
            here = await readers.come(visitor)
            away = await readers.come(await desk.again(token), hub=elsewhere)
            for reader in (here, away):
                await reader.until(lambda one: one.said == ["Hello?"])
            async with asyncio.timeout(10):
                await heard.wait()
            desk.database.on_commit = bell.ring
            for number in range(20):
                await desk.say(visitor, f"{number}")
            begun = asyncio.get_running_loop().time()
            for reader in (here, away):
                await reader.until(lambda one: len(one.said) == 21, seconds=1.0)
            assert asyncio.get_running_loop().time() - begun < 1.0
            elsewhere.ring(["live:", "live:nobody", "live:../../etc", "deliver"])
        await asyncio.gather(desk.hub.close(), elsewhere.close())
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        await bell.close()


async def test_what_is_no_saying_is_heard_of_by_its_event(desk: Desk) -> None:
    visitor, _ = await desk.chat()
    conversation_id = visitor.conversation_id
    assert conversation_id is not None
    async with Readers(desk) as readers:
        here = await readers.come(visitor)
        await here.until(lambda one: one.items)
        await desk.change(conversation_id, assignee_id=desk.anna.id)
        await here.until(lambda one: len(one.items) == 2, seconds=1)
        assert (here.items[-1].kind, here.items[-1].data) == (ItemKind.JOINED, {"name": "Anna"})


async def test_whoever_begins_a_conversation_in_one_tab_is_told_in_the_others_to_begin_anew(desk: Desk) -> None:
    visitor, token = await desk.arrive()
    async with Readers(desk) as readers:
        here = await readers.come(visitor)
        first = await desk.say(visitor, "Hello?")
        await here.until(lambda one: one.anew, seconds=1)
        await desk.say(await desk.again(token), "Anybody?")
        await here.until(lambda one: one.said == ["Hello?", "Anybody?"])
        await desk.change(first, status="closed")
        await here.until(lambda one: one.items[-1].data == {"state": "closed", "rating": False}, seconds=3)
        second = await desk.say(await desk.again(token), "One more thing")
        await here.until(lambda one: one.conversation_id == second, seconds=1)
        assert here.said == ["One more thing"]
        assert [one.conversation_id for one in here.anew] == [first, second]


async def test_whose_conversation_is_merged_begins_anew_in_the_other_one(desk: Desk) -> None:
    visitor, token = await desk.chat()
    source, home = visitor.conversation_id, None
    assert source is not None
    other, _ = await desk.chat()
    home = other.conversation_id
    assert home is not None
    async with Readers(desk) as readers:
        mine, his = await readers.come(visitor), await readers.come(other)
        await mine.until(lambda one: one.items)
        await his.until(lambda one: one.items)
        async with desk.database.transaction() as session:
            row = await get_conversation(session, desk.by, source)
            given = {"into": home, "version": row["version"], "other_contact": True}
            await merging.merge(desk.services, session, source, **given, by=desk.by, now=clock.now())
        await mine.until(lambda one: one.anew, seconds=3)
        assert mine.anew[0].conversation_id == home
        await desk.say(await desk.again(token), "Where am I?")
        await mine.until(lambda one: "Where am I?" in one.said)
        await asyncio.sleep(0.1)
        assert his.said == ["Hello?"], "what is another's is not shown to him"
        assert len(mine.anew) == 1
    await desk.hub.close()
    async with desk.database.transaction() as session:
        await session.execute(update(visits).values(online_until=None))
    desk.hub = VisitorHub(desk.services)
    async with Readers(desk) as readers:
        await readers.come(await desk.again(token))
        await asyncio.sleep(0.6)
        async with desk.database.reading() as session:
            there = select(visits.c.online_until).where(visits.c.conversation_id == home)
            assert await session.scalar(there) is None, "who was led into it is not its visitor"
    await desk.hub.close()


@ON_ONE_DATABASE
async def test_whoever_is_far_behind_or_somewhere_else_begins_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visiting, "MISSED", 3)
    visitor, _ = await desk.chat()
    conversation_id = visitor.conversation_id
    assert conversation_id is not None
    for number in range(4):
        await desk.say(visitor, f"{number}")
    shown = await desk.shown(visitor, conversation_id)
    head = Anew(conversation_id, shown[-1].seq)
    newcomer, _ = await desk.arrive()
    async with Readers(desk) as readers:
        behind = await readers.come(visitor)
        elsewhere = await readers.come(visitor, known=new_id(), has=shown[:3])
        ahead = await readers.come(visitor, has=[Item(ItemKind.MESSAGE, 999, 0, {})])
        nowhere = await readers.come(newcomer, known=conversation_id)
        near = await readers.come(visitor, has=shown[:2], known=conversation_id)
        for reader in (behind, elsewhere, ahead):
            await reader.until(lambda one: one.anew)
            assert reader.anew == [head]
        await nowhere.until(lambda one: one.anew)
        assert nowhere.anew == [Anew(None, 0)], "another's conversation is none"
        await near.until(lambda one: len(one.items) == 5)
        await desk.say(visitor, "Next")
        for reader in (behind, elsewhere, ahead, near):
            await reader.until(lambda one: one.said[-1:] == ["Next"])


@ON_ONE_DATABASE
async def test_who_has_logged_out_or_has_another_token_or_a_paused_inbox_is_sent_away_within_five_seconds(
    desk: Desk, services: Services
) -> None:
    leaves, renews, stays = [(await desk.chat())[0] for _ in range(3)]
    first = desk.inbox_id
    desk.inbox_id = await factories.inbox(services, channel="chat")
    paused, _ = await desk.chat()
    assert desk.inbox_id != first
    async with Readers(desk) as readers:
        gone = [await readers.come(one) for one in (leaves, renews, paused)]
        here = await readers.come(stays)
        await here.until(lambda one: one.items and one("presence"))
        async with desk.database.transaction() as session:
            await visitor_sessions.log_out(session, leaves, now=clock.now())
            await visitor_sessions.rotate(session, renews.session_id, now=clock.now())
            await session.execute(update(inboxes).where(inboxes.c.id == desk.inbox_id).values(state="paused"))
        async with asyncio.timeout(5):
            assert [await one.until_ended() for one in gone] == [Ended.TOKEN] * 3
        await desk.say(stays, "Still here")
        await here.until(lambda one: one.said == ["Hello?", "Still here"])


@ON_ONE_DATABASE
async def test_the_eleventh_of_a_visitor_ends_his_first_and_nobody_elses(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (visitor, _), (other, _) = await desk.chat(), await desk.arrive()
    async with Readers(desk) as readers:
        his = await readers.come(other)
        mine = [await readers.come(visitor) for _ in range(11)]
        assert await mine[0].until_ended() is Ended.REPLACED
        for reader in mine[1:]:
            await reader.until(lambda one: one.said == ["Hello?"])
        assert his.seat.ended is None
        assert desk.hub.listeners == 11
        monkeypatch.setattr(visiting, "PER_PROCESS", 11)
        with pytest.raises(Unavailable):
            await readers.come(other)


@ON_ONE_DATABASE
async def test_who_does_not_read_is_cut_off_and_holds_nobody_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitor_rooms, "WAITING", 5)
    visitor, _ = await desk.chat()
    async with Readers(desk) as readers:
        slow, quick = await readers.come(visitor), await readers.come(visitor)
        for number in range(8):
            await desk.say(visitor, f"{number}")
            await quick.until(lambda one, number=number: one.said[-1:] == [f"{number}"])
        assert await slow.until_ended() is Ended.SLOW
        assert desk.hub.listeners == 1


@ON_POSTGRESQL
async def test_who_is_cut_off_by_what_he_is_given_hears_of_the_next_when_he_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: Any) -> list[Any]:
        """Looking at all rooms every other second would hide it."""
        return []

    visitor, _ = await desk.chat()
    assert visitor.conversation_id is not None
    monkeypatch.setattr(visitor_news, "standing", nothing)
    async with Readers(desk) as readers:
        with monkeypatch.context() as short:
            short.setattr(visitor_rooms, "WAITING", 5)
            slow = await readers.come(visitor)
        while slow.seat.ended is None:
            await desk.say(visitor, "Hello?")
        assert slow.seat.ended is Ended.SLOW
        back = await readers.come(visitor)
        await back.until(lambda one: one.said and one("presence"))
        await desk.write(visitor.conversation_id, "Here I am")
        await back.until(lambda one: one.said[-1:] == ["Here I am"], seconds=1)


@ON_ONE_DATABASE
async def test_closing_ends_everybody_at_once_and_takes_nobody_any_more(desk: Desk) -> None:
    visitor, _ = await desk.chat()
    async with Readers(desk) as readers:
        waiting = [await readers.come(visitor) for _ in range(3)]
        ending = [asyncio.create_task(one.until_ended()) for one in waiting]
        await desk.hub.close()
        assert set(await asyncio.gather(*ending)) == {Ended.CLOSING}
        with pytest.raises(Unavailable):
            await readers.come(visitor)


@ON_ONE_DATABASE
async def test_a_database_that_is_away_for_a_while_costs_nobody_anything(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, _ = await desk.chat()
    fetch = Database.fetch

    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("the database went away")

    async with Readers(desk) as readers:
        here = await readers.come(visitor)
        await here.until(lambda one: one.said == ["Hello?"])
        await desk.say(visitor, "One")
        monkeypatch.setattr(Database, "fetch", away)
        await asyncio.sleep(0.1)
        monkeypatch.setattr(Database, "fetch", fetch)
        await desk.say(visitor, "Two")
        await here.until(lambda one: one.said == ["Hello?", "One", "Two"])


async def test_an_agent_who_writes_is_seen_to_and_one_who_writes_a_note_is_not(desk: Desk) -> None:
    visitor, _ = await desk.chat()
    conversation_id = visitor.conversation_id
    assert conversation_id is not None
    by = Actor(AuthorKind.AGENT, desk.anna.id, "Anna", Role.AGENT)
    async with Readers(desk) as readers:
        here = await readers.come(visitor)
        for state in (State.NOTING, State.TYPING, State.VIEWING):
            async with desk.database.transaction() as session:
                await presence.note(session, conversation_id, state, by=by, now=clock.now())
            if state is State.TYPING:
                await here.until(lambda one: one("typing"), seconds=1)
        await here.until(lambda one: len(one("typing")) == 2, seconds=1)
        assert here("typing") == [{"name": "Anna", "ttl": 15}, {"name": "Anna", "ttl": 0}]


@ON_ONE_DATABASE
async def test_whoever_waits_is_told_his_place_and_everybody_whether_somebody_is_there(desk: Desk) -> None:
    await factories.hours(desk.services, default=True, weekly=[[["00:00", "24:00"]]] * 7)
    (first, _), (second, _) = await desk.chat(), await desk.chat()
    newcomer, _ = await desk.arrive()
    conversation_id = first.conversation_id
    assert conversation_id is not None
    async with desk.database.transaction() as session:
        await session.execute(update(api_tokens).values(last_used_at=clock.now()))
    async with Readers(desk) as readers:
        ahead, behind, new = [await readers.come(one) for one in (first, second, newcomer)]
        for reader, position in ((ahead, 1), (behind, 2)):
            await reader.until(lambda one: one("queue") and one("presence"), seconds=1)
            assert reader("queue") == [{"position": position, "eta": None}]
        await new.until(lambda one: one("presence"))
        assert (new("presence"), new("queue")) == ([{"attended": True}], [])
        await desk.change(conversation_id, assignee_id=desk.anna.id)
        async with desk.database.transaction() as session:
            await session.execute(update(visits).where(visits.c.contact_id == first.contact_id).values(queued_at=None))
            await session.execute(update(api_tokens).values(last_used_at=None))
        await behind.until(lambda one: len(one("presence")) == 2)
        assert behind("presence")[-1] == {"attended": False}
        assert behind("queue") == [{"position": 2, "eta": None}], "nobody is there who would come to it"


async def test_an_answer_that_leaves_by_mail_after_more_was_said_is_not_overlooked(desk: Desk) -> None:
    visitor, token = await desk.chat()
    conversation_id = visitor.conversation_id
    assert conversation_id is not None
    mail = await factories.inbox(desk.services)
    async with desk.database.transaction() as session:
        mine = update(visitor_session_rows).where(visitor_session_rows.c.id == visitor.session_id)
        await session.execute(mine.values(email="mina@customer.test"))
    visitor = await desk.again(token)
    async with Readers(desk) as readers:
        here = await readers.come(visitor)
        await desk.write(conversation_id, "By mail", inbox_id=mail, to=[{"handle": "mina@customer.test", "name": ""}])
        await desk.say(visitor, "Meanwhile")
        await here.until(lambda one: one.said == ["Hello?", "Meanwhile"])
        async with desk.database.transaction() as session:
            row = (await session.execute(select(messages).where(messages.c.inbox_id == mail))).mappings().one()
            await session.execute(update(messages).where(messages.c.id == row["id"]).values(delivery_status="sent"))
            sent = MessageSent(conversation_id=conversation_id, message_id=row["id"], inbox_id=mail)
            await events.record(session, sent, now=clock.now())
        while await desk.relaying.step():
            pass
        await here.until(lambda one: one.said == ["Hello?", "By mail", "Meanwhile"], seconds=1)
        await desk.say(visitor, "Thanks")
        await here.until(lambda one: one.said[-1:] == ["Thanks"])
        assert len(here.anew) == 1


async def test_a_visitor_is_online_for_as_long_as_he_is_connected_and_a_moment_longer(desk: Desk) -> None:
    visitor, _ = await desk.chat()
    desk.hub = VisitorHub(desk.services)

    async def online() -> timedelta:
        async with desk.database.reading() as session:
            (row,) = (await session.execute(select(visits))).mappings().all()
        until = row["online_until"]
        return timedelta() if until is None else until - clock.now()

    async def reaches(low: int, high: int) -> None:
        async with asyncio.timeout(3):
            while not timedelta(seconds=low) < await online() <= timedelta(seconds=high):
                await asyncio.sleep(0.02)

    async with Readers(desk) as readers:
        await readers.come(visitor)
        await reaches(40, 45)
        async with desk.database.transaction() as session:
            await session.execute(update(visits).values(online_until=clock.now() + timedelta(seconds=4)))
        await reaches(40, 45)
        async with Readers(desk) as others:
            await others.come(visitor)
        assert await online() > timedelta(seconds=30), "his other tab is still there"
    await reaches(0, 5)
