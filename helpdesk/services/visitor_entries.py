"""The statements by which a visitor's log is read (`services.visitor_log`), and what their rows are.

Each is one UNION of messages and events with the same columns, every part of it limited by itself and in the order of
an index, so that a long conversation costs no more than a short one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    CompoundSelect,
    Integer,
    Label,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.selectable import CTE

from helpdesk.dialects import UtcDateTime, addressed, by_key, kept
from helpdesk.domain.clocks import OVER
from helpdesk.domain.events import ConversationAssigned, ConversationStatusChanged
from helpdesk.domain.values import DeliveryStatus, LinkKind, MessageType, Visibility
from helpdesk.live import ItemKind
from helpdesk.models.agents import agents
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversation_links, conversations
from helpdesk.models.events import events
from helpdesk.models.messages import attachments, messages
from helpdesk.models.visitors import visitor_messages, visitor_sessions, visits

EARLIER: Final = 10_000_000
"""Between the numbers of one merged conversation and the next: more than there are places in any."""
HOME: Final = "home"
"""The row that says where the conversation is by now; its `flag`, whether something of his was merged there."""

_M: Final = messages.c
_E: Final = events.c
_V: Final = visits.c

_COLUMNS: Final[Mapping[str, Any]] = {
    "kind": String(),
    "seq": Integer(),
    "id": Uuid(),
    "word": String(),
    "name": String(),
    "text": String(),
    "channel": String(),
    "files": Integer(),
    "at": UtcDateTime(),
    "client_id": String(),
    "flag": Boolean(),
}
KIND, SEQ, ID, WORD, NAME, TEXT, CHANNEL, FILES, AT, CLIENT, FLAG = range(len(_COLUMNS))
NAMES: Final = tuple(_COLUMNS)


def _columns(**known: ColumnElement[Any]) -> list[Label[Any]]:
    """Every part of the union has all columns; those that it does not know are empty."""
    return [known.get(name, cast(null(), type_)).label(name) for name, type_ in _COLUMNS.items()]


def _contact() -> ColumnElement[UUID]:
    return bindparam("contact", type_=Uuid())


def _inbox() -> ColumnElement[UUID]:
    return bindparam("inbox", type_=Uuid())


def _word(word: str) -> ColumnElement[str]:
    """One of our own words, written into the statement."""
    return literal_column(f"'{word}'", String())


class Way(Enum):
    """Which entries are wanted of a conversation, seen from `:seq`."""

    BACK = auto()
    """Those before it."""
    ON = auto()
    """It, where it is one, and those after it."""
    AROUND = auto()
    """Those after it, and the last one until then: in a long conversation that may be far away."""


def of_home(way: Way, limit: int) -> CompoundSelect[Any]:
    """The entries that are wanted, one more than `limit`."""
    home = _home().cte("home")
    seq = bindparam("seq", type_=Integer())
    parts = []
    said = _said(_M.seq).where(_M.created_at >= _of(home, "since"))
    columns = ((said, _M.conversation_id, _M.seq), (_happened(home), _E.conversation_id, _E.seq))
    for entries, place, number in columns:
        here = entries.where(place == _of(home, "id"))
        if way is Way.BACK:
            parts.append(here.where(number < seq).order_by(number.desc()).limit(_literal(limit + 1)))
        elif way is Way.ON:
            parts.append(here.where(number >= seq).order_by(number).limit(_literal(limit + 2)))
        else:
            parts.append(here.where(number > seq).order_by(number).limit(_literal(limit + 1)))
            parts.append(here.where(number <= seq).order_by(number.desc()).limit(_literal(1)))
    shown = [select(part.subquery()) for part in parts]
    return union_all(select(*_columns(kind=_word(HOME), id=home.c.id, flag=home.c.came.is_not(None))), *shown)


def _literal(number: int) -> ColumnElement[int]:
    return literal_column(str(number), Integer())


def _home() -> Select[Any]:
    """Where the conversation goes on, if it is the visitor's, and since when he is there.

    What is older there is not his: whose it was is told by sessions, and those of others are forgotten one day.
    """
    mine, home, sources = conversations.alias("mine"), conversations.alias("home"), visits.alias("sources")
    link = conversation_links.c
    came = (
        select(func.min(link.created_at, type_=link.created_at.type))
        .join(sources, sources.c.conversation_id == link.conversation_id)
        .where(link.related_id == home.c.id, link.kind == _word(LinkKind.MERGED.value))
        .where(sources.c.contact_id == _contact(), sources.c.inbox_id == _inbox())
        .correlate(home)
        .scalar_subquery()
    )
    his = and_(_V.conversation_id == home.c.id, _V.contact_id == _contact(), _V.inbox_id == _inbox())
    since = func.coalesce(_V.created_at, came, type_=_V.created_at.type)
    return (
        select(home.c.id, home.c.assignee_id, _V.rating_asked_at, since.label("since"), came.label("came"))
        .select_from(mine)
        .join(home, home.c.id == func.coalesce(mine.c.merged_into_id, mine.c.id))
        .outerjoin(visits, his)
        .where(mine.c.id == bindparam("conversation", type_=Uuid()), since.is_not(None))
    )


def _of(home: CTE, name: str) -> ColumnElement[Any]:
    """As one value, and no join: then the entries are read in the order of their index, and no more than wanted."""
    return select(home.c[name]).scalar_subquery()


def earlier(limit: int) -> Select[Any]:
    """What was said in his conversations that went into `:conversation`, before `:seq`."""
    link, seq = conversation_links.c, bindparam("seq", type_=Integer())
    place = func.row_number().over(order_by=(link.created_at, link.conversation_id))
    sources = (
        select(link.conversation_id, place.label("place"), _V.created_at.label("since"))
        .join(visits, _V.conversation_id == link.conversation_id)
        .where(link.related_id == bindparam("conversation", type_=Uuid()), link.kind == _word(LinkKind.MERGED.value))
        .where(_V.contact_id == _contact(), _V.inbox_id == _inbox())
        .cte("sources")
    )
    number = _M.seq - sources.c.place * _literal(EARLIER)
    said = _said(number).join(sources, sources.c.conversation_id == _M.conversation_id)
    said = said.where(_M.created_at >= sources.c.since)
    return said.where(number < seq).order_by(number.desc()).limit(_literal(limit + 1))


def former() -> Select[Any]:
    """Where the conversation that he began last, but for `:home`, is by now."""
    mine, home = conversations.alias("mine"), conversations.alias("home")
    return (
        select(home.c.id)
        .select_from(mine)
        .join(visits, _V.conversation_id == mine.c.id)
        .join(home, home.c.id == func.coalesce(mine.c.merged_into_id, mine.c.id))
        .where(_V.contact_id == _contact(), _V.inbox_id == _inbox(), _V.feedback.is_(False))
        .where(home.c.id.is_distinct_from(bindparam("home", type_=Uuid())))
        .order_by(mine.c.id.desc())
        .limit(_literal(1))
    )


def shown() -> Select[Any]:
    link, sources = conversation_links.c, visits.alias("sources")
    here = (
        exists()
        .where(_V.conversation_id == _M.conversation_id, _V.created_at <= _M.created_at)
        .where(_V.contact_id == _contact(), _V.inbox_id == _inbox())
    )
    came = (
        exists()
        .where(link.related_id == _M.conversation_id, link.kind == _word(LinkKind.MERGED.value))
        .where(link.created_at <= _M.created_at)
        .where(sources.c.conversation_id == link.conversation_id)
        .where(sources.c.contact_id == _contact(), sources.c.inbox_id == _inbox())
    )
    return _said(_M.seq).where(_M.id == bindparam("message", type_=Uuid()), or_(here, came))


def _said(number: ColumnElement[int]) -> Select[Any]:
    said, s = visitor_messages.c, visitor_sessions.c
    here, own = (said.message_id == _M.id,), said.session_id == bindparam("session", type_=Uuid())
    theirs = select(s.contact_id).join(visitor_messages, said.session_id == s.id).where(*here).limit(_literal(1))
    said_by = theirs.correlate(messages).scalar_subquery()
    return (
        select(
            *_columns(
                kind=_word(ItemKind.MESSAGE.value),
                seq=number,
                id=_M.id,
                word=_M.author_kind,
                name=_M.author_name,
                text=case((_M.new_text == _word(""), _M.text), else_=_M.new_text),
                channel=_M.channel,
                files=_M.attachment_count,
                at=_M.created_at,
                client_id=select(said.client_id).where(*here, own).limit(_literal(1)).scalar_subquery(),
            )
        )
        .select_from(messages)
        .where(_M.private.is_(False), or_(_from_him(said_by), _to_him()))
    )


def _from_him(said_by: ColumnElement[Any]) -> ColumnElement[bool]:
    """Said in a session of his, or written by him in another way."""
    incoming = _M.type == _word(MessageType.INCOMING.value)
    return and_(incoming, func.coalesce(said_by, _M.author_id) == _contact())


def _to_him() -> ColumnElement[bool]:
    """It has left, and went to him: here under a handle of his, or by mail to an address that he has proved."""
    handle, address = bindparam("own_handle", type_=String()), bindparam("own_address", type_=String())
    i, k, other = contact_identities.c, contacts.c, visitor_sessions.alias("other")
    person = or_(
        i.contact_id == _contact(), i.contact_id == select(k.merged_into_id).where(k.id == _contact()).scalar_subquery()
    )
    # Whom an agent takes him for has sessions, and handles, of his own.
    others = exists().where(other.c.inbox_id == _inbox(), other.c.handle == i.handle, other.c.contact_id != _contact())
    former = exists().where(person, i.channel == _M.channel, addressed(_M.to, i.handle), ~others)
    here = and_(_M.inbox_id == _inbox(), or_(addressed(_M.to, handle), former))
    by_mail = and_(
        _M.inbox_id != _inbox(),
        _M.auto_submitted.is_(None),
        address != _word(""),
        or_(addressed(_M.to, address), addressed(_M.cc, address)),
    )
    return and_(
        _M.type == _word(MessageType.OUTGOING.value),
        _M.visibility == _word(Visibility.DIRECT.value),
        _M.delivery_status == _word(DeliveryStatus.SENT.value),
        or_(here, by_mail),
    )


def _happened(home: CTE) -> Select[Any]:
    """Assignments: to another agent, or to none. Changes of status: into one that is over, or out of it."""
    over = [_word(status) for status in sorted(OVER)]
    now, was = kept(_E.data, "after", str), kept(_E.data, "before", str)
    agent, had = kept(_E.data, "assignee_id", UUID), kept(_E.data, "assignee_before", UUID)
    assigned = _E.type == _word(ConversationAssigned.type)
    shown = or_(
        and_(assigned, agent.is_distinct_from(had)),
        and_(_E.type == _word(ConversationStatusChanged.type), or_(now.in_(over), was.in_(over))),
    )
    rated = _of(home, "rating_asked_at") >= _E.occurred_at
    return (
        select(
            *_columns(
                kind=case((agent.is_not(None), _word(ItemKind.JOINED.value)), else_=_word(ItemKind.STATE.value)),
                seq=_E.seq,
                word=func.coalesce(now, _word("")),
                name=agents.c.name,
                at=_E.occurred_at,
                flag=case(
                    (now.in_(over), func.coalesce(rated, literal_column("false"))),
                    else_=_of(home, "assignee_id").is_not(None),
                ),
            )
        )
        .select_from(events)
        .outerjoin(agents, agents.c.id == agent)
        .where(_E.type.in_([_word(ConversationAssigned.type), _word(ConversationStatusChanged.type)]))
        .where(_E.occurred_at >= _of(home, "since"), shown)
    )


def attached() -> Select[Any]:
    a = attachments.c
    shown = select(a.message_id, a.id, a.filename, a.content_type, a.size)
    return shown.where(by_key(a.message_id, "ids")).order_by(a.id)
