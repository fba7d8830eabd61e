"""Answering: a message and its delivery, written together and sent later by a worker.

On a live channel there is nothing to send: who reads the conversation itself has the message with its commit.

What a channel can do is asked of its capabilities, never of its name. The agent's text is stored as he wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Capabilities
from helpdesk.db import new_id, ring
from helpdesk.domain.events import MessageCreated, MessageSent
from helpdesk.domain.html import sanitise
from helpdesk.domain.plain import preview_of, text_of
from helpdesk.domain.values import Actor, AuthorKind, DeliveryStatus, MessageType, Status, Visibility
from helpdesk.errors import Conflict, Forbidden, Invalid, NotFound
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversation_inboxes, conversations, participants
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.models.messages import messages
from helpdesk.services import attachments, deliveries, mentions, reads, rows, sla, unsent, visits
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services.access import may_use
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.statements import Row
from helpdesk.writes import Insert, write

Person = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Draft:
    """What an agent wants to say. `to` and `cc` are `{"handle", "name"}`; empty `to` is the contact himself.

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


async def reply(
    services: Services, session: AsyncSession, conversation: RowMapping, draft: Draft, *, by: Actor, now: datetime
) -> UUID:
    """Write a message or note into the locked conversation; answers the message's id.

    Raises `Conflict` (`conversation_moved` with the messages that came in, `conversation_closed`,
    `conversation_merged`, `reply_window_closed`), `NotFound` for an inbox or upload that is not there for the actor,
    `Forbidden` when he sees the conversation but may not answer through its inbox, `Invalid` for what the channel
    cannot do.
    """
    if conversation["merged_into_id"] is not None:
        raise Conflict("it went into another conversation; write there", slug="conversation_merged")
    await check_seen(session, conversation, draft.seen_seq, by=by)
    content = _content(draft)
    await _check_mentions(session, conversation, draft)
    if draft.private:
        _check_note(draft)
        message_id = await _write(services, session, conversation, draft, content, inbox=None, by=by, now=now)
    else:
        message_id = await _send(services, session, conversation, draft, content, by=by, now=now)
    await unsent.sent(session, conversation["id"], private=draft.private, by=by)
    latest: conversation_verbs.Conversation = {**conversation, "seq": conversation["seq"] + 1}
    if draft.mentions:
        latest = await mentions.write(session, latest, message_id, draft.mentions, by=by, now=now)
    if draft.status is not None and draft.status != conversation["status"]:
        await conversation_verbs.change(services, session, latest, {"status": draft.status}, by=by, now=now)
    return message_id


async def check_seen(session: AsyncSession, conversation: Row, seen_seq: int | None, *, by: Actor) -> None:
    """Raises `Conflict` (`conversation_moved`) where the contact wrote after `seen_seq`, or a colleague answered.

    Of two who answer one question at once, the second learns what the first said. Notes alone stop nobody, nor does
    what the actor wrote himself. `unseen` are the ids of all that was written since.
    """
    if seen_seq is None:
        return
    if conversation["last_incoming_seq"] > seen_seq or (
        conversation["last_agent_seq"] > seen_seq and await _answered_since(session, conversation["id"], seen_seq, by)
    ):
        unseen = await _unseen(session, conversation["id"], seen_seq)
        if unseen:
            raise Conflict("messages came in that were not seen", slug="conversation_moved", extra={"unseen": unseen})


async def _check_mentions(session: AsyncSession, conversation: RowMapping, draft: Draft) -> None:
    if draft.mentions and not draft.private:
        raise Invalid.field("mentions", "only a note names colleagues")
    await mentions.check(session, conversation["id"], draft.mentions)


def _check_note(draft: Draft) -> None:
    for name, given in (
        ("to", draft.to),
        ("cc", draft.cc),
        ("undo_seconds", draft.undo_seconds),
        ("inbox_id", draft.inbox_id),
        ("visibility", draft.visibility),
    ):
        if given:
            raise Invalid.field(name, "a note goes to nobody")


def _content(draft: Draft) -> dict[str, Any]:
    if not draft.text.strip() and not (draft.html or "").strip():
        raise Invalid.field("text", "write something, as text or html")
    if draft.html is None or not draft.html.strip():
        return {"text": draft.text, "new_text": draft.text, "html": None, "html_policy": 0}
    clean = sanitise(draft.html)
    if clean.truncated:
        raise Invalid.field("html", "this is longer or deeper than can be sent")
    text = draft.text or text_of(clean.html)
    return {"text": text, "new_text": text, "html": clean.html, "html_policy": clean.policy_version}


