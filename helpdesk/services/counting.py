"""The numbers of the side bar, cheap at any size: how much work there is, and where.

Only what is not over is counted: open, pending, snoozed. The rest only ever grows, and nobody works by its number.
Every number stops at `MOST`, so that a count is a short walk along `ix_conversations_live`, which holds the columns
that it asks for. A view that asks for others as well has so many conversations looked at, and no more.

An agent's numbers are of what is in his inboxes, his teams' or his own by now. The index finds the first; the others
are looked for in one walk for all numbers, of which most agents have nothing elsewhere. What only passed through an
inbox of his he finds in lists: to look for that among all that is open would cost more than everything else here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
)

from helpdesk.dialects import among
from helpdesk.domain.alerting import AlertStatus
from helpdesk.domain.filter_tree import Every, Leaf, Node
from helpdesk.domain.values import Actor, Status
from helpdesk.models.agents import teams
from helpdesk.models.alerts import alert_recipients, alerts
from helpdesk.models.conversations import conversations, drafts, mentions
from helpdesk.models.desk import views
from helpdesk.models.inboxes import inboxes
from helpdesk.services import filtering, questions
from helpdesk.services.access import INBOXES, SELF, TEAMS, parameters, visible
from helpdesk.services.house import Services
from helpdesk.services.views import seen

MOST: Final = 1000
"""Where numbers stop."""
MOST_VIEWS: Final = 20
"""How many views are counted: the first ones."""
MOST_TEAMS: Final = 100
MOST_INBOXES: Final = 100
_WALK: Final = 100_000
LOOKED_AT: Final = 2000
"""Conversations that are looked at for all views together, where the index does not tell."""

LIVE: Final = (Status.OPEN, Status.PENDING, Status.SNOOZED)
_SLA: Final = ("due_soon", "breached", "paused")

_C: Final = conversations.c
_ONE: Final[ColumnElement[int]] = literal_column("1", Integer())
_OF_INDEX: Final = frozenset(
    {"status", "inbox_id", "team_id", "assignee_id", "priority", "category", "sla", "next_due_at"}
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Each number is `MOST` where it is that or more. A view's is None where that is not known."""

    status: Mapping[str, int]
    sla: Mapping[str, int]
    mine: int
    unassigned: int
    unread: int
    mentions: int
    alerts: int
    drafts: int
    teams: Mapping[UUID, int]
    inboxes: Mapping[UUID, int]
    views: Mapping[UUID, int | None]


async def count(services: Services, actor: Actor, *, now: datetime) -> Counts:
    """What the actor has to do. Teams and inboxes are those that he is in; whoever sees everything is shown all."""
    database, everything = services.database, actor.sees_all
    values: dict[str, Any] = {"now": now, SELF: actor.id, **({} if everything else parameters(actor))}
    numbers = database.prepared(("counts", everything), lambda: _numbers(sees_all=everything))
    (row,) = await database.fetch(numbers, values)
    of_teams = await database.fetch(
        database.prepared(("teams", everything), lambda: _teams(sees_all=everything)), values
    )
    of_inboxes = await database.fetch(
        database.prepared(("inboxes", everything), lambda: _inboxes(sees_all=everything)), values
    )
    *states, mine, unassigned, due_soon, breached, paused, unread, called, alarmed, drafted, elsewhere = row
    return Counts(
        status={status.value: min(number, MOST) for status, number in zip(LIVE, states, strict=True)},
        sla={name: min(number, MOST) for name, number in zip(_SLA, (due_soon, breached, paused), strict=True)},
        mine=mine,
        unassigned=min(unassigned, MOST),
        unread=unread,
        mentions=called,
        alerts=alarmed,
        drafts=drafted,
        teams={row[0]: min(row[1], MOST) for row in of_teams},
        inboxes={row[0]: min(row[1], MOST) for row in of_inboxes},
        views=await _views(services, actor, elsewhere=elsewhere > 0, now=now),
    )


def _is(*statuses: Status) -> ColumnElement[bool]:
    return _C.status.in_([literal_column(f"'{status.value}'", String()) for status in statuses])


# In the words of the index, so that it is known to hold all of these.
_LIVE: Final = and_(_is(*LIVE), not_(_C.spam))
_OPEN: Final = and_(_LIVE, _C.status == literal_column(f"'{Status.OPEN.value}'", String()))


def _some(queries: Sequence[Select[Any]], most: int) -> Select[Any]:
    """The rows of all of them, up to so many."""
    limit: ColumnElement[int] = literal_column(str(most), Integer())
    each = [query.limit(limit) for query in queries]
    if len(each) == 1:
        return each[0]
    return select(union_all(*(select(one.subquery()) for one in each)).subquery()).limit(limit)


