"""Climbing ladders: what a rule does, step by step, for as long as a promise is in danger or broken.

A ladder is begun by an event and climbed by a row of its own, under the lock of its conversation: each step is taken
once, and none after the clock was met. What was slept through is done in order, and calls people once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, ring
from helpdesk.domain import ladders
from helpdesk.domain.business_hours import ALWAYS, BusinessTime, NeverOpen
from helpdesk.domain.events import EscalationAdvanced, SlaBreached, SlaWarning
from helpdesk.domain.ladders import Alert, Rule, Step
from helpdesk.domain.sla import OVER, State
from helpdesk.domain.values import Priority
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import escalations, sla_clocks
from helpdesk.services import alerts
from helpdesk.services.alerts import Subject
from helpdesk.services.events import record
from helpdesk.services.foreseen import Filed, Work
from helpdesk.services.house import Services
from helpdesk.services.ladder_actions import act
from helpdesk.services.lookups import Automatic
from helpdesk.services.promises import Book, Hours
from helpdesk.services.sweep import pending
from helpdesk.services.timetables import timetable
from helpdesk.statements import Row

CONVERSATION = "conversation"
"""The kind of a ladder that belongs to no clock."""

COMPLAINT = "complaint"
"""The category that raises one."""

_ANCHORS: Mapping[str, tuple[str, str]] = {
    SlaWarning.type: ("warning", "warned_at"),
    SlaBreached.type: ("breach", "breached_at"),
}
_LIVE = (State.RUNNING.value, State.PAUSED.value, State.BREACHED.value)
_NOBODY_ASKED = Alert(("assignee", "lead", "supervisors"), (), "critical", timedelta(minutes=15))
"""For a breach that no rule is for: it must not pass in silence."""


@dataclass(frozen=True, slots=True)
class _Start:
    """Something that ladders may begin with."""

    anchor: str
    at: datetime
    conversation_id: UUID
    kind: str = CONVERSATION
    cycle: int = 1
    data: Mapping[str, Any] = field(default_factory=dict)


async def begin_ladders(services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime) -> None:
    """Subscriber of `sla.warning` and `sla.breached`: the ladders for them, where the clock still runs."""
    starts = []
    for event in happened:
        anchor, at = _ANCHORS[event["type"]]
        data = event["data"]
        time = datetime.fromisoformat(data[at])
        starts.append(_Start(anchor, time, event["conversation_id"], data["kind"], data["cycle"], data))
    await _begin(services, session, starts, now=now)


async def begin_with_messages(
    services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime
) -> None:
    """Subscriber of `message.received`: the ladders that begin with a conversation."""
    book = await services.promises.book(session)
    if not any(rule.anchor == "creation" for rule in book.rules):
        return
    first = [event for event in happened if event["data"]["first"] and not event["data"]["silent"]]
    starts = [_Start("creation", event["occurred_at"], event["conversation_id"]) for event in first]
    await _begin(services, session, starts, now=now)


def begin_filed(services: Services, filed: Sequence[Filed], *, inbox: Row, automatic: Automatic, now: datetime) -> Work:
    """The same as `begin_with_messages` for messages that are about to be written."""
    book = services.promises.at_hand
    rows = []
    for one in filed:
        if not one.first or one.silent:
            continue
        start = _Start("creation", now, one.conversation["id"])
        conversation = {**one.conversation, "business_hours_id": inbox["business_hours_id"]}
        rules = [rule for rule in book.rules if _is_for(rule, start, conversation, None)]
        rows += [_ladder(rule, start, book.at(conversation)) for rule in rules]
    return Work(escalations=rows, rings={"sla"} if rows else set())


async def begin_with_complaints(
    services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime
) -> None:
    """Subscriber of `conversation.updated`: the ladders that begin when a complaint is raised.

    Those are told apart by the event's place in the conversation: one that is raised again begins again.
    """
    raised = [event for event in happened if event["data"]["changes"].get("category", ("", ""))[1] == COMPLAINT]
    starts = [
        _Start(COMPLAINT, event["occurred_at"], event["conversation_id"], CONVERSATION, event["seq"] or 1)
        for event in raised
    ]
    await _begin(services, session, starts, now=now)


async def _begin(services: Services, session: AsyncSession, starts: Sequence[_Start], *, now: datetime) -> None:
    if not starts:
        return
    book = await services.promises.book(session)
    found = await _conversations(session, [start.conversation_id for start in starts])
    clocks = await _clocks(session, [start.conversation_id for start in starts])
    for start in starts:
        conversation = found.get(start.conversation_id)
        clock = clocks.get((start.conversation_id, start.kind, start.cycle))
        if conversation is None or (start.kind != CONVERSATION and (clock is None or clock["state"] not in _LIVE)):
            continue
        rules = [rule for rule in book.rules if _is_for(rule, start, conversation, clock)]
        for rule in rules:
            await _start(session, book, rule, start, conversation, clock)
        if not rules and start.anchor == "breach":
            key = f"breach:{start.conversation_id}:{start.kind}:{start.cycle}"
            subject = Subject(key, "sla_breach", start.kind, start.cycle)
            await alerts.call(services, session, subject, [_NOBODY_ASKED], conversation, data=start.data, now=now)
    ring(session, "sla")


def _is_for(rule: Rule, start: _Start, conversation: Row, clock: Row | None) -> bool:
    return ladders.matches(
        rule,
        anchor=start.anchor,
        kind=clock["kind"] if clock else None,
        channel=clock["channel"] if clock else conversation["channel"],
        priority=Priority(conversation["priority"]).word,
        category=conversation["category"],
        policy_id=clock["policy_id"] if clock else None,
    )


async def _start(
    session: AsyncSession, book: Book, rule: Rule, start: _Start, conversation: Row, clock: Row | None
) -> None:
    hours = book.at(conversation)
    if clock is not None and clock["business_hours_id"] is not None:
        hours_id, version = clock["business_hours_id"], clock["business_hours_version"]
        hours = Hours(hours_id, version, await timetable(session, hours_id, version))
    key = ["conversation_id", "kind", "cycle", "rule_id"]
    await session.execute(insert_ignoring(session, escalations, on=key).values(_ladder(rule, start, hours)))


def _ladder(rule: Rule, start: _Start, hours: Hours) -> dict[str, Any]:
    return {
        "conversation_id": start.conversation_id,
        "kind": start.kind,
        "cycle": start.cycle,
        "rule_id": rule.id,
        "rule_version": rule.version,
        "business_hours_id": hours.id,
        "business_hours_version": hours.version,
        "anchor_at": start.at,
        "state": "running",
        "next_step": 0,
        "steps": [],
        "next_due_at": _due(rule.steps[0], start.at, hours.timetable),
        "created_at": start.at,
    }


def _due(step: Step, anchor: datetime, time: BusinessTime) -> datetime:
    """When a step is taken. Should the calendar never open again, all time counts."""
    try:
        return (time if step.time == "business" else ALWAYS).due(anchor, step.after)
    except NeverOpen:
        return anchor + step.after


async def _conversations(session: AsyncSession, wanted: Sequence[UUID]) -> dict[UUID, Row]:
    """With the calendar of their inboxes."""
    query = (
        select(conversations, inboxes.c.business_hours_id)
        .join(inboxes, inboxes.c.id == conversations.c.inbox_id)
        .where(conversations.c.id.in_(set(wanted)))
    )
    return {found["id"]: found for found in (await session.execute(query)).mappings()}


async def _clocks(session: AsyncSession, wanted: Sequence[UUID]) -> dict[tuple[UUID, str, int], Row]:
    query = select(sla_clocks).where(sla_clocks.c.conversation_id.in_(set(wanted)))
    found = (await session.execute(query)).mappings()
    return {(one["conversation_id"], one["kind"], one["cycle"]): one for one in found}


# -- climbing ---------------------------------------------------------------------------------------------------------


def due() -> Select[Any]:
    """Ladders with a step that `climb` would take at `:now`."""
    e = escalations.c
    return select(e.conversation_id).where(e.next_due_at <= bindparam("now", type_=e.next_due_at.type))


async def climb(services: Services, session: AsyncSession, *, now: datetime) -> int:
    """Take every step that is due for one conversation; answers how many ladders that were."""
    e = escalations.c
    oldest = select(e.conversation_id).where(e.next_due_at <= now).order_by(e.next_due_at).limit(1)
    conversation_id = await session.scalar(oldest.with_for_update(skip_locked=True))
    if conversation_id is None:
        return 0
    locked = select(conversations.c.id).where(conversations.c.id == conversation_id).with_for_update()
    await session.execute(locked)
    mine = select(escalations).where(e.conversation_id == conversation_id, e.next_due_at <= now)
    rows = (await session.execute(mine.order_by(e.next_due_at).with_for_update(skip_locked=True))).mappings().all()
    calls: list[tuple[Row, int, Alert]] = []
    for row in rows:
        calls += await _climb(services, session, row, now=now)
    if calls:
        await _call(services, session, conversation_id, calls, now=now)
    return len(rows)


async def _climb(
    services: Services, session: AsyncSession, ladder: Row, *, now: datetime
) -> list[tuple[Row, int, Alert]]:
    """The steps of one ladder that are due, in order; answers whom they want called."""
    if not await _goes_on(session, ladder):
        await _note(session, ladder, state="stopped", next_due_at=None)
        return []
    rule = await services.promises.rule(session, ladder["rule_id"], ladder["rule_version"])
    time = await timetable(session, ladder["business_hours_id"], ladder["business_hours_version"])
    calls: list[tuple[Row, int, Alert]] = []
    number, due_at, done = ladder["next_step"], ladder["next_due_at"], list(ladder["steps"])
    while due_at is not None and due_at <= now:
        step = rule.steps[number]
        skipped = [
            action.do
            for action in step.actions
            if not isinstance(action, Alert) and not await act(services, session, ladder, number, action, now=now)
        ]
        calls += [(ladder, number, action) for action in step.actions if isinstance(action, Alert)]
        done.append({"step": number + 1, "due_at": due_at.isoformat(), "done_at": now.isoformat(), "skipped": skipped})
        await record(session, _advanced(ladder, number, step, late=now - due_at), now=now)
        number += 1
        due_at = _due(rule.steps[number], ladder["anchor_at"], time) if number < len(rule.steps) else None
    over = "running" if due_at else "finished"
    await _note(session, ladder, state=over, next_step=number, steps=done, next_due_at=due_at)
    return calls


async def _goes_on(session: AsyncSession, ladder: Row) -> bool:
    """Whether what the ladder is for still waits. Asked under the conversation's lock, so that it stays true."""
    c = sla_clocks.c
    if ladder["kind"] != CONVERSATION:
        key = (c.conversation_id == ladder["conversation_id"], c.kind == ladder["kind"], c.cycle == ladder["cycle"])
        return await session.scalar(select(c.state).where(*key)) in _LIVE
    query = select(conversations.c.status).where(conversations.c.id == ladder["conversation_id"])
    return await session.scalar(query) not in OVER


