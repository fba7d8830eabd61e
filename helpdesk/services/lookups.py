"""What filing must know about a batch before it decides: a handful of statements, however many messages there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Executable,
    Integer,
    LargeBinary,
    Select,
    String,
    Uuid,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.crypto import CannotOpen
from helpdesk.db import is_postgresql
from helpdesk.dialects import among, gathered
from helpdesk.domain import tokens
from helpdesk.domain.acknowledgement import WINDOW, Outcome, mailbox
from helpdesk.domain.admission import Admitted
from helpdesk.domain.matching import Candidate, TokenFact
from helpdesk.domain.values import LinkKind, MessageType, RawState, Role, Status
from helpdesk.models.agents import agents
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversation_links, conversations, participants
from helpdesk.models.inboxes import inboxes, raw_items
from helpdesk.models.messages import acknowledgements, messages
from helpdesk.services.access import seen_by
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.threads import Threads
from helpdesk.services.threads import look_up as look_up_threads
from helpdesk.statements import NEXT_NUMBER, Statement, times
from helpdesk.writes import VERSION

FLOOD = 200
"""Conversations that one sender may start in an hour; what comes beyond is kept together in one more, marked."""

_CONVERSATION = [
    "id",
    "number",
    "subject",
    "contact_id",
    "contact_handle",
    "channel",
    "inbox_id",
    "status",
    "team_id",
    "assignee_id",
    "seq",
    "message_count",
    "version",
    "last_incoming_seq",
    "last_activity_at",
    "waiting_since",
    "next_due_at",
    "due_soon_at",
    "sla_paused",
    "priority",
    "category",
    "last_agent_seq",
    "status_changed_at",
    "snoozed_until",
    "spam",
    "preview",
    "last_message_direction",
    "language",
    "merged_into_id",
]


@dataclass(slots=True)
class KnownContact:
    """Whom a handle belongs to, how many conversations he has had of late, and the one that takes a flood of his."""

    contact_id: UUID
    name: str
    started_lately: int = 0
    flood: UUID | None = None
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A message that we hold under some external id."""

    message_id: UUID
    conversation_id: UUID
    inbox_id: UUID
    content_digest: str


@dataclass(slots=True)
class Automatic:
    """What speaks against automatic mail to the senders: which of their handles are our own, bounced lately or were
    acknowledged within the window, and how many acknowledgements each inbox has sent within a minute."""

    own: set[str] = field(default_factory=set)
    held: dict[str, datetime] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    sent: Counter[UUID] = field(default_factory=Counter)


@dataclass(slots=True)
class Known:
    """The answers, by the value that was asked for. Filing adds to them as it goes through the batch."""

    digests: dict[str, UUID] = field(default_factory=dict)
    outgoing: dict[str, dict[str, Any]] = field(default_factory=dict)
    incoming: dict[str, list[Held]] = field(default_factory=dict)
    contacts: dict[str, KnownContact] = field(default_factory=dict)
    agents: dict[str, frozenset[UUID]] = field(default_factory=dict)
    conversations: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    merged: dict[UUID, UUID] = field(default_factory=dict)
    """Where conversations went that were merged; what they went into is among `conversations` in their place."""
    versions: dict[UUID, int] = field(default_factory=dict)
    """The `VERSION` of each conversation that was looked at without a lock."""
    token_facts: dict[str, Candidate | None] = field(default_factory=dict)
    answered: dict[str, set[UUID]] = field(default_factory=dict)
    """Where the messages are, by the ids under which mail with a token names what it answers."""
    parted: dict[tuple[str, str], Candidate] = field(default_factory=dict)
    """By token and id: what it answers went from the token's conversation into this one."""
    owners: dict[UUID, str] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    """Conversation numbers that were taken already, ascending; more have to be asked for."""
    sent_to: Automatic = field(default_factory=Automatic)
    threads: Threads = field(default_factory=Threads)

    def home(self, conversation_id: UUID) -> UUID:
        """Where mail for this conversation goes by now."""
        return self.merged.get(conversation_id, conversation_id)

    def shuns(self, conversation: Mapping[str, Any]) -> bool:
        """Whether it may become spam with this batch: somebody blocked may have written in a matter of his own."""
        if conversation["spam"]:
            return False
        return any(one.blocked and one.contact_id == conversation["contact_id"] for one in self.contacts.values())

    def led(self, message: Admitted) -> Candidate | None:
        """Where the author's thread has led so far, if that is his: his own matter, or one that his was merged into, in
        which he takes part.

        Nobody comes into somebody else's by having written in the same thread.
        """
        place = self.threads.place_of(message)
        home = self.conversations.get(self.home(place)) if place else None
        if place is None or home is None:
            return None
        handle = message.sender.handle.lower()
        contact = self.contacts.get(handle)
        his = contact is not None and contact.contact_id == home["contact_id"]
        carried = (place in self.merged or self.threads.is_led(message)) and handle in (home["present"] or ())
        joins = (his or carried) and handle not in (home["gone"] or ())
        return Candidate(home["id"], home["status"], frozenset({handle} if joins else ()))

    def facts(self, message: Admitted) -> list[TokenFact]:
        return [
            TokenFact(source, self.parted.get((token, message.in_reply_to), self.token_facts[token]))
            for source, token in message.tokens
            if token in self.token_facts
        ]


