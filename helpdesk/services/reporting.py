"""What all reports share: the time they are about, by what they are parted, and what the asker may see of it.

Local days and hours are arithmetic on seconds (`domain.local_time`), and percentiles are ranks: both databases answer
the same, to the second. Rows are counted where they lie; only groups come here, `MOST_GROUPS` at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    and_,
    case,
    false,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among, seconds_since_1970
from helpdesk.domain import local_time
from helpdesk.domain.filters import SlaState
from helpdesk.domain.local_time import DAY
from helpdesk.domain.values import Actor, Priority
from helpdesk.errors import Invalid
from helpdesk.models.agents import agents, teams
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.services.access import scoped

MOST_GROUPS: Final = 2000
LONGEST: Final = timedelta(days=400)

Report = Sequence[Mapping[str, Any]]
"""Lines of figures, each with its group."""

_C: Final = conversations.c


class GroupBy(StrEnum):
    CHANNEL = "channel"
    INBOX = "inbox"
    TEAM = "team"
    AGENT = "agent"
    CATEGORY = "category"
    PRIORITY = "priority"
    LANGUAGE = "language"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    HOUR_OF_WEEK = "hour_of_week"
    STATUS = "status"
    SLA = "sla"


AT_PRESENT: Final = frozenset({GroupBy.STATUS, GroupBy.SLA})
"""What conversations are parted by that says how they are now, and nothing of a time."""
BY_TIME: Final = frozenset({GroupBy.DAY, GroupBy.WEEK, GroupBy.MONTH, GroupBy.HOUR_OF_WEEK})
_NAMED: Final = {GroupBy.INBOX: inboxes, GroupBy.TEAM: teams, GroupBy.AGENT: agents}


@dataclass(frozen=True, slots=True)
class Asked:
    """A report's question: `[after, before)`, days and hours in `zone`. `filters` hold None for what has no value."""

    after: datetime
    before: datetime
    zone: ZoneInfo
    group_by: GroupBy | None = None
    filters: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.after.year < 2000 or self.before.year > 2200:
            raise Invalid.field("after", "use times from 2000 to 2200")
        if self.before <= self.after:
            raise Invalid.field("before", "use a time after `after`")
        if self.before - self.after > LONGEST:
            raise Invalid.field("after", f"ask for at most {LONGEST.days} days")


@dataclass(frozen=True, slots=True)
class Ground:
    """What is counted: by which time, and by which columns it is somebody's. The rest is the conversation's."""

    at: ColumnElement[Any]
    channel: ColumnElement[Any] = _C.channel
    inbox: ColumnElement[Any] = _C.inbox_id
    agent: ColumnElement[Any] = _C.assignee_id
    team: ColumnElement[Any] = _C.team_id

    def column(self, by: GroupBy) -> ColumnElement[Any]:
        return {
            GroupBy.CHANNEL: self.channel,
            GroupBy.INBOX: self.inbox,
            GroupBy.TEAM: self.team,
            GroupBy.AGENT: self.agent,
            GroupBy.CATEGORY: _C.category,
            GroupBy.PRIORITY: _C.priority,
            GroupBy.LANGUAGE: _C.language,
        }[by]


def sla_now(now: datetime) -> ColumnElement[str]:
    """The state of a conversation's promise, as `domain.filters.sla_state` answers it."""
    due, soon = _C.next_due_at, _C.due_soon_at
    return case(
        (and_(due.is_(None), _C.sla_paused), SlaState.PAUSED.value),
        (due.is_(None), SlaState.NONE.value),
        (due < now, SlaState.BREACHED.value),
        (soon <= now, SlaState.DUE_SOON.value),
        else_=SlaState.OK.value,
    )


_FILTERS: Final = {
    "channel": (GroupBy.CHANNEL, "text"),
    "inbox_id": (GroupBy.INBOX, "uuid"),
    "team_id": (GroupBy.TEAM, "uuid"),
    "assignee_id": (GroupBy.AGENT, "uuid"),
    "category": (GroupBy.CATEGORY, "text"),
}


