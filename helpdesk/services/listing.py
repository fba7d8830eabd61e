"""The list of conversations: the route that is called all the time.

A statement is built and compiled once per shape (who asks, which filters, which sort, how many rows) and then run on
the driver's connection with values only. The limit is part of the text: a bound one makes PostgreSQL plan each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, literal_column, not_, or_, select, true, tuple_
from sqlalchemy.sql.elements import BindParameter

from helpdesk.dialects import Prepared, among, by_key, gathered
from helpdesk.domain.filter_tree import Node, required
from helpdesk.domain.filters import ConversationFilter, Sort
from helpdesk.domain.pagination import Cursor
from helpdesk.domain.values import Actor
from helpdesk.models.agents import agents, teams
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversation_reads, conversation_tags, conversations
from helpdesk.models.sla import sla_clocks
from helpdesk.services import filtering, search
from helpdesk.services.access import parameters, visible
from helpdesk.services.house import Services
from helpdesk.services.paging import Page, cut, read_cursor, write_cursor
from helpdesk.services.search_store import MOST

Row = Sequence[Any]

_C = conversations.c
_TAGS = (
    select(gathered(conversation_tags.c.tag, "text"))
    .where(conversation_tags.c.conversation_id == _C.id)
    .correlate(conversations)
    .scalar_subquery()
)
_K = sla_clocks.c
_DUE_KIND = (
    select(_K.kind)
    .where(_K.conversation_id == _C.id, _K.due_at == _C.next_due_at, _K.ended_at.is_(None))
    .order_by(_K.kind)
    .limit(literal_column("1"))
    .correlate(conversations)
    .scalar_subquery()
)
"""What `next_due_at` is the due time of: it repeats that of a clock that goes on."""

_OWN: Final = (
    "id",
    "number",
    "subject",
    "channel",
    "inbox_id",
    "status",
    "priority",
    "category",
    "preview",
    "last_message_direction",
    "message_count",
    "seq",
    "version",
    "created_at",
    "last_activity_at",
    "waiting_since",
    "next_due_at",
    "due_soon_at",
    "sla_paused",
    "snoozed_until",
    "language",
    "quarantined",
    "last_incoming_seq",
    "contact_id",
    "contact_handle",
    "assignee_id",
    "team_id",
)
COLUMNS: Final[Mapping[str, ColumnElement[Any]]] = {
    **{name: _C[name] for name in _OWN},
    "contact_name": contacts.c.name,
    "assignee_name": agents.c.name,
    "team_name": teams.c.name,
    "tags": _TAGS,
    "due_kind": _DUE_KIND,
    "read_seq": conversation_reads.c.seq,
}
"""What a list item is made of, in the order of the rows that `list_conversations` answers."""

READER: Final = "reader"
_READS: Final = conversation_reads.c
SELECT: Final = select(*COLUMNS.values()).select_from(
    conversations.join(contacts, contacts.c.id == _C.contact_id)
    .outerjoin(agents, agents.c.id == _C.assignee_id)
    .outerjoin(teams, teams.c.id == _C.team_id)
    .outerjoin(
        conversation_reads,
        (_READS.agent_id == bindparam(READER, None, type_=_C.id.type)) & (_READS.conversation_id == _C.id),
    )
)
"""`READER` is the agent whose reading counts: a parameter."""

_SORTS: Final[Mapping[Sort, tuple[str, bool]]] = {
    Sort.LAST_ACTIVITY: ("last_activity_at", True),
    Sort.NEXT_DUE: ("next_due_at", False),
    Sort.CREATED: ("created_at", False),
    Sort.PRIORITY: ("priority", True),
    Sort.WAITING: ("waiting_since", False),
}
_POSITION: Final = {name: index for index, name in enumerate(COLUMNS)}
_NULLABLE: Final = {"next_due_at", "waiting_since"}
LOOKED_AT: Final = 5_000
"""Conversations that a tree is asked of for one page, in the order of the sort: it may hold for none of a million."""

_INDEXED: Final = frozenset(
    {"status", "inbox_id", "assignee_id", "team_id", "contact_id", "mentioned", "watched", "drafted"}
)
MOST_CONTACTS: Final = 200
"""Contacts that `q` is taken to mean."""

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class _Shape:
    """What changes a statement's text, a tree apart. `phase`: the rows with a value, or `nulls` after them."""

    sees_all: bool
    conditions: tuple[str, ...]
    sort: Sort
    phase: str
    after: bool
    limit: int


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of conversations, and by whom: fixed once for all pages of the answer, what `q` names too."""

    sees_all: bool
    conditions: tuple[str, ...]
    values: Mapping[str, Any]
    tree: ColumnElement[bool] | None
    near: ColumnElement[bool]
    """What the tree asks in any case, and an index can tell."""


async def list_conversations(
    services: Services,
    actor: Actor,
    filters: ConversationFilter,
    *,
    tree: Node | None = None,
    sort: Sort,
    page: Page,
    now: datetime,
) -> tuple[list[Row], str | None]:
    """A page of rows (`COLUMNS`) that the actor may see, and the cursor of the next one.

    `filters` and `tree` must both hold; spam is left out unless either speaks of it, or names conversations. `q` is
    asked of the index that search uses, which follows a second or so behind, for its newest matches. Raises `Invalid`
    where it asks for nothing. Rows without a value in the sort come last, by a second statement: one that sorts both
    kinds could use no index. With a tree a page may end before it is full: no more than `LOOKED_AT` conversations are
    looked at for it.
    """
    cursor = read_cursor(services, page, sort=sort.value) if page.cursor is not None else None
    name, _ = _SORTS[sort]
    asked = await question(services, actor, filters, tree=tree, now=now)
    values = dict(asked.values)
    if cursor is not None:
        values["after_id"], values["after_value"] = cursor.id, _value(name, cursor)

    async def fetch(phase: str, after: bool, limit: int) -> tuple[list[Row], Row | None]:
        """The rows, and where looking ended too early for more, if it did."""
        shape, database = _Shape(actor.sees_all, asked.conditions, sort, phase, after, limit), services.database
        if asked.tree is None:
            return list(await database.fetch(database.prepared(shape, lambda: _statement(shape)), values)), None
        # A tree has as many shapes as people have ideas: what is kept for the others must not make room for them.
        within = Prepared(_within(shape, asked.tree, asked.near), database.engine.dialect)
        found = list(await database.fetch(within, values))
        if len(found) >= limit:
            return found, None
        behind = await database.fetch(Prepared(_edge(shape, asked.near), database.engine.dialect), values)
        return found, behind[0] if len(behind) > 1 else None

    wanted = page.limit + 1
    in_nulls = cursor is not None and cursor.value is None
    rows, edge = await fetch("nulls" if in_nulls else "values", cursor is not None, wanted)
    if name in _NULLABLE and not in_nulls and edge is None and len(rows) < wanted:
        others, edge = await fetch("nulls", False, wanted - len(rows))
        rows += others
    shown, more = cut(rows, page.limit)
    if not more and edge is None:
        return shown, None
    row_id, value = (shown[-1][0], shown[-1][_POSITION[name]]) if more or edge is None else edge
    value = (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value
    return shown, write_cursor(services, sort=sort.value, value=value, row_id=UUID(str(row_id)))


async def question(
    services: Services, actor: Actor, filters: ConversationFilter, *, tree: Node | None, now: datetime
) -> Question:
    """What `filters` and `tree` ask, for this actor and at this time. Raises `Invalid` where `q` asks for nothing."""
    conditions, values = _ask(filters, actor, now)
    asked = filtering.condition(tree, actor=actor, now=now) if tree is not None else None
    if filters.spam is None and not filters.id and not (tree is not None and filtering.names_spam(tree)):
        conditions += ("spam:false",)
    if filters.q:
        values |= await _find(services, actor, filters.q, spam="spam:false" not in conditions)
    values[READER] = actor.id
    if not actor.sees_all:
        values.update(parameters(actor))
    indexed = (one for one in required(tree) if one.field in _INDEXED and one.op == "eq") if tree is not None else ()
    near = and_(true(), *(filtering.condition(one, actor=actor, now=now) for one in indexed))
    return Question(actor.sees_all, conditions, values, asked, near)


def narrowed(query: Select[Any], asked: Question) -> Select[Any]:
    """A query over `conversations`, to be run with `asked.values`, narrowed to what is asked and may be seen."""
    if not asked.sees_all:
        query = query.where(visible())
    query = query.where(*(_condition(condition) for condition in asked.conditions))
    return query if asked.tree is None else query.where(asked.tree)


def _value(name: str, cursor: Cursor) -> Any:
    if cursor.value is None or name == "priority":
        return cursor.value
    return _EPOCH + timedelta(microseconds=cursor.value)


def _statement(shape: _Shape) -> Select[Any]:
    return _ordered(SELECT, shape)


def _within(shape: _Shape, tree: ColumnElement[bool], near: ColumnElement[bool]) -> Select[Any]:
    """Those for which the tree holds, of the next that there are without it."""
    name, descending = _SORTS[shape.sort]
    some = select(_C.id, _C[name].label("value")).where(near)
    looked = _ordered(some, replace(shape, limit=LOOKED_AT)).subquery("looked")
    key = (looked.c.id,) if shape.phase == "nulls" else (looked.c.value, looked.c.id)
    query = SELECT.join(looked, looked.c.id == _C.id).where(tree)
    return query.order_by(*(k.desc() if descending else k.asc() for k in key)).limit(literal_column(str(shape.limit)))


def _edge(shape: _Shape, near: ColumnElement[bool]) -> Select[Any]:
    """The last one that was looked at, and the next."""
    some = select(_C.id, _C[_SORTS[shape.sort][0]]).where(near)
    return _ordered(some, replace(shape, limit=2)).offset(literal_column(str(LOOKED_AT - 1)))


def _ordered(query: Select[Any], shape: _Shape) -> Select[Any]:
    name, descending = _SORTS[shape.sort]
    column = _C[name]
    if not shape.sees_all:
        query = query.where(visible())
    for condition in shape.conditions:
        query = query.where(_condition(condition))
    key: tuple[ColumnElement[Any], ...] = (column, _C.id)
    bound: tuple[BindParameter[Any], ...] = (_bound("after_value", column), _bound("after_id", _C.id))
    if shape.phase == "nulls":
        query, key, bound = query.where(column.is_(None)), key[1:], bound[1:]
    elif name in _NULLABLE:
        query = query.where(column.is_not(None))
    if shape.after:
        query = query.where(tuple_(*key) < tuple_(*bound) if descending else tuple_(*key) > tuple_(*bound))
    return query.order_by(*(k.desc() if descending else k.asc() for k in key)).limit(literal_column(str(shape.limit)))


def _bound(name: str, column: ColumnElement[Any]) -> BindParameter[Any]:
    return bindparam(name, type_=column.type)


_ITEM: Final = {"priority": "int", "inbox_id": "uuid", "assignee_id": "uuid", "team_id": "uuid", "contact_id": "uuid"}


def _one_or_many(name: str, column: ColumnElement[Any]) -> dict[str, Callable[[], ColumnElement[bool]]]:
    """Equality for a single value, which can use an index for the order as well; `among` for several."""
    item: Any = _ITEM.get(name, "text")
    return {
        f"{name}:one": lambda: column == _bound(name, column),
        f"{name}:many": lambda: among(column, name, item),
        f"{name}:none": lambda: column.is_(None),
        f"{name}:none_or_many": lambda: or_(column.is_(None), among(column, name, item)),
    }


def _due_soon() -> ColumnElement[bool]:
    now = _bound("now", _C.created_at)
    return (_C.next_due_at >= now) & (_C.due_soon_at <= now)


def _found() -> ColumnElement[bool]:
    return or_(among(_C.id, "found", "uuid"), among(_C.contact_id, "found_contacts", "uuid"))


async def _find(services: Services, actor: Actor, q: str, *, spam: bool) -> dict[str, Any]:
    """What `q` names, by the search's index: whoever looked through all texts here would read the whole table."""
    by_text, _ = await search.newest_conversations(services, actor, q, spam=spam, limit=MOST)
    return {"found": by_text, "found_contacts": await search.newest_contacts(services, actor, q, limit=MOST_CONTACTS)}


