"""How much of what there is: counts by state, for metrics. No names, no addresses.

Only what is under way is counted, along an index each: what is over grows for ever, and is a matter of reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import String, case, func, literal_column, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.alerting import AlertStatus
from helpdesk.domain.ratings import SCORES, State
from helpdesk.domain.values import DeliveryStatus, InboxStatus, RawState
from helpdesk.models.alerts import alerts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events, followers, pending_work, undistributed
from helpdesk.models.inboxes import inbox_states, inboxes, raw_items
from helpdesk.models.messages import deliveries
from helpdesk.models.rules import ratings
from helpdesk.models.sla import sla_clocks
from helpdesk.services.counting import LIVE
from helpdesk.services.events import NUMBERED

_WEEK: Final = timedelta(days=7)
_SETTLED: Final = timedelta(hours=1)
"""After so long nothing is noticed any more at a time that is past: the transaction that said so has ended."""


@dataclass(frozen=True, slots=True)
class Breaches:
    """How `many` promises were broken: `settled` of them noticed before `until`, which need not be counted again."""

    many: int = 0
    settled: int = 0
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """`waiting` are unanswered conversations, `breached` those whose answer is overdue; `waited` is in seconds.

    `alerts` wait for somebody to acknowledge them; `unswept` clocks have been due for a minute and nobody looked.
    `behind` are events that each follower has not come to. `ratings` are those of the last week by score, `unasked`
    the contacts who are to be asked for one. `breaches` are all that there ever were.
    """

    conversations: Mapping[str, int]
    deliveries: Mapping[str, int]
    raw_items: Mapping[str, int]
    inboxes: Mapping[str, int]
    waiting: int
    waited: float
    breached: int
    breaches: Breaches
    alerts: int
    unswept: int
    unrelayed: int
    given_up: int
    behind: Mapping[str, int]
    ratings: Mapping[str, int]
    unasked: int


async def count(session: AsyncSession, *, now: datetime, before: Breaches | None = None) -> Counts:
    """A handful of statements, each answered from an index. With what was counted `before`, the less is to count."""
    c, r = conversations.c, ratings.c

    async def by(column: Any, known: Iterable[Any], *where: Any) -> dict[str, int]:
        query = select(column, func.count()).where(*where).group_by(column)
        found = {row[0]: row[1] for row in await session.execute(query)}
        return {str(value): found.get(value, 0) for value in (*known, *(found.keys() - set(known)))}

    async def one(*where: Any) -> int:
        return int(await session.scalar(select(func.count()).where(*where)) or 0)

    # The same words as in the partial indexes' conditions, or the planner does not use them.
    open_deliveries = [s.value for s in (DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.UNCERTAIN)]
    live = [literal_column(f"'{status.value}'", String()) for status in LIVE]
    oldest = await session.scalar(select(func.min(c.waiting_since, type_=c.created_at.type)))
    active = inboxes.c.deleted_at.is_(None)
    failing = select(func.count()).select_from(inboxes.join(inbox_states, inbox_states.c.inbox_id == inboxes.c.id))
    return Counts(
        conversations=await by(c.status, [s.value for s in LIVE], c.status.in_(live), not_(c.spam)),
        deliveries=await by(deliveries.c.status, open_deliveries, deliveries.c.status.in_(open_deliveries)),
        raw_items=await by(raw_items.c.state, [RawState.RECEIVED.value], raw_items.c.state == RawState.RECEIVED.value),
        inboxes={
            **await by(inboxes.c.state, [s.value for s in InboxStatus], active),
            "failing": int(await session.scalar(failing.where(active, inbox_states.c.failing_since.is_not(None))) or 0),
        },
        waiting=await one(c.waiting_since.is_not(None)),
        waited=max((now - oldest).total_seconds(), 0.0) if oldest else 0.0,
        breached=await one(c.next_due_at < now),
        breaches=await breaches(session, before or Breaches(), now=now),
        alerts=await one(alerts.c.status == literal_column(f"'{AlertStatus.OPEN.value}'")),
        unswept=await one(sla_clocks.c.next_due_at < now - timedelta(minutes=1)),
        unrelayed=await one(events.c.position.is_(None)) + await one(undistributed.c.position.is_not(None)),
        given_up=await one(pending_work.c.given_up),
        behind=await _behind(session),
        ratings=await by(r.score, SCORES, r.rated_at.is_not(None), r.rated_at > now - _WEEK),
        unasked=await one(r.state == literal_column(f"'{State.PLANNED.value}'", String())),
    )


async def _behind(session: AsyncSession) -> dict[str, int]:
    last = select(func.coalesce(func.max(events.c.position), 0)).scalar_subquery()
    behind = select(followers.c.name, last - followers.c.position).where(followers.c.name != NUMBERED)
    found = await session.execute(behind.order_by(followers.c.name))
    return {name: max(count, 0) for name, count in found}


async def breaches(session: AsyncSession, before: Breaches, *, now: datetime) -> Breaches:
    """All that there ever were, told from what was counted `before`: only what was noticed since is looked at."""
    noticed, settled = sla_clocks.c.detected_at, now - _SETTLED
    query = select(func.count(), func.count(case((noticed < settled, 1)))).where(noticed.is_not(None))
    if before.until is not None:
        query = query.where(noticed >= before.until)
    fresh, old = (await session.execute(query)).one()
    return Breaches(many=before.settled + fresh, settled=before.settled + old, until=settled)
