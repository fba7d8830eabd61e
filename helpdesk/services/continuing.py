"""A visitor's conversation goes on by e-mail: what he does not read in time is mailed to him, all of it in one letter,
and a chat for which nobody came becomes an e-mail conversation.

Only an address that he has proved is ever written to. Whoever is there is waited for, and whoever has read it gets no
letter: that is looked at under the conversation's lock, in the transaction that writes the letter and notes how far it
goes, so that it is written once, whoever looks and whatever dies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable, insert_ignoring, ring
from helpdesk.dialects import addressed, among
from helpdesk.domain import visitor_texts
from helpdesk.domain.values import SYSTEM, MessageType, Status, Visibility
from helpdesk.domain.visitor_texts import Said
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversation_inboxes, conversations, participants
from helpdesk.models.messages import attachments, messages
from helpdesk.models.visitors import visitor_sessions, visits
from helpdesk.services import acknowledgements, sla, visitor_mail
from helpdesk.services import conversations as verbs
from helpdesk.services.house import Services
from helpdesk.services.visitor_mail import Mail
from helpdesk.services.visits import CONTINUED_WITHIN
from helpdesk.statements import Row
from helpdesk.writes import Update, write

AWAY: Final = timedelta(minutes=10)
"""Whoever was there when his answer was due to be mailed, and had not read it, is given so long from his leaving on."""

BATCH: Final = 20
MOST: Final = 50
"""Messages of one letter. The rest goes in another."""
MAX_FILES: Final = 7 * 1024 * 1024
"""Bytes of files in one letter: a third more on the way, and servers take ten million. What is beyond is only named."""

_C: Final = conversations.c
_M: Final = messages.c
_S: Final = visitor_sessions.c
_V: Final = visits.c


def due() -> Select[Any]:
    """Visits that `go_on` would look at, at the time `:now`."""
    return select(_V.conversation_id).where(_V.mail_due_at <= bindparam("now", type_=_V.mail_due_at.type))


async def go_on(services: Services, session: AsyncSession, *, now: datetime) -> int:
    """Mail what has not been read in time, of a batch of conversations; answers how many were due.

    So is a chat that was missed, or answered unread, once its visitor has proved an address (`can_be_reached`).
    Conversations that somebody has in hand are left for the next time.
    """
    query = select(_V.conversation_id).where(_V.mail_due_at <= now).order_by(_V.mail_due_at).limit(BATCH)
    waiting = (await session.execute(query)).scalars().all()
    if not waiting:
        return 0
    locked = claimable(select(conversations).where(among(_C.id, list(waiting), "uuid")).order_by(_C.id))
    held = {row["id"]: row for row in (await session.execute(locked)).mappings()}
    # Again: another worker may have been faster.
    still = select(visits).where(among(_V.conversation_id, list(held), "uuid"), _V.mail_due_at <= now)
    mine = claimable(still.order_by(_V.conversation_id))
    found = list((await session.execute(mine)).mappings())
    missed = [row for row in found if row["missed"] and _waits(services, held[row["conversation_id"]])]
    for row in missed:
        await by_mail(services, session, held[row["conversation_id"]], now=now)
    there = [row for row in found if row["online_until"] is not None and row["online_until"] > now]
    gone = [row for row in found if row not in there and row not in missed]
    mails, until = await _mails(services, session, [(held[row["conversation_id"]], row) for row in gone], now=now)
    settled = [
        *(_settled(row, until.get(row["conversation_id"], (row["mailed_seq"], None))) for row in gone),
        *(_settled(row, (row["mailed_seq"], row["online_until"] + AWAY)) for row in there if row not in missed),
        *(_settled(row, (row["mailed_seq"], None)) for row in missed),
    ]
    # Whoever answers without a lock, and waits for ours, looks at the visit as it was: he has to find a change.
    kept = [{"id": one, "seq": held[one]["seq"]} for one in (row["conversation_id"] for row in gone)]
    await write(session, Update(conversations, kept))
    await visitor_mail.send(services, session, mails, Update(visits, settled, by=("conversation_id",)), now=now)
    if len(waiting) == BATCH:
        ring(session, "continuing")
    return len(found)


def _waits(services: Services, conversation: Row) -> bool:
    """Whether he waits for an answer in the chat still, and not by mail."""
    return conversation["waiting_since"] is not None and conversation["channel"] in services.live_channels()


def _settled(visit: Row, after: tuple[int, datetime | None]) -> dict[str, Any]:
    return {"conversation_id": visit["conversation_id"], "mailed_seq": after[0], "mail_due_at": after[1]}


async def _mails(
    services: Services, session: AsyncSession, cases: Sequence[tuple[Row, Row]], *, now: datetime
) -> tuple[list[Mail], dict[UUID, tuple[int, datetime | None]]]:
    """The letters for conversations whose visitors are away; and of those that get one how far it goes, and when the
    next is due."""
    if not cases:
        return [], {}
    reached = await visitor_mail.reached(services, session, [visit["contact_id"] for _, visit in cases])
    by = await visitor_mail.inboxes_for(services, session, [visit["inbox_id"] for _, visit in cases])
    # Also where it went into another one meanwhile: what was said to him here is nowhere else.
    wanted = {
        row["id"]: (row, visit)
        for row, visit in cases
        if visit["contact_id"] in reached and visit["inbox_id"] in by and not row["spam"]
    }
    unread = await _unread(services, session, list(wanted))
    files = await _files(session, [one["id"] for several in unread.values() for one in several])
    book = await services.promises.book(session)
    mails, until = [], {}
    for conversation_id, several in unread.items():
        row, visit = wanted[conversation_id]
        inbox, to = by[visit["inbox_id"]], reached[visit["contact_id"]]
        language = visitor_texts.language_of(to.language, row["language"])
        zone = ZoneInfo(book.at(inbox).timetable.calendar.zone)
        sent, taken = [], list[Row]()
        for one in several[:MOST]:
            fit, others = _fitting(files.get(one["id"], ()), MAX_FILES - sum(file["size"] for file in taken))
            taken += fit
            sent.append(said(one, language, zone, fit, others))
        letter = visitor_texts.continued(language, number=row["number"], said=sent)
        mails.append(Mail(row, inbox, to, letter, kind="continued", files=taken))
        until[conversation_id] = several[:MOST][-1]["seq"], now if len(several) > MOST else None
    return mails, until


def said(message: Row, language: str, zone: ZoneInfo, fit: Sequence[Row] = (), others: Sequence[Row] = ()) -> Said:
    """A message of ours as it stands in a letter."""
    return Said(
        author=message["author_name"] or visitor_texts.house_name(language),
        at=message["created_at"].astimezone(zone),
        text=message["text"],
        attached=[file["filename"] for file in fit],
        others=[file["filename"] for file in others],
    )


def _fitting(files: Sequence[Row], room: int) -> tuple[list[Row], list[Row]]:
    """Which of the files go into what is left of a letter's room, and which do not."""
    fit, others = list[Row](), list[Row]()
    for file in files:
        if file["size"] <= room:
            fit.append(file)
            room -= file["size"]
        else:
            others.append(file)
    return fit, others


