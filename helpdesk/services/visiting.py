"""Visitors who read along: whoever is connected to this process is given what happens, from the log, in its order.

Nothing travels but ids. A ring names a conversation, here or through Redis, and whoever is in its room is then read the
log after what he has. That is all there is: what he missed and what is new come by the same road, each once, and a ring
that was lost is made good when the rooms are looked at, every other second (`Standing.seq`). Other things than what is
said (a mail that is filed, an assignment) are heard of by the events, when the stream rings.

Rooms are told of by a few readers at a time. Nobody has a task of his own, so that two thousand cost little who only
wait.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import structlog

from helpdesk import clock
from helpdesk.errors import Unavailable
from helpdesk.live import Ended, Log, Visitor
from helpdesk.logs import fault
from helpdesk.services import feed, presence, streaming, visitor_log, visitor_news, visitor_sessions, visits
from helpdesk.services.house import Services
from helpdesk.services.rounds import Rounds
from helpdesk.services.visitor_asides import Asides
from helpdesk.services.visitor_attendance import Attendance
from helpdesk.services.visitor_fresh import Fresh
from helpdesk.services.visitor_rooms import Room, Seat

log = structlog.get_logger()

PER_VISITOR: Final = 10
PER_PROCESS: Final = 5000
MISSED: Final = 500
"""Whoever is further behind reads the conversation anew."""

READERS: Final = 4
_PAUSE: Final = 0.5
_NOTE, _HOMES = "note", "homes"


class VisitorHub:
    """Everybody who reads along by this process. `ring` may be called any time; `close` ends all of it.

    `rung` says that there is a doorbell, so that looking without one is only for the case that it is away.
    """

    def __init__(self, services: Services, *, rung: bool = False) -> None:
        self._services, self._database = services, services.database
        self._seats: defaultdict[UUID, dict[Seat, None]] = defaultdict(dict)
        """By contact, whoever came first before the others."""
        self._rooms: dict[UUID, Room] = {}
        self._stale: dict[Room, None] = {}
        self._given: set[UUID] = set()
        """Rooms for which the next ring has nothing new: it comes with what was given, and is for other processes."""
        self._readers: set[asyncio.Task[None]] = set()
        self._position: int | None = None
        self._astray: set[UUID] = set()
        self._asides, self._attendance = Asides(services), Attendance(services)
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        tick = 2.0 if rung else 0.5
        rounds = self._rounds = Rounds("visitors")
        rounds.add(self._follow, every=2.0, name=streaming.BELL)
        rounds.add(self._inspect, every=tick)
        rounds.add(self._note, every=2.0, name=_NOTE)
        rounds.add(self._find_homes, every=tick, name=_HOMES)
        rounds.add(self._seek_all, every=10.0)
        rounds.add(self._identify, every=3.0)
        rounds.add(self._tell_typing, every=2.0, name=presence.BELL)
        rounds.add(self._tell_places, every=3.0)

    @property
    def listeners(self) -> int:
        """How many clients there are."""
        return sum(map(len, self._seats.values()))

    @property
    def visitors(self) -> int:
        """How many people these are."""
        return len(self._seats)

    def ring(self, names: Iterable[str]) -> None:
        """Something is new: in these conversations, for these contacts, among the events, or who does what."""
        given, self._given = self._given, set()
        if not self._seats:
            return
        for name in names:
            if name.startswith(visits.LIVE):
                self._ring_live(name.removeprefix(visits.LIVE), given)
            else:
                self._rounds.ring(name)

    def hear(self, handed: Iterable[Any]) -> None:
        """What was said here is given to those who have all before it; the others read it, when its ring comes."""
        self._given.clear()
        for one in handed:
            room = self._rooms.get(one.conversation_id) if isinstance(one, Fresh) else None
            if room is None or room in self._stale or not one.give(room):
                continue
            self._given.add(room.id)
            for seat in [seat for seat in room.seats if seat.ended is not None]:
                self._leave(seat)

    def _ring_live(self, name: str, given: set[UUID]) -> None:
        try:
            found = UUID(name)
        except ValueError:
            return
        if found in given:
            return
        if found in self._rooms:
            self._tell(self._rooms[found])
        elif found in self._seats:
            self._seek(self._seats[found])

    @asynccontextmanager
    async def subscribe(self, visitor: Visitor, *, after: int, conversation_id: UUID | None) -> AsyncIterator[Seat]:
        """Everything after this seq of that conversation, then what happens (`live.LiveHost.subscribe`).

        The visitor's eleventh ends his first. Raises `Unavailable` where the process has as many as it serves.
        """
        if self._closed or self.listeners >= PER_PROCESS:
            raise Unavailable("too many visitors are connected here; try again in a moment")
        home = visitor.conversation_id
        seat = Seat(visitor, after if conversation_id in (None, home) else None)
        mine = self._seats[visitor.contact_id]
        if len(mine) >= PER_VISITOR:
            self._dismiss(next(iter(mine)), Ended.REPLACED)
        self._seats[visitor.contact_id][seat] = None
        if home is not None:
            self._enter(seat, home)
        else:
            if seat.at is None:
                seat.begin_anew(Log(None, 0, (), more=False))
            # He may have said something elsewhere since he was looked up.
            self._seek([seat])
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="visitors")
        try:
            yield seat
        finally:
            self._leave(seat)
            seat.line.end()

    async def close(self) -> None:
        """End every subscription, so that the server can stop; whoever comes now is sent away."""
        self._closed = True
        for seat in self._everybody():
            self._dismiss(seat, Ended.CLOSING)
        self._rounds.ring(_NOTE)
        tasks = [*self._readers, *([self._task] if self._task else [])]
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- who is where -------------------------------------------------------------------------------------------------

    def _everybody(self) -> list[Seat]:
        return [seat for seats in self._seats.values() for seat in seats]

    def _dismiss(self, seat: Seat, why: Ended) -> None:
        seat.end(why)
        self._leave(seat)

    def _leave(self, seat: Seat) -> None:
        """Idempotent."""
        contact_id = seat.visitor.contact_id
        self._seats[contact_id].pop(seat, None)
        if not self._seats[contact_id]:
            del self._seats[contact_id]
        self._get_up(seat)

    def _get_up(self, seat: Seat) -> None:
        room, seat.room = seat.room, None
        if room is None:
            return
        room.seats.discard(seat)
        if not room.seats:
            del self._rooms[room.id]
            self._stale.pop(room, None)
            self._attendance.leave(room)
            self._rounds.ring(_NOTE)

    def _enter(self, seat: Seat, conversation_id: UUID) -> None:
        """Sit down in this room, and be told what is new there."""
        room = self._rooms.get(conversation_id)
        if room is None:
            room = self._rooms[conversation_id] = Room(conversation_id)
        seat.room, seat.place = room, None
        room.seats.add(seat)
        if not room.online:
            self._come(room)
        self._tell(room)

    def _come(self, room: Room) -> None:
        self._attendance.come(room)
        self._rounds.ring(_NOTE)

    def _seek(self, seats: Iterable[Seat]) -> None:
        """Look up which conversation they are in by now."""
        self._astray.update(seat.visitor.session_id for seat in seats)
        self._rounds.ring(_HOMES)

    # -- what is new --------------------------------------------------------------------------------------------------

    def _tell(self, room: Room, upto: int = 0) -> None:
        """Have a room read, soon. Rings that come before it is read are one."""
        room.wanted = max(room.wanted, upto)
        self._stale[room] = None
        if len(self._readers) < READERS and not self._closed:
            reader = asyncio.create_task(self._read_rooms(), name="visitors' reader")
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)

    async def _read_rooms(self) -> None:
        while self._stale and not self._closed:
            room = next(iter(self._stale))
            del self._stale[room]
            if room.busy:
                room.again = True
                continue
            room.busy = True
            try:
                await self._read(room)
            except Exception as error:  # the database may be away: nobody misses anything by that
                log.warning("visitors.failed", **fault(error))
                room.again = True
                await asyncio.sleep(_PAUSE)
            room.busy = False
            if room.again and room.seats:
                room.again = False
                self._stale[room] = None

    async def _read(self, room: Room) -> None:
        """Read once for all who are as far as each other, by one session: what it said has its own ids on it."""
        wanted, alike = room.wanted, defaultdict[tuple[UUID, int | None], list[Seat]](list)
        for seat in room.seats:
            alike[seat.visitor.session_id, seat.at].append(seat)
        for (_, at), seats in alike.items():
            limit = 1 if at is None else MISSED
            read = await visitor_log.after(self._database, seats[0].visitor, room.id, at or 0, limit=limit)
            for seat in seats:
                if seat.room is room:
                    self._hear(seat, room, read)
                if seat.room is room and seat.seen is not None:
                    seat.seen = max(seat.seen, wanted)
        reached = (seat.at or 0 for seat in room.seats)
        room.looked = max(room.looked, wanted, *reached, 0)

    def _hear(self, seat: Seat, room: Room, read: Log) -> None:
        if read.conversation_id == room.id:
            seat.hear(read)
        else:
            seat.barred = room.id
            self._move(seat, read.conversation_id)
            seat.begin_anew(read)
        if seat.ended is not None:
            self._leave(seat)

    def _move(self, seat: Seat, conversation_id: UUID | None) -> None:
        self._get_up(seat)
        seat.at = seat.seen = None
        if conversation_id is not None:
            self._enter(seat, conversation_id)

    # -- what is done now and then ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """For as long as somebody is there, and then until it is noted that nobody is."""
        self._position = None
        while not self._closed and (self._seats or self._attendance.waits):
            await self._rounds.step()

    async def _follow(self) -> None:
        """Hear of what is no saying, by its event. What was read already is not read again."""
        if self._position is None:
            self._position = await feed.newest(self._database)
        while rows := await visitor_news.happened(self._database, after=self._position):
            sent = []
            for _, conversation_id, seq, message_id, inbox_id in rows:
                room = self._rooms.get(conversation_id)
                if room is None:
                    continue
                if message_id is None:
                    if seq is not None and seq > max(room.looked, room.wanted):
                        self._tell(room, seq)
                elif any(str(seat.visitor.inbox_id) != inbox_id for seat in room.seats):
                    sent.append(UUID(message_id))
            await self._catch_up(sent)
            self._position = rows[-1][0]
            if len(rows) < visitor_news.BATCH:
                return

    async def _catch_up(self, message_ids: Sequence[UUID]) -> None:
        """What leaves by another inbox is there to be seen once it has left, and more may have been said by then."""
        for conversation_id, inbox_id, seq in await visitor_news.sent(self._database, message_ids):
            room = self._rooms.get(conversation_id)
            if room is None or all(seq == seat.at or seat.visitor.inbox_id == inbox_id for seat in room.seats):
                continue
            for seat in room.seats:
                if seat.at is not None and seat.at > seq:
                    seat.at = seat.seen = None
            self._tell(room)

    async def _inspect(self) -> None:
        """Look at every room: whether it has come further than it was read, and who is taken for gone soon."""
        for one in await visitor_news.standing(self._database, self._rooms.keys()):
            room = self._rooms.get(one.conversation_id)
            if room is not None and one.seq > room.looked:
                self._tell(room, one.seq)
            if room is not None and self._attendance.is_due(one):
                self._come(room)

    async def _note(self) -> None:
        await self._attendance.note(self._rooms)

    async def _find_homes(self) -> None:
        """Who has no conversation may have begun one elsewhere, and whose was closed another one."""
        wanted = self._astray | {seat.visitor.session_id for seat in self._everybody() if seat.room is None}
        self._astray = set()
        if not wanted:
            return
        homes = await visitor_news.homes(self._database, wanted, now=clock.now())
        for seat in self._everybody():
            home = homes.get(seat.visitor.session_id)
            # Where the log says that it is not his, asking again would say the same.
            if home is not None and home not in (seat.room and seat.room.id, seat.barred):
                self._move(seat, home)

    async def _seek_all(self) -> None:
        """A ring may have been lost that told of another conversation."""
        self._seek(self._everybody())

    async def _identify(self) -> None:
        """Let those go whose sessions have ended, or whose tokens are spent."""
        seats = self._everybody()
        sessions = {seat.visitor.session_id for seat in seats}
        good = await visitor_sessions.still(self._database, sessions, now=clock.now())
        for seat in seats:
            if good.get(seat.visitor.session_id) != seat.visitor.digest:
                self._dismiss(seat, Ended.TOKEN)

    async def _tell_typing(self) -> None:
        await self._asides.tell_typing(self._rooms)

    async def _tell_places(self) -> None:
        await self._asides.tell_places(self._rooms)
        await self._asides.tell_attended(self._everybody())