async def look_up(
    services: Services,
    session: AsyncSession,
    keys: Keys,
    admitted: Sequence[Admitted],
    *,
    channel: str,
    inbox_id: UUID,
    digests: Sequence[str],
    joins: Sequence[UUID] = (),
    lock: bool = True,
    now: datetime,
) -> Known:
    """Everything about a batch. Conversations that it may join are locked, in the order of their ids.

    `joins` are some that no token names: who writes in a session of a live channel has said who he is.
    Without `lock` their versions are noted instead, for whoever writes them to compare. On SQLite nobody else writes.
    """
    known = Known()
    senders = {message.sender.handle.lower() for message in admitted} - {""}
    colleagues = await _ask(
        session,
        known,
        keys,
        admitted,
        channel=channel,
        inbox_id=inbox_id,
        digests=digests,
        senders=senders,
        now=now,
    )
    await _floods(session, known, inbox_id, now=now)
    await _owners(session, known, keys)
    known.threads = await look_up_threads(session, inbox_id, admitted)
    await _conversations(services, session, known, admitted, joins, lock=lock)
    await _agents(session, known, colleagues)
    return known


def _everything() -> Executable:
    return union_all(*_questions())


def _questions() -> Sequence[Select[Any]]:
    """What we hold of these bytes and ids, who the senders are, and what was sent to them, for one round trip.

    `kind` says which question a row answers, `asked` the value that was asked for.
    """
    r, m, a, i, k = raw_items.c, messages.c, agents.c, contact_identities.c, contacts.c
    digests = _answer("digest", r.digest, id=r.message_id).where(
        r.inbox_id == bindparam("inbox_id", type_=Uuid()),
        among(r.digest, "digests", "text"),
        r.state == literal_column(f"'{RawState.FILED.value}'"),
        r.message_id.is_not(None),
    )
    held = _answer(
        "message",
        m.external_id,
        id=m.id,
        inbox_id=m.inbox_id,
        conversation_id=m.conversation_id,
        text=m.type,
        digest=m.content_digest,
    ).where(among(m.external_id, "external_ids", "text"))
    lately = (
        select(func.count())
        .where(
            conversations.c.contact_id == k.id,
            conversations.c.last_activity_at > bindparam("lately", type_=conversations.c.last_activity_at.type),
        )
        .scalar_subquery()
    )
    senders = (
        _answer(
            "contact", i.handle, id=k.id, text=k.name, key=k.key, count=lately, at=i.automatic_held_at, flag=k.blocked
        )
        .join(contacts, k.id == i.contact_id)
        .where(i.channel == bindparam("channel", type_=String()), among(i.handle, "senders", "text"))
    )
    colleagues = _answer("agent", a.email, id=a.id, text=a.role).where(among(a.email, "senders", "text"), a.active)
    return digests, held, senders, colleagues, *_automatic()


