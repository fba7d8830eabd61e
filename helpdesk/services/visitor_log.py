"""What a visitor reads: his conversation as one list in the order of `seq`, without anything that is not for him.

His are the messages that were said in sessions of his or came in from him, and answers that went to a handle or to an
address of his own. Notes are never among them, nor what others wrote or were written, whatever an agent has merged. Of
what happens to the conversation he sees who takes it over, and whether it waits, is resolved or closed. Each entry
names the one before it that he may see, so that a gap in the numbers is no loss.

Where his conversation went into another one, the log is that one's, and what happened there before is not shown. What
was said until then is further up, by negative numbers: the source's own ones, less `EARLIER` for each of his sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
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

from helpdesk.db import Database
from helpdesk.dialects import UtcDateTime, addressed, among, kept
from helpdesk.domain.clocks import OVER
from helpdesk.domain.events import ConversationAssigned, ConversationStatusChanged
from helpdesk.domain.values import AuthorKind, DeliveryStatus, LinkKind, MessageType, Status, Visibility
from helpdesk.live import Item, ItemKind, Log, Visitor
from helpdesk.models.agents import agents
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversation_links, conversations
from helpdesk.models.events import events
from helpdesk.models.messages import attachments, messages
from helpdesk.models.visitors import visitor_messages, visitor_sessions, visits

_M: Final = messages.c
_E: Final = events.c
_V: Final = visits.c
_HOME: Final = "home"
_AUTHORS: Final = {AuthorKind.CONTACT: "visitor", AuthorKind.AGENT: "agent", AuthorKind.BOT: "bot"}


async def after(database: Database, visitor: Visitor, conversation_id: UUID | None, seq: int, *, limit: int) -> Log:
    """What he may see after this seq, the oldest first. Another's conversation has nothing and is None."""
    return await _read(database, visitor, conversation_id, seq, limit=limit, back=False)


async def before(
    database: Database, visitor: Visitor, conversation_id: UUID | None, seq: int | None, *, limit: int
) -> Log:
    """The last entries before this seq (None: of all), still the oldest first."""
    return await _read(database, visitor, conversation_id, _END if seq is None else seq, limit=limit, back=True)


_END: Final = 2**31 - 1


async def _read(
    database: Database, visitor: Visitor, conversation_id: UUID | None, seq: int, *, limit: int, back: bool
) -> Log:
    if conversation_id is None:
        return Log(None, 0, (), more=False)
    statement = database.prepared(("visitor_log", back, limit), partial(_entries, back=back, limit=limit))
    rows = await database.fetch(statement, _about(visitor) | {"conversation": conversation_id, "seq": seq})
    home = next((row[_ID] for row in rows if row[_KIND] == _HOME), None)
    if home is None:
        return Log(None, 0, (), more=False)
    found = sorted((row for row in rows if row[_KIND] != _HOME), key=lambda row: row[_SEQ])
    if back:
        chosen, more = found[-limit:] if limit else [], len(found) > limit
        previous = found[-limit - 1][_SEQ] if more else 0
        head = None if seq < _END else found[-1][_SEQ] if found else 0
    else:
        earlier, later = [row for row in found if row[_SEQ] <= seq], [row for row in found if row[_SEQ] > seq]
        chosen, more = later[:limit], len(later) > limit
        previous = earlier[-1][_SEQ] if earlier else 0
        head = None if more else (later or earlier)[-1][_SEQ] if found else 0
    if head is None:
        head = (await _read(database, visitor, conversation_id, _END, limit=1, back=True)).head_seq
    items = await _items(database, chosen, previous)
    return Log(home, head, items, more=more)


def _about(visitor: Visitor) -> dict[str, Any]:
    return {
        "contact": visitor.contact_id,
        "inbox": visitor.inbox_id,
        "session": visitor.session_id,
        "own_handle": visitor.handle,
        "own_address": visitor.email.lower(),
    }


# -- the rows ---------------------------------------------------------------------------------------------------------

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
_KIND, _SEQ, _ID, _WORD, _NAME, _TEXT, _CHANNEL, _FILES, _AT, _CLIENT, _FLAG = range(len(_COLUMNS))


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


