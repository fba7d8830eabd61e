"""Climbing ladders: what a rule does, step by step, for as long as a promise is in danger or broken.

All that is due for one conversation is done under its lock: each step is taken once, in order, and none after the
matter came to an end. What was slept through calls people once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Select, and_, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.actions import Alert
from helpdesk.domain.business_hours import ALWAYS, BusinessTime, NeverOpen
from helpdesk.domain.clocks import OVER, State
from helpdesk.domain.events import EscalationAdvanced
from helpdesk.domain.ladders import Rule, Step
from helpdesk.logs import fault
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import escalations, sla_clocks
from helpdesk.services import alerts
from helpdesk.services.alerts import Subject
from helpdesk.services.clock_rows import rfc3339
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.services.ladder_actions import act
from helpdesk.services.sweep import pending
from helpdesk.services.timetables import timetable
from helpdesk.statements import Row

log = structlog.get_logger()

CONVERSATION: Final = "conversation"
"""The kind of a ladder that belongs to no clock."""

COMPLAINT: Final = "complaint"
"""The category that raises one, and the anchor of the ladders for it."""

KEY: Final = ("conversation_id", "kind", "cycle", "rule_id")
AGAIN: Final = timedelta(minutes=5)
"""When a ladder is tried again that could not be climbed."""

OWED: Final = (State.RUNNING.value, State.BREACHED.value)
"""States of a clock in which somebody has to do something: halted it has none to be told of, unless it is broken."""

_ENDED = (State.MET.value, State.MET_LATE.value, State.CANCELLED.value)
_LASTING = {CONVERSATION: 0, "resolution": 1}
"""What outlasts what: a conversation its resolution, and that every answer."""


@dataclass(frozen=True, slots=True)
class _Call:
    """Whom a step wants called, and since when. `broken`: the promise that the ladder is for is."""

    ladder: Row
    step: int
    alert: Alert
    due_at: datetime
    broken: bool


def due_at(step: Step, anchor: datetime, time: BusinessTime) -> datetime:
    """When a step is taken. Should the calendar never open again, all time counts."""
    try:
        return (time if step.time == "business" else ALWAYS).due(anchor, step.after)
    except NeverOpen:
        return anchor + step.after


def goes_on(rule: Rule, ladder: Row, conversation: Row, clock: Row | None) -> bool:
    """Whether what the ladder is for still waits. A clock that is paused halts its ladder, unless it is broken already:
    what is owed stays owed, whatever the contact is asked meanwhile."""
    if conversation["status"] in OVER:
        return False
    if ladder["kind"] != CONVERSATION:
        return clock is not None and clock["state"] in OWED
    return rule.anchor != COMPLAINT or conversation["category"] == COMPLAINT


async def about(session: AsyncSession, wanted: Sequence[UUID]) -> dict[UUID, Row]:
    """Conversations with the calendar of their inboxes."""
    query = (
        select(conversations, inboxes.c.business_hours_id)
        .join(inboxes, inboxes.c.id == conversations.c.inbox_id)
        .where(conversations.c.id.in_(set(wanted)))
    )
    return {found["id"]: found for found in (await session.execute(query)).mappings()}


async def clocks_of(session: AsyncSession, wanted: Sequence[UUID]) -> dict[tuple[UUID, str, int], Row]:
    """The clocks of some conversations that have not ended, by conversation, kind and cycle."""
    c = sla_clocks.c
    query = select(sla_clocks).where(c.conversation_id.in_(set(wanted)), c.state.not_in(_ENDED))
    found = (await session.execute(query)).mappings()
    return {(one["conversation_id"], one["kind"], one["cycle"]): one for one in found}


def due() -> Select[Any]:
    """Ladders with a step that `climb` would take at `:now`."""
    e = escalations.c
    return select(e.conversation_id).where(e.next_due_at <= bindparam("now", type_=e.next_due_at.type))


async def climb(services: Services, session: AsyncSession, *, now: datetime) -> bool:
    """Take every step that is due for one conversation; answers whether there was any.

    It takes the conversation that nobody has in hand and waits for none. Under that lock all of its ladders are this
    worker's, so that they call people together.
    """
    e, c = escalations.c, conversations.c
    ready = and_(e.conversation_id == c.id, e.next_due_at <= now)
    oldest = select(c.id).join(escalations, ready).order_by(e.next_due_at).limit(1)
    conversation_id = await session.scalar(oldest.with_for_update(of=conversations, key_share=True, skip_locked=True))
    if conversation_id is None:
        return False
    mine = select(escalations).where(e.conversation_id == conversation_id, e.next_due_at <= now)
    calls: list[_Call] = []
    for ladder in (await session.execute(mine.order_by(e.next_due_at, e.rule_id))).mappings().all():
        try:
            async with session.begin_nested():
                calls += await _climb(services, session, ladder, now=now)
        except Exception as error:  # a ladder at fault must not hold up those behind it
            log.error("escalation.failed", rule_id=str(ladder["rule_id"]), **fault(error))
            await _note(session, ladder, next_due_at=now + AGAIN)
    if calls:
        await _call(services, session, conversation_id, calls, now=now)
    return True


async def _climb(services: Services, session: AsyncSession, ladder: Row, *, now: datetime) -> list[_Call]:
    """The steps of one ladder that are due, in order; answers whom they want called."""
    rule = await services.promises.rule(session, ladder["rule_id"], ladder["rule_version"])
    conversation = (await about(session, [ladder["conversation_id"]]))[ladder["conversation_id"]]
    clock = await _clock(session, ladder)
    if not goes_on(rule, ladder, conversation, clock):
        await _note(session, ladder, state="stopped", next_due_at=None)
        return []
    time = await timetable(session, ladder["business_hours_id"], ladder["business_hours_version"])
    broken = clock is not None and clock["breached_at"] is not None
    calls: list[_Call] = []
    number, done = ladder["next_step"], list(ladder["steps"])
    due: datetime | None = due_at(rule.steps[number], ladder["anchor_at"], time)
    while due is not None and due <= now:
        step = rule.steps[number]
        skipped = [
            action.do
            for action in step.actions
            if not isinstance(action, Alert) and not await act(services, session, ladder, number, action, now=now)
        ]
        calls += [_Call(ladder, number, one, due, broken) for one in step.actions if isinstance(one, Alert)]
        done.append({"step": number + 1, "due_at": rfc3339(due), "done_at": rfc3339(now), "skipped": skipped})
        await record(session, _advanced(ladder, number, step, late=now - due), now=now)
        number += 1
        due = due_at(rule.steps[number], ladder["anchor_at"], time) if number < len(rule.steps) else None
    over = "running" if due else "finished"
    await _note(session, ladder, state=over, next_step=number, steps=done, next_due_at=due)
    return calls


async def _clock(session: AsyncSession, ladder: Row) -> Row | None:
    """Read under the conversation's lock: nobody ends it before the step is taken."""
    c = sla_clocks.c
    query = select(sla_clocks).where(
        c.conversation_id == ladder["conversation_id"], c.kind == ladder["kind"], c.cycle == ladder["cycle"]
    )
    return (await session.execute(query)).mappings().one_or_none()


