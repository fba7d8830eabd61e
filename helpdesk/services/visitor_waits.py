"""How visitors wait, as it is kept beside their conversations (`domain.queueing`): by what happens, and by the clock.

What happens is told by events. What nobody tells is that somebody went away, or that a desk closed while he waited:
that is looked for, and what nobody came for goes on by e-mail where it can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable, ring
from helpdesk.dialects import among
from helpdesk.domain.events import ConversationAssigned, MessageCreated, MessageReceived
from helpdesk.domain.queueing import Waiting
from helpdesk.domain.values import AuthorKind, Status
from helpdesk.models.conversations import conversations
from helpdesk.models.visitors import visits
from helpdesk.services import continuing, routing, visitor_queue
from helpdesk.services.house import Services
from helpdesk.statements import Row, Statement
from helpdesk.writes import Update, write

GONE: Final = timedelta(minutes=1)
"""Who has been away for so long while he waited does not wait any more. A lift takes less."""

UNATTENDED: Final = timedelta(minutes=2)
"""Who answers a chat without taking it has it to himself for as long as its contact does not wait longer than this."""

BATCH: Final = 20

_C: Final = conversations.c
_V: Final = visits.c
_OVER: Final = (Status.RESOLVED.value, Status.CLOSED.value)
_KEPT: Final = ("queued_at", "joined_at", "abandoned_at", "missed", "waited_seconds", "responded_at", "ended_at")
_OF_WAITING: Final = _KEPT[:5]


async def follow_visits(services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime) -> None:
    """Subscriber of what visitors and agents say, of assignments and of changes of status.

    Most of what is said changes nothing about how anybody waits: only where it does is anything locked.
    """
    live = services.live_channels()
    mine = [event for event in happened if _matters(event, live)]
    if not mine:
        return
    about = await _VISITS.rows(session, ids=list({event["conversation_id"] for event in mine}))
    concerned = _changes(about, mine, live)
    if concerned:
        # The conversation first: whoever writes into it holds it.
        locked = await _LOCKED.rows(session, ids=[row["conversation_id"] for row in concerned])
        await _write(session, _changes(locked, mine, live))
        ring(session, "routing")


def _changes(rows: Sequence[Row], happened: Sequence[Row], live: Sequence[str]) -> list[dict[str, Any]]:
    """What events change about visits, as they are kept."""
    after = {row["id"]: dict(row) for row in rows}
    for event in happened:
        visit = after.get(event["conversation_id"])
        if visit is not None:
            visit.update(_with(visit, event, live=visit["channel"] in live))
    return _different((row, after[row["id"]]) for row in rows)


def _matters(event: Row, live: Sequence[str]) -> bool:
    data = event["data"]
    if event["type"] == MessageReceived.type:
        return data["channel"] in live
    if event["type"] == MessageCreated.type:
        return not data["private"] and _is_by(data, AuthorKind.AGENT)
    return True


def _is_by(data: Mapping[str, Any], kind: AuthorKind) -> bool:
    return str(data["by"]).partition(":")[0] == kind


def _with(visit: Mapping[str, Any], event: Row, *, live: bool) -> dict[str, Any]:
    """What an event makes of a visit. Whether he waits now is asked of the conversation as it is."""
    at, data = event["occurred_at"], event["data"]
    waiting = Waiting(**{name: visit[name] for name in _OF_WAITING})
    waits = live and not visit["feedback"] and visit["assignee_id"] is None and visit["status"] == Status.OPEN
    also: dict[str, Any] = {}
    if event["type"] == MessageReceived.type:
        waiting = waiting.queue(at) if waits and (waiting.joined_at is None or waiting.missed) else waiting
    elif event["type"] == MessageCreated.type:
        waiting, also = waiting.join(at), {"responded_at": visit["responded_at"] or at}
    elif event["type"] == ConversationAssigned.type:
        waiting = waiting.join(at) if data["assignee_id"] else waiting.queue(at) if waits else waiting
    elif data["after"] == Status.OPEN:
        waiting, also = waiting.queue(at) if waits else waiting, {"ended_at": None}
    else:
        waiting = waiting.go(at) if _is_by(data, AuthorKind.CONTACT) else waiting.stop(at)
        also = {"ended_at": at} if data["after"] in _OVER and visit["ended_at"] is None else {}
    return {name: getattr(waiting, name) for name in _OF_WAITING} | also


def _columns() -> Select[Any]:
    own = [_V[name] for name in ("feedback", "online_until", *_KEPT)]
    return select(_C.id, _C.channel, _C.status, _C.assignee_id, *own).join_from(
        conversations, visits, _V.conversation_id == _C.id
    )


_VISITS: Final = Statement(lambda: _columns().where(among(_C.id, "ids", "uuid")))

_LOCKED: Final = Statement(
    lambda: _columns().where(among(_C.id, "ids", "uuid")).order_by(_C.id).with_for_update(key_share=True)
)


def _different(changes: Iterable[tuple[Row, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {"conversation_id": before["id"]} | {name: after[name] for name in _KEPT}
        for before, after in changes
        if any(before[name] != after[name] for name in _KEPT)
    ]


async def _write(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        await write(session, Update(visits, rows, by=("conversation_id",)))


# -- what nobody tells ------------------------------------------------------------------------------------------------


async def left_waiting(services: Services, session: AsyncSession, *, now: datetime) -> list[UUID]:
    """Chats that somebody answered and nobody took, and whose contact has waited since for as long as nobody should."""
    query = (
        select(_C.id)
        .join(visits, _V.conversation_id == _C.id)
        .where(_C.waiting_since <= now - UNATTENDED, routing.QUEUED, _V.queued_at.is_(None), _V.joined_at.is_not(None))
        .where(routing.of_kind(services.live_channels(), live=True))
        .order_by(_C.id)
        .limit(BATCH)
    )
    return list((await session.execute(query)).scalars())


async def queue_again(services: Services, session: AsyncSession, ids: Sequence[UUID], *, now: datetime) -> int:
    """Let these wait in their queues again; answers how many do that did not."""
    locked = claimable(select(_C.id).where(among(_C.id, list(ids), "uuid")).order_by(_C.id))
    held = set((await session.execute(locked)).scalars())
    still = [one for one in await left_waiting(services, session, now=now) if one in held]
    mine = update(visits).where(among(_V.conversation_id, still, "uuid"), _V.queued_at.is_(None))
    done = (await session.execute(mine.values(queued_at=now).returning(_V.conversation_id))).all()
    if done:
        ring(session, "routing")
    return len(done)


async def anything(session: AsyncSession, *, now: datetime) -> list[UUID]:
    """Conversations that `miss` would miss: their visitors wait and are gone, or their desk is closed."""
    shut = await visitor_queue.closed(session, now=now)
    over = or_(_last_there() <= now - GONE, among(_V.inbox_id, shut, "uuid")) if shut else _last_there() <= now - GONE
    query = (
        select(_C.id)
        .join(visits, _V.conversation_id == _C.id)
        .where(_V.queued_at.is_not(None), routing.QUEUED, over)
        .order_by(_V.queued_at)
        .limit(BATCH)
    )
    return list((await session.execute(query)).scalars())


async def miss(services: Services, session: AsyncSession, ids: Sequence[UUID], *, now: datetime) -> int:
    """Note of these that nobody came, and let them go on by mail; answers how many that were.

    Those that somebody has in hand are left for the next time, and whoever was joined or came back meanwhile waits on.
    """
    shut = await visitor_queue.closed(session, now=now)
    locked = claimable(select(conversations).where(among(_C.id, list(ids), "uuid"), routing.QUEUED).order_by(_C.id))
    found = {row["id"]: row for row in (await session.execute(locked)).mappings()}
    there = _last_there().label("last_there")
    query = _columns().add_columns(there, _V.inbox_id).where(among(_C.id, list(found), "uuid"))
    query = query.where(_V.queued_at.is_not(None)).order_by(_C.id).with_for_update(of=visits, key_share=True)
    changes = []
    for row in (await session.execute(query)).mappings() if found else ():
        gone = row["last_there"] <= now - GONE
        if gone or row["inbox_id"] in shut:
            waiting = Waiting(**{name: row[name] for name in _OF_WAITING})
            over = waiting.miss(row["last_there"] if gone else now, gone=gone)
            changes.append((row, dict(row) | {name: getattr(over, name) for name in _OF_WAITING}))
    await _write(session, _different(changes))
    for row, _ in changes:
        await continuing.by_mail(services, session, found[row["id"]], now=now)
    return len(changes)


def _last_there() -> ColumnElement[datetime]:
    """When he was there last, as far as is known: at least when he began to wait."""
    return case((_V.online_until > _V.queued_at, _V.online_until), else_=_V.queued_at)
