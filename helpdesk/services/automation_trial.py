"""What a rule would have done lately: the question that rules are asked when they act, of times that are past.

Filters are asked of conversations as they are now. What a rule has done itself it would not have answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, and_, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain import automation
from helpdesk.domain.automation import Elapsed, Rule
from helpdesk.domain.values import SYSTEM
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.services import automation_elapsed, filtering
from helpdesk.services.automation import matching
from helpdesk.services.automation_elapsed import Clock
from helpdesk.services.automation_runs import origins_of
from helpdesk.services.house import Services
from helpdesk.statements import Row

MOST: Final = 500
"""Acts that are shown."""

MOST_LOOKED: Final = 20_000
"""Events, or conversations, that are looked through at once, of any kind: a busy week may have more."""

ELAPSED: Final = "elapsed"
"""In place of an event's type."""

_E: Final = events.c
_C: Final = conversations.c


@dataclass(frozen=True, slots=True)
class Act:
    """A rule would have acted there, then; upon an event, or because of time."""

    conversation_id: UUID
    number: int
    at: datetime
    event_id: UUID | None = None
    event: str = ELAPSED


@dataclass(frozen=True, slots=True)
class Trial:
    """The latest first. `complete` is false where there is more than is shown or looked through."""

    acts: Sequence[Act]
    complete: bool


async def would_act(
    services: Services, session: AsyncSession, rule: RowMapping, *, since: datetime, now: datetime
) -> Trial:
    """Where the rule would have acted since then, had it been there as it is."""
    read = automation.read(rule["id"], rule["version"], rule["content"])
    if read.elapsed is not None:
        return await _of_time(services, session, read, read.elapsed, since=since, now=now)
    newest, first = await newest_position(session), await first_position(session, since)
    oldest = max(first, newest - MOST_LOOKED + 1)
    acts = await of_events(session, read, oldest, newest, now=now, most=MOST + 1)
    return Trial(acts[:MOST], complete=oldest == first and len(acts) <= MOST)


async def of_events(
    session: AsyncSession, rule: Rule, oldest: int, newest: int, *, now: datetime, most: int | None = None
) -> list[Act]:
    """Upon the events at these positions, the latest first."""
    wanted = and_(_E.position >= oldest, _E.position <= newest)
    found = await matching(session, rule, wanted, now=now, most=most)
    origins = await origins_of(session, among(_E.id, [one["id"] for one in found], "uuid"))
    return [_act(one) for one in found if not _circular(rule, origins.get(one["id"]))]


async def of_conversations(
    session: AsyncSession, rule: Rule, elapsed: Elapsed, clock: Clock, found: Mapping[UUID, datetime], *, now: datetime
) -> list[Act]:
    """Because of time, in these conversations and their order, whose column says what time was counted from."""
    query = select(_C.id, _C.number).where(among(_C.id, list(found), "uuid"), _C.merged_into_id.is_(None))
    if not filtering.names_spam(rule.condition):
        query = query.where(_C.spam.is_(False))
    query = query.where(filtering.condition(rule.condition, actor=SYSTEM, now=now))
    numbers = {row.id: row.number for row in await session.execute(query)}
    return [Act(one, numbers[one], clock.time.due(at, elapsed.span)) for one, at in found.items() if one in numbers]


async def newest_position(session: AsyncSession) -> int:
    query = select(_E.position).where(_E.position.is_not(None)).order_by(_E.position.desc())
    return await session.scalar(query.limit(literal_column("1"))) or 0


async def first_position(session: AsyncSession, since: datetime) -> int:
    """The position of the first event since then, or the next one that will be given. By bisection: a dozen looks.

    Positions are given in the order of commits; what was told a moment before its neighbours is a moment off.
    """
    low, high = 1, await newest_position(session) + 1
    while low < high:
        middle = (low + high) // 2
        query = select(_E.position, _E.occurred_at).where(_E.position >= middle).order_by(_E.position)
        found = (await session.execute(query.limit(literal_column("1")))).one_or_none()
        if found is not None and found[1] < since:
            low = found[0] + 1
        else:
            high = middle
    return low


async def _of_time(
    services: Services, session: AsyncSession, rule: Rule, elapsed: Elapsed, *, since: datetime, now: datetime
) -> Trial:
    acts: list[Act] = []
    complete = True
    for clock in await automation_elapsed.clocks_of(services, session, elapsed):
        latest = elapsed.latest(clock.time, now)
        if latest is None:
            continue
        after = automation_elapsed.begin(elapsed, clock, since)
        query = automation_elapsed.following(elapsed, clock, after, latest, most=MOST_LOOKED)
        found = {one: at for at, one in await session.execute(query)}
        complete = complete and len(found) < MOST_LOOKED
        acts += await of_conversations(session, rule, elapsed, clock, found, now=now)
    acts.sort(key=lambda act: act.at, reverse=True)
    return Trial(acts[:MOST], complete=complete and len(acts) <= MOST)


def _act(event: Row) -> Act:
    return Act(event["conversation_id"], event["number"], event["occurred_at"], event["id"], event["type"])


def _circular(rule: Rule, origin: Any) -> bool:
    depth = automation.depth_after(rule, origin)
    return depth is None or depth > automation.DEEPEST