def _entries(*, back: bool, limit: int) -> CompoundSelect[Any]:
    """The entries on the wanted side of `:seq`, one more than wanted, and for those after it the last one before."""
    home = _home().cte("home")
    seq = bindparam("seq", type_=Integer())
    parts = []
    for entries, number in ((_said, _M.seq), (_happened, _E.seq)):
        if back:
            parts.append(entries(home).where(number < seq).order_by(number.desc()).limit(_literal(limit + 1)))
        else:
            parts.append(entries(home).where(number > seq).order_by(number).limit(_literal(limit + 1)))
            parts.append(entries(home).where(number <= seq).order_by(number.desc()).limit(_literal(1)))
    shown = [select(part.subquery()) for part in parts]
    return union_all(select(*_columns(kind=_word(_HOME), id=home.c.id)), *shown)


def _literal(number: int) -> ColumnElement[int]:
    return literal_column(str(number), Integer())


def _home() -> Select[Any]:
    """Where the conversation goes on, if it is the visitor's, and since when he is there."""
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
        select(home.c.id, home.c.assignee_id, _V.rating_asked_at, since.label("since"))
        .select_from(mine)
        .join(home, home.c.id == func.coalesce(mine.c.merged_into_id, mine.c.id))
        .outerjoin(visits, his)
        .where(mine.c.id == bindparam("conversation", type_=Uuid()), since.is_not(None))
    )


def _of(home: CTE, name: str) -> ColumnElement[Any]:
    """As one value, and no join: then the entries are read in the order of their index, and no more than wanted."""
    return select(home.c[name]).scalar_subquery()


def _said(home: CTE) -> Select[Any]:
    said, s = visitor_messages.c, visitor_sessions.c
    here, own = (said.message_id == _M.id,), said.session_id == bindparam("session", type_=Uuid())
    theirs = select(s.contact_id).join(visitor_messages, said.session_id == s.id).where(*here).limit(_literal(1))
    said_by = theirs.correlate(messages).scalar_subquery()
    return (
        select(
            *_columns(
                kind=_word(ItemKind.MESSAGE.value),
                seq=_M.seq,
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
        .where(_M.conversation_id == _of(home, "id"), _M.private.is_(False), or_(_from_him(said_by), _to_him()))
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
        .where(
            _E.conversation_id == _of(home, "id"),
            _E.type.in_([_word(ConversationAssigned.type), _word(ConversationStatusChanged.type)]),
        )
        .where(_E.occurred_at >= _of(home, "since"), shown)
    )


# -- the entries ------------------------------------------------------------------------------------------------------


async def _items(database: Database, rows: Sequence[Sequence[Any]], previous: int) -> list[Item]:
    files = await _files(database, [row[_ID] for row in rows if row[_FILES]])
    items = []
    for row in rows:
        make = _MAKE[ItemKind(row[_KIND])]
        items.append(Item(ItemKind(row[_KIND]), row[_SEQ], previous, make(row, files)))
        previous = row[_SEQ]
    return items


def _message(row: Sequence[Any], files: Mapping[UUID, list[dict[str, Any]]]) -> dict[str, Any]:
    mine = {"client_id": row[_CLIENT]} if row[_CLIENT] is not None else {}
    return {
        "id": str(row[_ID]),
        **mine,
        "author": {"kind": _AUTHORS.get(row[_WORD], "system"), "name": row[_NAME]},
        "text": row[_TEXT],
        "channel": row[_CHANNEL],
        "attachments": files.get(row[_ID], []),
        "created_at": _time(row[_AT]),
    }


def _state(row: Sequence[Any], *_: Any) -> dict[str, Any]:
    """What is not over waits in a queue, or is somebody's by now."""
    if row[_WORD] in OVER:
        return {"state": row[_WORD], "rating": row[_WORD] == Status.RESOLVED and bool(row[_FLAG])}
    return {"state": "assigned" if row[_WORD] and row[_FLAG] else "queued", "rating": False}


def _joined(row: Sequence[Any], *_: Any) -> dict[str, Any]:
    return {"name": row[_NAME] or ""}


_MAKE: Final[Mapping[ItemKind, Any]] = {ItemKind.MESSAGE: _message, ItemKind.STATE: _state, ItemKind.JOINED: _joined}


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def _files(database: Database, message_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = {}
    if message_ids:
        rows = await database.fetch(database.prepared("visitor_log.files", _attached), {"ids": list(message_ids)})
        for message_id, identifier, *about in rows:
            file = dict(zip(("filename", "content_type", "size"), about, strict=True))
            found.setdefault(message_id, []).append({"id": str(identifier), **file})
    return found


def _attached() -> Select[Any]:
    a = attachments.c
    shown = select(a.message_id, a.id, a.filename, a.content_type, a.size)
    return shown.where(among(a.message_id, "ids", "uuid")).order_by(a.id)