def _automatic() -> Sequence[Select[Any]]:
    a, time = acknowledgements.c, acknowledgements.c.created_at.type
    queued = a.outcome == literal_column(f"'{Outcome.QUEUED.value}'", String())
    own = _answer("own", inboxes.c.handle).where(
        among(inboxes.c.handle, "handles", "text"), inboxes.c.deleted_at.is_(None)
    )
    acknowledged = _answer("acknowledged", a.handle).where(
        among(a.handle, "handles", "text"), a.created_at > bindparam("window", type_=time), queued
    )
    this_minute = _answer("this_minute", literal_column("''", String()), count=func.count()).where(
        a.inbox_id == bindparam("inbox_id", type_=Uuid()), a.created_at > bindparam("minute", type_=time), queued
    )
    return own, acknowledged, this_minute


def _answer(kind: str, asked: ColumnElement[str], **found: ColumnElement[Any]) -> Select[Any]:
    """One part of the union: columns that it does not know are empty, of the type that the others give them."""
    empty: dict[str, ColumnElement[Any]] = {
        "id": cast(null(), Uuid()),
        "inbox_id": cast(null(), Uuid()),
        "conversation_id": cast(null(), Uuid()),
        "text": literal_column("''", String()),
        "digest": literal_column("''", String()),
        "key": cast(null(), LargeBinary()),
        "count": literal_column("0", Integer()),
        "flag": literal_column("false", Boolean()),
        "at": cast(null(), contact_identities.c.automatic_held_at.type),
    }
    columns = {"kind": literal_column(f"'{kind}'", String()), "asked": asked} | empty | found
    return select(*(column.label(name) for name, column in columns.items()))


_EVERYTHING = Statement(_everything)


def _everything_and_numbers() -> Executable:
    """PostgreSQL's sequence is asked in passing. A number that is not needed is a gap, as after a rollback."""
    numbers = _answer("number", literal_column("''", String()), count=NEXT_NUMBER).select_from(times("fresh"))
    return union_all(*_questions(), numbers)


_EVERYTHING_AND_NUMBERS = Statement(_everything_and_numbers)


async def _ask(
    session: AsyncSession,
    known: Known,
    keys: Keys,
    admitted: Sequence[Admitted],
    *,
    channel: str,
    inbox_id: UUID,
    digests: Sequence[str],
    senders: set[str],
    now: datetime,
) -> list[tuple[UUID, str, str]]:
    """Fill `known` but for the conversations; answers the senders who are agents: id, address, role."""
    wanted = {message.external_id for message in admitted}
    wanted.update(original for m in admitted if m.bounce for original in m.bounce.original_ids)
    answered = {message.in_reply_to for message in admitted if message.tokens} - {""}
    threaded = {message.external_id for message in admitted if message.thread}
    colleagues = []
    everything = _EVERYTHING_AND_NUMBERS if is_postgresql(session) else _EVERYTHING
    for row in await everything.rows(
        session,
        begin=False,
        fresh=sum(not message.tokens and message.bounce is None for message in admitted),
        inbox_id=inbox_id,
        digests=list(digests),
        external_ids=list((wanted | answered) - {""}),
        channel=channel,
        senders=list(senders),
        lately=now - timedelta(hours=1),
        handles=list(senders | set(map(mailbox, senders))),
        window=now - WINDOW,
        minute=now - timedelta(minutes=1),
    ):
        match row["kind"]:
            case "digest":
                known.digests[row["asked"]] = row["id"]
            case "message":
                # An id of a channel with threads is its inbox's: what another has sent under the same is not this.
                apart = row["asked"] in threaded and row["inbox_id"] != inbox_id
                _hold(known, row, own=row["asked"] in wanted, answered=row["asked"] in answered, apart=apart)
            case "contact" if row["key"]:
                keys.add(f"contact:{row['id']}", row["key"])
                known.contacts[row["asked"]] = KnownContact(
                    row["id"], row["text"], row["count"], blocked=bool(row["flag"])
                )
                if row["at"]:
                    known.sent_to.held[row["asked"]] = row["at"]
            case "number":
                known.numbers.append(row["count"])
            case "own":
                known.sent_to.own.add(row["asked"])
            case "acknowledged":
                known.sent_to.acknowledged.add(row["asked"])
            case "this_minute":
                known.sent_to.sent[inbox_id] = row["count"]
            case "agent":
                colleagues.append((row["id"], row["asked"], row["text"]))
    known.numbers.sort()
    return colleagues


