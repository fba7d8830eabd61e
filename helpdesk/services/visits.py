"""How visits go: whether somebody is there, writes, and how far he has read; and which conversation he is in.

A visit is a row beside a conversation of a live channel, since it changes more often than that. What is true only for
a moment runs out by itself, and nobody's version of the conversation is made stale by it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    Uuid,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, ring
from helpdesk.domain.values import LinkKind, Status
from helpdesk.live import Visitor
from helpdesk.models.conversations import conversation_links, conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visits
from helpdesk.services import presence
from helpdesk.statements import Row, Statement
from helpdesk.writes import Update

LIVE: Final = "live:"
"""Rung with a conversation's id behind it when its log has something new, with a contact's when he begins one."""

CONTINUED_WITHIN: Final = timedelta(days=14)
"""A conversation in which nothing has happened for longer is over: the next message begins another one."""

MAILED_AFTER: Final = timedelta(minutes=10)
"""What has not been read by then goes on by e-mail."""

JUST_SAID: Final = timedelta(seconds=10)
"""Whoever has just begun is there, also before it is written down that he reads along."""

_V: Final = visits.c


def ring_live(session: AsyncSession, conversation_id: UUID) -> None:
    """After this session's commit, those who read this conversation along look at it again."""
    ring(session, f"{LIVE}{conversation_id}")


def joinable(contact_id: Any, inbox_id: Any, *, since: Any) -> ScalarSelect[UUID]:
    """The conversation that the contact's next message in a live inbox joins: his newest there that is not closed.

    His is what he began by himself, or was proved to have begun (`visitor_identities.unite`): whom an agent takes him
    for opens nothing to him. One that was merged stands for what it went into. Feedback is gone on with only where
    there is nothing else.
    `since` is `CONTINUED_WITHIN` before now; each may be a column or a parameter.
    """
    mine, home = conversations.alias("mine"), conversations.alias("home")
    return (
        select(home.c.id)
        .select_from(mine)
        .join(visits, _V.conversation_id == mine.c.id)
        .join(home, home.c.id == func.coalesce(mine.c.merged_into_id, mine.c.id))
        .where(
            _V.contact_id == contact_id,
            _V.inbox_id == inbox_id,
            home.c.status != literal_column(f"'{Status.CLOSED.value}'"),
            home.c.last_activity_at > since,
        )
        .order_by(_V.feedback, mine.c.id.desc())
        .limit(literal_column("1"))
        .scalar_subquery()
    )


async def begin(
    session: AsyncSession,
    conversation: Row,
    *,
    contact_id: UUID,
    feedback: bool = False,
    waits: bool = True,
    now: datetime,
) -> None:
    """The visit of a conversation that its first message has just opened. He waits in a queue from here on.

    `contact_id` is who the visitor has shown to be, which is not whom an agent takes him for. With `waits` off he has
    only come, and waits once he has said something.
    """
    row = {
        "conversation_id": conversation["id"],
        "contact_id": contact_id,
        "inbox_id": conversation["inbox_id"],
        "feedback": feedback,
        "online_until": None if feedback else now + JUST_SAID,
        "last_seen_at": now,
        "queued_at": now if waits and not feedback else None,
        "created_at": now,
    }
    await session.execute(insert_ignoring(session, visits, on=["conversation_id"]).values(row))
    ring(session, f"{LIVE}{contact_id}")


async def move(session: AsyncSession, conversation: Row, *, contact_id: UUID) -> None:
    """He reads his conversation along in `conversation["inbox_id"]` from here on, wherever he has so far."""
    here = update(visits).where(_V.conversation_id == conversation["id"], _V.contact_id == contact_id)
    await session.execute(here.values(inbox_id=conversation["inbox_id"]))


async def follow(session: AsyncSession, source_id: UUID, into: UUID, *, now: datetime) -> None:
    """The source goes into another conversation: its visitor is there from now on, if no other one is already."""
    copied = ("contact_id", "inbox_id", "feedback", "online_until", "last_seen_at")
    found = await session.execute(select(*(_V[name] for name in copied)).where(_V.conversation_id == source_id))
    row = found.mappings().one_or_none()
    if row is not None:
        missing = insert_ignoring(session, visits, on=["conversation_id"])
        await session.execute(missing.values(conversation_id=into, created_at=now, **row))
        ring_live(session, source_id)


