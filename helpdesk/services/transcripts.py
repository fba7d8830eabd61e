"""A visitor's conversation by mail: what he may see of it, to an address that he has proved.

He can ask for it, and an agent can. It says nothing that he could not read in the chat: no note, and nobody else's
messages.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import visitor_texts
from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.domain.visitor_texts import Said
from helpdesk.errors import Conflict, TooMany
from helpdesk.live import Item, ItemKind, Log, Visitor
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visitor_sessions, visits
from helpdesk.services import audit, replies, visitor_log, visitor_mail
from helpdesk.services.access import get_conversation
from helpdesk.services.conversations import word_for
from helpdesk.services.house import Services
from helpdesk.services.visitor_mail import Mail
from helpdesk.statements import Row

KIND: Final = "transcript"
PER_DAY: Final = 3
"""Of one conversation, whoever asks."""
MOST: Final = 500
"""Entries of the log; what is earlier is left out."""

_DAY: Final = timedelta(days=1)
_NOBODY: Final = UUID(int=0)
"""Of no session: what a session has of its own is in no transcript."""
_M: Final = messages.c
_S: Final = visitor_sessions.c
_V: Final = visits.c


async def ask(services: Services, visitor: Visitor, *, now: datetime) -> None:
    """The visitor has his conversation mailed to him. Raises as `send`."""
    if visitor.conversation_id is None:
        raise Conflict("there is no conversation yet", slug="no_conversation")
    log = await visitor_log.before(services.database, visitor, visitor.conversation_id, None, limit=MOST)
    async with services.database.transaction() as session:
        await _send(services, session, log, visitor, by=Actor(AuthorKind.CONTACT, visitor.contact_id), now=now)


async def send(services: Services, conversation_id: UUID, *, by: Actor, now: datetime) -> UUID:
    """An agent has a conversation mailed to its contact; answers the message's id.

    Raises `NotFound` unless he sees it, `Forbidden` where he may not answer through the inbox that it leaves by,
    `Conflict` (`no_address`, `not_continued`), and `TooMany`.
    """
    async with services.database.reading() as session:
        conversation = await get_conversation(session, by, conversation_id)
        visit = await _visit(session, conversation["merged_into_id"] or conversation_id)
        reader = await _reader(services, session, visit)
    log = await visitor_log.before(services.database, reader, visit["conversation_id"], None, limit=MOST)
    async with services.database.transaction() as session:
        return await _send(services, session, log, reader, by=by, now=now)


async def _visit(session: AsyncSession, conversation_id: UUID) -> Row:
    found = (
        (await session.execute(select(visits).where(_V.conversation_id == conversation_id))).mappings().one_or_none()
    )
    if found is None:
        raise Conflict("nobody reads this conversation in a chat; answer by e-mail", slug="no_address")
    return found


async def _reader(services: Services, session: AsyncSession, visit: Row) -> Visitor:
    """Its visitor, as he reads it himself."""
    last = select(_S.handle).where(_S.contact_id == visit["contact_id"], _S.inbox_id == visit["inbox_id"])
    handle = await session.scalar(last.order_by(_S.last_seen_at.desc(), _S.id.desc()).limit(1))
    reached = await visitor_mail.reached(services, session, [visit["contact_id"]])
    to = reached.get(visit["contact_id"])
    return Visitor(
        session_id=_NOBODY,
        inbox_id=visit["inbox_id"],
        contact_id=visit["contact_id"],
        handle=handle or "",
        identified=to is not None,
        email=to.handle if to else "",
        language=to.language if to else "",
        conversation_id=visit["conversation_id"],
    )


async def _send(
    services: Services, session: AsyncSession, log: Log, reader: Visitor, *, by: Actor, now: datetime
) -> UUID:
    locked = select(conversations).where(conversations.c.id == log.conversation_id).with_for_update(key_share=True)
    conversation = (await session.execute(locked)).mappings().one()
    to = (await visitor_mail.reached(services, session, [reader.contact_id])).get(reader.contact_id)
    if to is None:
        raise Conflict("the contact has proved no address", slug="no_address")
    inbox = (await visitor_mail.inboxes_for(services, session, [reader.inbox_id])).get(reader.inbox_id)
    if inbox is None:
        raise Conflict("nothing goes on by e-mail here", slug="not_continued")
    if by.kind is not AuthorKind.CONTACT:
        await replies.usable_inbox(session, None, inbox["id"], by=by)
    await _check_room(session, conversation["id"], now=now)
    language = visitor_texts.language_of(to.language, conversation["language"])
    zone = ZoneInfo((await services.promises.book(session)).at(inbox).timetable.calendar.zone)
    said = [_said(item, language, zone) for item in log.items if item.kind is ItemKind.MESSAGE]
    letter = visitor_texts.transcript(language, number=conversation["number"], said=said, earlier=log.more)
    mail = Mail(conversation, inbox, to, letter, kind=KIND, by=word_for(by))
    sent = await visitor_mail.send(services, session, [mail], now=now)
    if not sent:
        raise Conflict("the contact was taken out of the conversation", slug="no_address")
    about = {"message_id": str(sent[0])}
    await audit.record(
        session,
        "conversation.transcript_sent",
        subject="conversation",
        subject_id=conversation["id"],
        by=by,
        now=now,
        data=about,
    )
    return sent[0]


async def _check_room(session: AsyncSession, conversation_id: UUID, *, now: datetime) -> None:
    mine = select(_M.notes, _M.created_at).where(
        _M.conversation_id == conversation_id,
        _M.auto_submitted == visitor_mail.AUTOMATIC,
        _M.created_at > now - _DAY,
    )
    sent = [at for notes, at in await session.execute(mine.order_by(_M.seq.desc()).limit(100)) if KIND in notes]
    if len(sent) >= PER_DAY:
        wait = int((sent[PER_DAY - 1] + _DAY - now).total_seconds()) + 1
        raise TooMany("it was mailed often enough today", extra={"retry_after": max(1, wait)})


def _said(item: Item, language: str, zone: ZoneInfo) -> Said:
    data = item.data
    his = data["author"]["kind"] == "visitor"
    at = data["created_at"]
    return Said(
        author="" if his else data["author"]["name"] or visitor_texts.house_name(language),
        at=(at if isinstance(at, datetime) else datetime.fromisoformat(at)).astimezone(zone),
        text=data["text"],
        others=[one["filename"] for one in data["attachments"]],
    )
