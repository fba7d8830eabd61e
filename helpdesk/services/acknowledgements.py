"""Acknowledging: one row of outcome per new conversation, and a queued message where the outcome says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Executable, String, bindparam, delete, func, literal_column, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import new_id, ring
from helpdesk.dialects import among
from helpdesk.domain import acknowledgement
from helpdesk.domain.acknowledgement import Case, Outcome, mailbox
from helpdesk.domain.clocks import Kind
from helpdesk.domain.events import MessageCreated
from helpdesk.domain.values import AuthorKind, DeliveryStatus, MessageType
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import acknowledgements, messages
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.services import deliveries, events, rows
from helpdesk.services.foreseen import Filed, Work
from helpdesk.services.house import Services
from helpdesk.services.lookups import Automatic
from helpdesk.services.promises import Book
from helpdesk.statements import Row, Statement
from helpdesk.writes import Insert, Update, write


async def acknowledge(services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime) -> None:
    """Subscriber of `message.received`. Idempotent: a conversation has one outcome for ever."""
    first = {UUID(event["data"]["message_id"]): event["data"] for event in happened if event["data"]["first"]}
    if not first:
        return
    inbox_ids = list({UUID(data["inbox_id"]) for data in first.values()})
    found = await _FACTS.rows(session, message_ids=list(first), inbox_ids=inbox_ids, minute=now - timedelta(minutes=1))
    handles = {row["contact_handle"] for row in found}
    handles |= {mailbox(handle) for handle in handles}
    marked = await _HANDLES.rows(session, handles=list(handles), lately=now - acknowledgement.WINDOW)
    automatic = Automatic(
        own={row["handle"] for row in marked if row["own"]},
        held={row["contact_handle"]: row["automatic_held_at"] for row in found if row["automatic_held_at"]},
        acknowledged={row["handle"] for row in marked if not row["own"]},
        sent=Counter({row["inbox_id"]: row["this_minute"] or 0 for row in found}),
    )
    silent = {message_id for message_id, data in first.items() if data["silent"]}
    await services.promises.book(session)
    await _write(services, session, _decide(services, found, silent, automatic, now=now), now=now)


async def acknowledge_moved(
    services: Services, session: AsyncSession, conversation: Row, inbox: Row, *, now: datetime
) -> None:
    """For a conversation that goes on by another channel than it began by: as if its first message had come there.

    `conversation` is as it is by now, locked; its address there is proved. What was acknowledged already is not again.
    """
    a, handle = acknowledgements.c, conversation["contact_handle"]
    await session.execute(
        delete(acknowledgements).where(a.conversation_id == conversation["id"], a.message_id.is_(None))
    )
    if await session.scalar(select(a.conversation_id).where(a.conversation_id == conversation["id"])) is not None:
        return
    marked = await _HANDLES.rows(session, handles=[handle, mailbox(handle)], lately=now - acknowledgement.WINDOW)
    minute = (a.inbox_id == inbox["id"], a.created_at > now - timedelta(minutes=1), a.outcome == Outcome.QUEUED.value)
    identity = contact_identities.c
    held = select(identity.automatic_held_at).where(identity.channel == inbox["channel"], identity.handle == handle)
    held_since = await session.scalar(held)
    automatic = Automatic(
        own={row["handle"] for row in marked if row["own"]},
        held={handle: held_since} if held_since else {},
        acknowledged={row["handle"] for row in marked if not row["own"]},
        sent=Counter({inbox["id"]: await session.scalar(select(func.count()).where(*minute)) or 0}),
    )
    facts = {name: conversation[name] for name in _OF_CONVERSATION} | {name: inbox[name] for name in _OF_INBOX}
    facts |= {"channel": inbox["channel"], "inbox_id": inbox["id"], "message_id": None, "external_id": ""}
    await services.promises.book(session)
    outcomes = _decide(services, [facts | {"sender_verified": True}], (), automatic, now=now)
    await _write(services, session, outcomes, now=now)


def acknowledge_filed(
    services: Services, filed: Sequence[Filed], *, inbox: Row, automatic: Automatic, now: datetime
) -> Work:
    """The same for messages that are about to be written: the conversations are changed in the drafts."""
    first = [one for one in filed if one.first]
    silent = {one.message["id"] for one in first if one.silent}
    outcomes = _decide(services, [_facts_of(one, inbox) for one in first], silent, automatic, now=now)
    drafts = {one.conversation["id"]: one.conversation for one in first}
    for counted in _counted(outcomes):
        drafts[counted["id"]].update(counted)
    return _work(services, outcomes, now=now)


def _facts_of(filed: Filed, inbox: Row) -> Row:
    """What `_facts` would answer for it."""
    c, m = filed.conversation, filed.message
    return {name: c[name] for name in _OF_CONVERSATION} | {
        "message_id": m["id"],
        **{name: inbox[name] for name in _OF_INBOX},
        **{name: m[name] for name in ("channel", "inbox_id", "external_id", "sender_verified")},
    }


_OF_CONVERSATION = ("id", "number", "seq", "message_count", "contact_handle", "language", "priority", "category")
_OF_INBOX = ("handle", "sla_policy_id", "business_hours_id")

_Decided = tuple[Row, Outcome, UUID]
"""The facts of one conversation, its outcome, and the id of the message if there is to be one."""


def _decide(
    services: Services, facts: Sequence[Row], silent: Container[UUID], automatic: Automatic, *, now: datetime
) -> list[_Decided]:
    """The outcomes for new conversations. What is queued counts in `automatic` at once."""
    outcomes: list[_Decided] = []
    own = frozenset(automatic.own)
    for row in facts:
        handle = row["contact_handle"]
        case = Case(
            offered=services.channel(row["channel"]).capabilities.acknowledge,
            silent=row["message_id"] in silent,
            sender_verified=row["sender_verified"],
            handle=handle,
            own_handles=own,
            held_since=automatic.held.get(handle),
            acknowledged_lately=mailbox(handle) in automatic.acknowledged,
            inbox_room=services.settings.ack_per_minute - automatic.sent[row["inbox_id"]],
        )
        outcome = acknowledgement.decide(case, now=now)
        if outcome is Outcome.QUEUED:
            automatic.acknowledged.add(mailbox(handle))
            automatic.sent[row["inbox_id"]] += 1
        outcomes.append((row, outcome, new_id()))
    return outcomes


def _facts() -> Executable:
    """Everything that decides, one row per new conversation that has no outcome yet, in one statement."""
    c, m, a = conversations.c, messages.c, acknowledgements.c
    queued = literal_column(f"'{Outcome.QUEUED.value}'", String())
    time = a.created_at.type
    theirs = acknowledgements.alias("theirs")
    this_minute = (
        select(theirs.c.inbox_id, func.count().label("count"))
        .where(
            among(theirs.c.inbox_id, "inbox_ids", "uuid"),
            theirs.c.created_at > bindparam("minute", type_=time),
            theirs.c.outcome == queued,
        )
        .group_by(theirs.c.inbox_id)
        .subquery("this_minute")
    )
    return (
        select(
            *(c[name] for name in _OF_CONVERSATION),
            m.id.label("message_id"),
            m.channel,
            m.inbox_id,
            m.external_id,
            m.sender_verified,
            *(inboxes.c[name] for name in _OF_INBOX),
            contact_identities.c.automatic_held_at,
            this_minute.c.count.label("this_minute"),
        )
        .join(messages, m.conversation_id == c.id)
        .join(inboxes, inboxes.c.id == m.inbox_id)
        .outerjoin(
            contact_identities,
            (contact_identities.c.channel == m.channel) & (contact_identities.c.handle == c.contact_handle),
        )
        .outerjoin(this_minute, this_minute.c.inbox_id == m.inbox_id)
        .outerjoin(acknowledgements, a.conversation_id == c.id)
        .where(among(m.id, "message_ids", "uuid"), a.conversation_id.is_(None))
        .order_by(m.id)
        # Whoever gets an acknowledgement gets a number in the conversation, too.
        .with_for_update(of=conversations, key_share=True)
    )


_FACTS = Statement(_facts)


def _handles() -> Executable:
    """Of some handles: which are our own, and which were acknowledged lately."""
    a = acknowledgements.c
    own = select(inboxes.c.handle, literal_column("1").label("own")).where(
        among(inboxes.c.handle, "handles", "text"), inboxes.c.deleted_at.is_(None)
    )
    lately = select(a.handle, literal_column("0").label("own")).where(
        among(a.handle, "handles", "text"),
        a.created_at > bindparam("lately", type_=a.created_at.type),
        a.outcome == literal_column(f"'{Outcome.QUEUED.value}'", String()),
    )
    return union_all(own, lately)


_HANDLES = Statement(_handles)


async def _write(services: Services, session: AsyncSession, outcomes: Sequence[_Decided], *, now: datetime) -> None:
    work = _work(services, outcomes, now=now)
    told = events.outbox(session, [events.row(event, now=now) for event in work.events])
    *_, count = await write(
        session,
        Update(conversations, _counted(outcomes)),
        Insert(messages, work.messages),
        Insert(delivery_rows, work.deliveries),
        Insert(acknowledgements, work.acknowledgements, unless=("conversation_id",)),
        told,
    )
    for name in work.rings:
        ring(session, name)
    if work.events:
        events.told(session, told, count)


def _counted(outcomes: Sequence[_Decided]) -> list[dict[str, Any]]:
    """The conversations that get a message, with it counted."""
    return [
        {"id": row["id"], "seq": row["seq"] + 1, "message_count": row["message_count"] + 1}
        for row, outcome, _ in outcomes
        if outcome is Outcome.QUEUED
    ]


def _work(services: Services, outcomes: Sequence[_Decided], *, now: datetime) -> Work:
    queued = [(row, message_id) for row, outcome, message_id in outcomes if outcome is Outcome.QUEUED]
    return Work(
        messages=[_message(services, *one, now=now) for one in queued],
        deliveries=[_delivery(services, *one, now=now) for one in queued],
        acknowledgements=[_settled(*one, now=now) for one in outcomes],
        events=[_created(*one) for one in queued],
        rings={"deliver"} if queued else set(),
    )


def _settled(row: Row, outcome: Outcome, message_id: UUID, *, now: datetime) -> dict[str, Any]:
    return {
        "conversation_id": row["id"],
        "inbox_id": row["inbox_id"],
        "handle": mailbox(row["contact_handle"]),
        "outcome": outcome.value,
        "message_id": message_id if outcome is Outcome.QUEUED else None,
        "created_at": now,
    }


def _created(row: Row, message_id: UUID) -> MessageCreated:
    return MessageCreated(
        conversation_id=row["id"],
        seq=row["seq"] + 1,
        message_id=message_id,
        inbox_id=row["inbox_id"],
        private=False,
        by="system",
    )


def _delivery(services: Services, row: Row, message_id: UUID, *, now: datetime) -> dict[str, Any]:
    return deliveries.row(
        message_id=message_id,
        inbox_id=row["inbox_id"],
        token=deliveries.token_for(services, number=row["number"], recipient=row["contact_handle"]),
        to=[{"handle": row["contact_handle"], "name": ""}],
        automatic=True,
        now=now,
    )


def _promise(book: Book, row: Row, *, now: datetime) -> acknowledgement.Promise:
    """What the policy of this conversation promises, and when the desk opens if nobody is at it."""
    inbox = {"id": row["inbox_id"], **{name: row[name] for name in _OF_INBOX}}
    terms = book.terms(channel=row["channel"], inbox=inbox, priority=row["priority"], category=row["category"])
    target = terms.targets.get(Kind.FIRST_RESPONSE) if terms else None
    business = bool(terms and terms.hours)
    desk = book.at(inbox).timetable
    opens = None if desk.is_open(now) else desk.next_open(now)
    if opens is None or (target is not None and not business and opens > now + target):
        return acknowledgement.Promise(target, business)
    return acknowledgement.Promise(target, business, opens.astimezone(ZoneInfo(desk.calendar.zone)))


def _message(services: Services, row: Row, message_id: UUID, *, now: datetime) -> dict[str, Any]:
    subject, text = acknowledgement.text(
        row["language"],
        number=row["number"],
        promise=_promise(services.promises.at_hand, row, now=now),
        address=row["handle"],
    )
    return rows.message(
        message_id,
        conversation_id=row["id"],
        seq=row["seq"] + 1,
        type=MessageType.OUTGOING.value,
        channel=row["channel"],
        inbox_id=row["inbox_id"],
        author_kind=AuthorKind.SYSTEM.value,
        created_at=now,
        subject=subject,
        text=text,
        new_text=text,
        to=[{"handle": row["contact_handle"], "name": ""}],
        in_reply_to=row["external_id"],
        auto_submitted="auto-replied",
        delivery_status=DeliveryStatus.QUEUED.value,
        language=row["language"] or "en",
    )
