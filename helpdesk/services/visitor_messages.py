"""What visitors say: in the conversation at once, once for each id that their client gave it.

Nearly always it is the next message of somebody who is waiting for an answer already. That is one change of the
conversation's row and three new rows, and changes no clock. Everything else (the first message, one that opens
a conversation again, files, feedback, somebody blocked) is filed as mail is (`services.visitor_filing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from unicodedata import normalize
from uuid import UUID

from sqlalchemy import String, Update, Uuid, bindparam, case, exists, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Address, Authentication, InboundMessage
from helpdesk.db import new_id
from helpdesk.domain.admission import Admitted, admit
from helpdesk.domain.events import MessageReceived
from helpdesk.domain.values import Status
from helpdesk.errors import FieldError, Invalid
from helpdesk.live import Feedback, Said, Visitor
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.models.visitors import visitor_messages
from helpdesk.services import events, rows, visitor_filing, visits
from helpdesk.services.house import Services
from helpdesk.statements import Statement
from helpdesk.writes import Insert

MAX_TEXT: Final = 8_000
MAX_FILES: Final = 20

_C: Final = conversations.c
_S: Final = visitor_messages.c


async def say(
    services: Services,
    session: AsyncSession,
    visitor: Visitor,
    *,
    client_id: str,
    text: str,
    attachment_ids: Sequence[UUID] = (),
    feedback: Feedback | None = None,
    now: datetime,
) -> Said:
    """Store a message, once per session and client id.

    Raises `Invalid` (`text_empty`, `text_too_long`), `NotFound` for an upload that is not the session's or was sent,
    `Conflict` (`conversation_unavailable`) while the inbox is paused, `SessionRefused` where the visitor was erased,
    and `SaidMeanwhile`.
    """
    message = _admitted(visitor, text, files=len(set(attachment_ids)))
    if visitor.conversation_id is not None and not attachment_ids and feedback is None:
        said = await _say_next(session, visitor, message, client_id=client_id, now=now)
        if said is not None:
            return said
    return await visitor_filing.file(
        services,
        session,
        visitor,
        message,
        client_id=client_id,
        attachment_ids=attachment_ids,
        feedback=feedback,
        now=now,
    )


def _admitted(visitor: Visitor, text: str, *, files: int) -> Admitted:
    if len(text) > MAX_TEXT:
        raise _refused("text", f"at most {MAX_TEXT} characters", "text_too_long")
    if files > MAX_FILES:
        raise Invalid.field("attachment_ids", f"at most {MAX_FILES} files")
    text = normalize("NFC", text).strip()
    vouched = Authentication.PASS if visitor.identified else Authentication.NONE
    message = admit(InboundMessage("", Address(visitor.handle), text, text, authentication=vouched))
    if not message.text.strip() and not files:
        raise _refused("text", "a message has text or files", "text_empty")
    return message


def _refused(field: str, why: str, slug: str) -> Invalid:
    return Invalid(f"{field}: {why}", errors=[FieldError(field, why)], slug=slug)


# -- the next message of somebody who waits ---------------------------------------------------------------------------


def _next() -> Update:
    """Advance the conversation, if nothing about this message is special."""
    time, handle = bindparam("at", type_=_C.updated_at.type), bindparam("handle", type_=String())
    i, k = contact_identities.c, contacts.c
    # Whose the handle is by now: an agent may have merged the contact since the session began.
    who = select(i.contact_id).where(i.channel == _C.channel, i.handle == handle).scalar_subquery()
    said = exists().where(
        _S.session_id == bindparam("saying", type_=Uuid()), _S.client_id == bindparam("client", type_=String())
    )
    shunned = exists().where(k.id == _C.contact_id, k.blocked)
    seq = _C.seq + literal_column("1")
    spoken = bindparam("spoken", type_=String())
    return (
        update(conversations)
        .where(
            _C.id == bindparam("there", type_=Uuid()),
            _C.contact_id == who,
            _C.inbox_id == bindparam("through", type_=Uuid()),
            _C.status == literal_column(f"'{Status.OPEN.value}'"),
            _C.spam.is_(False),
            _C.merged_into_id.is_(None),
            _C.waiting_since <= time,
            ~shunned,
            ~said,
        )
        .values(
            seq=seq,
            last_incoming_seq=seq,
            message_count=_C.message_count + literal_column("1"),
            preview=bindparam("begins", type_=String()),
            last_message_direction=literal_column("'incoming'"),
            last_activity_at=time,
            updated_at=time,
            contact_handle=handle,
            language=case((_C.language == literal_column("''"), spoken), else_=_C.language),
        )
        .returning(
            _C.seq,
            _C.channel,
            _C.contact_id,
            select(k.name).where(k.id == _C.contact_id).scalar_subquery().label("name"),
        )
    )


_NEXT: Final = Statement(_next)


async def _say_next(
    session: AsyncSession, visitor: Visitor, message: Admitted, *, client_id: str, now: datetime
) -> Said | None:
    """None where it is none of these, or has been said before."""
    assert visitor.conversation_id is not None
    moved = await _NEXT.rows(
        session,
        at=now,
        saying=visitor.session_id,
        client=client_id,
        there=visitor.conversation_id,
        through=visitor.inbox_id,
        begins=message.preview,
        handle=visitor.handle,
        spoken=message.language,
    )
    if not moved:
        return None
    (row,) = moved
    message_id, placement = new_id(), visitor_filing.placement_of(visitor)
    written = rows.incoming(
        message_id,
        message,
        conversation={"id": visitor.conversation_id, "seq": row["seq"]},
        inbox={"id": visitor.inbox_id, "channel": row["channel"]},
        raw={"backfilled": False, "received_at": now},
        contact_id=row["contact_id"],
        placement=placement,
        reasons=placement.reasons,
        now=now,
    )
    written["author_name"] = row["name"] or visitor.handle
    received = MessageReceived(
        conversation_id=visitor.conversation_id,
        seq=row["seq"],
        message_id=message_id,
        inbox_id=visitor.inbox_id,
        channel=row["channel"],
        first=False,
        silent=False,
    )
    told = events.outbox(session, [events.row(received, now=now)])
    _, count = await visitor_filing.keep(session, visitor, client_id, message_id, Insert(messages, [written]), told)
    events.told(session, told, count)
    visits.ring_live(session, visitor.conversation_id)
    return Said(message_id, visitor.conversation_id, row["seq"], now, repeated=False)