async def _send(
    services: Services,
    session: AsyncSession,
    conversation: RowMapping,
    draft: Draft,
    content: dict[str, Any],
    *,
    by: Actor,
    now: datetime,
) -> UUID:
    if conversation["status"] == Status.CLOSED:
        raise Conflict("a closed conversation takes no more answers", slug="conversation_closed")
    inbox = await usable_inbox(session, draft.inbox_id, conversation["inbox_id"], by=by)
    capabilities = services.channel(inbox["channel"]).capabilities
    visibility = _check_capabilities(capabilities, draft, content)
    await _check_window(session, conversation, inbox, capabilities, now=now)
    to, cc = await _recipients(session, conversation, inbox, draft, capabilities)
    if capabilities.live and inbox["id"] not in await visits.read_through(session, conversation["id"]):
        raise Invalid.field("inbox_id", "no visitor reads this conversation there: answer by one of its reply_channels")
    if draft.automatic_subject is not None:  # what he calls himself is not repeated to him by a machine
        to = [{**one, "name": ""} for one in to]
    message_id = await _write(
        services,
        session,
        conversation,
        draft,
        content,
        inbox=inbox,
        by=by,
        now=now,
        to=to,
        cc=cc,
        visibility=visibility,
    )
    if draft.to or draft.cc:
        people = [(inbox["channel"], one["handle"], one["name"]) for one in (*to, *cc)]
        await conversation_verbs.add_participants(session, conversation, people, by=by, now=now)
    if capabilities.live:
        await _told(services, session, conversation, message_id, inbox, draft, by=by, now=now)
        return message_id
    token = ""
    if capabilities.tokens:
        token = deliveries.token_for(services, number=conversation["number"], recipient=to[0]["handle"])
    delivery = deliveries.row(
        message_id=message_id,
        inbox_id=inbox["id"],
        token=token,
        to=to,
        cc=cc,
        automatic=draft.automatic_subject is not None,
        now=now,
        not_before=now + timedelta(seconds=draft.undo_seconds) if draft.undo_seconds else None,
    )
    await deliveries.queue(session, [delivery])
    return message_id


async def _told(
    services: Services,
    session: AsyncSession,
    conversation: RowMapping,
    message_id: UUID,
    inbox: RowMapping,
    draft: Draft,
    *,
    by: Actor,
    now: datetime,
) -> None:
    """It is where the visitor reads, and with that delivered: what follows is what `deliveries.sent` does."""
    sent = MessageSent(conversation_id=conversation["id"], message_id=message_id, inbox_id=inbox["id"])
    await record(session, sent, now=now)
    visits.ring_live(session, conversation["id"])
    if draft.automatic_subject is None:
        if by.kind is AuthorKind.AGENT:
            await sla.answered(services, session, conversation, message_id, seq=conversation["seq"] + 1, now=now)
        await visits.answered(session, conversation["id"], now=now)


async def usable_inbox(session: AsyncSession, wanted: UUID | None, default: UUID, *, by: Actor) -> RowMapping:
    """The inbox to answer through. One that was named and is not the actor's is not there; the default is forbidden."""
    if not may_use(by, wanted or default):
        raise NotFound("there is no such inbox") if wanted else Forbidden("answering needs access to the inbox")
    query = select(inboxes).where(inboxes.c.id == (wanted or default), inboxes.c.deleted_at.is_(None))
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such inbox")
    return found


def _check_capabilities(can: Capabilities, draft: Draft, content: Mapping[str, Any]) -> str:
    """Raises `Invalid` for what the channel cannot do; answers the visibility."""
    visibility = draft.visibility or (Visibility.DIRECT if can.direct_replies else Visibility.PUBLIC).value
    allowed = can.public_replies if visibility == Visibility.PUBLIC else can.direct_replies
    too_long = can.max_length is not None and len(content["text"]) > can.max_length
    checks = (
        ("html", content["html"] is not None and not can.html, "this channel takes plain text only"),
        ("text", too_long, f"this channel takes at most {can.max_length} characters"),
        ("attachment_ids", bool(draft.attachment_ids) and not can.attachments, "this channel takes no files"),
        ("cc", bool(draft.cc) and not can.cc, "this channel has no copies"),
        ("to", len(draft.to) > 1 and not can.cc, "this channel takes one recipient"),
        ("visibility", not allowed, f"this channel has no {visibility} replies"),
        ("undo_seconds", draft.undo_seconds > 0 and not can.deferrable, "this channel cannot defer"),
    )
    for name, wrong, why in checks:
        if wrong:
            raise Invalid.field(name, why)
    return visibility


async def _check_window(
    session: AsyncSession, conversation: RowMapping, inbox: RowMapping, can: Capabilities, *, now: datetime
) -> None:
    if can.reply_window is None:
        return
    last = await last_incoming_at(session, conversation["id"], [inbox["channel"]])
    if last.get(inbox["channel"], datetime.min.replace(tzinfo=now.tzinfo)) + can.reply_window < now:
        raise Conflict("the channel takes answers only for a while after a message", slug="reply_window_closed")