async def _note(session: AsyncSession, ladder: Row, **values: Any) -> None:
    mine = and_(*(escalations.c[name] == ladder[name] for name in KEY))
    await session.execute(update(escalations).where(mine).values(values))


def _advanced(ladder: Row, number: int, step: Step, *, late: timedelta) -> EscalationAdvanced:
    return EscalationAdvanced(
        conversation_id=ladder["conversation_id"],
        rule_id=ladder["rule_id"],
        kind=ladder["kind"],
        cycle=ladder["cycle"],
        step=number + 1,
        actions=[action.do for action in step.actions],
        late_seconds=int(late.total_seconds()),
    )


async def _call(
    services: Services, session: AsyncSession, conversation_id: UUID, calls: Sequence[_Call], *, now: datetime
) -> None:
    """One alert for all the steps that were due: what was slept through must not become a storm.

    It ends with the clock that is likely to last longest, or with the conversation.
    """
    conversation = (await about(session, [conversation_id]))[conversation_id]
    longest = min(reversed(calls), key=lambda call: _LASTING.get(call.ladder["kind"], len(_LASTING)))
    ladder, clock = longest.ladder, await _clock(session, longest.ladder)
    data: dict[str, Any] = {
        "kind": ladder["kind"],
        "cycle": ladder["cycle"],
        "steps": [{"rule_id": str(call.ladder["rule_id"]), "step": call.step + 1} for call in calls],
        "late_seconds": int((now - min(call.due_at for call in calls)).total_seconds()),
    }
    if clock is not None:
        times = {name: clock[name] and rfc3339(clock[name]) for name in ("due_at", "breached_at")}
        data |= {**times, "reply_pending": await _reply_pending(session, clock)}
    kind = "sla_breach" if any(call.broken for call in calls) else "sla_warning" if clock else "escalation"
    subject = Subject(
        f"step:{conversation_id}:{ladder['kind']}:{ladder['cycle']}:{ladder['rule_id']}:{longest.step + 1}",
        kind,
        ladder["kind"] if clock else "",
        ladder["cycle"] if clock else 0,
    )
    await alerts.call(services, session, subject, [call.alert for call in calls], conversation, data=data, now=now)


async def _reply_pending(session: AsyncSession, clock: Row) -> bool:
    """Whether somebody has answered and the channel has not taken it yet."""
    waits = await pending(session, [clock["conversation_id"]])
    return waits.get(clock["conversation_id"], -1) > int(clock["start_seq"])