def _capped(query: Select[Any]) -> ColumnElement[int]:
    """How many rows it has, up to `MOST`."""
    return select(func.count(_ONE)).select_from(_some([query], MOST).subquery()).scalar_subquery()


def _in_inboxes(*, sees_all: bool) -> list[ColumnElement[bool]]:
    return [] if sees_all else [among(_C.inbox_id, INBOXES, "uuid")]


def _elsewhere() -> ColumnElement[bool]:
    """In no inbox of his, and yet for him to see.

    Said so that no index is searched for it: with two of them, the planner would read the table rather than this one.
    """
    mine = _C.assignee_id == bindparam(SELF, type_=_C.id.type)
    either = (func.coalesce(one, false()) for one in (among(_C.team_id, TEAMS, "uuid"), mine))
    return and_(not_(among(_C.inbox_id, INBOXES, "uuid")), or_(*either))


def _walked(wanted: Sequence[ColumnElement[bool]]) -> FromClause:
    """One row: for each condition on what is live, how much there is elsewhere, `c0` and so on, and `every`."""
    named = [condition.label(f"c{number}") for number, condition in enumerate(wanted)]
    walk = _row(_ONE.label("one"), *named).where(_LIVE, _elsewhere())
    found = walk.limit(literal_column(str(_WALK), Integer())).subquery()
    numbers = [func.count(_ONE).filter(found.c[one.name]).label(one.name) for one in named]
    return _row(*numbers, func.count(found.c.one).label("every")).subquery("walked")


def _numbers(*, sees_all: bool) -> Select[Any]:
    """By status; his, nobody's; by SLA state; what is his and has something that he has not read;
    notes and open alerts that call him; what he has begun to write.

    The last number is how much there is elsewhere.
    """
    now, me = bindparam("now", type_=_C.created_at.type), bindparam(SELF, type_=_C.id.type)
    opened = _C.status == literal_column(f"'{Status.OPEN.value}'", String())
    wanted: Sequence[ColumnElement[bool]] = (
        *(_C.status == literal_column(f"'{status.value}'", String()) for status in LIVE),
        and_(opened, _C.assignee_id.is_(None)),
        and_(_C.next_due_at >= now, _C.due_soon_at <= now),
        _C.next_due_at < now,
        _C.sla_paused,
    )
    here = _in_inboxes(sees_all=sees_all)
    found = [_capped(_ids(_LIVE, condition, *here)) for condition in wanted]
    walked = None if sees_all else _walked(wanted)
    if walked is not None:
        found = [number + walked.c[f"c{place}"] for place, number in enumerate(found)]
    mine = _C.assignee_id == me
    found.insert(len(LIVE), _capped(_ids(mine, _OPEN)))
    m = mentions.c
    called: Select[Any] = select(m.message_id).where(m.agent_id == me, m.read_at.is_(None))
    if not sees_all:
        # As in the list of them: what he was called to may be out of his sight by now.
        called = called.join(conversations, _C.id == m.conversation_id).where(visible())
    begun: Select[Any] = select(drafts.c.conversation_id).where(drafts.c.agent_id == me)
    if not sees_all:
        begun = begun.join(conversations, _C.id == drafts.c.conversation_id).where(visible())
    query = _row(
        *found,
        _capped(_ids(mine, _LIVE, filtering.unread(me))),
        _capped(called),
        _capped(_alarmed(me, sees_all=sees_all)),
        _capped(begun),
    )
    if walked is None:
        return query.add_columns(literal_column("0", Integer()))
    return query.add_columns(walked.c.every).select_from(walked)


def _alarmed(me: ColumnElement[Any], *, sees_all: bool) -> Select[Any]:
    """Open alerts, of those that he is shown."""
    a, r = alerts.c, alert_recipients.c
    query = select(a.id).where(a.status == literal_column(f"'{AlertStatus.OPEN.value}'", String()))
    return query if sees_all else query.join(alert_recipients, and_(r.alert_id == a.id, r.agent_id == me))


def _teams(*, sees_all: bool) -> Select[Any]:
    """What is open of each team. Whoever is in a team reaches all of it."""
    mine = [] if sees_all else [among(_C.team_id, TEAMS, "uuid")]
    shown = [] if sees_all else [among(teams.c.id, TEAMS, "uuid")]
    return _of_each(select(teams.c.id).where(*shown), _C.team_id, mine, MOST_TEAMS)


def _inboxes(*, sees_all: bool) -> Select[Any]:
    """What is open in each inbox that there is. Whoever works in one reaches all of it."""
    mine = _in_inboxes(sees_all=sees_all)
    shown = [] if sees_all else [among(inboxes.c.id, INBOXES, "uuid")]
    return _of_each(select(inboxes.c.id).where(inboxes.c.deleted_at.is_(None), *shown), _C.inbox_id, mine, MOST_INBOXES)


