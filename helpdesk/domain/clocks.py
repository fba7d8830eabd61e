"""SLA clocks: one promise about one wait each.

A clock starts, may be halted, and ends: met, late or cancelled. It stores when things happened and derives the rest, so
that what is noticed late has the times at which it was true. Nothing here reads the time. What happens to the clocks of
a conversation is told to a ledger (`domain.sla`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from helpdesk.domain.business_hours import ALWAYS, BusinessTime, NeverOpen, Timetable
from helpdesk.domain.calendars import knows


class Kind(StrEnum):
    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    RESOLUTION = "resolution"


class State(StrEnum):
    NONE = "none"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    MET = "met"
    MET_LATE = "met_late"
    BREACHED = "breached"
    CANCELLED = "cancelled"


class Trouble(StrEnum):
    """Why a clock cannot be scheduled, or its due time not be trusted."""

    UNSCHEDULABLE = "unschedulable"
    UNKNOWN_HOLIDAYS = "unknown_holidays"


RESPONSES: Final = frozenset({Kind.FIRST_RESPONSE, Kind.NEXT_RESPONSE})
OVER: Final = frozenset({"resolved", "closed"})
UNTOLD: Final = -1
"""In `Clock.warned`: there is trouble that nobody has been told of."""
SOON: Final = 0.8
"""Without a warning of its policy, an answer counts as due soon when this part of the promised time has passed."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a version of a policy promises, and the time that counts for it.

    `hours` are the calendar's id and version, None where all time counts. `warnings` are spans of the clock's own time
    after which a warning comes, ascending.
    """

    policy: tuple[UUID, int]
    targets: Mapping[Kind, timedelta]
    time: BusinessTime = ALWAYS
    hours: tuple[UUID, int] | None = None
    warnings: Mapping[Kind, Sequence[timedelta]] = field(default_factory=dict)
    pauses: frozenset[Kind] = frozenset({Kind.RESOLUTION})
    pause_states: frozenset[str] = frozenset({"pending"})
    next_response_from_creation: bool = False

    def halts(self, kind: Kind, status: str) -> bool:
        return kind in self.pauses and status in self.pause_states

    def knows(self, at: datetime) -> bool:
        """Whether the holidays of the year that `at` falls into, locally, were reviewed."""
        if not isinstance(self.time, Timetable):
            return True
        calendar = self.time.calendar
        return knows(calendar, at.astimezone(ZoneInfo(calendar.zone)).year)

    @property
    def version(self) -> tuple[object, object]:
        """What tells these terms from others."""
        return self.policy, self.hours


@dataclass(frozen=True, slots=True)
class Span:
    """Time that does not count; without an end it lasts. `why`: paused or stopped."""

    start: datetime
    end: datetime | None
    why: State


@dataclass(frozen=True, slots=True)
class Origin:
    """The message, or the deed, that began a cycle: its time, its place in the conversation, where it came in."""

    at: datetime
    seq: int
    channel: str
    inbox_id: UUID


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a clock has before it: when it is due, when that counts as soon, when the sweep has to look next."""

    due_at: datetime | None = None
    soon_at: datetime | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """One cycle. `warned` thresholds of the policy have passed; `changed_at` is when the target was last another."""

    kind: Kind
    cycle: int
    terms: Terms
    target: timedelta
    origin: Origin
    spans: tuple[Span, ...] = ()
    warned: int = 0
    changed_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: UUID | None = None
    breached_at: datetime | None = None
    detected_at: datetime | None = None
    cancelled: bool = False
    trouble: str = ""

    @property
    def live(self) -> bool:
        return self.ended_at is None and not self.cancelled

    @property
    def halted(self) -> Span | None:
        """The span that lasts, if one does."""
        return self.spans[-1] if self.spans and self.spans[-1].end is None else None

    @property
    def state(self) -> State:
        if self.cancelled:
            return State.CANCELLED
        if self.ended_at is not None:
            return State.MET if self.breached_at is None else State.MET_LATE
        if self.breached_at is not None:
            return State.BREACHED
        return self.halted.why if self.halted else State.RUNNING

    @property
    def due(self) -> datetime | None:
        """When the target will have passed, or had. None while nobody can say, and of a cancelled clock.

        A breached clock keeps its due time, whatever halts it afterwards.
        """
        if self.cancelled or self.trouble == Trouble.UNSCHEDULABLE:
            return None
        if self.live and self.halted and self.breached_at is None:
            return None
        return self.after(self.target)

    def after(self, span: timedelta) -> datetime:
        """When so much of the clock's own time has passed since its start. Raises `NeverOpen`."""
        left, at = span, self.origin.at
        for halt in self.spans:
            counted = self.terms.time.between(at, halt.start)
            if counted >= left or halt.end is None:
                break
            left -= counted
            at = max(at, halt.end)
        return self.terms.time.due(at, left)

    def elapsed(self, until: datetime) -> timedelta:
        """The clock's own time from the start to `until`, or to its end."""
        until = min(until, self.ended_at) if self.ended_at else until
        counted, at = timedelta(), self.origin.at
        for halt in self.spans:
            counted += self.terms.time.between(at, min(halt.start, until))
            at = max(at, min(halt.end or until, until))
        return counted + self.terms.time.between(at, until)

    def schedule(self) -> Schedule:
        """What is before it. A warning that cannot be scheduled is none; see `checked` for the due time itself."""
        due = self.due
        if not self.live or due is None:
            return Schedule(due, None, self.origin.at if self.live and self.warned == UNTOLD else None)
        thresholds = self.terms.warnings.get(self.kind, ())
        soon = self.after(thresholds[0] if thresholds else self.target * SOON)
        if self.breached_at is not None:
            return Schedule(due, soon, None)
        if self.warned == UNTOLD:
            return Schedule(due, soon, self.origin.at)
        coming = thresholds[self.warned :]
        return Schedule(due, soon, min(self.after(coming[0]), due) if coming else due)

    def checked(self) -> Clock:
        """With its trouble, if it has any that was not there before.

        Nobody is told of a year once he was warned: that takes the count of warnings, and others tell of the year.
        """
        if not self.live or self.trouble == Trouble.UNSCHEDULABLE:
            return self
        try:
            due = self.due
        except NeverOpen:
            return replace(self, trouble=Trouble.UNSCHEDULABLE.value, warned=UNTOLD)
        if self.trouble or due is None or self.breached_at is not None or self.warned or self.terms.knows(due):
            return self
        return replace(self, trouble=Trouble.UNKNOWN_HOLIDAYS.value, warned=UNTOLD)

    def settled(self, at: datetime, *, now: datetime) -> Clock:
        """With the breach that has happened by `at`, and is noticed `now`. An answer at the due time is in time."""
        if not self.live or self.breached_at is not None:
            return self
        due = self.due
        if due is None or due >= at:
            return self
        return replace(self, breached_at=max(due, self.changed_at or due), detected_at=now)

    def overdue_warnings(self, at: datetime) -> int:
        """How many of the policy's thresholds have passed by `at`."""
        thresholds = self.terms.warnings.get(self.kind, ())
        passed = max(self.warned, 0)
        while passed < len(thresholds) and self.after(thresholds[passed]) < at:
            passed += 1
        return passed

    def halt(self, at: datetime, why: State) -> Clock:
        if not self.live:
            return self
        at = self._later(at)
        before = self._gone_on(at).spans
        return replace(self, spans=(*before, Span(at, None, why)))

    def go(self, at: datetime) -> Clock:
        """It is due later by then, which may be when nobody is open any more: see `checked`."""
        return self._gone_on(at).checked()

    def _gone_on(self, at: datetime) -> Clock:
        if not self.live or not self.halted:
            return self
        return replace(self, spans=(*self.spans[:-1], replace(self.spans[-1], end=max(at, self.spans[-1].start))))

    def end(self, at: datetime, by: UUID | None = None) -> Clock:
        return replace(self._gone_on(at), ended_at=max(at, self.origin.at), ended_by=by) if self.live else self

    def reopen(self, at: datetime | None = None) -> Clock:
        """Go on as if it had not ended; the time from its end to `at`, if given, does not count."""
        if self.ended_at is None:
            return self
        excluded = (Span(self.ended_at, max(at, self.ended_at), State.STOPPED),) if at is not None else ()
        return replace(self, ended_at=None, ended_by=None, spans=(*self.spans, *excluded)).checked()

    def cancel(self, at: datetime) -> Clock:
        return replace(self, cancelled=True, ended_at=at) if self.live else self

    def restore(self) -> Clock:
        return replace(self, cancelled=False, ended_at=None)

    def _later(self, at: datetime) -> datetime:
        """Spans are in order whatever order things are noticed in."""
        return max(at, self.origin.at, *(halt.start for halt in self.spans[-1:]))
