"""Answering: a message and its delivery, written together and sent later by a worker.

On a live channel there is nothing to send: who reads the conversation itself has the message with its commit.

What a channel can do is asked of its capabilities, never of its name. The agent's text is stored as he wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Capabilities
from helpdesk.domain.html import sanitise
from helpdesk.domain.plain import text_of
from helpdesk.domain.values import Actor, AuthorKind, MessageType, Status, Visibility
from helpdesk.errors import Conflict, Forbidden, Invalid, NotFound
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import participants
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services import lengths, mentions, public_guard, reads, reply_facts, reply_places, unsent
from helpdesk.services.access import may_use
from helpdesk.services.house import Services
from helpdesk.services.reply_facts import Facts
from helpdesk.services.reply_places import Place
from helpdesk.services.reply_writing import Draft, Person, Stored, Written, write_down
from helpdesk.statements import Row


async def reply(
    services: Services, session: AsyncSession, conversation: Row, draft: Draft, *, by: Actor, now: datetime
) -> Stored:
    """Write a message or note into the locked conversation.

    Raises `Conflict` (`conversation_moved` with the messages that came in, `conversation_closed`,
    `conversation_merged`, `reply_window_closed`, `private_reply_used`), `NotFound` for an inbox or upload that is not
    there for the actor, `Forbidden` when he sees the conversation but may not answer through its inbox, `Invalid` for
    what the channel cannot do, for what is too long for it (`text_too_long`), and for what nobody may say in public
    (`personal_data_in_public`).
    """
    agent_id = by.id if by.kind is AuthorKind.AGENT else None
    facts = await reply_facts.look(session, conversation, draft.inbox_id or conversation["inbox_id"], agent_id=agent_id)
    written = await checked(services, session, conversation, draft, facts, by=by, now=now)
    stored = await write_down(services, session, written)
    message = stored.message
    if agent_id is not None and facts.began is draft.private:
        await unsent.sent(session, conversation["id"], agent_id=agent_id)
    if by.id is not None and facts.mentioned:
        await reads.know(session, conversation["id"], by.id, message["seq"], now=now)
    end = stored.more[-1]["seq"] if stored.more else message["seq"]
    latest: conversation_verbs.Conversation = {**conversation, "seq": end}
    if draft.mentions:
        latest = await mentions.write(session, latest, message["id"], draft.mentions, by=by, now=now)
    if draft.status is not None and draft.status != conversation["status"]:
        await conversation_verbs.change(services, session, latest, {"status": draft.status}, by=by, now=now)
    return stored


async def checked(
    services: Services,
    session: AsyncSession,
    conversation: Row,
    draft: Draft,
    facts: Facts,
    *,
    by: Actor,
    now: datetime,
) -> Written:
    """What is to be written, once it is clear that it may: raises what `reply` does."""
    if conversation["merged_into_id"] is not None:
        raise Conflict("it went into another conversation; write there", slug="conversation_merged")
    await check_seen(session, conversation, draft.seen_seq, by=by)
    content = _content(draft)
    await _check_mentions(session, conversation, draft)
    if draft.private:
        _check_note(draft)
        return Written(conversation, draft, content, by=by, now=now)
    return await _answer(services, session, conversation, draft, content, facts, by=by, now=now)


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


async def _check_mentions(session: AsyncSession, conversation: Row, draft: Draft) -> None:
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


async def _answer(
    services: Services,
    session: AsyncSession,
    conversation: Row,
    draft: Draft,
    content: Mapping[str, Any],
    facts: Facts,
    *,
    by: Actor,
    now: datetime,
) -> Written:
    """What goes to the contact, and whom by, once it is clear that it may."""
    if conversation["status"] == Status.CLOSED:
        raise Conflict("a closed conversation takes no more answers", slug="conversation_closed")
    _check_use(draft.inbox_id, conversation["inbox_id"], by=by)
    if facts.inbox_id is None:
        raise NotFound("there is no such inbox")
    channel = services.channel(facts.channel)
    capabilities = channel.capabilities
    _check_capabilities(capabilities, draft, content)
    place = await _place(session, conversation, facts, draft, capabilities, now=now)
    if place.visibility == Visibility.PUBLIC:
        await public_guard.check(session, conversation, content, facts, draft.attachment_ids)
    config = await lengths.config_of(session, channel, facts.inbox_id)
    parts = lengths.parts(channel, content["text"], place.visibility, config)
    to, cc = await _recipients(session, conversation, facts, draft, capabilities)
    if capabilities.live and not facts.read_through:
        raise Invalid.field("inbox_id", "no visitor reads this conversation there: answer by one of its reply_channels")
    if draft.automatic_subject is not None:  # what he calls himself is not repeated to him by a machine
        to = [{**one, "name": ""} for one in to]
    facts = replace(facts, answered=place.answered)
    return Written(
        conversation, draft, content, by, now, facts, capabilities, place.visibility, to, cc, parts[1:] and parts
    )


def _check_use(wanted: UUID | None, default: UUID, *, by: Actor) -> None:
    """An inbox that was named and is not the actor's is not there; the default is forbidden."""
    if not may_use(by, wanted or default):
        raise NotFound("there is no such inbox") if wanted else Forbidden("answering needs access to the inbox")


