"""The backlog: what is not over at this moment, how old it is, and who has waited longest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, String, and_, case, func, literal_column, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import Actor, Status
from helpdesk.models.conversations import conversations
from helpdesk.services.access import scoped
from helpdesk.services.reporting import Ground, GroupBy, Report, fetch, lines, narrowed, ordered, sla_now

_C: Final = conversations.c
_STATUSES: Final = (Status.OPEN, Status.PENDING, Status.SNOOZED)
_DAY: Final = timedelta(days=1)
_BANDS: Final[Mapping[str, timedelta | None]] = {
    "under_1_day": _DAY,
    "under_3_days": 3 * _DAY,
    "under_7_days": 7 * _DAY,
    "under_30_days": 30 * _DAY,
    "older": None,
}
"""By when they began. Each holds what none before it does."""

BACKLOG: Final = (*(status.value for status in _STATUSES), *_BANDS, "waiting", "oldest", "oldest_waiting")
GROUPS: Final = (
    GroupBy.CHANNEL,
    GroupBy.INBOX,
    GroupBy.TEAM,
    GroupBy.AGENT,
    GroupBy.CATEGORY,
    GroupBy.PRIORITY,
    GroupBy.LANGUAGE,
    GroupBy.STATUS,
    GroupBy.SLA,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """The question: as things are `now`. `filters` hold None for what has no value."""

    now: datetime
    group_by: GroupBy | None = None
    filters: Mapping[str, Sequence[Any]] = field(default_factory=dict)


async def backlog(session: AsyncSession, actor: Actor, asked: Standing) -> Report:
    """By group; without groups always one row. `oldest` and `oldest_waiting` are seconds until now."""
    found = {row[0]: _figures(row[1:], asked.now) for row in await fetch(session, _counted(actor, asked))}
    if asked.group_by is None and not found:
        found[0] = _figures([0] * (len(BACKLOG) - 2) + [None, None], asked.now)
    return await lines(session, asked.group_by, ((key, found[key]) for key in ordered(list(found))))


def _figures(row: Sequence[Any], now: datetime) -> dict[str, Any]:
    *numbers, began, waits_since = row
    ages = [None if at is None else max(int((now - at).total_seconds()), 0) for at in (began, waits_since)]
    return dict(zip(BACKLOG, (*numbers, *ages), strict=True))


def _counted(actor: Actor, asked: Standing) -> Select[Any]:
    rows = _standing(actor, asked).subquery().c
    time = _C.created_at.type
    parts: list[ColumnElement[bool]] = [rows.status == status.value for status in _STATUSES]
    since = None
    for age in _BANDS.values():
        younger = [] if age is None else [rows.created_at > asked.now - age]
        parts.append(and_(*younger, *([rows.created_at <= since] if since is not None else [])))
        since = asked.now - age if age is not None else None
    parts.append(rows.waiting_since.is_not(None))
    counts = [func.sum(case((part, 1), else_=0)) for part in parts]
    oldest = [func.min(rows.created_at, type_=time), func.min(rows.waiting_since, type_=time)]
    return select(rows.key, *counts, *oldest).group_by(rows.key)


def _standing(actor: Actor, asked: Standing) -> Select[Any]:
    """In the words of ix_conversations_live, which holds exactly these."""
    words = [literal_column(f"'{status.value}'", String()) for status in _STATUSES]
    query: Select[Any] = select(_key(asked).label("key"), _C.status, _C.created_at, _C.waiting_since)
    query = query.where(_C.status.in_(words), not_(_C.spam))
    return scoped(narrowed(query, Ground(_C.created_at), asked.filters), actor)


def _key(asked: Standing) -> ColumnElement[Any]:
    match asked.group_by:
        case None:
            return literal_column("0")
        case GroupBy.STATUS:
            return _C.status
        case GroupBy.SLA:
            return sla_now(asked.now)
    return Ground(_C.created_at).column(asked.group_by)
