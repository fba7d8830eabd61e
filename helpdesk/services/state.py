"""How much of what there is: counts by state, for metrics and `doctor`. No names, no addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.alerting import AlertStatus
from helpdesk.domain.values import DeliveryStatus, RawState
from helpdesk.models.alerts import alerts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events, pending_work
from helpdesk.models.inboxes import inbox_states, inboxes, raw_items
from helpdesk.models.messages import deliveries
from helpdesk.models.sla import sla_clocks


@dataclass(frozen=True, slots=True)
class Counts:
    """`waiting` are unanswered conversations, `breached` those whose answer is overdue.

    `alerts` wait for somebody to acknowledge them; `unswept` clocks have been due for a minute and nobody looked.
    """

    conversations: Mapping[str, int]
    deliveries: Mapping[str, int]
    raw_items: Mapping[str, int]
    inboxes: Mapping[str, int]
    waiting: int
    breached: int
    alerts: int
    unswept: int
    unrelayed: int
    given_up: int


async def count(session: AsyncSession, *, now: datetime) -> Counts:
    """A handful of statements, each answered from an index; deliveries and raw items only in their open states."""
    c = conversations.c

    async def by(column: Any, *where: Any) -> dict[str, int]:
        query = select(column, func.count()).where(*where).group_by(column)
        return {row[0]: row[1] for row in await session.execute(query)}

    async def one(*where: Any) -> int:
        return int(await session.scalar(select(func.count()).where(*where)) or 0)

    # The same words as in the partial indexes' conditions, or the planner does not use them.
    open_deliveries = [s.value for s in (DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.UNCERTAIN)]
    active = inboxes.c.deleted_at.is_(None)
    failing = select(func.count()).select_from(inboxes.join(inbox_states, inbox_states.c.inbox_id == inboxes.c.id))
    return Counts(
        conversations=await by(c.status),
        deliveries=await by(deliveries.c.status, deliveries.c.status.in_(open_deliveries)),
        raw_items=await by(raw_items.c.state, raw_items.c.state == RawState.RECEIVED.value),
        inboxes={
            **await by(inboxes.c.state, active),
            "failing": int(await session.scalar(failing.where(active, inbox_states.c.failing_since.is_not(None))) or 0),
        },
        waiting=await one(c.waiting_since.is_not(None)),
        breached=await one(c.next_due_at < now),
        alerts=await one(alerts.c.status == literal_column(f"'{AlertStatus.OPEN.value}'")),
        unswept=await one(sla_clocks.c.next_due_at < now - timedelta(minutes=1)),
        unrelayed=await one(events.c.position.is_(None)),
        given_up=await one(pending_work.c.given_up),
    )
