"""Clocks that cannot be scheduled, or whose due time nobody can vouch for: somebody has to be told."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.ladders import Alert
from helpdesk.domain.sla import Clock, Trouble
from helpdesk.models.conversations import conversations
from helpdesk.services import alerts
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services

_UNSCHEDULABLE = Alert(who=("admins",), agent_ids=(), severity="critical", acknowledge=None)
_UNKNOWN = Alert(who=("admins",), agent_ids=(), severity="warning", acknowledge=None)


async def tell(
    services: Services, session: AsyncSession, conversation_id: UUID, clock: Clock, *, now: datetime
) -> None:
    """An alert for each clock that has no due time, and one for each year whose holidays nobody has reviewed."""
    query = select(conversations).where(conversations.c.id == conversation_id)
    conversation = (await session.execute(query)).mappings().one()
    hours_id, version = clock.terms.hours or (None, 0)
    data = {"calendar_id": str(hours_id), "calendar_version": version, "number": conversation["number"]}
    if clock.trouble == Trouble.UNSCHEDULABLE:
        key = f"{clock.trouble}:{conversation_id}:{clock.kind}:{clock.cycle}"
        subject = Subject(key, clock.trouble, clock.kind.value, clock.cycle)
        await alerts.call(services, session, subject, [_UNSCHEDULABLE], conversation, data=data, now=now)
        return
    due = clock.due
    year = due.year if due else 0
    subject = Subject(f"{clock.trouble}:{hours_id}:{year}", clock.trouble)
    await alerts.call(services, session, subject, [_UNKNOWN], None, data={**data, "year": year}, now=now)