async def last_incoming_at(
    session: AsyncSession, conversation_id: UUID, channels: Sequence[str]
) -> dict[str, datetime]:
    """When the contact last wrote, by channel."""
    at = func.coalesce(messages.c.received_at, messages.c.created_at)
    query = (
        select(messages.c.channel, func.max(at, type_=messages.c.created_at.type))
        .where(messages.c.conversation_id == conversation_id, messages.c.type == MessageType.INCOMING.value)
        .where(messages.c.channel.in_(channels))
        .group_by(messages.c.channel)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


async def _recipients(
    session: AsyncSession, conversation: RowMapping, inbox: RowMapping, draft: Draft, can: Capabilities
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Whom it goes to. Where there are no copies, only somebody who is known on the channel can be written to."""
    channel = inbox["channel"]
    identities = await session.execute(
        select(contact_identities.c.handle, contact_identities.c.display)
        .where(contact_identities.c.contact_id == conversation["contact_id"], contact_identities.c.channel == channel)
        .order_by(contact_identities.c.created_at.desc())
    )
    known = {row[0]: row[1] for row in identities}
    own = conversation["contact_handle"] if channel == conversation["channel"] else next(iter(known), "")
    seen = {inbox["handle"]} if inbox["handle"] else set()
    to, cc = _distinct(draft.to, seen), []
    if not to:
        if draft.to or not own:
            raise Invalid.field("to", "the contact has no address on this channel; name one")
        to = [{"handle": own, "name": known.get(own, "")}]
        seen.add(own)
    cc = _distinct(draft.cc, seen)
    if draft.to and not can.cc:
        people = select(participants.c.handle).where(
            participants.c.conversation_id == conversation["id"],
            participants.c.channel == channel,
            participants.c.removed_at.is_(None),
        )
        if to[0]["handle"] not in {own, *known, *(await session.execute(people)).scalars()}:
            raise Invalid.field("to", "nobody here has this handle on this channel")
    return to, cc


def _distinct(people: Sequence[Person], seen: set[str]) -> list[dict[str, str]]:
    """Each handle once, in lower case as handles are compared; never the inbox itself, which would be a loop."""
    found = []
    for one in people:
        handle = one["handle"].lower()
        if handle not in seen:
            seen.add(handle)
            found.append({"handle": handle, "name": one.get("name", "")})
    return found


async def _write(
    services: Services,
    session: AsyncSession,
    conversation: RowMapping,
    draft: Draft,
    content: Mapping[str, Any],
    *,
    inbox: RowMapping | None,
    by: Actor,
    now: datetime,
    to: Sequence[Person] = (),
    cc: Sequence[Person] = (),
    visibility: str = Visibility.DIRECT,
) -> UUID:
    """The message row, its files, the conversation's counters and the event. Without an inbox it is a note."""
    message_id, seq = new_id(), conversation["seq"] + 1
    channel = inbox["channel"] if inbox else conversation["channel"]
    can = services.channel(channel).capabilities if inbox else Capabilities()
    automatic = draft.automatic_subject is not None
    subject = conversation["subject"] if draft.automatic_subject is None else draft.automatic_subject
    status = (DeliveryStatus.SENT if can.live else DeliveryStatus.QUEUED) if inbox else None
    row = rows.message(
        message_id,
        conversation_id=conversation["id"],
        seq=seq,
        type=MessageType.OUTGOING.value,
        private=draft.private,
        channel=channel,
        inbox_id=inbox["id"] if inbox else conversation["inbox_id"],
        visibility=visibility,
        author_kind=by.kind.value,
        author_id=by.id,
        author_name=by.name,
        subject=subject if can.subject else "",
        to=list(to),
        cc=list(cc),
        attachment_count=len(set(draft.attachment_ids)),
        delivery_status=status and status.value,
        sent_at=now if can.live else None,
        in_reply_to=await _answered(session, conversation["id"], channel) if inbox and not can.live else "",
        auto_submitted="auto-replied" if automatic else None,
        created_at=now,
        **content,
    )
    await write(session, Insert(messages, [row]), *_touched(conversation, inbox))
    if by.id is not None:
        await reads.advance(session, conversation["id"], by.id, seq, now=now)
    if draft.attachment_ids:
        await attachments.take(
            services,
            session,
            draft.attachment_ids,
            message_id=message_id,
            contact_id=conversation["contact_id"],
            by=by,
        )
    values: dict[str, Any] = {"seq": seq, "message_count": conversation["message_count"] + 1, "updated_at": now}
    if not automatic:
        values |= {"last_agent_seq": seq, "last_activity_at": now}
    if inbox and not automatic:
        values |= {"preview": preview_of(content["text"]), "last_message_direction": "outgoing"}
    await session.execute(update(conversations).where(conversations.c.id == conversation["id"]).values(values))
    event = MessageCreated(
        conversation_id=conversation["id"],
        seq=seq,
        message_id=message_id,
        inbox_id=row["inbox_id"],
        private=draft.private,
        by=conversation_verbs.word_for(by),
        mentions=[str(agent_id) for agent_id in dict.fromkeys(draft.mentions)],
    )
    await record(session, event, now=now)
    return message_id


def _touched(conversation: RowMapping, inbox: RowMapping | None) -> list[Insert]:
    """Whoever works in the inbox may see the conversation from now on."""
    if inbox is None:
        return []
    row = {"conversation_id": conversation["id"], "inbox_id": inbox["id"]}
    return [Insert(conversation_inboxes, [row], unless=("conversation_id", "inbox_id"))]


async def _answered(session: AsyncSession, conversation_id: UUID, channel: str) -> str:
    """The external id of what is answered: the contact's latest message on the same channel."""
    found = await session.scalar(
        select(messages.c.external_id)
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.channel == channel,
            messages.c.type == MessageType.INCOMING.value,
            messages.c.private.is_(False),
        )
        .order_by(messages.c.seq.desc())
        .limit(1)
    )
    return found or ""


async def _answered_since(session: AsyncSession, conversation_id: UUID, seen_seq: int, by: Actor) -> bool:
    """Whether a colleague has answered; what the house says by itself is no answer."""
    found = await session.scalar(
        select(messages.c.id)
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.seq > seen_seq,
            messages.c.type == MessageType.OUTGOING.value,
            messages.c.private.is_(False),
            messages.c.author_kind == AuthorKind.AGENT.value,
            messages.c.author_id != by.id,
        )
        .limit(1)
    )
    return found is not None


