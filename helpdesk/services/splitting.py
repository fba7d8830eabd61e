"""Two matters in one conversation: the messages of one of them go into a conversation of their own.

The messages go over themselves, with their files, deliveries and mentions, and are numbered anew there; the numbers
that they leave stay free. Later mail that answers one of them follows it (`services.lookups`). What happened until then
is told in the events of the old conversation. Merging the new one into the old one takes it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, case, exists, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.events import ConversationCreated
from helpdesk.domain.plain import preview_of
from helpdesk.domain.values import Actor, AuthorKind, LinkKind, MessageType
from helpdesk.errors import Conflict, FieldError, Invalid
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import (
    conversation_inboxes,
    conversation_links,
    conversation_reads,
    conversation_tags,
    conversation_watchers,
    conversations,
    mentions,
    participants,
)
from helpdesk.models.messages import messages
from helpdesk.services import audit, rows, sla
from helpdesk.services.access import get_conversation
from helpdesk.services.conversations import Conversation, check_version, note
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.statements import Row, next_numbers
from helpdesk.writes import Update, write

MAX_MOVED: Final = 200
"""Messages that go over at once."""

_C: Final = conversations.c
_M: Final = messages.c
_SPLIT: Final = LinkKind.SPLIT.value
_WHAT: Final = ("id", "seq", "type", "private", "channel", "inbox_id", "author_kind", "author_id", "text", "new_text")


async def split(
    services: Services,
    session: AsyncSession,
    source_id: UUID,
    *,
    message_ids: Sequence[UUID],
    version: int,
    by: Actor,
    now: datetime,
) -> UUID:
    """Let these messages go into a new conversation; answers its id.

    It is of the same contact, or of whoever wrote the first of them that a contact wrote. Raises `NotFound` unless the
    actor sees the source, `Stale`, `Conflict` (`conversation_merged`, `conversation_spam`), and `Invalid` for messages
    that are not there, or where none would stay.
    """
    await get_conversation(session, by, source_id)
    # Before the conversation, as whoever notes a delivery does it: otherwise each could wait for the other.
    moved = await _locked(session, source_id, message_ids)
    source = await get_conversation(session, by, source_id, lock=True)
    check_version(source, version)
    if source["merged_into_id"] is not None:
        raise Conflict("it went into another conversation", slug="conversation_merged")
    if source["spam"]:
        raise Conflict("it is spam; say first that it is none", slug="conversation_spam")
    if not await session.scalar(select(exists().where(_M.conversation_id == source_id, _M.id.not_in(message_ids)))):
        raise Invalid.field("message_ids", "leave at least one message where it is")
    target = await _begin(session, source, moved, now=now)
    await _move(session, target, moved)
    await _take_along(session, source, target, moved, by=by, now=now)
    rest = await _rest(session, source, len(moved))
    await session.execute(update(conversations).where(_C.id == source_id).values(rest))
    await _tell(session, {**source, **rest}, target, by=by, now=now)
    await sla.split(services, session, {**source, **rest}, target, moved=[one["seq"] for one in moved], now=now)
    return target["id"]  # type: ignore[no-any-return]


async def _locked(session: AsyncSession, source_id: UUID, message_ids: Sequence[UUID]) -> list[RowMapping]:
    """The messages by `seq`."""
    movable = _M.type.in_([MessageType.INCOMING.value, MessageType.OUTGOING.value])
    query = select(*(_M[name] for name in _WHAT)).where(
        _M.id.in_(message_ids), _M.conversation_id == source_id, movable
    )
    found = (await session.execute(query.order_by(_M.id).with_for_update(key_share=True))).mappings().all()
    known = {row["id"] for row in found}
    wrong = [
        FieldError(f"message_ids.{place}", "is not a message of this conversation, or is named twice")
        for place, one in enumerate(message_ids)
        if one not in known or one in message_ids[:place]
    ]
    if wrong:
        raise Invalid(errors=wrong)
    return sorted(found, key=lambda row: row["seq"])


def _of_contacts(moved: Sequence[RowMapping]) -> list[RowMapping]:
    return [one for one in moved if one["type"] == MessageType.INCOMING and not one["private"]]


async def _begin(session: AsyncSession, source: Row, moved: Sequence[RowMapping], *, now: datetime) -> dict[str, Any]:
    """The new conversation's row, written. Whose it is and how much it matters are the source's."""
    written = _of_contacts(moved)
    contact_id = await _contact(session, written[0]["author_id"]) if written else None
    contact_id = contact_id or source["contact_id"]
    last = next((one for one in reversed(written) if one["author_id"] == written[0]["author_id"]), None)
    channel, inbox_id = (last["channel"], last["inbox_id"]) if last else (source["channel"], source["inbox_id"])
    target = rows.conversation(
        new_id(),
        inbox={"id": inbox_id, "channel": channel, "team_id": source["team_id"]},
        contact_id=contact_id,
        handle=await _handle(session, source, contact_id, channel),
        subject=source["subject"],
        preview="",
        language=source["language"],
        quarantined=source["quarantined"],
        activity=now,
        now=now,
    )
    target |= {name: source[name] for name in ("assignee_id", "assigned_at", "priority", "category")}
    target |= _counted(moved)
    (target["number"],) = await next_numbers(session, 1)
    await insert_rows(session, conversations, [target])
    return target


async def _contact(session: AsyncSession, author_id: UUID) -> UUID | None:
    """Who the author is by now."""
    c = contacts.c
    found = (await session.execute(select(c.id, c.merged_into_id).where(c.id == author_id))).one_or_none()
    return found and (found.merged_into_id or found.id)


async def _handle(session: AsyncSession, source: Row, contact_id: UUID, channel: str) -> str:
    if (contact_id, channel) == (source["contact_id"], source["channel"]):
        return str(source["contact_handle"])
    i = contact_identities.c
    mine = select(i.handle).where(i.contact_id == contact_id, i.channel == channel)
    return await session.scalar(mine.order_by(i.created_at.desc()).limit(1)) or ""


def _counted(moved: Sequence[RowMapping]) -> dict[str, Any]:
    """What the new conversation's row says of its messages, numbered from one."""
    incoming, agents, public = 0, 0, None
    for seq, one in enumerate(moved, 1):
        if one["type"] == MessageType.INCOMING:
            incoming = seq
        elif one["author_kind"] != AuthorKind.SYSTEM:
            agents = seq
        if not one["private"]:
            public = one
    counted = {"seq": len(moved), "message_count": len(moved), "last_incoming_seq": incoming, "last_agent_seq": agents}
    return counted | _preview(public)