def _hold(known: Known, row: dict[str, Any], *, own: bool, answered: bool, apart: bool) -> None:
    """A message that we hold under an id: one of the batch's `own`, or one that is `answered` by some of it.

    `apart`: what was sent under it is another message.
    """
    if answered:
        known.answered.setdefault(row["asked"], set()).add(row["conversation_id"])
    if own and row["text"] == MessageType.OUTGOING:
        if not apart:
            known.outgoing[row["asked"]] = row
    elif own:
        held = Held(row["id"], row["conversation_id"], row["inbox_id"], row["digest"])
        known.incoming.setdefault(row["asked"], []).append(held)


async def _floods(session: AsyncSession, known: Known, inbox_id: UUID, *, now: datetime) -> None:
    """For those few who write too much, where the excess of the last hour went."""
    for contact in {one.contact_id: one for one in known.contacts.values() if one.started_lately >= FLOOD}.values():
        contact.flood = await session.scalar(
            select(conversations.c.id)
            .where(
                conversations.c.contact_id == contact.contact_id,
                conversations.c.inbox_id == inbox_id,
                conversations.c.quarantined,
                conversations.c.status != Status.CLOSED.value,
                conversations.c.created_at > now - timedelta(hours=1),
            )
            .order_by(conversations.c.id.desc())
            .limit(1)
        )


async def _owners(session: AsyncSession, known: Known, keys: Keys) -> None:
    """Whose a message is that was repeated, returned or bounced, with his key opened. Who was erased has none."""
    wanted = {*known.digests.values(), *(row["id"] for row in known.outgoing.values())}
    wanted |= {held.message_id for several in known.incoming.values() for held in several}
    if not wanted:
        return
    found = await session.execute(
        select(messages.c.id, messages.c.type, messages.c.author_id, conversations.c.contact_id)
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(messages.c.id.in_(wanted))
    )
    for message_id, type_, author_id, contact_id in found.all():
        owner = f"contact:{author_id if type_ == MessageType.INCOMING else contact_id}"
        try:
            await keys.load(session, owner)
        except CannotOpen:
            continue
        known.owners[message_id] = owner


def _people(*which: ColumnElement[bool]) -> ColumnElement[Any]:
    theirs = participants.c.conversation_id == conversations.c.id
    return select(gathered(participants.c.handle, "text")).where(theirs, *which).scalar_subquery()


def _conversations_of(*more: ColumnElement[Any]) -> Select[Any]:
    return (
        select(
            *(conversations.c[name] for name in _CONVERSATION),
            _people(participants.c.removed_at.is_(None)).label("present"),
            _people(participants.c.removed_at.is_not(None)).label("gone"),
            *more,
        )
        .where(or_(among(conversations.c.number, "numbers", "int"), among(conversations.c.id, "wanted", "uuid")))
        .order_by(conversations.c.id)
    )


_LOCKED = Statement(lambda: _conversations_of().with_for_update(of=conversations, key_share=True))
_UNLOCKED = Statement(lambda: _conversations_of(literal_column(f"conversations.{VERSION}").label(VERSION)))


async def _conversations(
    services: Services,
    session: AsyncSession,
    known: Known,
    admitted: Sequence[Admitted],
    joins: Sequence[UUID],
    *,
    lock: bool,
) -> None:
    parsed = {text: tokens.read(text) for message in admitted for _, text in message.tokens}
    numbers = {token.number for token in parsed.values() if token}
    bounced = {original for m in admitted if m.bounce for original in m.bounce.original_ids}
    wanted = {known.outgoing[original]["conversation_id"] for original in bounced if original in known.outgoing}
    wanted |= {contact.flood for contact in known.contacts.values() if contact.flood}
    wanted |= {one for places in known.answered.values() for one in places} | set(joins)
    wanted |= {thread["conversation_id"] for thread in known.threads.led.values()}
    wanted |= set(known.threads.answered.values())
    rows: dict[int, dict[str, Any]] = {}
    if numbers or wanted:
        locking = lock or not is_postgresql(session)
        ask = _LOCKED if locking else _UNLOCKED
        found = await ask.rows(session, begin=locking, numbers=list(numbers), wanted=list(wanted))
        if any(row["merged_into_id"] is not None for row in found):
            found += await _joined(session, ask, known, found, begin=locking)
        if not locking:
            known.versions = {row["id"]: row.pop(VERSION) for row in found}
        rows = {row["number"]: row for row in found}
        known.conversations = {row["id"]: row for row in found if row["id"] not in known.merged}
    for text, token in parsed.items():
        row = rows.get(token.number) if token else None
        known.token_facts[text] = _candidate(services, known, token, row) if token and row else None
    if known.answered:
        origins = {text: rows[token.number]["id"] for text, token in parsed.items() if token and token.number in rows}
        await _follow(session, known, admitted, origins, {row["id"]: row for row in rows.values()})


