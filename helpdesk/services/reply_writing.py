"""How an answer or a note is written: its message, its delivery, and all that it changes, in one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Capabilities
from helpdesk.db import new_id, ring
from helpdesk.domain.clocks import Clock
from helpdesk.domain.events import DomainEvent, MessageCreated, MessageSent
from helpdesk.domain.plain import preview_of
from helpdesk.domain.values import Actor, AuthorKind, DeliveryStatus, MessageType, Status, Visibility
from helpdesk.models.conversations import conversation_inboxes, conversations
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.models.messages import messages
from helpdesk.services import attachments, deliveries, feed, reads, rows, sla, visitor_fresh, visits
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services.events import outbox, outbox_ahead, told
from helpdesk.services.events import row as event_row
from helpdesk.services.house import Services
from helpdesk.services.reply_facts import Facts
from helpdesk.services.visitor_fresh import Fresh
from helpdesk.statements import Row
from helpdesk.writes import Holding, Insert, Part, Update, write

Person = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Draft:
    """What an agent wants to say. `to` and `cc` are `{"handle", "name"}`; empty `to` is the contact himself.

    `in_reply_to` is the external id of what is answered, unless that is what he wrote last.

    With an `automatic_subject` it is the house that says it by itself, under that one: nobody has answered by it.
    """

    text: str = ""
    html: str | None = None
    private: bool = False
    inbox_id: UUID | None = None
    visibility: str | None = None
    to: Sequence[Person] = ()
    cc: Sequence[Person] = ()
    attachment_ids: Sequence[UUID] = ()
    seen_seq: int | None = None
    status: Status | None = None
    undo_seconds: int = 0
    mentions: Sequence[UUID] = ()
    automatic_subject: str | None = None
    in_reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """One message with all that is written with it. A note goes through no inbox.

    Where it is too long for one, `parts` are its texts: each is a message, and leaves after the one before.
    """

    conversation: Row
    draft: Draft
    content: Mapping[str, Any]
    by: Actor
    now: datetime
    facts: Facts | None = None
    capabilities: Capabilities = field(default_factory=Capabilities)
    visibility: str = Visibility.DIRECT
    to: Sequence[Person] = ()
    cc: Sequence[Person] = ()
    parts: Sequence[str] = ()

    @property
    def automatic(self) -> bool:
        return self.draft.automatic_subject is not None

    @property
    def answers(self) -> bool:
        """Whether it ends clocks although no person wrote it."""
        by_bot = self.by.kind is AuthorKind.BOT and self.facts is not None and self.facts.bots_count
        return by_bot and not self.automatic


@dataclass(frozen=True, slots=True)
class Stored:
    """The message as a row, and its delivery where there is one. `more` are the other parts of what was too long."""

    message: dict[str, Any]
    delivery: dict[str, Any] | None
    more: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class AtOnce:
    """For what is written without a lock: the live clocks as they were, what must be as it was, and what else to write
    of the message, and who may see the conversation. There is nothing else in the transaction."""

    clocks: Sequence[Clock]
    holding: Sequence[Holding]
    more: Callable[[Stored], Part]
    whose: Row


async def write_down(
    services: Services, session: AsyncSession, written: Written, at_once: AtOnce | None = None
) -> Stored:
    """The message row, the conversation's counters, the event, and what has to be sent: one statement for all of it.

    What is read where it is written is delivered by that: then follows here what `deliveries.sent` does for others.
    Raises `NotHeld`.
    """
    conversation, draft, by, now = written.conversation, written.draft, written.by, written.now
    made = _rows(written)
    message = made[0]
    told_of = [_created(written, one) for one in made]
    values: dict[str, Any] = {"id": conversation["id"], **_counted(written, made)}
    parts: list[Part] = []
    delivery = None
    if written.facts is not None:
        parts.append(_touched(conversation, message["inbox_id"]))
    if by.id is not None:
        parts.append(reads.to_the_end(conversation, by.id, made[-1]["seq"], now=now))
    if written.facts is not None and written.capabilities.live:
        ended, more = await _arrived(services, session, written, message, at_once)
        told_of += [_sent(message), *(ended.events if ended else ())]
        values |= ended.values if ended else {}
        parts += more
    elif written.facts is not None:
        queued = _deliveries(services, written, made)
        delivery = queued[0]
        parts.append(Insert(delivery_rows, queued))
        ring(session, "deliver")
    happened = [event_row(one, now=now) for one in told_of]
    events = outbox(session, happened) if at_once is None else outbox_ahead(happened)
    stored = Stored(message, delivery, made[1:])
    how: dict[str, Any] = {}
    if at_once is not None:
        parts.append(at_once.more(stored))
        how = {"holding": at_once.holding, "last": True}
    stated = Insert(messages, made), Update(conversations, [values])
    *_, last = await write(session, *stated, *parts, events, **how)
    told(session, events, last)
    if at_once is not None:
        feed.hand_over(session, happened, last, at_once.whose)
    if at_once is not None and written.capabilities.live:
        visitor_fresh.tell(session, Fresh(message))
    if draft.attachment_ids:
        owner: dict[str, Any] = {"message_id": message["id"], "contact_id": conversation["contact_id"], "by": by}
        await attachments.take(services, session, draft.attachment_ids, **owner)
    if draft.to or draft.cc:
        people = [(message["channel"], one["handle"], one["name"]) for one in (*written.to, *written.cc)]
        await conversation_verbs.add_participants(session, conversation, people, by=by, now=now)
    return stored


def _rows(written: Written) -> list[dict[str, Any]]:
    first = _row(written)
    rest = {"part_of": first["id"], "attachment_count": 0}
    made = [first | _said(written.parts[0])] if written.parts else [first]
    for place, text in enumerate(written.parts[1:], 1):
        made.append({**first, **rest, **_said(text), "id": new_id(), "seq": first["seq"] + place})
    return made


def _said(text: str) -> dict[str, Any]:
    return {"text": text, "new_text": text}


def _row(written: Written) -> dict[str, Any]:
    conversation, draft, facts, can = written.conversation, written.draft, written.facts, written.capabilities
    subject = conversation["subject"] if draft.automatic_subject is None else draft.automatic_subject
    status = (DeliveryStatus.SENT if can.live else DeliveryStatus.QUEUED) if facts else None
    return rows.message(
        new_id(),
        conversation_id=conversation["id"],
        seq=conversation["seq"] + 1,
        type=MessageType.OUTGOING.value,
        private=draft.private,
        channel=facts.channel if facts else conversation["channel"],
        inbox_id=facts.inbox_id if facts else conversation["inbox_id"],
        visibility=written.visibility,
        author_kind=written.by.kind.value,
        author_id=written.by.id,
        author_name=written.by.name,
        subject=subject if can.subject else "",
        to=list(written.to),
        cc=list(written.cc),
        attachment_count=len(set(draft.attachment_ids)),
        delivery_status=status and status.value,
        sent_at=written.now if can.live else None,
        in_reply_to=facts.answered if facts and not can.live else "",
        answers=written.answers,
        auto_submitted="auto-replied" if written.automatic else None,
        created_at=written.now,
        **written.content,
    )


def _counted(written: Written, made: Sequence[Row]) -> dict[str, Any]:
    conversation, now, end = written.conversation, written.now, made[-1]["seq"]
    counted: dict[str, Any] = {"seq": end, "updated_at": now}
    counted["message_count"] = conversation["message_count"] + len(made)
    if not written.automatic:
        counted |= {"last_agent_seq": end, "last_activity_at": now}
    if written.facts and not written.automatic:
        counted |= {"preview": preview_of(made[0]["text"]), "last_message_direction": "outgoing"}
    return counted


def _created(written: Written, message: Row) -> DomainEvent:
    return MessageCreated(
        conversation_id=written.conversation["id"],
        seq=message["seq"],
        message_id=message["id"],
        inbox_id=message["inbox_id"],
        private=written.draft.private,
        by=conversation_verbs.word_for(written.by),
        mentions=[str(agent_id) for agent_id in dict.fromkeys(written.draft.mentions)],
    )


def _sent(message: Row) -> DomainEvent:
    return MessageSent(
        conversation_id=message["conversation_id"],
        seq=message["seq"],
        message_id=message["id"],
        inbox_id=message["inbox_id"],
    )


async def _arrived(
    services: Services, session: AsyncSession, written: Written, message: Row, at_once: AtOnce | None
) -> tuple[sla.Ended | None, Sequence[Part]]:
    """What an agent's answer ends, and when the visitor would be written to who does not read it."""
    conversation, now = written.conversation, written.now
    visits.ring_live(session, conversation["id"])
    if written.automatic:
        return None, ()
    waits = visits.answered(conversation["id"], now=now)
    if written.by.kind is not AuthorKind.AGENT and not written.answers:
        return None, [waits]
    what: dict[str, Any] = {"seq": message["seq"], "clocks": at_once and at_once.clocks, "now": now}
    ended = await sla.answered(services, session, conversation, message["id"], **what)
    return ended, [waits, *ended.parts]


def _deliveries(services: Services, written: Written, made: Sequence[Row]) -> list[dict[str, Any]]:
    """Each leaves once the one before was taken."""
    before: Sequence[Row | None] = [None, *made]
    return [
        _delivery(services, written, one) | {"after_id": earlier and earlier["id"]}
        for one, earlier in zip(made, before, strict=False)
    ]


def _delivery(services: Services, written: Written, message: Row) -> dict[str, Any]:
    token, draft, now = "", written.draft, written.now
    if written.capabilities.tokens:
        recipient = written.to[0]["handle"]
        token = deliveries.token_for(services, number=written.conversation["number"], recipient=recipient)
    return deliveries.row(
        message_id=message["id"],
        inbox_id=message["inbox_id"],
        token=token,
        to=written.to,
        cc=written.cc,
        automatic=written.automatic,
        now=now,
        not_before=now + timedelta(seconds=draft.undo_seconds) if draft.undo_seconds else None,
    )


def _touched(conversation: Row, inbox_id: UUID) -> Insert:
    """Whoever works in the inbox may see the conversation from now on."""
    row = {"conversation_id": conversation["id"], "inbox_id": inbox_id}
    return Insert(conversation_inboxes, [row], unless=("conversation_id", "inbox_id"))