async def _unread(services: Services, session: AsyncSession, conversation_ids: Sequence[UUID]) -> dict[UUID, list[Row]]:
    """Of each conversation what its visitor has neither read nor been mailed, the oldest first, and one more than fit.

    What was sent to him by mail in the first place is none of it, nor what went to the handle of somebody else.
    """
    his = exists().where(_S.contact_id == _V.contact_id, _S.inbox_id == _V.inbox_id, addressed(_M.to, _S.handle))
    place = func.row_number().over(partition_by=_M.conversation_id, order_by=_M.seq).label("place")
    columns = [_M[name] for name in ("id", "conversation_id", "seq", "author_name", "text", "created_at")]
    unread = (
        select(*columns, place)
        .join(visits, _V.conversation_id == _M.conversation_id)
        .where(
            among(_M.conversation_id, list(conversation_ids), "uuid"),
            _M.seq > _V.read_seq,
            _M.seq > _V.mailed_seq,
            _M.type == MessageType.OUTGOING.value,
            _M.private.is_(False),
            _M.visibility == Visibility.DIRECT.value,
            _M.auto_submitted.is_(None),
            _M.channel.in_(services.live_channels()),
            his,
        )
        .subquery("unread")
    )
    some = select(unread).where(unread.c.place <= MOST + 1).order_by(unread.c.conversation_id, unread.c.seq)
    found: dict[UUID, list[Row]] = {}
    for row in (await session.execute(some)).mappings():
        found.setdefault(row["conversation_id"], []).append(row)
    return found


