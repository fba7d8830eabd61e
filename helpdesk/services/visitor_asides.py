"""What visitors are told in passing: an agent writes, somebody is there, their place in the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from helpdesk import clock
from helpdesk.live import Passing
from helpdesk.services import presence, visitor_queue
from helpdesk.services.house import Services
from helpdesk.services.presence import State
from helpdesk.services.visitor_rooms import Room, Seat

TTL: Final = 15
"""Seconds for which somebody is taken to write on: told again before they have run out."""

_AGAIN: Final = 10.0


class Asides:
    """Tells changes only. Nothing of it is kept, and nothing is missed by missing it."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._writing: dict[tuple[UUID, UUID], tuple[str, float]] = {}
        """By conversation and agent: his name, and when to say it again."""

    async def tell_typing(self, rooms: Mapping[UUID, Room]) -> None:
        """Agents who write an answer. Who writes a note says `noting`, and is not among them."""
        places = await presence.everywhere(self._database, now=clock.now())
        writing = {
            (conversation_id, there.agent_id): there.name
            for conversation_id in places.keys() & rooms.keys()
            for there in places[conversation_id]
            if there.state == State.TYPING
        }
        now, before = asyncio.get_running_loop().time(), self._writing
        self._writing = {}
        for key, name in writing.items():
            _, again = before.get(key, ("", now))
            if again <= now:
                again = now + _AGAIN
                _tell(rooms[key[0]].seats, Passing("typing", {"name": name, "ttl": TTL}))
            self._writing[key] = name, again
        for key in before.keys() - writing.keys():
            if key[0] in rooms:
                _tell(rooms[key[0]].seats, Passing("typing", {"name": before[key][0], "ttl": 0}))

    async def tell_places(self, rooms: Mapping[UUID, Room]) -> None:
        """How many wait before them, to those who wait."""
        places = await visitor_queue.places(self._database, list(rooms), now=clock.now())
        for room in rooms.values():
            place = places.get(room.id)
            for seat in room.seats:
                if place is not None and place != seat.place:
                    seat.give(Passing("queue", {"position": place.position, "eta": place.eta}))
                seat.place = place

    async def tell_attended(self, seats: Iterable[Seat]) -> None:
        """Whether somebody is there to answer, which also tells those who have just come."""
        seats = list(seats)
        inboxes = {seat.visitor.inbox_id for seat in seats}
        attended = await visitor_queue.attended(self._database, inboxes, now=clock.now())
        for seat in seats:
            here = seat.visitor.inbox_id in attended
            if seat.attended != here:
                seat.attended = here
                seat.give(Passing("presence", {"attended": here}))


def _tell(seats: Iterable[Seat], passing: Passing) -> None:
    for seat in seats:
        seat.give(passing)