async def _follow(
    session: AsyncSession,
    known: Known,
    admitted: Sequence[Admitted],
    origins: Mapping[str, UUID],
    rows: Mapping[UUID, dict[str, Any]],
) -> None:
    """Mail that answers a message which was split off, with the token from before, goes where the message went.

    An id without a token leads nowhere, and a token only into what was split off from its own conversation. There, too,
    whoever writes has to take part. Asked only where a mail answers something outside of its token's conversation.
    """
    apart = {
        (text, message.in_reply_to, place)
        for message in admitted
        for _, text in message.tokens
        for place in known.answered.get(message.in_reply_to, ())
        if known.token_facts.get(text) and place in rows and place != origins[text]
    }
    if not apart:
        return
    link = conversation_links.c
    query = select(link.conversation_id, link.related_id).where(
        link.conversation_id.in_({place for *_, place in apart}), link.kind == LinkKind.SPLIT.value
    )
    split = {(row[0], row[1]) for row in await session.execute(query)}
    for text, answered, place in apart:
        candidate = known.token_facts[text]
        if candidate is not None and (place, origins[text]) in split:
            row, home = rows[place], known.conversations[known.home(place)]
            people = {*(row["present"] or ()), *(candidate.participants & {row["contact_handle"]})}
            joining = frozenset(people - set(home["gone"] or ()))
            known.parted[text, answered] = Candidate(home["id"], home["status"], joining)


async def _joined(
    session: AsyncSession, ask: Statement, known: Known, found: Sequence[dict[str, Any]], *, begin: bool
) -> list[dict[str, Any]]:
    """What the merged ones of these went into, but for what was found already.

    It is locked out of the order of ids. Whoever comes into a deadlock with us by that files again, or we do.
    """
    pointers = {row["id"]: row["merged_into_id"] for row in found if row["merged_into_id"] is not None}
    more = await ask.rows(
        session, begin=begin, numbers=[], wanted=list({*pointers.values()} - {r["id"] for r in found})
    )
    there = {row["id"] for row in (*found, *more)}
    known.merged = {one: into for one, into in pointers.items() if into in there}
    return more


def _candidate(services: Services, known: Known, token: tokens.Token, row: dict[str, Any]) -> Candidate | None:
    """Where the conversation goes on, if the token was issued for it to somebody who takes, or took, part.

    Who was taken out of what it was merged into takes no part in that by having taken part here.
    """
    try:
        key = services.keyring.subkey("token", token.key_id)
    except CannotOpen:
        return None
    present, people = set(row["present"] or ()), {*(row["present"] or ()), *(row["gone"] or ())}
    recipients = people | {row["contact_handle"]}
    issued_to = {recipient for recipient in recipients if tokens.verify(key, token, recipient=recipient)}
    if not issued_to:
        return None
    # A contact who began without a good verdict is no participant by that; that we wrote to him since makes him one.
    joining = present | (issued_to - people)
    if row["id"] in known.merged:
        row = known.conversations[known.home(row["id"])]
        joining -= set(row["gone"] or ())
    return Candidate(row["id"], row["status"], frozenset(joining))


async def _agents(session: AsyncSession, known: Known, colleagues: Sequence[tuple[UUID, str, str]]) -> None:
    """Which of the conversations at hand each colleague may see today."""
    for agent_id, email, role in colleagues:
        known.agents[email] = await seen_by(session, agent_id, Role(role), list(known.conversations))
