"""Where visitors who read along are: a seat for each client, in the room of the conversation that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from helpdesk.live import Anew, Ended, Heard, Item, Log, Visitor
from helpdesk.services.visitor_queue import Place
from helpdesk.stream import Line

WAITING: Final = 1000
"""So much may wait for one client; it is cut off with one more."""

_AT_ONCE: Final = 200


@dataclass(eq=False, slots=True)
class Seat:
    """A `live.Subscription`: one client. He has everything up to `at`; None: he has yet to be told where to begin.

    `at` is an entry. That there is none for him after it, up to `seen`, was seen as well, where that is known.
    `attended` and `place` are what he was told of these last, `barred` is the last room that turned out not to be his.
    """

    visitor: Visitor
    at: int | None
    seen: int | None = None
    room: Room | None = None
    ended: Ended | None = None
    line: Line[Heard] = field(default_factory=lambda: Line[Heard](WAITING))
    barred: UUID | None = None
    attended: bool | None = None
    place: Place | None = None

    async def take(self) -> Sequence[Heard]:
        return await self.line.take(_AT_ONCE)

    def give(self, heard: Heard) -> None:
        if not self.line.put(heard):
            self.end(Ended.SLOW)

    def end(self, why: Ended) -> None:
        self.ended = self.ended or why
        self.line.end()

    def hear(self, read: Log) -> None:
        """Take what was read after `at`. Where that does not join on to what he has, he has to begin anew."""
        follows = self.at is not None and not read.more and read.head_seq >= self.at
        if not follows or (read.items and read.items[0].prev_seq != self.at):
            self.begin_anew(read)
            return
        for item in read.items:
            self.follow(item)
        self.seen = self.at

    def follow(self, item: Item) -> None:
        """Take the entry that is next for him."""
        self.give(item)
        self.at = self.seen = item.seq

    def begin_anew(self, read: Log) -> None:
        self.at = self.seen = read.head_seq
        self.give(Anew(read.conversation_id, read.head_seq))


@dataclass(eq=False, slots=True)
class Room:
    """A conversation, and the clients that are in it. It was read up to `looked`, and will be up to `wanted`.

    `online`: that its visitor is there was written down by this process.
    """

    id: UUID
    seats: set[Seat] = field(default_factory=set)
    looked: int = 0
    wanted: int = 0
    online: bool = False
    busy: bool = False
    again: bool = False
