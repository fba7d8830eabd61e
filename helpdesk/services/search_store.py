"""Asking the full-text indexes: the newest matches that an actor may see, one question over two very unlike indexes.

SQLite's index knows its rows by their numbers and walks them backwards, so the newest come first and it stops when it
has enough. PostgreSQL's knows no order: whatever matches is collected before anything is sorted, be it millions. So
there each row has words for the stretches of numbers that it lies in, a short and a long one. The newest stretches are
asked first, in groups that grow, and everything else only where these have too little: a common word has enough in
them, and of one that has not there is not much anywhere. What an agent asks is narrowed by marks of whoever sees a row
as well (docs/decisions/0010-search.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    column,
    literal_column,
    select,
    table,
    text,
    union_all,
)

from helpdesk.dialects import Item, among
from helpdesk.domain.search_entries import mark
from helpdesk.domain.search_ranking import Candidate
from helpdesk.domain.search_terms import CONTACT, Terms
from helpdesk.domain.values import Actor
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.search import search_rows, search_state
from helpdesk.services.access import parameters, visible
from helpdesk.services.house import Services

FIRST: Final = 1 << 30
"""The number before the first row's: those of what was there before go down from here."""

MOST: Final = 2_000
"""Matches that are ranked."""

SECONDS: Final = (1.0, 0.5)
_SHORT, _LONG = 13, 17
"""Powers of two: how many numbers the stretches have. The index makes their words of these (revision 0006)."""
_SHORT_ONES: Final = 4
"""Short stretches, at least, that are asked together after the newest: each group costs a rare word some look-ups."""
_LONG_ONES: Final = 8
"""Long stretches that are asked after these."""
MOST_MARKS: Final = 100
"""By how many marks a search is narrowed at most: whoever has more sees nearly everything."""

VECTOR: Final = (
    "array_to_tsvector(string_to_array(tokens, ' ') || string_to_array(scope, ' ') || "
    "ARRAY['#' || to_hex(n >> 13), '##' || to_hex(n >> 17)])"
)
"""What is indexed on PostgreSQL, in the words of the index."""

_R: Final = search_rows.c
_COLUMNS: Final = (_R.n, _R.message_id, _R.conversation_id, _R.contact_id, _R.at, _R.title, _R.codes)
_ONE: Final[ColumnElement[int]] = literal_column("1")
_ALL: Final[ColumnElement[int]] = literal_column("0")


@dataclass(frozen=True, slots=True)
class _Shape:
    """Everything that changes a statement's text."""

    contacts: bool
    sees_all: bool
    spam: bool
    groups: int
    rest: bool
    most: int
    hasty: bool
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Within:
    """Where is looked for messages: each empty tuple and each None is no condition, several values are alternatives.

    `after` and `before` are of the message.
    """

    status: tuple[str, ...] = ()
    inbox_id: tuple[UUID, ...] = ()
    contact_id: tuple[UUID, ...] = ()
    conversation_id: tuple[UUID, ...] = ()
    after: datetime | None = None
    before: datetime | None = None

    def given(self) -> dict[str, Any]:
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name))}