async def _files(session: AsyncSession, message_ids: Sequence[UUID]) -> Mapping[UUID, list[Row]]:
    query = select(attachments).where(among(attachments.c.message_id, list(message_ids), "uuid"))
    found: dict[UUID, list[Row]] = {}
    for row in (await session.execute(query.order_by(attachments.c.id))).mappings():
        found.setdefault(row["message_id"], []).append(row)
    return found


async def can_be_reached(session: AsyncSession, contact_id: UUID, *, now: datetime) -> None:
    """He has proved an address. What nobody came for until now goes on by mail, and so does what he has not read.

    Not what was written so long ago that his next message would begin another conversation: it is in no letter that
    he would expect.
    """
    unread = (
        exists()
        .where(_M.conversation_id == _V.conversation_id, _M.seq > _V.read_seq, _M.seq > _V.mailed_seq)
        .where(_M.type == MessageType.OUTGOING.value, _M.private.is_(False), _M.auto_submitted.is_(None))
        .where(_M.created_at > now - CONTINUED_WITHIN)
    )
    waiting = update(visits).where(_V.contact_id == contact_id, or_(_V.missed, unread), _V.mail_due_at.is_(None))
    await session.execute(waiting.values(mail_due_at=now))
    ring(session, "continuing")


# -- missed chats -----------------------------------------------------------------------------------------------------


async def by_mail(services: Services, session: AsyncSession, conversation: Row, *, now: datetime) -> bool:
    """A chat for which nobody came goes on as if its first message had come by mail. The conversation is locked.

    Its clocks keep their starts and run on what the mail's policy promises; it is acknowledged as mail is. Answers
    whether that was done: not without a proved address, where he can only be answered when he comes back.
    """
    if conversation["status"] == Status.CLOSED or conversation["spam"] or conversation["merged_into_id"] is not None:
        return False
    visit = (await session.execute(select(visits).where(_V.conversation_id == conversation["id"]))).mappings().one()
    reached = await visitor_mail.reached(services, session, [visit["contact_id"]])
    found = await visitor_mail.inboxes_for(services, session, [visit["inbox_id"]])
    blocked = await session.scalar(select(contacts.c.blocked).where(contacts.c.id == conversation["contact_id"]))
    if not reached or not found or blocked:
        return False
    (to,), (inbox,) = reached.values(), found.values()
    place = {"channel": inbox["channel"], "inbox_id": inbox["id"]}
    repeated = await sla.moved(services, session, conversation, **place, now=now)
    values = {**place, "contact_handle": to.handle, "team_id": conversation["team_id"] or inbox["team_id"], **repeated}
    if not conversation["language"]:
        values["language"] = visitor_texts.language_of(to.language)
    await session.execute(update(conversations).where(_C.id == conversation["id"]).values(values))
    changes = {name: [str(conversation[name]), str(place[name])] for name in place}
    after = await verbs.note(session, {**conversation, **values}, changes, by=SYSTEM, now=now)
    person = visitor_mail.participant(after, inbox, to.handle, now=now)
    add = insert_ignoring(session, participants, on=["conversation_id", "channel", "handle"]).values(person)
    await session.execute(add)
    touched = {"conversation_id": after["id"], "inbox_id": inbox["id"]}
    there = insert_ignoring(session, conversation_inboxes, on=list(touched)).values(touched)
    await session.execute(there)
    await acknowledgements.acknowledge_moved(services, session, after, inbox, now=now)
    if after["assignee_id"] is None and after["team_id"] is not None and after["status"] == Status.OPEN:
        ring(session, "routing")
    return True