def _of_each(
    owners: Select[Any], column: ColumnElement[Any], mine: Sequence[ColumnElement[bool]], most: int
) -> Select[Any]:
    """One walk for all of them: for a small one among large ones, a walk of its own would be as long."""
    some = select(column.label("owner")).where(_OPEN, *mine).limit(literal_column(str(_WALK), Integer())).subquery()
    each = select(some.c.owner, func.count(_ONE).label("number")).group_by(some.c.owner).subquery()
    owner = owners.subquery()
    query: Select[Any] = select(owner.c.id, func.coalesce(each.c.number, literal_column("0", Integer())))
    query = query.select_from(owner.outerjoin(each, each.c.owner == owner.c.id))
    return query.order_by(owner.c.id).limit(literal_column(str(most)))


@dataclass(frozen=True, slots=True)
class _Question:
    """What the index can tell of a view, and the rest, which is asked of those that it finds."""

    near: ColumnElement[bool]
    far: ColumnElement[bool] | None


async def _views(services: Services, actor: Actor, *, elsewhere: bool, now: datetime) -> dict[UUID, int | None]:
    v = views.c
    async with services.database.reading() as session:
        query = select(v.id, v.filter).where(seen(actor)).order_by(v.position, v.id).limit(MOST_VIEWS)
        mine = [(row[0], questions.read(row[1])) for row in await session.execute(query)]
        asked = {view_id: _question(tree, actor, now) for view_id, tree in mine}
        wanted = [one for one in asked.values() if one is not None]
        if not wanted:
            return dict.fromkeys(asked)
        most = LOOKED_AT // max(1, sum(one.far is not None for one in wanted))
        values = {SELF: actor.id, **({} if actor.sees_all else parameters(actor))}
        statement = _of_views(wanted, most, sees_all=actor.sees_all, elsewhere=elsewhere)
        row = iter((await session.execute(statement, values)).one())
    numbers = [(next(row), next(row)) for _ in wanted]
    known = iter(min(n, MOST) if n >= MOST or looked_at <= most else None for n, looked_at in numbers)
    return {view_id: None if question is None else next(known) for view_id, question in asked.items()}


def _of_views(wanted: Sequence[_Question], most: int, *, sees_all: bool, elsewhere: bool) -> Select[Any]:
    """For each how many there are, and how many were looked at for it, in one statement."""
    here = _in_inboxes(sees_all=sees_all)
    walked = _walked([one.near for one in wanted if one.far is None]) if elsewhere else None
    nothing, place, found = literal_column("0", Integer()), 0, list[ColumnElement[Any]]()
    for number, one in enumerate(wanted):
        if one.far is None:
            counted = _capped(_ids(_LIVE, one.near, *here))
            found += [counted if walked is None else counted + walked.c[f"c{place}"], nothing]
            place += 1
            continue
        # In an order that the index has: without one, the planner would rather read the table from its start.
        parts = [_ids(_LIVE, one.near, *here).order_by(_C.status)]
        parts += [_ids(_LIVE, one.near, _elsewhere())] if elsewhere else []
        looked = _some(parts, most + 1).cte(f"looked{number}")
        kept = select(func.count(_ONE)).select_from(conversations).where(_C.id.in_(select(looked.c.id)), one.far)
        found += [kept.scalar_subquery(), select(func.count(_ONE)).select_from(looked).scalar_subquery()]
    return _row(*found) if walked is None else _row(*found).select_from(walked)


def _question(tree: Node, actor: Actor, now: datetime) -> _Question | None:
    """None where nothing live can be found, or spam is asked for."""
    near, far = _parted(tree)
    possible = any(all(_allows(leaf, status) for leaf in near) for status in LIVE)
    if filtering.names_spam(tree) or not possible:
        return None
    narrow = and_(true(), *(filtering.condition(leaf, actor=actor, now=now) for leaf in near))
    return _Question(narrow, filtering.condition(Every(tuple(far)), actor=actor, now=now) if far else None)


def _ids(*conditions: ColumnElement[bool]) -> Select[Any]:
    found: Select[Any] = select(_C.id).where(*conditions)
    return found


def _row(*columns: ColumnElement[Any]) -> Select[Any]:
    found: Select[Any] = select(*columns)
    return found


def _parted(node: Node) -> tuple[list[Leaf], list[Node]]:
    """Conditions that must hold in any case and that the index can tell, and the others."""
    if isinstance(node, Every):
        parts = [_parted(one) for one in node.nodes]
        return [leaf for near, _ in parts for leaf in near], [one for _, far in parts for one in far]
    return ([node], []) if isinstance(node, Leaf) and node.field in _OF_INDEX else ([], [node])


def _allows(leaf: Leaf, status: Status) -> bool:
    if leaf.field != "status":
        return True
    given = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    return (status.value in given) == (leaf.op in ("eq", "in"))