async def usable_inbox(session: AsyncSession, wanted: UUID | None, default: UUID, *, by: Actor) -> RowMapping:
    """The inbox to answer through."""
    _check_use(wanted, default, by=by)
    query = select(inboxes).where(inboxes.c.id == (wanted or default), inboxes.c.deleted_at.is_(None))
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such inbox")
    return found


def _check_capabilities(can: Capabilities, draft: Draft, content: Mapping[str, Any]) -> None:
    """Raises `Invalid` for what the channel cannot do."""
    checks = (
        ("html", content["html"] is not None and not can.html, "this channel takes plain text only"),
        ("attachment_ids", bool(draft.attachment_ids) and not can.attachments, "this channel takes no files"),
        ("cc", bool(draft.cc) and not can.cc, "this channel has no copies"),
        ("to", len(draft.to) > 1 and not can.cc, "this channel takes one recipient"),
        ("undo_seconds", draft.undo_seconds > 0 and not can.deferrable, "this channel cannot defer"),
    )
    for name, wrong, why in checks:
        if wrong:
            raise Invalid.field(name, why)


async def _place(
    session: AsyncSession, conversation: Row, facts: Facts, draft: Draft, can: Capabilities, *, now: datetime
) -> Place:
    if not reply_places.matters(can) and draft.visibility in (None, Visibility.DIRECT):
        return Place(Visibility.DIRECT, draft.in_reply_to or facts.answered)
    assert facts.inbox_id is not None
    by = (facts.channel, draft.to[0]["handle"]) if draft.to else None
    heard = await reply_places.said(session, conversation["id"], [facts.inbox_id], by=by)
    return reply_places.choose(can, heard[facts.inbox_id], draft.visibility, named=draft.in_reply_to, now=now)


async def _recipients(
    session: AsyncSession, conversation: Row, facts: Facts, draft: Draft, can: Capabilities
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Whom it goes to. Where there are no copies, only somebody who is known on the channel can be written to."""
    seen = {facts.handle} if facts.handle else set()
    to = _distinct(draft.to, seen)
    if not to:
        if draft.to or not facts.own:
            raise Invalid.field("to", "the contact has no address on this channel; name one")
        to = [{"handle": facts.own, "name": facts.own_name}]
        seen.add(facts.own)
    cc = _distinct(draft.cc, seen)
    if draft.to and not can.cc and to[0]["handle"] not in await _known(session, conversation, facts):
        raise Invalid.field("to", "nobody here has this handle on this channel")
    return to, cc


async def _known(session: AsyncSession, conversation: Row, facts: Facts) -> set[str]:
    """The handles on the channel of the contact, and of who takes part."""
    i, p = contact_identities.c, participants.c
    own = select(i.handle).where(i.contact_id == conversation["contact_id"], i.channel == facts.channel)
    there = select(p.handle).where(
        p.conversation_id == conversation["id"], p.channel == facts.channel, p.removed_at.is_(None)
    )
    return {facts.own, *(await session.execute(union(own, there))).scalars()}


def _distinct(people: Sequence[Person], seen: set[str]) -> list[dict[str, str]]:
    """Each handle once, in lower case as handles are compared; never the inbox itself, which would be a loop."""
    found = []
    for one in people:
        handle = one["handle"].lower()
        if handle not in seen:
            seen.add(handle)
            found.append({"handle": handle, "name": one.get("name", "")})
    return found


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