EVERYWHERE: Final = Within()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query for each group of rows. With `below`, the last one is for the rest, which is below that number."""

    queries: Sequence[str]
    below: int | None = None


async def newest(
    services: Services,
    actor: Actor,
    terms: Terms,
    *,
    of_contacts: bool = False,
    spam: bool = False,
    within: Within = EVERYWHERE,
    most: int = MOST,
    seconds: tuple[float, float] = SECONDS,
) -> tuple[list[Candidate], bool]:
    """The newest matches `within` what the actor may see, `most` of them, and whether there may be more.

    Bounded in time: what takes longer than the first of `seconds` is asked again, for the second, of the newest matches
    only, however few of these he may see.
    """
    asked = await _ask(services, actor, terms, of_contacts=of_contacts)
    if not asked.queries:
        return [], False
    narrow = within.given()
    shape = _Shape(
        of_contacts,
        actor.sees_all,
        spam,
        len(asked.queries),
        asked.below is not None,
        most,
        hasty=False,
        within=tuple(narrow),
    )
    try:
        rows = await _fetch(services, actor, shape, asked, narrow, seconds[0])
        return [Candidate(*row) for row in rows[:most]], len(rows) > most
    except TimeoutError:
        hasty = replace(shape, groups=1, rest=False, hasty=True)
    try:
        rows = await _fetch(services, actor, hasty, asked, narrow, seconds[1])
    except TimeoutError:
        return [], True
    return [Candidate(*row) for row in rows[:most]], True


async def _fetch(
    services: Services, actor: Actor, shape: _Shape, asked: _Asked, narrow: Mapping[str, Any], seconds: float
) -> Sequence[Sequence[Any]]:
    database = services.database
    statement = database.prepared(("search", shape), lambda: _statement(shape, postgresql=database.is_postgresql))
    values: dict[str, Any] = {f"q{index}": query for index, query in enumerate(asked.queries)}
    values["below"] = asked.below
    values |= {f"within_{name}": value for name, value in narrow.items()}
    if not actor.sees_all:
        values.update(parameters(actor))
    return await database.fetch(statement, values, seconds=seconds)


async def _ask(services: Services, actor: Actor, terms: Terms, *, of_contacts: bool) -> _Asked:
    """No queries if the index holds nothing."""
    tokens: list[Sequence[str]] = list(terms.terms)
    if of_contacts:
        tokens = [[CONTACT + token for token in term] for term in terms.terms]
    elif not actor.sees_all:
        marks = {mark(one) for one in (*actor.inbox_ids, *actor.team_ids, actor.id) if one is not None}
        tokens += [sorted(marks)] if len(marks) <= MOST_MARKS else []
    database = services.database
    if not database.is_postgresql:
        return _Asked([" AND ".join(f"({' OR '.join(_quoted(token) for token in term)})" for term in tokens)])
    ends = select(search_state.c.newest, search_state.c.oldest)
    found = await database.fetch(database.prepared("search ends", lambda: ends), {})
    if not found:
        return _Asked([])
    stretches, below = _stretches(*found[0])
    queries = [_tsquery([*tokens, words]) for words in stretches]
    return _Asked([*queries, _tsquery(tokens)] if below is not None else queries, below)


def _stretches(newest: int, oldest: int) -> tuple[list[list[str]], int | None]:
    """The words of those that are asked together, the newest first, and below which number the rest is, if any."""
    top, least, step = newest >> _SHORT, oldest >> _SHORT, _LONG - _SHORT
    # Down to where a long one begins.
    down = (top - 1) % (1 << step) + 1
    found = []
    for size in (1, down if down >= _SHORT_ONES else down + (1 << step)):
        found.append([f"#{number:x}" for number in range(top, max(top - size, least - 1), -1)])
        top -= size
    top, least = top >> step, oldest >> _LONG
    found.append([f"##{number:x}" for number in range(top, max(top - _LONG_ONES, least - 1), -1)])
    top -= _LONG_ONES
    return [words for words in found if words], (top + 1) << _LONG if top >= least else None


def _tsquery(terms: Sequence[Sequence[str]]) -> str:
    return " & ".join(f"({' | '.join(_lexeme(token) for token in term)})" for term in terms)


def _lexeme(token: str) -> str:
    return "'" + token.replace("\\", "\\\\").replace("'", "''") + "'"


def _quoted(token: str) -> str:
    return '"' + token.replace('"', '""') + '"'


def _statement(shape: _Shape, *, postgresql: bool) -> Select[Any]:
    """The newest of what matches and may be seen. Whether it may be is asked of one row after the other, until there
    are enough: hence the walls of OFFSET and LIMIT, over which the planners do not join.
    """
    parts = [
        _seen(_on_postgresql(index, shape) if postgresql else _on_sqlite(shape), shape) for index in range(shape.groups)
    ]
    if len(parts) == 1:
        return parts[0]
    together = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(together).limit(_most(shape.most + 1))


def _on_postgresql(index: int, shape: _Shape) -> FromClause:
    # As a subselect the query is unknown to the planner, which then takes the index; the words as such it would take
    # for half of the table, since nobody counts them.
    match = text(f"{VECTOR} @@ (SELECT CAST(CAST(:q{index} AS text) AS tsquery))")
    found = select(*_COLUMNS).where(match).offset(_ALL).subquery("found")
    matching = select(found).order_by(found.c.n.desc())
    if shape.rest and index == shape.groups - 1:
        matching = matching.where(found.c.n < bindparam("below", type_=_R.n.type))
    return _capped(matching, shape).offset(_ALL).subquery("newest")


def _on_sqlite(shape: _Shape) -> FromClause:
    index = table("search_fts", column("rowid"))
    match = select(index.c.rowid).where(text("search_fts MATCH :q0")).order_by(index.c.rowid.desc())
    # A limit, even none at all, keeps the rows in this order: they are looked up one by one as they come.
    found = (_capped(match, shape) if shape.hasty else match.limit(literal_column("-1"))).subquery("found")
    return select(*_COLUMNS).select_from(found.join(search_rows, _R.n == found.c.rowid)).subquery("newest")


def _capped(query: Select[Any], shape: _Shape) -> Select[Any]:
    return query.limit(_most(shape.most)) if shape.hasty else query


def _seen(newest: FromClause, shape: _Shape) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    if shape.contacts:
        mine = select(_ONE).where(contacts.c.id == newest.c.contact_id, contacts.c.merged_into_id.is_(None))
        conditions.append(_there(mine, newest))
        his = select(_ONE).where(conversations.c.contact_id == newest.c.contact_id, visible())
        conditions += [] if shape.sees_all else [_there(his, newest)]
    else:
        mine = select(_ONE).where(conversations.c.id == newest.c.conversation_id)
        mine = mine if shape.spam else mine.where(conversations.c.spam.is_(False))
        mine = mine.where(*(_narrowed(name) for name in shape.within if name in _OF_CONVERSATIONS))
        conditions += [_when(name, newest) for name in shape.within if name not in _OF_CONVERSATIONS]
        conditions.append(_there(mine if shape.sees_all else mine.where(visible()), newest))
    return select(newest).where(*conditions).limit(_most(shape.most + 1))


_OF_CONVERSATIONS: Final[Mapping[str, tuple[ColumnElement[Any], Item]]] = {
    "status": (conversations.c.status, "text"),
    "inbox_id": (conversations.c.inbox_id, "uuid"),
    "contact_id": (conversations.c.contact_id, "uuid"),
    "conversation_id": (conversations.c.id, "uuid"),
}


def _narrowed(name: str) -> ColumnElement[bool]:
    where, item = _OF_CONVERSATIONS[name]
    return among(where, f"within_{name}", item)


def _when(name: str, newest: FromClause) -> ColumnElement[bool]:
    bound = bindparam(f"within_{name}", type_=_R.at.type)
    return newest.c.at >= bound if name == "after" else newest.c.at < bound


def _there(query: Select[Any], newest: FromClause) -> ColumnElement[bool]:
    """A scalar subselect, and not EXISTS: see `access.visible`."""
    return query.limit(_ONE).correlate(newest).scalar_subquery().is_not(None)


def _most(count: int) -> ColumnElement[int]:
    return literal_column(str(count))