def counted(
    asked: Asked,
    ground: Ground,
    actor: Actor,
    tables: FromClause,
    *conditions: ColumnElement[bool],
    columns: Sequence[ColumnElement[Any]] = (),
) -> Subquery:
    """Rows of `tables`, which hold `conversations`, as `key` and `columns`: those that count and may be seen.

    The key is a column of a query of its own, since what is grouped by may have parameters.
    """
    query: Select[Any] = select(_key(asked, ground).label("key"), *columns).select_from(tables)
    query = query.where(not_(_C.spam), ground.at >= asked.after, ground.at < asked.before, *conditions)
    return scoped(narrowed(query, ground, asked.filters), actor).subquery()


def narrowed(query: Select[Any], ground: Ground, filters: Mapping[str, Sequence[Any]]) -> Select[Any]:
    """By what was asked for; None stands for what has no value."""
    for name, values in filters.items():
        by, item = _FILTERS[name]
        query = query.where(_one_of(ground.column(by), values, item))
    return query


def _one_of(column: ColumnElement[Any], values: Sequence[Any], item: Any) -> ColumnElement[bool]:
    given = [value for value in values if value is not None]
    return or_(among(column, given, item) if given else false(), column.is_(None) if None in values else false())


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer())


def _stepped(at: ColumnElement[int], steps: local_time.Steps) -> ColumnElement[int]:
    """The value of the last step that is not after `at`."""
    if len(steps) == 1:
        return _number(steps[0][1])
    found = [(at < _number(after), _number(value)) for (_, value), (after, _) in pairwise(steps)]
    return case(*found, else_=_number(steps[-1][1]))


def _key(asked: Asked, ground: Ground) -> ColumnElement[Any]:
    if asked.group_by is None:
        return _number(0)
    if asked.group_by not in BY_TIME:
        return ground.column(asked.group_by)
    first, last = int(asked.after.timestamp()), int(asked.before.timestamp()) + 1
    at = seconds_since_1970(ground.at)
    offsets = local_time.offsets(asked.zone, first, last)
    here = at + _stepped(at, offsets)
    if asked.group_by is GroupBy.HOUR_OF_WEEK:
        return (here // _number(3600) + _number(72)) % _number(168)
    day = here // _number(DAY)
    if asked.group_by is GroupBy.WEEK:
        return (day + _number(3)) // _number(7)
    if asked.group_by is GroupBy.MONTH:
        return _stepped(day, local_time.months(first // DAY - 1, last // DAY + 1))
    return day


async def fetch(session: AsyncSession, query: Select[Any]) -> Sequence[Any]:
    """The groups. Raises `Invalid` where there are too many."""
    found: Sequence[Any] = (await session.execute(query.limit(MOST_GROUPS + 1))).all()
    if len(found) > MOST_GROUPS:
        raise Invalid.field("group_by", f"there are more than {MOST_GROUPS} groups: narrow them down")
    return found


async def lines(
    session: AsyncSession, group_by: GroupBy | None, found: Iterable[tuple[Any, Mapping[str, Any]]]
) -> Report:
    """Figures by key, each with its group as people read it."""
    pairs = list(found)
    known = await _names(session, group_by, [key for key, _ in pairs])
    return [{"group": _label(group_by, key), "name": known.get(key), **figures} for key, figures in pairs]


def _label(group_by: GroupBy | None, key: Any) -> str | int | None:
    match group_by:
        case None:
            return None
        case GroupBy.DAY:
            return local_time.day_of(key).isoformat()
        case GroupBy.WEEK:
            return local_time.monday_of(key).isoformat()
        case GroupBy.MONTH:
            return f"{key // 12:04}-{key % 12 + 1:02}"
        case GroupBy.HOUR_OF_WEEK:
            return int(key)
        case GroupBy.PRIORITY:
            return Priority(key).word
    return None if key is None else str(key)


async def _names(session: AsyncSession, group_by: GroupBy | None, keys: Sequence[Any]) -> Mapping[UUID, str]:
    """Of inboxes, teams and agents."""
    table = _NAMED.get(group_by) if group_by else None
    if table is None:
        return {}
    found = await session.execute(
        select(table.c.id, table.c.name).where(among(table.c.id, [k for k in keys if k is not None], "uuid"))
    )
    return {row[0]: row[1] for row in found}


def ordered(keys: Sequence[Any]) -> Sequence[Any]:
    """Each once, what has no value last."""
    return sorted(dict.fromkeys(keys), key=lambda key: (key is None, 0 if key is None else key))