async def part(session: AsyncSession, source_id: UUID, place: UUID, *, since: datetime) -> None:
    """The source comes back out of where it was since then, and its visitor with it."""
    came = delete(visits).where(_V.conversation_id == place, _V.created_at == since)
    await session.execute(came)
    ring_live(session, source_id)
    ring_live(session, place)


async def read(session: AsyncSession, visitor: Visitor, seq: int, *, now: datetime) -> None:
    """He has read up to `seq`. It never goes back, and never beyond the conversation's end.

    Where his conversation went into somebody else's, it says nothing of what that one has read.
    """
    if visitor.conversation_id is None:
        return
    end = select(conversations.c.seq).where(conversations.c.id == visitor.conversation_id).scalar_subquery()
    reached = case((end < seq, end), else_=seq)
    further = update(visits).where(_V.conversation_id == visitor.conversation_id, _V.read_seq < seq)
    further = further.where(_V.contact_id == visitor.contact_id, _V.inbox_id == visitor.inbox_id)
    values = {"read_seq": reached, "last_seen_at": now}
    done = await session.execute(further.where(_V.read_seq < end).values(values).returning(_V.read_seq))
    if done.first() is not None:
        ring(session, presence.BELL)


async def typing(session: AsyncSession, visitor: Visitor, *, until: datetime | None, now: datetime) -> None:
    """He writes until then; None: no longer."""
    mine = update(visits).where(_V.conversation_id == visitor.conversation_id)
    if visitor.conversation_id is not None:
        await session.execute(mine.values(typing_until=until, last_seen_at=now))
        ring(session, presence.BELL)


async def online(
    session: AsyncSession, conversation_ids: Collection[UUID], *, until: datetime | None, now: datetime
) -> None:
    """The visitors of these are there until then; None: no longer."""
    if not conversation_ids:
        return
    # In the order of their ids: two processes may tell of the same ones.
    locked = select(_V.conversation_id).where(_V.conversation_id.in_(conversation_ids)).order_by(_V.conversation_id)
    held = (await session.execute(locked.with_for_update(key_share=True))).scalars().all()
    values = {"online_until": until, "last_seen_at": now}
    await session.execute(update(visits).where(_V.conversation_id.in_(held)).values(values))
    ring(session, presence.BELL)


def answered(conversation_id: UUID, *, now: datetime) -> Update:
    """Something was written to him that he may not read in time: from the first of these on, the time counts."""
    due = {"conversation_id": conversation_id, "mail_due_at": now + MAILED_AFTER}
    return Update(visits, [due], by=("conversation_id",), empty=("mail_due_at",))


def is_read_through(conversation_id: Any, inbox_id: Any) -> ColumnElement[bool]:
    """Whether a visitor reads a conversation along through an inbox: his own, or the one that his went into."""
    link, merged = conversation_links.c, visits.alias("merged")
    went_into = (
        exists()
        .where(link.related_id == conversation_id, link.kind == literal_column(f"'{LinkKind.MERGED.value}'"))
        .where(merged.c.conversation_id == link.conversation_id, merged.c.inbox_id == inbox_id)
    )
    return or_(exists().where(_V.conversation_id == conversation_id, _V.inbox_id == inbox_id), went_into)


def _read_through() -> Select[Any]:
    i = inboxes.c
    return select(i.id).where(is_read_through(bindparam("conversation", type_=Uuid()), i.id))


_READ_THROUGH: Final = Statement(_read_through)


async def read_through(session: AsyncSession, conversation_id: UUID) -> frozenset[UUID]:
    """The inboxes through which a visitor reads this conversation along, his own or the one that his went into."""
    return frozenset(row["id"] for row in await _READ_THROUGH.rows(session, conversation=conversation_id))


async def contact_presence(session: AsyncSession, conversation_id: UUID, *, now: datetime) -> Mapping[str, Any] | None:
    """What an agent sees of the visitor, None where there is none: is he there, does he write, what has he read."""
    columns = (_V.online_until, _V.typing_until, _V.read_seq, _V.last_seen_at)
    row = (await session.execute(select(*columns).where(_V.conversation_id == conversation_id))).one_or_none()
    if row is None:
        return None
    there = row.online_until is not None and row.online_until > now
    writes = row.typing_until is not None and row.typing_until > now
    return {"online": there, "typing": writes, "read_seq": row.read_seq, "last_seen_at": row.last_seen_at}
