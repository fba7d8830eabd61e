"""SLA clocks as rows, rows as clocks, and what a conversation's row repeats of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from helpdesk.domain.clocks import Clock, Kind, Origin, Span, State, Terms
from helpdesk.domain.events import DomainEvent, SlaBreached, SlaMet
from helpdesk.statements import Row

KEY = ("conversation_id", "kind", "cycle")


def row(conversation_id: UUID, clock: Clock) -> dict[str, Any]:
    """Every column."""
    schedule, terms, origin = clock.schedule(), clock.terms, clock.origin
    hours_id, hours_version = terms.hours or (None, 0)
    return {
        "conversation_id": conversation_id,
        "kind": clock.kind.value,
        "cycle": clock.cycle,
        "channel": origin.channel,
        "inbox_id": origin.inbox_id,
        "policy_id": terms.policy[0],
        "policy_version": terms.policy[1],
        "business_hours_id": hours_id,
        "business_hours_version": hours_version,
        "target": clock.target // timedelta(seconds=1),
        "state": clock.state.value,
        "start_seq": origin.seq,
        "started_at": origin.at,
        "due_at": schedule.due_at,
        "spans": [_span(span) for span in clock.spans],
        "warned": clock.warned,
        "changed_at": clock.changed_at,
        "ended_at": clock.ended_at,
        "ended_by": clock.ended_by,
        "breached_at": clock.breached_at,
        "detected_at": clock.detected_at,
        "trouble": clock.trouble,
        "next_due_at": schedule.next_at,
    }


def _span(span: Span) -> list[Any]:
    return [span.start.isoformat(), span.end and span.end.isoformat(), span.why.value]


def clock(found: Row, terms: Terms) -> Clock:
    """The clock that a row describes, on the terms of its versions."""
    spans = ((datetime.fromisoformat(s), e and datetime.fromisoformat(e), State(why)) for s, e, why in found["spans"])
    return Clock(
        kind=Kind(found["kind"]),
        cycle=found["cycle"],
        terms=terms,
        target=timedelta(seconds=found["target"]),
        origin=Origin(found["started_at"], found["start_seq"], found["channel"], found["inbox_id"]),
        spans=tuple(Span(*span) for span in spans),
        warned=found["warned"],
        changed_at=found["changed_at"],
        ended_at=found["ended_at"],
        ended_by=found["ended_by"],
        breached_at=found["breached_at"],
        detected_at=found["detected_at"],
        cancelled=found["state"] == State.CANCELLED,
        trouble=found["trouble"],
    )


def repeated(clocks: Sequence[Clock]) -> dict[str, Any]:
    """What the conversation's row says of its clocks, for lists: the earliest due time, or that all of them halt."""
    live = [one for one in clocks if one.live]
    scheduled = [
        (schedule.due_at, schedule.soon_at) for schedule in (one.schedule() for one in live) if schedule.due_at
    ]
    due, soon = min(scheduled, key=lambda times: times[0]) if scheduled else (None, None)
    paused = not scheduled and any(one.halted and one.halted.why is State.PAUSED for one in live)
    return {"next_due_at": due, "due_soon_at": soon, "sla_paused": paused}


@dataclass(slots=True)
class Difference:
    """What has to be written for clocks that something happened to, and what it tells."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    events: list[DomainEvent] = field(default_factory=list)

    def add(self, other: Difference) -> None:
        self.new += other.new
        self.changed += other.changed
        self.events += other.events


def difference(conversation_id: UUID, before: Sequence[Clock], after: Sequence[Clock]) -> Difference:
    """Of a conversation's clocks before and after."""
    found = Difference()
    held = {(one.kind, one.cycle): one for one in before}
    for one in after:
        old = held.get((one.kind, one.cycle))
        if one == old:
            continue
        (found.changed if old else found.new).append(row(conversation_id, one))
        if one.breached_at is not None and (old is None or old.breached_at is None):
            found.events.append(breached(conversation_id, one, reply_pending=False))
        if one.ended_at is not None and not one.cancelled and (old is None or old.ended_at is None):
            found.events.append(_met(conversation_id, one))
    return found


def breached(conversation_id: UUID, found: Clock, *, reply_pending: bool) -> SlaBreached:
    assert found.breached_at is not None
    assert found.detected_at is not None
    return SlaBreached(
        conversation_id=conversation_id,
        **about(found),
        breached_at=rfc3339(found.breached_at),
        detected_at=rfc3339(found.detected_at),
        reply_pending=reply_pending,
    )


def _met(conversation_id: UUID, found: Clock) -> SlaMet:
    assert found.ended_at is not None
    late = found.breached_at is not None
    return SlaMet(conversation_id=conversation_id, **about(found), ended_at=rfc3339(found.ended_at), late=late)


def about(found: Clock) -> dict[str, Any]:
    """What every event of a clock says."""
    due = found.due
    return {
        "kind": found.kind.value,
        "cycle": found.cycle,
        "policy_id": found.terms.policy[0],
        "due_at": rfc3339(due) if due else "",
    }


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
