"""What visitors say most, and say fast: the next message in an open conversation, whether somebody waits there or not.

It opens nothing and finds nobody out. One look tells all that there is to know, and one statement writes all that
follows, if the conversation is still the one that was looked at: on PostgreSQL neither needs a transaction or a lock of
its own. Whatever is not of this kind, or was changed in between, is filed as everything else is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, String, and_, bindparam, exists, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Address
from helpdesk.db import is_postgresql, new_id
from helpdesk.domain.admission import Admitted
from helpdesk.domain.clocks import RESPONSES, Kind
from helpdesk.domain.events import MessageReceived
from helpdesk.domain.values import InboxStatus, Status
from helpdesk.live import Said, Visitor
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.sla import sla_clocks
from helpdesk.models.visitors import visitor_messages, visitor_sessions
from helpdesk.services import clock_rows, events, feed, rows, visitor_fresh, visits
from helpdesk.services.clock_rows import Difference
from helpdesk.services.filed_clocks import FiledClocks, matters
from helpdesk.services.house import Services
from helpdesk.services.visitor_filing import SaidMeanwhile, placement_of
from helpdesk.services.visitor_fresh import Fresh
from helpdesk.statements import Row, Statement
from helpdesk.writes import VERSION, Holding, Insert, NotHeld, Update, is_there_already, write

_C: Final = conversations.c
_Q: Final = sla_clocks.c
_INBOX: Final = ("id", "channel", "sla_policy_id", "business_hours_id")
_KEPT: Final = (
    *("id", "seq", "message_count", "status", "priority", "category", "last_agent_seq", "language"),
    *("waiting_since", "next_due_at", "due_soon_at", "sla_paused"),
)
_CHANGED: Final = (
    *("id", "seq", "last_incoming_seq", "message_count", "preview", "last_message_direction", "last_activity_at"),
    *("updated_at", "contact_handle", "language", "waiting_since", "next_due_at", "due_soon_at", "sla_paused"),
)


async def say(
    services: Services, session: AsyncSession, visitor: Visitor, message: Admitted, *, client_id: str, now: datetime
) -> Said | None:
    """None where it is none of these, or has been said before. Raises `SaidMeanwhile`."""
    if message.automatic or message.suspect:
        return None
    native = is_postgresql(session)
    about: dict[str, Any] = {"conversation": visitor.conversation_id, "visiting": visitor.session_id}
    about |= {"inbox": visitor.inbox_id, "handle": visitor.handle, "client": client_id}
    ask = _VERSIONED if native else _NEXT
    found = await ask.rows(session, begin=False, **about, now=now, since=now - visits.CONTINUED_WITHIN)
    if not found:
        return None
    before, inbox = found[0], {name: found[0][f"inbox_{name}"] for name in _INBOX}
    after = {name: before[name] for name in _KEPT} | _said(before, visitor, message, now=now)
    clocks = Difference()
    if matters(before, now):
        waits = await _waits(services, session, after, inbox, found, now=now)
        if waits is None:
            return None
        clocks = waits
    message = replace(message, sender=Address(visitor.handle, before["contact_name"]))
    holding = [Holding(conversations, {"id": after["id"], VERSION: before[VERSION]}, written=True)] if native else []
    written = _message(visitor, message, after, inbox, before["contact_id"], now=now)
    kept = {"session_id": visitor.session_id, "client_id": client_id, "message_id": written["id"]}
    if not await _write(session, after, written, kept, clocks, holding, before, now=now):
        return None
    visitor_fresh.tell(session, Fresh(written, visitor.session_id, client_id))
    return Said(written["id"], after["id"], after["seq"], now, repeated=False)


def _said(before: Row, visitor: Visitor, message: Admitted, *, now: datetime) -> dict[str, Any]:
    """What the message changes in its conversation, but for what waits."""
    return {
        "seq": before["seq"] + 1,
        "last_incoming_seq": before["seq"] + 1,
        "message_count": before["message_count"] + 1,
        "preview": message.preview,
        "last_message_direction": "incoming",
        "last_activity_at": now,
        "updated_at": now,
        "contact_handle": visitor.handle,
        "language": before["language"] or message.language,
    }


async def _waits(
    services: Services,
    session: AsyncSession,
    after: dict[str, Any],
    inbox: Row,
    found: Sequence[Row],
    *,
    now: datetime,
) -> Difference | None:
    """The clocks of somebody who waits from now on, in a draft that is changed with them. None where one does already.

    Those that have ended were not read: a chat has one for every answer.
    """
    live = [{column.name: row[f"clock_{column.name}"] for column in _Q} for row in found if row["clock_kind"]]
    if any(Kind(one["kind"]) in RESPONSES for one in live):
        return None
    book = await services.promises.book(session)
    terms = await services.promises.terms(session, live)
    clocks = {after["id"]: [clock_rows.clock(one, its) for one, its in zip(live, terms, strict=True)]}
    past = {Kind.NEXT_RESPONSE: found[0]["cycles"] or 0}
    filed = FiledClocks(book, inbox, clocks, past={after["id"]: past}, now=now)
    filed.wait(after, now)
    return filed.difference()


def _message(
    visitor: Visitor, message: Admitted, after: dict[str, Any], inbox: Row, contact_id: Any, *, now: datetime
) -> dict[str, Any]:
    placement = placement_of(visitor)
    return rows.incoming(
        new_id(),
        message,
        conversation=after,
        inbox=inbox,
        raw={"backfilled": False, "received_at": now},
        contact_id=contact_id,
        placement=placement,
        reasons=placement.reasons,
        now=now,
    )


async def _write(
    session: AsyncSession,
    after: Mapping[str, Any],
    written: Mapping[str, Any],
    kept: Mapping[str, Any],
    clocks: Difference,
    holding: Sequence[Holding],
    whose: Row,
    *,
    now: datetime,
) -> bool:
    """Everything at once. False, and nothing, where the conversation is another by now. Raises `SaidMeanwhile`."""
    received = MessageReceived(
        conversation_id=after["id"],
        seq=after["seq"],
        message_id=written["id"],
        inbox_id=written["inbox_id"],
        channel=written["channel"],
        first=False,
        silent=False,
    )
    told = events.outbox_ahead([events.row(one, now=now) for one in (received, *clocks.events)])
    try:
        *_, last = await write(
            session,
            Update(conversations, [{name: after[name] for name in _CHANGED}]),
            Insert(sla_clocks, clocks.new),
            Update(sla_clocks, clocks.changed, by=clock_rows.KEY),
            Insert(messages, [written]),
            Insert(visitor_messages, [kept]),
            told,
            holding=holding,
            last=True,
        )
    except NotHeld:
        # Where something had to be read again, and with that a transaction begun, this has ended it.
        await session.rollback()
        return False
    except Exception as error:
        if is_there_already(error):
            raise SaidMeanwhile from None
        raise
    events.told(session, told, last)
    feed.hand_over(session, told.rows, last, whose)
    return True


def _looked(*more: ColumnElement[Any]) -> Select[Any]:
    """The conversation, once for each clock that is live, if nothing about the message is special."""
    i, a, k, of, said = contact_identities.c, inboxes.c, contacts.c, visitor_sessions.c, visitor_messages.c
    client, now = bindparam("client", type_=String()), bindparam("now", type_=_C.updated_at.type)
    earlier = sla_clocks.alias("earlier").c
    kind: ColumnElement[str] = literal_column(f"'{Kind.NEXT_RESPONSE.value}'")
    cycles = select(func.max(earlier.cycle)).where(earlier.conversation_id == _C.id, earlier.kind == kind)
    return (
        select(
            *(_C[name] for name in _KEPT),
            *(a[name].label(f"inbox_{name}") for name in _INBOX),
            *(column.label(f"clock_{column.name}") for column in _Q),
            cycles.scalar_subquery().label("cycles"),
            k.id.label("contact_id"),
            k.name.label("contact_name"),
            *feed.whose(),
            *more,
        )
        .select_from(conversations)
        .join(inboxes, a.id == _C.inbox_id)
        .join(visitor_sessions, of.id == bindparam("visiting", type_=of.id.type))
        # Whose the handle is by now: an agent may have merged the contact since the session began.
        .join(contact_identities, and_(i.channel == a.channel, i.handle == of.handle))
        .join(contacts, and_(k.id == i.contact_id, k.id == _C.contact_id))
        .outerjoin(sla_clocks, and_(_Q.conversation_id == _C.id, _Q.ended_at.is_(None)))
        .where(
            _C.id == bindparam("conversation", type_=_C.id.type),
            a.id == bindparam("inbox", type_=a.id.type),
            a.state == literal_column(f"'{InboxStatus.ACTIVE.value}'"),
            a.deleted_at.is_(None),
            of.ended_at.is_(None),
            of.handle == bindparam("handle", type_=String()),
            k.blocked.is_(False),
            func.length(k.key) > literal_column("0"),  # without a key, he was erased
            _C.status == literal_column(f"'{Status.OPEN.value}'"),
            _C.spam.is_(False),
            _C.quarantined.is_(False),
            _C.merged_into_id.is_(None),
            _C.last_activity_at > bindparam("since", type_=_C.last_activity_at.type),
            # Where no agent has written, and nobody waits, it may be that nothing was ever promised.
            or_(_C.waiting_since <= now, and_(_C.waiting_since.is_(None), _C.last_agent_seq > literal_column("0"))),
            ~exists().where(said.session_id == of.id, said.client_id == client),
        )
    )


_NEXT: Final = Statement(_looked)
_VERSIONED: Final = Statement(lambda: _looked(literal_column(f"conversations.{VERSION}").label(VERSION)))
