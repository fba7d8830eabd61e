"""What happened to conversations, read from their messages and events for a replay (`domain.replay`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain.clocks import Origin
from helpdesk.domain.events import ConversationStatusChanged, ConversationUpdated, MessageReceived
from helpdesk.domain.replay import Answered, Asked, Became, Happening, Joined, Reclassified, Story, Wrote
from helpdesk.domain.values import MessageType
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import messages
from helpdesk.services.waits import ANSWERING, ASKING
from helpdesk.statements import Row

_C: Final = conversations.c
_M: Final = messages.c
_E: Final = events.c

COLUMNS: Final = (_C.id, _C.number, _C.status, _C.priority, _C.category, _C.merged_into_id)
"""What `read` has to know of each conversation."""

_WRITTEN: Final = (_M.type == MessageType.OUTGOING.value, _M.private.is_(False), _M.auto_submitted.is_(None))
"""Whatever somebody wrote to the contact, a bot among them, and whatever became of it."""


async def read(session: AsyncSession, rows: Sequence[Row]) -> dict[UUID, list[Story]]:
    """The stories of each conversation and of all that was merged into it, its own first: three statements."""
    into = select(*COLUMNS).where(among(_C.merged_into_id, [row["id"] for row in rows], "uuid")).order_by(_C.id)
    every = [*rows, *(await session.execute(into)).mappings()]
    identifiers = [row["id"] for row in every]
    wrote, changed = defaultdict(list), defaultdict(list)
    for message in (await session.execute(_messages(identifiers))).mappings():
        wrote[message["conversation_id"]].append(message)
    for event in (await session.execute(_events(identifiers))).mappings():
        changed[event["conversation_id"]].append(event)
    joined = _last_joined(changed)
    matters: dict[UUID, list[Story]] = {row["id"]: [] for row in rows}
    for row in every:
        home = row["merged_into_id"] or row["id"]
        matters[home].append(_story(row, wrote[row["id"]], changed[row["id"]], joined))
    return matters


def _messages(identifiers: Sequence[UUID]) -> Select[Any]:
    answers = and_(*ANSWERING)
    return select(
        _M.id,
        _M.conversation_id,
        _M.seq,
        _M.type,
        _M.channel,
        _M.inbox_id,
        _M.notes,
        _M.received_at,
        _M.created_at,
        func.coalesce(_M.sent_at, _M.created_at, type_=_M.created_at.type).label("taken_at"),
        answers.label("answers"),
    ).where(among(_M.conversation_id, identifiers, "uuid"), or_(and_(*ASKING), and_(*_WRITTEN)))


def _events(identifiers: Sequence[UUID]) -> Select[Any]:
    types = (ConversationStatusChanged.type, ConversationUpdated.type, MessageReceived.type)
    wanted = among(_E.conversation_id, identifiers, "uuid"), _E.type.in_(types)
    return (
        select(_E.id, _E.conversation_id, _E.type, _E.seq, _E.occurred_at, _E.data)
        .where(*wanted)
        .order_by(_E.seq, _E.id)
    )


def _last_joined(changed: Mapping[UUID, Sequence[Row]]) -> dict[UUID, UUID]:
    """By conversation, the event in which it went into another one for the last time.

    One that has come out again since then has lived on by itself, and is replayed as if it always had.
    """
    return {
        UUID(pair[1]): event["id"]
        for several in changed.values()
        for event in several
        if (pair := _merged(event)) is not None and pair[0] is None
    }


def _merged(event: Row) -> Sequence[str | None] | None:
    found: Sequence[str | None] | None = event["data"].get("changes", {}).get("merged")
    return found


def _story(row: Row, wrote: Sequence[Row], changed: Sequence[Row], joined: Mapping[UUID, UUID]) -> Story:
    """What it was at first is what its first change says, or what it still is."""
    first: dict[str, Any] = {}
    silent: dict[int, bool] = {}
    happenings: list[Happening] = []
    for event in changed:
        data, at = event["data"], {"noticed": event["occurred_at"], "seq": event["seq"]}
        if event["type"] == MessageReceived.type:
            silent[event["seq"]] = data["silent"]
        elif event["type"] == ConversationStatusChanged.type:
            first.setdefault("status", data["before"])
            happenings.append(Became(**at, status=data["after"]))
        else:
            values = {name: data["changes"][name] for name in ("priority", "category") if name in data["changes"]}
            for name, (before, _) in values.items():
                first.setdefault(name, before)
            if values:
                happenings.append(Reclassified(**at, values={name: pair[1] for name, pair in values.items()}))
            pair = _merged(event)
            if pair is not None and pair[1] is not None and joined[UUID(pair[1])] == event["id"]:
                happenings.append(Joined(**at, source=UUID(pair[1])))
    happenings += (one for message in wrote for one in _said(message, silent))
    begun: dict[str, Any] = {name: first.get(name, row[name]) for name in ("status", "priority", "category")}
    return Story(id=row["id"], **begun, happenings=happenings)


def _said(message: Row, silent: Mapping[int, bool]) -> Iterator[Happening]:
    """Mail that filing kept silent about, since two senders claim it for example, waits for nobody.

    What could not be read is silent and waits all the same: a person may be behind it.
    """
    seq, place = message["seq"], (message["seq"], message["channel"], message["inbox_id"])
    if message["type"] == MessageType.INCOMING:
        if not silent.get(seq, False) or "unreadable" in message["notes"]:
            yield Asked(noticed=message["created_at"], seq=seq, origin=Origin(message["received_at"], *place))
        return
    yield Wrote(noticed=message["created_at"], seq=seq, origin=Origin(message["created_at"], 0, *place[1:]))
    if message["answers"]:
        yield Answered(noticed=message["taken_at"], seq=seq, message_id=message["id"])