_CONDITIONS: Final[Mapping[str, Callable[[], ColumnElement[bool]]]] = {
    "id": lambda: by_key(_C.id, "named"),
    **{
        key: make
        for name in ("status", "channel", "inbox_id", "assignee_id", "team_id", "priority", "category", "contact_id")
        for key, make in _one_or_many(name, _C[name]).items()
    },
    "tag": lambda: exists().where(
        conversation_tags.c.conversation_id == _C.id, among(conversation_tags.c.tag, "tag", "text")
    ),
    "sla:due_soon": _due_soon,
    "sla:breached": lambda: _C.next_due_at < _bound("now", _C.created_at),
    "sla:paused": lambda: _C.sla_paused,
    "spam:true": lambda: _C.spam,
    "spam:false": lambda: not_(_C.spam),
    "q": _found,
    "created_after": lambda: _C.created_at >= _bound("created_after", _C.created_at),
    "created_before": lambda: _C.created_at < _bound("created_before", _C.created_at),
    "updated_after": lambda: _C.updated_at >= _bound("updated_after", _C.created_at),
}


def _condition(name: str) -> ColumnElement[bool]:
    """What a condition's name stands for; `sla:a|b` are alternatives."""
    field, _, words = name.partition(":")
    if field == "sla":
        return or_(*(_CONDITIONS[f"sla:{word}"]() for word in words.split("|")))
    return _CONDITIONS[name]()


def _ask(filters: ConversationFilter, actor: Actor, now: datetime) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The names of the conditions, and their values."""
    names: list[str] = []
    values: dict[str, Any] = {}
    for name in _FIELDS:
        given = getattr(filters, name)
        if name == "spam":
            names += [] if given is None else [f"spam:{str(given).lower()}"]
        elif not given:
            continue
        elif name == "sla":
            values["now"] = now
            names.append("sla:" + "|".join(sorted(set(given))))
        elif name == "id":
            values["named"] = given
            names.append(name)
        elif name == "q":
            names.append(name)
        elif name in ("created_after", "created_before", "updated_after", "tag"):
            values[name] = given
            names.append(name)
        else:
            some = [value for value in given if value is not None]
            values[name] = some[0] if len(given) == len(some) == 1 else some
            kind = ("one" if len(some) == 1 else "many") if len(some) == len(given) else "none_or_many"
            names.append(f"{name}:{'none' if not some else kind}")
    return tuple(names), values


_FIELDS: Final = tuple(field.name for field in fields(ConversationFilter))
