"""What is new for visitors who read along, asked for all that one process serves at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, CompoundSelect, Select, bindparam, case, literal_column, select, union_all

from helpdesk.db import Database
from helpdesk.dialects import among, by_key, kept, portions
from helpdesk.domain.events import MessageSent
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visitor_sessions, visits
from helpdesk.services import visits as visit_verbs

BATCH: Final = 1000

_C: Final = conversations.c
_E: Final = events.c
_M: Final = messages.c
_S: Final = visitor_sessions.c
_V: Final = visits.c


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a conversation has come, who its visitor is, and until when he is taken to be there."""

    conversation_id: UUID
    seq: int
    contact_id: UUID | None
    online_until: datetime | None


@dataclass(frozen=True, slots=True)
class ContactThere:
    """What an agent at a conversation sees of its visitor."""

    online: bool
    typing: bool
    read_seq: int

    def shown(self) -> dict[str, Any]:
        return {"online": self.online, "typing": self.typing, "read_seq": self.read_seq}


async def standing(database: Database, conversation_ids: Collection[UUID]) -> list[Standing]:
    """One that is gone is not among them."""
    found = []
    for some in portions(conversation_ids):
        rows = await database.fetch(database.prepared("visitors.standing", _standing), {"ids": some})
        found += [Standing(*row) for row in rows]
    return found


async def homes(database: Database, session_ids: Collection[UUID], *, now: datetime) -> dict[UUID, UUID | None]:
    """By session the conversation that its visitor is in, None for none."""
    found: dict[UUID, UUID | None] = {}
    for some in portions(session_ids):
        given = {"ids": some, "since": now - visit_verbs.CONTINUED_WITHIN}
        rows = await database.fetch(database.prepared("visitors.homes", _homes), given)
        found.update((session_id, home) for session_id, home in rows)
    return found


async def happened(database: Database, *, after: int) -> Sequence[Sequence[Any]]:
    """Of the events after a position, in their order and at most `BATCH`: position, conversation, seq, and if a message
    was sent, its id and the inbox that it left by, both as text."""
    return await database.fetch(database.prepared("visitors.happened", _happened), {"after": after})


async def sent(database: Database, message_ids: Collection[UUID]) -> Sequence[Sequence[Any]]:
    """Of these messages the conversation, the inbox that they left by, and their seq."""
    if not message_ids:
        return ()
    return await database.fetch(database.prepared("visitors.sent", _sent), {"ids": list(message_ids)})


async def contacts_there(
    database: Database, conversation_ids: Iterable[UUID], agent_ids: Iterable[UUID], *, now: datetime
) -> dict[UUID, ContactThere]:
    """The visitors of these conversations, and of those that these agents have open."""
    given = {"ids": list(conversation_ids), "agents": list(agent_ids), "now": now}
    rows = await database.fetch(database.prepared("visitors.contacts", _contacts), given)
    return {
        conversation_id: ContactThere(
            online=online_until is not None and online_until > now,
            typing=typing_until is not None and typing_until > now,
            read_seq=read_seq,
        )
        for conversation_id, online_until, typing_until, read_seq in rows
    }


def _standing() -> Select[Any]:
    joined = conversations.outerjoin(visits, _V.conversation_id == _C.id)
    return select(_C.id, _C.seq, _V.contact_id, _V.online_until).select_from(joined).where(among(_C.id, "ids", "uuid"))


def _homes() -> Select[Any]:
    since = bindparam("since", type_=_C.last_activity_at.type)
    home = visit_verbs.joinable(_S.contact_id, _S.inbox_id, since=since)
    return select(_S.id, home).where(among(_S.id, "ids", "uuid"))


def _happened() -> Select[Any]:
    sent = _E.type == literal_column(f"'{MessageSent.type}'")
    about = (case((sent, kept(_E.data, name, str))) for name in ("message_id", "inbox_id"))
    return (
        select(_E.position, _E.conversation_id, _E.seq, *about)
        .where(_E.position > bindparam("after", type_=BigInteger()))
        .order_by(_E.position)
        .limit(literal_column(str(BATCH)))
    )


def _sent() -> Select[Any]:
    return select(_M.conversation_id, _M.inbox_id, _M.seq).where(by_key(_M.id, "ids"))


def _contacts() -> CompoundSelect[Any]:
    """Two lists, each by its own index: an OR over both would read every visit."""
    shown = (_V.conversation_id, _V.online_until, _V.typing_until, _V.read_seq)
    looked_at = select(*shown).where(among(_V.conversation_id, "ids", "uuid"))
    mine = select(*shown).join(conversations, _C.id == _V.conversation_id)
    return union_all(
        looked_at, mine.where(among(_C.assignee_id, "agents", "uuid"), _C.status == literal_column("'open'"))
    )
