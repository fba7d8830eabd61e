"""What was just said, handed to those who read along in the same process: they need not ask the database for it.

Only what is alone in its transaction, follows everything that they have, and is theirs whatever else has changed: said
in their own session, or written to the very handle that they have. Everything else they read (`services.visiting`).
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import hand
from helpdesk.domain.values import MessageType, Visibility
from helpdesk.live import Visitor
from helpdesk.services import visitor_log, visits
from helpdesk.services.visitor_rooms import Room
from helpdesk.statements import Row


@dataclass(frozen=True, slots=True)
class Fresh:
    """A message without files that was stored, by whom where it was said by a visitor."""

    message: Row
    session_id: UUID | None = None
    client_id: str | None = None

    @property
    def conversation_id(self) -> UUID:
        found: UUID = self.message["conversation_id"]
        return found

    def is_for(self, visitor: Visitor) -> bool:
        """Whether it is his beyond doubt."""
        message = self.message
        if message["inbox_id"] != visitor.inbox_id or message["private"] or message["attachment_count"]:
            return False
        if message["type"] == MessageType.INCOMING.value:
            return self.session_id == visitor.session_id
        addressed = any(one["handle"] == visitor.handle for one in message["to"])
        return addressed and message["visibility"] == Visibility.DIRECT.value

    def give(self, room: Room) -> bool:
        """To everybody who is there, if it is for all of them and they have everything before it."""
        seq = self.message["seq"]
        if room.busy or not all(seat.seen == seq - 1 and self.is_for(seat.visitor) for seat in room.seats):
            return False
        for seat in room.seats:
            seat.follow(visitor_log.entry(self.message, self.client_id, seat.at or 0))
        room.looked = max(room.looked, seq)
        return True


def tell(session: AsyncSession, fresh: Fresh) -> None:
    """After this session's commit, which has nothing else in it, those who read along have it."""
    hand(session, fresh)
    visits.ring_live(session, fresh.conversation_id)