async def _unseen(session: AsyncSession, conversation_id: UUID, seen_seq: int) -> Sequence[UUID]:
    """All that was written since, by the contact and by colleagues: either may be a reason to write something else."""
    found = await session.execute(
        select(messages.c.id)
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.seq > seen_seq,
            messages.c.type != MessageType.ACTIVITY.value,
        )
        .order_by(messages.c.seq)
        .limit(100)
    )
    return found.scalars().all()


async def retry(session: AsyncSession, message: RowMapping, *, by: Actor, now: datetime) -> None:
    """Send a failed message again, the identical bytes, to those who have not got it. Raises `Conflict`."""
    wanted = {
        "status": DeliveryStatus.QUEUED.value,
        "attempts": 0,
        "error": "",
        "refused": [],
        "next_attempt_at": now,
        "give_up_at": now + deliveries.GIVE_UP_AFTER,
        "final_at": None,
        "claimed_by": "",
        "claimed_until": 0.0,
    }
    await _turn(session, message, DeliveryStatus.FAILED, wanted, "only a failed message is sent again", by=by, now=now)
    ring(session, "deliver")


async def cancel(session: AsyncSession, message: RowMapping, *, by: Actor, now: datetime) -> None:
    """Take back a deferred message that nobody has begun to send. Raises `Conflict` when it is too late.

    A sender that has claimed it meanwhile loses it: its claim is another one's by then.
    """
    wanted = {"status": DeliveryStatus.CANCELLED.value, "claim": delivery_rows.c.claim + 1}
    await _turn(
        session, message, DeliveryStatus.QUEUED, wanted, "it is too late to take it back", by=by, now=now, waiting=True
    )


async def _turn(
    session: AsyncSession,
    message: RowMapping,
    before: DeliveryStatus,
    values: dict[str, Any],
    why: str,
    *,
    by: Actor,
    now: datetime,
    waiting: bool = False,
) -> None:
    """Move a delivery from one state to another, if it is still there: the sender may be faster.

    The delivery comes before its message, and that before its conversation, as for the sender and for a split, which
    may have moved it: otherwise each could wait for the other.
    """
    mine = update(delivery_rows).where(
        delivery_rows.c.message_id == message["id"], delivery_rows.c.status == before.value
    )
    if waiting:
        mine = mine.where(delivery_rows.c.next_attempt_at > now, delivery_rows.c.attempts == 0)
    done = await session.execute(mine.values(values).returning(delivery_rows.c.message_id))
    if done.first() is None:
        raise Conflict(why, slug="delivery_state")
    shown = update(messages).where(messages.c.id == message["id"]).values(delivery_status=values["status"])
    place = await session.scalar(shown.returning(messages.c.conversation_id))
    locked = select(conversations).where(conversations.c.id == place).with_for_update(key_share=True)
    conversation = (await session.execute(locked)).mappings().one()
    changes = {"delivery": [before.value, values["status"]], "message_id": str(message["id"])}
    await conversation_verbs.note(session, conversation, changes, by=by, now=now, versioned=False)
