"""What a visitor says that is not just the next message: filed by the code that files mail, in one transaction.

His session says who he is and which conversation he is in, so that there is nothing to match. All the rest is the same:
a new conversation, one that is opened again, clocks, participants, blocked contacts, floods, events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, String, Uuid, bindparam, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Address
from helpdesk.domain.admission import Admitted
from helpdesk.domain.matching import Placement
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, InboxStatus, LinkKind, Status
from helpdesk.domain.visitor_notes import note
from helpdesk.errors import Conflict
from helpdesk.live import Feedback, Said, SessionRefused, Visitor
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visitor_messages, visitor_sessions
from helpdesk.models.visitors import visits as visit_rows
from helpdesk.services import attachments, placing, replies, visitor_forms, visitor_identities, visits
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services.filing import INBOX
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.lookups import Known, look_up
from helpdesk.services.reply_writing import Draft
from helpdesk.statements import Row, Statement
from helpdesk.writes import Insert, write

FEEDBACK: Final = "feedback"
"""The tag of what a form in an app has sent."""

_S: Final = visitor_messages.c


class SaidMeanwhile(Exception):
    """The same client id was used at the same moment. Nothing of this may be kept; asked again, that is answered."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What the visitor is called and who he is by now, the conversation that he is in, and his newest one so far."""

    name: str
    home: UUID | None
    former: UUID | None
    contact_id: UUID


async def file(
    services: Services,
    session: AsyncSession,
    visitor: Visitor,
    message: Admitted,
    *,
    client_id: str,
    attachment_ids: Sequence[UUID],
    feedback: Feedback | None,
    now: datetime,
) -> Said:
    """File one message. See `visitor_messages.say` for what it raises."""
    # Of two first messages at the same moment, the second joins what the first one opens.
    await visitor_identities.silent(session, visitor)
    inbox = await _inbox(session, visitor.inbox_id)
    place = await _place(session, visitor, inbox["channel"], now=now)
    message = replace(message, sender=Address(visitor.handle, place.name))
    joins = [place.home] if place.home and feedback is None else []
    keys = Keys(services.keyring)
    asked: dict[str, Any] = {"channel": inbox["channel"], "inbox_id": inbox["id"], "digests": (), "joins": joins}
    known = await look_up(services, session, keys, [message], **asked, now=now)
    if visitor.handle not in known.contacts:
        raise SessionRefused
    # Under the conversation's lock: whoever says the same at this moment has written it by now, or waits.
    before = await _find_said(session, visitor, client_id)
    if before is not None:
        return before
    batch = await placing.begin(services, session, keys, inbox, known, earliest=now, now=now)
    placement = placement_of(visitor, *_where(known, joins, place.former if feedback is None else None))
    conversation, written = batch.add_said(message, placement, files=len(set(attachment_ids)))
    await batch.write()
    await _keep(session, visitor, client_id, written["id"])
    if attachment_ids:
        mine = Actor(AuthorKind.CONTACT, id=visitor.session_id)
        owner = {"message_id": written["id"], "contact_id": written["author_id"], "by": mine}
        await attachments.take(services, session, attachment_ids, **owner)
    if conversation["id"] not in known.conversations:
        whose: dict[str, Any] = {"contact_id": place.contact_id, "feedback": feedback is not None}
        await visits.begin(session, conversation, **whose, now=now)
        if feedback is None:
            await visitor_forms.introduce(services, session, conversation, visitor, now=now)
    if feedback is not None:
        await _mark(services, session, conversation, feedback, language=visitor.language, now=now)
    visits.ring_live(session, conversation["id"])
    return Said(written["id"], conversation["id"], written["seq"], now, repeated=False)


async def _keep(session: AsyncSession, visitor: Visitor, client_id: str, message_id: UUID) -> None:
    """Under which id the message was said."""
    mine = {"session_id": visitor.session_id, "client_id": client_id, "message_id": message_id}
    (kept,) = await write(session, Insert(visitor_messages, [mine], unless=("session_id", "client_id")))
    if not kept:
        raise SaidMeanwhile