async def _note(session: AsyncSession, ladder: Row, **values: Any) -> None:
    e = escalations.c
    await session.execute(
        update(escalations)
        .where(
            e.conversation_id == ladder["conversation_id"],
            e.kind == ladder["kind"],
            e.cycle == ladder["cycle"],
            e.rule_id == ladder["rule_id"],
        )
        .values(values)
    )


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
    services: Services,
    session: AsyncSession,
    conversation_id: UUID,
    calls: Sequence[tuple[Row, int, Alert]],
    *,
    now: datetime,
) -> None:
    """One alert for all the steps that were due: what was slept through must not become a storm."""
    conversation = (await _conversations(session, [conversation_id]))[conversation_id]
    ladder, number, _ = calls[-1]
    clock = (await _clocks(session, [conversation_id])).get((conversation_id, ladder["kind"], ladder["cycle"]))
    data: dict[str, Any] = {
        "kind": ladder["kind"],
        "cycle": ladder["cycle"],
        "steps": [{"rule_id": str(one["rule_id"]), "step": step + 1} for one, step, _ in calls],
        "late_seconds": int((now - calls[0][0]["next_due_at"]).total_seconds()),
    }
    if clock is not None:
        times = {name: clock[name] and clock[name].isoformat() for name in ("due_at", "breached_at")}
        data |= {**times, "reply_pending": await _reply_pending(session, clock)}
    broken = clock is not None and clock["breached_at"] is not None
    subject = Subject(
        f"step:{conversation_id}:{ladder['kind']}:{ladder['cycle']}:{ladder['rule_id']}:{number + 1}",
        "sla_breach" if broken else "sla_warning" if clock is not None else "escalation",
        ladder["kind"] if clock is not None else "",
        ladder["cycle"] if clock is not None else 0,
    )
    await alerts.call(services, session, subject, [call for *_, call in calls], conversation, data=data, now=now)


async def _reply_pending(session: AsyncSession, clock: Row) -> bool:
    """Whether somebody has answered and the channel has not taken it yet."""
    waits = await pending(session, [clock["conversation_id"]])
    return waits.get(clock["conversation_id"], -1) > int(clock["start_seq"])
