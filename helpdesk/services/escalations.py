"""Ladders as they begin, come to a stop and go on: what events make of the rules.

A ladder is begun once for a cycle of a clock, or for a conversation, and is a row from then on, which `climbing` takes
step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import ring
from helpdesk.domain import ladders
from helpdesk.domain.actions import Alert
from helpdesk.domain.clocks import OVER
from helpdesk.domain.events import SlaBreached, SlaWarning
from helpdesk.domain.ladders import Rule
from helpdesk.domain.values import Priority
from helpdesk.models.sla import escalations
from helpdesk.services import alerts
from helpdesk.services.alerts import Subject
from helpdesk.services.climbing import COMPLAINT, CONVERSATION, KEY, OWED, about, clocks_of, due_at, goes_on
from helpdesk.services.clock_rows import rfc3339
from helpdesk.services.foreseen import Filed, Work
from helpdesk.services.house import Services
from helpdesk.services.lookups import Automatic
from helpdesk.services.promises import Book, Hours
from helpdesk.services.timetables import timetable
from helpdesk.statements import Row
from helpdesk.writes import Insert, Update, write

_ANCHORS: Mapping[str, tuple[str, str]] = {
    SlaWarning.type: ("warning", "warned_at"),
    SlaBreached.type: ("breach", "breached_at"),
}
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
    rows: list[dict[str, Any]] = []
    if not any(rule.anchor == "creation" for rule in book.rules):
        return Work()
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


async def follow_conversations(
    services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime
) -> None:
    """Subscriber of `conversation.status_changed` and `message.failed`: end what is over, go on with what waits again.

    An answer that came back, and a conversation that is opened again, leave somebody waiting whom the ladders and
    alerts had been told of no more. It goes by how things are now, whatever order they came in.
    """
    found = await about(session, [event["conversation_id"] for event in happened])
    await alerts.end_with(session, [one for one, row in found.items() if row["status"] in OVER], now=now)
    waiting = {one: row for one, row in found.items() if row["status"] not in OVER}
    if not waiting:
        return
    clocks = await clocks_of(session, list(waiting))
    await _go_on(services, session, waiting, clocks, now=now)
    owed = {key: clock for key, clock in clocks.items() if clock["state"] in OWED}
    await alerts.reopen(session, list(waiting), list(owed), now=now)
    book = await services.promises.book(session)
    for (conversation_id, kind, cycle), clock in owed.items():
        start = _Start("breach", clock["breached_at"], conversation_id, kind, cycle, _told(clock))
        conversation = waiting[conversation_id]
        if clock["breached_at"] and not any(_is_for(rule, start, conversation, clock) for rule in book.rules):
            await _call_somebody(services, session, start, conversation, now=now)


def _told(clock: Row) -> dict[str, Any]:
    """What the event of its breach had said."""
    times = {name: clock[name] and rfc3339(clock[name]) for name in ("due_at", "breached_at", "detected_at")}
    return {"kind": clock["kind"], "cycle": clock["cycle"], **times}


async def _go_on(
    services: Services, session: AsyncSession, waiting: Mapping[UUID, Row], clocks: Mapping[Any, Row], *, now: datetime
) -> None:
    """Ladders that had stopped and whose matter is open again take the step that they had come to."""
    e = escalations.c
    stopped = select(escalations).where(e.conversation_id.in_(waiting), e.state == "stopped")
    changes = []
    for ladder in (await session.execute(stopped)).mappings():
        rule = await services.promises.rule(session, ladder["rule_id"], ladder["rule_version"])
        clock = clocks.get((ladder["conversation_id"], ladder["kind"], ladder["cycle"]))
        if not goes_on(rule, ladder, waiting[ladder["conversation_id"]], clock):
            continue
        time = await timetable(session, ladder["business_hours_id"], ladder["business_hours_version"])
        due = due_at(rule.steps[ladder["next_step"]], ladder["anchor_at"], time)
        changes.append({name: ladder[name] for name in KEY} | {"state": "running", "next_due_at": due})
    await write(session, Update(escalations, changes, by=KEY, still=(("state", "stopped"),)))
    if changes:
        ring(session, "sla")


async def _begin(services: Services, session: AsyncSession, starts: Sequence[_Start], *, now: datetime) -> None:
    if not starts:
        return
    book = await services.promises.book(session)
    found = await about(session, [start.conversation_id for start in starts])
    clocks = await clocks_of(session, list(found))
    rows: list[dict[str, Any]] = []
    for start in starts:
        conversation = found.get(start.conversation_id)
        clock = clocks.get((start.conversation_id, start.kind, start.cycle))
        if conversation is None or (start.kind != CONVERSATION and clock is None):
            continue
        rules = [rule for rule in book.rules if _is_for(rule, start, conversation, clock)]
        hours = await _hours(session, book, conversation, clock)
        rows += [_ladder(rule, start, hours) for rule in rules]
        if not rules and start.anchor == "breach" and conversation["status"] not in OVER:
            await _call_somebody(services, session, start, conversation, now=now)
    await write(session, Insert(escalations, rows, unless=KEY))
    if rows:
        ring(session, "sla")


async def _call_somebody(
    services: Services, session: AsyncSession, start: _Start, conversation: Row, *, now: datetime
) -> None:
    key = f"breach:{start.conversation_id}:{start.kind}:{start.cycle}"
    subject = Subject(key, "sla_breach", start.kind, start.cycle)
    await alerts.call(services, session, subject, [_NOBODY_ASKED], conversation, data=start.data, now=now)


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


async def _hours(session: AsyncSession, book: Book, conversation: Row, clock: Row | None) -> Hours:
    """The calendar that a ladder's business time goes by: its clock's, else the desk's."""
    if clock is None or clock["business_hours_id"] is None:
        return book.at(conversation)
    hours_id, version = clock["business_hours_id"], clock["business_hours_version"]
    return Hours(hours_id, version, await timetable(session, hours_id, version))


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
        "next_due_at": due_at(rule.steps[0], start.at, hours.timetable),
        "created_at": start.at,
    }