def placement_of(
    visitor: Visitor, join: UUID | None = None, links: tuple[tuple[UUID, LinkKind], ...] = ()
) -> Placement:
    """He is whom the host site says he is, or whoever has this session."""
    if visitor.identified:
        return Placement(join=join, links=links, verified=True)
    return Placement(join=join, links=links, verified=None, reasons=("not_authenticated",))


def _where(
    known: Known, joins: Sequence[UUID], former: UUID | None
) -> tuple[UUID | None, tuple[tuple[UUID, LinkKind], ...]]:
    """What it joins, or what it follows: the lock may have been waited for, and the conversation closed meanwhile."""
    for one in map(known.home, joins):
        if known.conversations[one]["status"] != Status.CLOSED:
            return one, ()
    return None, ((former, LinkKind.FOLLOWS),) if former else ()


async def _inbox(session: AsyncSession, inbox_id: UUID) -> Row:
    found = await _INBOX.rows(session, inbox=inbox_id)
    if not found or found[0]["state"] != InboxStatus.ACTIVE:
        raise Conflict("nothing can be said there now", slug="conversation_unavailable")
    return found[0]


async def _place(session: AsyncSession, visitor: Visitor, channel: str, *, now: datetime) -> _Place:
    """Asked of the session: he may have shown who he is since he was looked up.

    Raises `SessionRefused` where it has ended, and for one who was erased.
    """
    about: dict[str, Any] = {"visiting": visitor.session_id, "channel": channel, "since": now - visits.CONTINUED_WITHIN}
    found = await _PLACE.rows(session, **about)
    if not found:
        raise SessionRefused
    return _Place(**found[0])


async def _find_said(session: AsyncSession, visitor: Visitor, client_id: str) -> Said | None:
    found = await _SAID.rows(session, visiting=visitor.session_id, client=client_id)
    return Said(**found[0], repeated=True) if found else None


def _inbox_of() -> Select[Any]:
    columns = [*(inboxes.c[name] for name in INBOX), inboxes.c.state]
    return select(*columns).where(inboxes.c.id == bindparam("inbox", type_=Uuid()), inboxes.c.deleted_at.is_(None))


def _place_of() -> Select[Any]:
    i, k, v, of = contact_identities.c, contacts.c, visit_rows.c, visitor_sessions.c
    home = visits.joinable(of.contact_id, of.inbox_id, since=bindparam("since", type_=of.created_at.type))
    his = v.contact_id == of.contact_id, v.inbox_id == of.inbox_id, v.feedback.is_(False)
    former = select(v.conversation_id).where(*his).order_by(v.conversation_id.desc()).limit(literal_column("1"))
    channel = bindparam("channel", type_=String())
    return (
        select(k.name, home.label("home"), former.scalar_subquery().label("former"), of.contact_id)
        .join(contact_identities, (i.channel == channel) & (i.handle == of.handle))
        .join(contacts, k.id == i.contact_id)
        .where(of.id == bindparam("visiting", type_=Uuid()), of.ended_at.is_(None))
    )


def _said_under() -> Select[Any]:
    m = messages.c
    return (
        select(m.id.label("message_id"), m.conversation_id, m.seq, m.created_at)
        .join(visitor_messages, _S.message_id == m.id)
        .where(_S.session_id == bindparam("visiting", type_=Uuid()))
        .where(_S.client_id == bindparam("client", type_=String()))
    )


_INBOX: Final = Statement(_inbox_of)
_PLACE: Final = Statement(_place_of)
_SAID: Final = Statement(_said_under)


async def _mark(
    services: Services, session: AsyncSession, conversation: Row, feedback: Feedback, *, language: str, now: datetime
) -> None:
    """Tag it, say what it is about, and note for the agents what it was written with."""
    wanted: dict[str, Any] = {"tags": [FEEDBACK]}
    if feedback.category and await visitor_forms.is_category(session, feedback.category):
        wanted["category"] = feedback.category
    after: Any = await conversation_verbs.change(services, session, conversation, wanted, by=SYSTEM, now=now)
    said = {"app_version": feedback.app_version, "device": feedback.device}
    if text := note(said, language=language):
        await replies.reply(services, session, after, Draft(text=text, private=True), by=SYSTEM, now=now)
