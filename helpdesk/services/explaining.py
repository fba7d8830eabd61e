"""Explaining a conversation's clocks: by what they run, what counted, who ended them, who was called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import sla_story
from helpdesk.domain.business_hours import NeverOpen, Timetable
from helpdesk.domain.clocks import Clock
from helpdesk.domain.sla_story import Stretch
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.sla import business_hours, escalation_rules, escalations, sla_policies
from helpdesk.services import sla
from helpdesk.services.house import Services
from helpdesk.statements import Row


@dataclass(frozen=True, slots=True)
class Explained:
    """A clock with what it does not know itself. `due_business` is the due time if only service hours counted,
    `due_calendar` if all time did: what was promised is one of the two, and people ask for the other."""

    clock: Clock
    policy_name: str
    calendar_name: str | None
    due_calendar: datetime
    due_business: datetime | None
    elapsed: timedelta
    stretches: Sequence[Stretch]
    more: bool
    ended_by: RowMapping | None
    ladders: Sequence[Row]


async def explain(
    services: Services, session: AsyncSession, conversation_id: UUID, *, now: datetime
) -> list[Explained]:
    """All clocks, the oldest first."""
    clocks = (await sla.clocks_of(services, session, [conversation_id], lock=False))[conversation_id]
    names = await _names(session, clocks)
    enders = await _enders(session, [clock.ended_by for clock in clocks if clock.ended_by])
    ladders = await _ladders(session, conversation_id)
    desks = await _desks(services, session, clocks)
    found = []
    for clock in clocks:
        stretches, more = sla_story.tell(clock, now=now)
        desk = clock.terms.time if isinstance(clock.terms.time, Timetable) else desks[clock.origin.inbox_id]
        found.append(
            Explained(
                clock=clock,
                policy_name=names.get(clock.terms.policy[0], ""),
                calendar_name=names.get(clock.terms.hours[0], "") if clock.terms.hours else None,
                due_calendar=clock.origin.at + clock.target,
                due_business=_due(desk, clock),
                elapsed=clock.elapsed(now),
                stretches=stretches,
                more=more,
                ended_by=enders.get(clock.ended_by) if clock.ended_by else None,
                ladders=[one for one in ladders if (one["kind"], one["cycle"]) == (clock.kind, clock.cycle)],
            )
        )
    return found


def _due(desk: Timetable, clock: Clock) -> datetime | None:
    try:
        return desk.due(clock.origin.at, clock.target)
    except NeverOpen:
        return None


async def _names(session: AsyncSession, clocks: Sequence[Clock]) -> dict[UUID, str]:
    """Of policies and calendars, those that are gone too."""
    wanted = {clock.terms.policy[0] for clock in clocks} | {c.terms.hours[0] for c in clocks if c.terms.hours}
    found: dict[UUID, str] = {}
    for table in (sla_policies, business_hours):
        query = select(table.c.id, table.c.name).where(table.c.id.in_(wanted))
        found.update({row[0]: row[1] for row in await session.execute(query)})
    return found


async def _enders(session: AsyncSession, message_ids: Sequence[UUID]) -> Mapping[UUID, RowMapping]:
    m = messages.c
    query = select(m.id, m.seq, m.author_kind, m.author_id, m.author_name, m.sent_at).where(m.id.in_(message_ids))
    return {row["id"]: row for row in (await session.execute(query)).mappings()} if message_ids else {}


async def _ladders(session: AsyncSession, conversation_id: UUID) -> Sequence[Row]:
    query = (
        select(escalations, escalation_rules.c.name)
        .join(escalation_rules, escalation_rules.c.id == escalations.c.rule_id)
        .where(escalations.c.conversation_id == conversation_id)
        .order_by(escalations.c.created_at)
    )
    return (await session.execute(query)).mappings().all()


async def _desks(services: Services, session: AsyncSession, clocks: Sequence[Clock]) -> dict[UUID, Timetable]:
    book = await services.promises.book(session)
    wanted = {clock.origin.inbox_id for clock in clocks}
    query = select(inboxes.c.id, inboxes.c.business_hours_id).where(inboxes.c.id.in_(wanted))
    found: dict[UUID, Any] = {row["id"]: row for row in (await session.execute(query)).mappings()}
    return {inbox_id: book.at(row).timetable for inbox_id, row in found.items()}
