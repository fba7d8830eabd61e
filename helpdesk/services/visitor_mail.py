"""What the house mails into a visitor's conversation: written like an answer, sent by the one way out.

It carries the reply token, so that what he answers is filed into the same conversation, and it makes him a participant
there, so that it is taken for his (`domain.matching`). It says what others have said already, so it is no answer of its
own: no clock ends by it, and it is not in the visitor's log. It leaves under our address, unlike what machines say: if
it cannot be delivered, somebody has not got an answer, and the conversation has to come up again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import new_id, ring
from helpdesk.dialects import among
from helpdesk.domain.events import MessageCreated
from helpdesk.domain.html import sanitise
from helpdesk.domain.values import AuthorKind, DeliveryStatus, InboxStatus, MessageType
from helpdesk.domain.visitor_texts import Letter
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversation_inboxes, conversations, participants
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import attachments, messages
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.models.visitors import visitor_sessions, visits
from helpdesk.services import deliveries, events, rows
from helpdesk.services.house import Services
from helpdesk.statements import Row
from helpdesk.writes import Insert, Part, Update, write

AUTOMATIC: Final = "auto-generated"
"""What such a message is marked with."""

_I: Final = inboxes.c
_A: Final = contact_identities.c
_S: Final = visitor_sessions.c


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a contact can be mailed: an address that he has proved, and the language that he was last seen to use."""

    handle: str
    language: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter to the contact of a conversation, through `inbox`. `files` are rows of attachments that it repeats.

    `kind` is kept with the message: `continued` or `transcript`.
    """

    conversation: Row
    inbox: Row
    to: Reached
    letter: Letter
    kind: str
    files: Sequence[Row] = ()
    by: str = AuthorKind.SYSTEM.value


async def inboxes_for(services: Services, session: AsyncSession, inbox_ids: Sequence[UUID]) -> dict[UUID, Row]:
    """By inbox, the one by which its conversations go on: the one that it names, else the oldest active one.

    Those without any are left out.
    """
    letters = [name for name, channel in services.channels.items() if channel.capabilities.letters]
    alive = _I.channel.in_(letters), _I.deleted_at.is_(None)
    first = select(_I.id).where(*alive, _I.state == InboxStatus.ACTIVE.value).order_by(_I.created_at, _I.id).limit(1)
    by = inboxes.alias("by")
    wanted = func.coalesce(inboxes.c.continued_by_id, first.scalar_subquery(), type_=_I.id.type)
    columns = ("id", "channel", "handle", "team_id", "sla_policy_id", "business_hours_id")
    query = (
        select(_I.id.label("live_id"), *(by.c[name] for name in columns))
        .join(by, by.c.id == wanted)
        .where(among(_I.id, list(set(inbox_ids)), "uuid"), by.c.channel.in_(letters), by.c.deleted_at.is_(None))
    )
    return {row["live_id"]: row for row in (await session.execute(query)).mappings()}


async def reached(services: Services, session: AsyncSession, contact_ids: Sequence[UUID]) -> dict[UUID, Reached]:
    """Of these contacts (`visits.contact_id`) those that can be mailed: where the last session that proved an address
    did, else the verified address that they have had for the shortest time.

    What somebody only said of himself is no address of his, nor is that of whom an agent takes him for.
    """
    wanted = list(set(contact_ids))
    letters = [name for name, channel in services.channels.items() if channel.capabilities.letters]
    proved = select(_A.contact_id, _A.handle).where(
        among(_A.contact_id, wanted, "uuid"), _A.channel.in_(letters), _A.verified
    )
    order = ((_S.email != "").desc(), _S.last_seen_at.desc(), _S.id.desc())
    place = func.row_number().over(partition_by=_S.contact_id, order_by=order).label("place")
    seen = select(_S.contact_id, _S.email, _S.language, place).where(among(_S.contact_id, wanted, "uuid"))
    best = seen.subquery("best")
    rows_ = (await session.execute(select(best).where(best.c.place == 1))).mappings()
    last = {row["contact_id"]: Reached(row["email"], row["language"]) for row in rows_}
    found = {contact_id: one for contact_id, one in last.items() if one.handle}
    for row in await session.execute(proved.order_by(_A.created_at.desc(), _A.id)):
        language = last[row.contact_id].language if row.contact_id in last else ""
        found.setdefault(row.contact_id, Reached(row.handle, language))
    return found


async def reaches(services: Services, session: AsyncSession, conversation_id: UUID) -> bool:
    """Whether what the visitor of this conversation does not read goes to him by mail."""
    its = select(visits.c.contact_id, visits.c.inbox_id).where(visits.c.conversation_id == conversation_id)
    visit = (await session.execute(its)).one_or_none()
    if visit is None or not await reached(services, session, [visit.contact_id]):
        return False
    return bool(await inboxes_for(services, session, [visit.inbox_id]))


async def send(
    services: Services, session: AsyncSession, mails: Sequence[Mail], *also: Part, now: datetime
) -> list[UUID]:
    """Write letters into locked conversations, one for each, and queue them. `also` is written with them.

    Answers the messages' ids. Nobody is mailed who was taken out of the conversation: those are left out.
    """
    kept = await _taking_part(session, mails)
    made = [(mail, new_id()) for mail in kept]
    told = events.outbox(session, [events.row(_created(mail, one), now=now) for mail, one in made])
    ids = [mail.conversation["id"] for mail in kept]
    *_, count = await write(
        session,
        *also,
        Update(conversations, [_counted(mail.conversation, now=now) for mail in kept]),
        Insert(messages, [_message(services, mail, one, now=now) for mail, one in made]),
        Insert(attachments, [_file(file, one, now=now) for mail, one in made for file in mail.files]),
        Insert(delivery_rows, [_delivery(services, mail, one, now=now) for mail, one in made]),
        Insert(
            participants,
            [participant(mail.conversation, mail.inbox, mail.to.handle, now=now) for mail in kept],
            unless=("conversation_id", "channel", "handle"),
        ),
        Insert(
            conversation_inboxes,
            [{"conversation_id": one, "inbox_id": mail.inbox["id"]} for one, mail in zip(ids, kept, strict=True)],
            unless=("conversation_id", "inbox_id"),
        ),
        told,
    )
    if made:
        events.told(session, told, count)
        ring(session, "deliver")
    return [one for _, one in made]


async def _taking_part(session: AsyncSession, mails: Sequence[Mail]) -> list[Mail]:
    p = participants.c
    out = select(p.conversation_id, p.handle).where(
        among(p.conversation_id, [mail.conversation["id"] for mail in mails], "uuid"), p.removed_at.is_not(None)
    )
    gone = {(row.conversation_id, row.handle) for row in await session.execute(out)}
    return [mail for mail in mails if (mail.conversation["id"], mail.to.handle) not in gone]


def participant(conversation: Row, inbox: Row, handle: str, *, now: datetime) -> dict[str, Any]:
    """The contact himself, by his address."""
    return {
        "conversation_id": conversation["id"],
        "channel": inbox["channel"],
        "handle": handle,
        "name": "",
        "contact_id": conversation["contact_id"],
        "added_by": None,
        "created_at": now,
        "removed_at": None,
    }


def _counted(conversation: Row, *, now: datetime) -> dict[str, Any]:
    counted = {"seq": conversation["seq"] + 1, "message_count": conversation["message_count"] + 1}
    return {"id": conversation["id"], **counted, "updated_at": now}


def _message(services: Services, mail: Mail, message_id: UUID, *, now: datetime) -> dict[str, Any]:
    can = services.channel(mail.inbox["channel"]).capabilities
    html = sanitise(mail.letter.html) if can.html and mail.letter.html else None
    return rows.message(
        message_id,
        conversation_id=mail.conversation["id"],
        seq=mail.conversation["seq"] + 1,
        type=MessageType.OUTGOING.value,
        channel=mail.inbox["channel"],
        inbox_id=mail.inbox["id"],
        author_kind=AuthorKind.SYSTEM.value,
        created_at=now,
        subject=mail.letter.subject if can.subject else "",
        text=mail.letter.text,
        new_text=mail.letter.text,
        html=html.html if html else None,
        html_policy=html.policy_version if html else 0,
        to=[{"handle": mail.to.handle, "name": ""}],
        auto_submitted=AUTOMATIC,
        notes=[mail.kind],
        attachment_count=len(mail.files),
        delivery_status=DeliveryStatus.QUEUED.value,
        language=mail.to.language or mail.conversation["language"] or "en",
    )


def _file(file: Row, message_id: UUID, *, now: datetime) -> dict[str, Any]:
    same: Mapping[str, Any] = {name: file[name] for name in ("blob_id", "filename", "content_type", "size")}
    return {
        "id": new_id(),
        "message_id": message_id,
        **same,
        "inline": False,
        "content_id": "",
        "uploaded_by": None,
        "created_at": now,
    }


def _delivery(services: Services, mail: Mail, message_id: UUID, *, now: datetime) -> dict[str, Any]:
    can, handle = services.channel(mail.inbox["channel"]).capabilities, mail.to.handle
    number = mail.conversation["number"]
    return deliveries.row(
        message_id=message_id,
        inbox_id=mail.inbox["id"],
        token=deliveries.token_for(services, number=number, recipient=handle) if can.tokens else "",
        to=[{"handle": handle, "name": ""}],
        automatic=False,
        now=now,
    )


def _created(mail: Mail, message_id: UUID) -> MessageCreated:
    return MessageCreated(
        conversation_id=mail.conversation["id"],
        seq=mail.conversation["seq"] + 1,
        message_id=message_id,
        inbox_id=mail.inbox["id"],
        private=False,
        by=mail.by,
    )