def _preview(public: RowMapping | None) -> dict[str, Any]:
    """Of the newest message that is no note."""
    if public is None:
        return {"preview": "", "last_message_direction": None}
    return {"preview": preview_of(public["new_text"] or public["text"]), "last_message_direction": public["type"]}


async def _move(session: AsyncSession, target: Conversation, moved: Sequence[RowMapping]) -> None:
    place = {"conversation_id": target["id"]}
    numbered = [{"id": one["id"], **place, "seq": seq} for seq, one in enumerate(moved, 1)]
    await write(session, Update(messages, numbered))
    ids = [one["id"] for one in moved]
    await session.execute(update(mentions).where(mentions.c.message_id.in_(ids)).values(place))


async def _take_along(
    session: AsyncSession,
    source: Row,
    target: Conversation,
    moved: Sequence[RowMapping],
    *,
    by: Actor,
    now: datetime,
) -> None:
    """Links, inboxes, tags, watchers, how far they have read, and who takes part.

    Whoever takes part in one contact's matter takes no part in another contact's.
    """
    there, here = source["id"], {"conversation_id": target["id"]}
    links = conversation_links.c
    older = select(links.related_id).where(links.conversation_id == there, links.kind == _SPLIT)
    origins = [there, *(await session.execute(older)).scalars()]
    linked = [{**here, "related_id": one, "kind": _SPLIT, "created_at": now} for one in origins]
    await insert_rows(session, conversation_links, linked)
    touched = dict.fromkeys([target["inbox_id"], *(one["inbox_id"] for one in moved)])
    await insert_rows(session, conversation_inboxes, [{**here, "inbox_id": one} for one in touched])
    names = (
        await session.execute(select(conversation_tags.c.tag).where(conversation_tags.c.conversation_id == there))
    ).scalars()
    await insert_rows(session, conversation_tags, [{**here, "tag": one} for one in names])
    w = conversation_watchers.c
    watching = (await session.execute(select(w.agent_id).where(w.conversation_id == there))).scalars()
    since = {**here, "added_by": by.id, "created_at": now}
    await insert_rows(session, conversation_watchers, [{**since, "agent_id": one} for one in watching])
    r = conversation_reads.c
    read = select(
        r.agent_id, literal(target["id"], r.conversation_id.type), literal(len(moved)), literal(now, r.updated_at.type)
    )
    read = read.where(r.conversation_id == there, r.seq >= moved[-1]["seq"])
    names_of_read = ["agent_id", "conversation_id", "seq", "updated_at"]
    await session.execute(conversation_reads.insert().from_select(names_of_read, read))
    await insert_rows(session, participants, await _people(session, source, target, now=now))


