"""The stream: one reader of events per process, and everybody who listens to it.

The hub reads while somebody listens. It looks when it is rung and a few times a second besides, since the bell may be
away; what is new it reads once, and gives to each listener what he may see (`feed.Audience`). Positions are dense and
become visible in their order (`services.relay`), so that "after the last one" leaves nothing out.

A listener who comes back names the position that he has. What he missed is read for him, up to where the hub is when
he joins; from there on the hub serves him. He holds no connection of the database in between.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog

from helpdesk import clock
from helpdesk.domain.values import Actor
from helpdesk.errors import TooMany, Unavailable
from helpdesk.logs import fault
from helpdesk.services import events, feed, identities, presence, visitor_news
from helpdesk.services.feed import Audience, Fresh, Sight, Told
from helpdesk.services.house import Services
from helpdesk.services.visitor_news import ContactThere
from helpdesk.stream import Line

log = structlog.get_logger()

PER_ACTOR: Final = 20
PER_PROCESS: Final = 2000
WAITING: Final = 1000
"""So many events may wait for one client; it is cut off with one more."""

MISSED: Final = 10_000
"""Whoever is further behind than this reads his lists again rather than everything that happened."""

BELL: Final = events.STREAM
_TICK, _QUIET_TICK = 0.25, 1.0
_PRESENCE, _IDENTIFY, _HEARTBEAT = 2.0, 3.0, 15.0
_LEAST: Final = 0.1
"""Between two looks at who is where, however often visitors say that they write, and have read."""

_TO_THE_END: Final = 2**62
_AT_ONCE: Final = 4000


@dataclass(eq=False, slots=True)
class Listener:
    """Somebody who listens: who he is, by what he proved it, and what of all that he wants.

    He has everything up to `after`; what happened until the hub was at `joined` is read for him. From there on he is
    offered what happens, and has been told of everything up to `reached`.
    """

    actor: Actor
    digest: str
    types: frozenset[str] = frozenset()
    conversation_id: UUID | None = None
    after: int = 0
    joined: int = 0
    reached: int = 0
    line: Line[Told] = field(default_factory=lambda: Line[Told](WAITING))
    sight: Sight = field(init=False)

    def __post_init__(self) -> None:
        self.sight = Sight.of(self.actor)

    def wants(self, told: Told) -> bool:
        """Whether it is for him, by what he asked for and by what he may see."""
        return (
            (not self.types or told.type in self.types)
            and (self.conversation_id is None or told.conversation_id == self.conversation_id)
            and self.sight.meets(told.audience)
        )

    def offer(self, told: Told) -> None:
        if (told.position is None or told.position > self.reached) and self.wants(told):
            self.tell(told)

    def tell(self, told: Told) -> None:
        """Whatever it is about."""
        self.line.put(told)
        self.reached = told.position or self.reached

    def is_at(self, conversation_id: UUID, there: Sequence[presence.There]) -> bool:
        return self.conversation_id == conversation_id or any(one.agent_id == self.actor.id for one in there)


class Hub:
    """Everybody who listens to this process. `ring` may be called any time; `close` ends all of it.

    `rung` says that there is a doorbell, so that looking without one is only for the case that it is away.
    """

    def __init__(self, services: Services, *, rung: bool = False) -> None:
        self._services, self._database = services, services.database
        self._tick = _QUIET_TICK if rung else _TICK
        self._listeners: set[Listener] = set()
        self._counts: Counter[UUID | None] = Counter()
        self._position = 0
        self._places: presence.Places = {}
        self._contacts: Mapping[UUID, ContactThere] = {}
        self._bell, self._joining = asyncio.Event(), asyncio.Lock()
        self._reading = asyncio.Semaphore(4)
        self._task: asyncio.Task[None] | None = None
        self._closed = self._presence_rung = self._given = False

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._listeners)

    def ring(self, names: Sequence[str]) -> None:
        """Something is new: events, or who is where. Other names are somebody else's business."""
        self._presence_rung |= presence.BELL in names
        given, self._given = self._given, False
        if self._listeners and (presence.BELL in names or (BELL in names and not given)):
            self._bell.set()

    def hear(self, handed: Iterable[Any]) -> None:
        """What has just happened here is told at once where it follows what was read; its ring, which is next, says no
        more then."""
        self._given = False
        for fresh in handed:
            if isinstance(fresh, Fresh) and self._listeners and fresh.first == self._position + 1:
                self._tell(fresh.told())
                self._given = True

    async def join(self, listener: Listener, after: int | None) -> bool:
        """Listen from after this position on, or from now on. Answers whether that was possible.

        Where it was not, since the position is too old or unknown, he listens from now on. Raises `TooMany`, or
        `Unavailable` where the whole process has as many as it serves. Whoever has joined must `leave`.
        """
        if self._counts[listener.actor.id] >= PER_ACTOR:
            raise TooMany(f"at most {PER_ACTOR} streams for one agent", extra={"retry_after": 5})
        if self._closed or self._counts.total() >= PER_PROCESS:
            raise Unavailable("too many streams are open here; try again in a moment")
        self._counts[listener.actor.id] += 1
        try:
            async with self._joining:
                newest = await feed.newest(self._database)
                if not self._listeners:
                    self._position, self._places = newest, await presence.everywhere(self._database, now=clock.now())
        except BaseException:
            self._uncount(listener)
            raise
        newest = max(newest, self._position)
        known = after is None or newest - MISSED <= after <= newest
        listener.joined = self._position
        listener.after = self._position if after is None else after if known else newest
        listener.reached = max(listener.after, listener.joined)
        if self._closed:
            listener.line.end()
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="stream")
        return known

    def leave(self, listener: Listener) -> None:
        """He listens no longer. Idempotent."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._uncount(listener)
        listener.line.end()
        if not self._listeners:
            self._bell.set()

    def _uncount(self, listener: Listener) -> None:
        self._counts[listener.actor.id] -= 1
        if not self._counts[listener.actor.id]:
            del self._counts[listener.actor.id]

    async def missed(self, listener: Listener) -> AsyncIterator[tuple[int, list[Told]]]:
        """What happened between his position and his joining, in batches: how far each goes, and what is his of it."""
        # A few first: whoever is cut off often has missed little, or will not take much.
        at, limit = listener.after, feed.FEW
        while at < listener.joined and not listener.line.ended:
            async with self._reading:
                batch = await feed.read(self._database, after=at, to=listener.joined, limit=limit)
            if not batch:
                return
            at, limit = batch[-1].position or listener.joined, feed.BATCH
            yield at, [told for told in batch if listener.wants(told)]

    async def close(self) -> None:
        """End every stream, so that the server can stop; whoever comes now is sent away."""
        self._closed = True
        for listener in self._listeners:
            listener.line.end()
        self._bell.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Look for as long as somebody listens, and do now and then what has its own time."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        due = {self._look_around: begun, self._identify: begun + _IDENTIFY, self._heartbeat: begun + _HEARTBEAT}
        every = {self._look_around: _PRESENCE, self._identify: _IDENTIFY, self._heartbeat: _HEARTBEAT}
        while self._listeners and not self._closed:
            self._bell.clear()
            try:
                await self._look()
                for duty, at in due.items():
                    rung = duty == self._look_around and self._presence_rung
                    if loop.time() >= (at - _PRESENCE + _LEAST if rung else at):
                        due[duty] = loop.time() + every[duty]
                        await duty()
            except Exception as error:  # the database may be away: nobody misses anything by that
                log.warning("stream.failed", **fault(error))
                await asyncio.sleep(self._tick)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEAST if self._presence_rung else self._tick):
                    await self._bell.wait()

    async def _look(self) -> None:
        """Read what is new, once, and give it to everybody whom it concerns."""
        while batch := await feed.read(self._database, after=self._position, to=_TO_THE_END):
            judged = 0
            for told in batch:
                if told.position is not None and told.position <= self._position:
                    continue  # it was heard of while this was read
                self._tell([told])
                judged += len(self._listeners)
                if judged > _AT_ONCE:
                    judged = 0
                    await asyncio.sleep(0)
            if len(batch) < feed.BATCH:
                return

    def _tell(self, happened: Sequence[Told]) -> None:
        for told in happened:
            for listener in tuple(self._listeners):
                listener.offer(told)
            self._position = max(self._position, told.position or 0)

    async def _look_around(self) -> None:
        """Tell those who look at the same conversation who has come, has gone, or has begun to write.

        Of its visitor, where it has one, whoever has the conversation is told as well.
        """
        self._presence_rung = False
        before, self._places = self._places, await presence.everywhere(self._database, now=clock.now())
        moved = presence.moved(before, self._places)
        known, self._contacts = self._contacts, await self._contacts_there()
        about = {one for one, contact in self._contacts.items() if known.get(one) != contact}
        audiences = await feed.audiences_of(self._database, moved.keys() | about)
        for conversation_id in moved.keys() | about:
            there, who = self._places.get(conversation_id, ()), moved.get(conversation_id)
            audience = audiences.get(conversation_id, feed.NOBODY_ELSE)
            told = _presence(conversation_id, there, self._contacts.get(conversation_id), audience)
            for listener in tuple(self._listeners):
                near, his = listener.is_at(conversation_id, there), listener.actor.id in audience.agents
                if (near and who and who != {listener.actor.id}) or (conversation_id in about and (near or his)):
                    listener.offer(told)

    async def _contacts_there(self) -> Mapping[UUID, ContactThere]:
        """The visitors of the conversations that somebody looks at, or that one who listens has."""
        looked_at = {one.conversation_id for one in self._listeners if one.conversation_id} | self._places.keys()
        agents = {one.actor.id for one in self._listeners if one.actor.id}
        return await visitor_news.contacts_there(self._database, looked_at, agents, now=clock.now())

    async def _identify(self) -> None:
        """Let those go who are no longer what they were when they came, and see for the others what they may see now.

        Another role or other scopes begin with another stream. Who only sees other inboxes or teams goes on, and is
        told that what he has may not be what there is.
        """
        known = await identities.still(self._database, {one.digest for one in self._listeners}, now=clock.now())
        for listener in tuple(self._listeners):
            now, before = known.get(listener.digest), listener.actor
            if now is None or (now.role, now.scopes, now.kind) != (before.role, before.scopes, before.kind):
                listener.line.end()
                continue
            sight = Sight.of(now)
            if sight != listener.sight:
                listener.sight = sight
                listener.tell(feed.resync(max(self._position, listener.reached)))

    async def _heartbeat(self) -> None:
        """So that proxies keep the connection, and nobody is further behind than he is."""
        moving, plain = feed.sign_of_life(self._position), feed.sign_of_life()
        for listener in tuple(self._listeners):
            listener.tell(moving if self._position > listener.reached else plain)


def _presence(
    conversation_id: UUID, there: Sequence[presence.There], contact: ContactThere | None, audience: Audience
) -> Told:
    data = {
        "type": feed.PRESENCE,
        "occurred_at": clock.now(),
        "conversation_id": conversation_id,
        "data": {"presence": [one.shown() for one in there], "contact": contact and contact.shown()},
    }
    return feed.told(feed.PRESENCE, data, conversation_id=conversation_id, audience=audience)
