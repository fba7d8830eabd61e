"""Clocks as they are explained, alerts as they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.conversations import ConversationNamed
from helpdesk.api.schemas.shared import Shown
from helpdesk.services.explaining import Explained
from helpdesk.statements import Row


class PolicyUsed(Shown):
    id: UUID
    name: str
    version: int


class CalendarUsed(PolicyUsed):
    zone: str


class Interval(Shown):
    """`counted`, or why it was not: `closed` (outside of service hours), `paused`, `stopped`."""

    start: datetime
    end: datetime
    why: Literal["counted", "closed", "paused", "stopped"]
    seconds: float


class EndedBy(Shown):
    message_id: UUID
    seq: int
    author_kind: str
    author_id: UUID | None
    author_name: str
    sent_at: datetime | None


class LadderShown(Shown):
    rule_id: UUID
    name: str
    rule_version: int
    state: str
    steps: list[dict[str, Any]] = Field(description="Those taken: `step`, `due_at`, `done_at`, `skipped`")
    next_step: int
    next_due_at: datetime | None


class ClockShown(Shown):
    """One cycle of one promise. `elapsed_seconds` is its own time, without what did not count."""

    kind: Literal["first_response", "next_response", "resolution"]
    cycle: int
    state: Literal["running", "paused", "stopped", "met", "met_late", "breached", "cancelled"]
    policy: PolicyUsed
    time: Literal["calendar", "business"]
    calendar: CalendarUsed | None
    channel: str
    target_seconds: float
    started_at: datetime
    due_at: datetime | None
    due_if_calendar: datetime = Field(description="The due time if all time counted, without any pause")
    due_if_business: datetime | None = Field(
        description="The due time if only service hours counted, without any pause"
    )
    elapsed_seconds: float
    warnings_passed: int
    changed_at: datetime | None
    breached_at: datetime | None
    detected_at: datetime | None
    ended_at: datetime | None
    ended_by: EndedBy | None
    trouble: str
    intervals: list[Interval]
    more_intervals: bool
    escalations: list[LadderShown]


class SlaShown(Shown):
    clocks: list[ClockShown]


def clock(one: Explained) -> dict[str, Any]:
    found, terms = one.clock, one.clock.terms
    return {
        "kind": found.kind.value,
        "cycle": found.cycle,
        "state": found.state.value,
        "policy": {"id": terms.policy[0], "name": one.policy_name, "version": terms.policy[1]},
        "time": "business" if terms.hours else "calendar",
        "calendar": _calendar(one),
        "channel": found.origin.channel,
        "target_seconds": found.target.total_seconds(),
        "started_at": found.origin.at,
        "due_at": found.due,
        "due_if_calendar": one.due_calendar,
        "due_if_business": one.due_business,
        "elapsed_seconds": one.elapsed.total_seconds(),
        "warnings_passed": max(found.warned, 0),
        "trouble": found.trouble,
        **{name: getattr(found, name) for name in ("changed_at", "breached_at", "detected_at", "ended_at")},
        "ended_by": _ended_by(one.ended_by),
        "intervals": [
            {"start": s.start, "end": s.end, "why": s.why, "seconds": (s.end - s.start).total_seconds()}
            for s in one.stretches
        ],
        "more_intervals": one.more,
        "escalations": [_ladder(row) for row in one.ladders],
    }


def _calendar(one: Explained) -> dict[str, Any] | None:
    hours = one.clock.terms.hours
    if hours is None:
        return None
    zone = one.clock.terms.time.calendar.zone  # type: ignore[attr-defined]
    return {"id": hours[0], "name": one.calendar_name, "version": hours[1], "zone": zone}


def _ended_by(row: RowMapping | None) -> dict[str, Any] | None:
    if row is None:
        return None
    names = ("seq", "author_kind", "author_id", "author_name", "sent_at")
    return {"message_id": row["id"], **{name: row[name] for name in names}}


def _ladder(row: Row) -> dict[str, Any]:
    names = ("rule_id", "name", "rule_version", "state", "steps", "next_step", "next_due_at")
    return {name: row[name] for name in names}


# -- alerts --


class RecipientShown(Shown):
    """`reason` says why he was called: `assignee`, `lead`, `team`, `supervisors`, `fallback`, ..."""

    agent_id: UUID
    level: int
    reason: str
    created_at: datetime


class AlertShown(Shown):
    id: UUID
    kind: str = Field(
        description="`sla_warning`, `sla_breach`, `escalation`, `automation_looped`, `unschedulable`, "
        "`unknown_holidays`, `security_change`"
    )
    severity: Literal["info", "warning", "critical"]
    status: Literal["open", "acknowledged", "resolved"]
    conversation_id: UUID | None
    conversation: ConversationNamed | None = Field(description="Null where it is about none, or about one out of sight")
    clock_kind: str
    clock_cycle: int
    team_id: UUID | None
    data: dict[str, Any]
    level: int
    recipients: list[RecipientShown]
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None
    resolved_at: datetime | None
    next_due_at: datetime | None = Field(description="When the next level is called, unless somebody acknowledges")
    version: int


_ALERT = (
    "id",
    "kind",
    "severity",
    "status",
    "conversation_id",
    "clock_kind",
    "clock_cycle",
    "team_id",
    "data",
    "level",
)
_TIMES = ("raised_at", "acknowledged_at", "acknowledged_by", "resolved_at", "next_due_at", "version")


def alert(row: RowMapping, recipients: Sequence[RowMapping], subjects: Mapping[UUID, RowMapping]) -> dict[str, Any]:
    about = subjects.get(row["conversation_id"])
    each = ("agent_id", "level", "reason", "created_at")
    return {
        **{name: row[name] for name in (*_ALERT, *_TIMES)},
        "conversation": about and dict(about),
        "recipients": [{name: one[name] for name in each} for one in recipients],
    }