async def _people(session: AsyncSession, source: Row, target: Conversation, *, now: datetime) -> list[dict[str, Any]]:
    p = participants.c
    there = select(participants).where(p.conversation_id == source["id"], p.removed_at.is_(None))
    found = [
        {**row, "conversation_id": target["id"], "created_at": now} for row in (await session.execute(there)).mappings()
    ]
    if target["contact_id"] == source["contact_id"]:
        return found
    own = (target["channel"], target["contact_handle"])
    return [one for one in found if (one["channel"], one["handle"]) == own]


async def _rest(session: AsyncSession, source: Row, gone: int) -> dict[str, Any]:
    """What the old conversation's row says of the messages that stayed."""
    incoming, public = _M.type == MessageType.INCOMING.value, _M.private.is_(False)
    by_us = (_M.type == MessageType.OUTGOING.value) & (_M.author_kind != AuthorKind.SYSTEM.value)
    newest = [func.max(case((which, _M.seq), else_=0)) for which in (incoming, by_us, public)]
    row = (await session.execute(select(*newest).where(_M.conversation_id == source["id"]))).one()
    values: dict[str, Any] = {"message_count": source["message_count"] - gone}
    values |= {"last_incoming_seq": row[0], "last_agent_seq": row[1]}
    shown = select(_M.new_text, _M.text, _M.type).where(_M.conversation_id == source["id"], _M.seq == row[2])
    values |= _preview((await session.execute(shown)).mappings().one_or_none())
    wrote = _M.conversation_id == source["id"], incoming, public, _M.author_id == source["contact_id"]
    last = select(_M.channel, _M.inbox_id).where(*wrote).order_by(_M.seq.desc()).limit(1)
    found = (await session.execute(last)).one_or_none()
    if found is None or found.channel == source["channel"]:
        return values | ({"inbox_id": found.inbox_id} if found else {})
    handle = await _handle(session, source, source["contact_id"], found.channel)
    return values | {"channel": found.channel, "inbox_id": found.inbox_id, "contact_handle": handle}


async def _tell(session: AsyncSession, source: Conversation, target: Conversation, *, by: Actor, now: datetime) -> None:
    created = {name: target[name] for name in ("number", "channel", "inbox_id", "contact_id")}
    await record(session, ConversationCreated(conversation_id=target["id"], seq=0, **created), now=now)
    before = source["message_count"] + target["message_count"]
    changes = {"split": [None, str(target["id"])], "messages": [before, source["message_count"]]}
    await note(session, source, changes, by=by, now=now)
    await note(session, target, {"split_from": [None, str(source["id"])]}, by=by, now=now, versioned=False)
    await audit.record(
        session,
        "conversation.split",
        subject="conversation",
        subject_id=source["id"],
        by=by,
        now=now,
        data={"into": str(target["id"]), "messages": target["message_count"]},
    )
