"""Who is there: written down beside the conversation, to run out by itself where nobody writes it down again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from helpdesk import clock
from helpdesk.services import visitor_news, visits
from helpdesk.services.house import Services
from helpdesk.services.visitor_news import Standing
from helpdesk.services.visitor_rooms import Room

LASTS: Final = timedelta(seconds=45)
_RENEWED: Final = timedelta(seconds=25)
_GRACE: Final = timedelta(seconds=5)
"""Whoever turns a page is back within this, and whoever is there by another process is found by that one."""


class Attendance:
    """Gathers who comes and goes; `note` writes it down, for all of them at once."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._came: set[UUID] = set()
        self._left: set[UUID] = set()

    @property
    def waits(self) -> bool:
        """Whether there is something to be written down."""
        return bool(self._came or self._left)

    def come(self, room: Room) -> None:
        self._came.add(room.id)

    def leave(self, room: Room) -> None:
        """Nobody is in it any more."""
        if room.online:
            self._left.add(room.id)

    def is_due(self, standing: Standing) -> bool:
        """Whether its visitor has to be written down again."""
        return standing.online_until is None or standing.online_until < clock.now() + _RENEWED

    async def note(self, rooms: Mapping[UUID, Room]) -> None:
        """One who has turned a page was not away. Who was only led into another's conversation is not that other."""
        came, left = self._came & rooms.keys(), self._left - rooms.keys()
        self._came, self._left = set(), set()
        here = set()
        for one in await visitor_news.standing(self._database, came) if came else ():
            room = rooms.get(one.conversation_id)
            if room is not None and any(seat.visitor.contact_id == one.contact_id for seat in room.seats):
                room.online = True
                here.add(room.id)
        now = clock.now()
        # One after the other: each locks its rows in the order of their ids.
        for conversation_ids, lasts in ((here, LASTS), (left, _GRACE)):
            if conversation_ids:
                async with self._database.transaction() as session:
                    await visits.online(session, conversation_ids, until=now + lasts, now=now)
