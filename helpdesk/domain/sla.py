"""A conversation's clocks, and what becomes of them when something happens to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from helpdesk.domain.business_hours import NeverOpen
from helpdesk.domain.clocks import OVER, RESPONSES, Clock, Kind, Origin, Span, State, Terms


class Ledger:
    """A conversation's clocks while something happens to it. `now` is when it is noticed.

    `clocks` are what they were made of, changed. The oldest come first; a kind's cycles count from one. Whoever leaves
    out some that have ended says in `past` how many cycles there have been.
    """

    def __init__(
        self,
        clocks: Sequence[Clock] = (),
        *,
        status: str = "open",
        past: Mapping[Kind, int] | None = None,
        now: datetime,
    ) -> None:
        self.clocks = list(clocks)
        self.status = status
        self._past, self._now = past or {}, now

    def latest(self, kind: Kind) -> Clock | None:
        return next((clock for clock in reversed(self.clocks) if clock.kind is kind), None)

    @property
    def awaited(self) -> Clock | None:
        """The live response clock that began first."""
        live = [clock for clock in self.clocks if clock.kind in RESPONSES and clock.live]
        return min(live, key=lambda clock: clock.origin.at) if live else None

    def _change(self, change: Callable[[Clock], Clock], kinds: frozenset[Kind] | None = None) -> None:
        self.clocks = [change(clock) if kinds is None or clock.kind in kinds else clock for clock in self.clocks]

    def settle(self, at: datetime) -> None:
        self._change(lambda clock: clock.settled(at, now=self._now))

    def _start(self, kind: Kind, origin: Origin, terms: Terms) -> None:
        if kind not in terms.targets:
            return
        cycle = max(sum(clock.kind is kind for clock in self.clocks), self._past.get(kind, 0)) + 1
        clock = Clock(kind, cycle, terms, terms.targets[kind], origin).checked()
        if terms.halts(kind, self.status):
            clock = clock.halt(origin.at, State.PAUSED)
        self.clocks.append(clock)

    def opened(self, origin: Origin, terms: Terms, *, by_agent: bool = False) -> None:
        """The conversation was created: by the contact's first message, or by an agent who writes first."""
        self._start(Kind.RESOLUTION, origin, terms)
        if by_agent:
            return
        self._start(Kind.FIRST_RESPONSE, origin, terms)
        if terms.next_response_from_creation or Kind.FIRST_RESPONSE not in terms.targets:
            self._start(Kind.NEXT_RESPONSE, origin, terms)

    def asked(self, origin: Origin, terms: Terms) -> None:
        """The contact wrote again. Several messages in a row are one cycle, from the earliest of them on."""
        first, following = self.latest(Kind.FIRST_RESPONSE), self.latest(Kind.NEXT_RESPONSE)
        waits = [clock for clock in (first, following) if clock is not None and clock.live]
        self._change(lambda clock: _begun_by(clock, origin) if clock in waits else clock)
        if first is not None and first.live and not terms.next_response_from_creation:
            return
        if following is None or not following.live:
            self._start(Kind.NEXT_RESPONSE, origin, terms)

    def answered(self, at: datetime, *, seq: int | None = None, by: UUID | None = None) -> None:
        """The channel accepted a person's public reply: it answers what stands before its `seq`."""
        self.settle(at)
        self._change(lambda clock: clock.end(at, by) if seq is None or clock.origin.seq < seq else clock, RESPONSES)

    def answered_for(self, since: Collection[datetime], at: datetime, *, by: UUID) -> None:
        """It answers those alone who have waited since one of these times."""
        self.settle(at)
        self._change(lambda clock: clock.end(at, by) if clock.origin.at in since else clock, RESPONSES)

    def unanswered(self, by: UUID, replies: Sequence[tuple[datetime, int, UUID]]) -> None:
        """A reply that had ended clocks did not arrive. `replies` are those that did: time, seq, id, in their order.

        Each clock ends with the first of them that answers it, or runs again. What had started after it is called off
        then: whoever waits, waits since the earlier one.
        """
        for place, clock in enumerate(self.clocks):
            if clock.kind not in RESPONSES or clock.ended_by != by:
                continue
            opened = clock.reopen()
            other = next((reply for reply in replies if reply[1] > clock.origin.seq), None)
            if other is not None:
                at, _, reply_id = other
                self.clocks[place] = opened.settled(at, now=self._now).end(at, reply_id)
                continue
            self.clocks[place] = opened.settled(self._now, now=self._now)
            self._call_off(opened)

    def _call_off(self, waiting: Clock) -> None:
        """Cancel the cycles that began while nobody was thought to wait."""
        self._change(
            lambda clock: (
                clock.cancel(self._now)
                if clock.live and clock.kind in RESPONSES and clock.origin.seq > waiting.origin.seq
                else clock
            )
        )

    def became(self, at: datetime, status: str) -> None:
        """The conversation's status changed."""
        self.settle(at)
        before, self.status = self.status, status
        if status in OVER:
            if before not in OVER:
                self._change(lambda clock: clock.end(at), frozenset({Kind.RESOLUTION}))
                self._change(lambda clock: clock.halt(at, State.STOPPED), RESPONSES)
            return
        if before in OVER:
            resolution = self.latest(Kind.RESOLUTION)
            self._change(lambda clock: clock.reopen(at) if clock is resolution else clock.go(at))
        self._change(lambda clock: self._paused(clock, at))

    def _paused(self, clock: Clock, at: datetime) -> Clock:
        if not clock.terms.halts(clock.kind, self.status):
            return clock.go(at)
        return clock if clock.halted and clock.halted.why is State.PAUSED else clock.halt(at, State.PAUSED)

    def retarget(self, at: datetime, terms_of: Callable[[Clock], Terms | None]) -> None:
        """Priority, category or policy changed: each live clock takes the terms that now hold for it.

        It is computed from its start again, its spans kept. Without a target it is cancelled. What was broken stays so.
        """
        self.settle(at)
        self._change(lambda clock: _on_terms(clock, terms_of(clock), at) if clock.live else clock)

    def add_missing(self, origin: Origin, terms: Terms, kinds: Sequence[Kind]) -> None:
        """Start what a change of terms brought and no clock was there for."""
        for kind in kinds:
            if self.latest(kind) is None or (kind in RESPONSES and self.awaited is None):
                self._start(kind, origin, terms)

    def cancel(self, at: datetime) -> None:
        """The promise is called off: merged away, or without a policy."""
        self.settle(at)
        self._change(lambda clock: clock.cancel(at))

    def restore(self, since: datetime) -> None:
        """What was cancelled at that time goes on as if it had not been."""
        self._change(lambda clock: clock.restore() if clock.cancelled and clock.ended_at == since else clock)
        self.settle(self._now)

    def wait_since(self, origin: Origin) -> None:
        """Somebody has waited since earlier: a conversation merged into this one brought him."""
        awaited = self.awaited
        if awaited is not None:
            self._change(lambda clock: _begun_by(clock, origin) if clock is awaited else clock)

    def part_with(self, moved: Collection[int], waiting: Origin | None) -> None:
        """Messages with these `seq` went elsewhere. Whoever still waits waits since `waiting`.

        What they began goes on from there, or is called off. What is broken already stays as it was.
        """
        self.settle(self._now)
        self._change(lambda clock: self._without(clock, moved, waiting), RESPONSES)

    def _without(self, clock: Clock, moved: Collection[int], waiting: Origin | None) -> Clock:
        if not clock.live or clock.origin.seq not in moved:
            return clock
        if waiting is None:
            return clock.cancel(self._now)
        if clock.breached_at is not None:
            return clock
        spans = [replace(one, start=max(one.start, waiting.at)) for one in clock.spans if _lasts(one, waiting.at)]
        later = replace(clock, origin=waiting, spans=tuple(spans), warned=0, trouble="")
        return replace(later, warned=_passed(later, self._now)).checked()

    def take_over(self, gone: Ledger, at: datetime, *, seq: int) -> Origin | None:
        """The conversation `gone` went into this one: its promises are called off, and whoever waited there waits here.

        Answers since when somebody does, if so; what comes after `seq` answers him.
        """
        awaited = gone.awaited if gone.status not in OVER else None
        gone.cancel(at)
        if awaited is None or self.status in OVER:
            return None
        origin = replace(awaited.origin, seq=seq)
        if self.awaited is not None:
            self.wait_since(origin)
        else:
            self.asked(origin, awaited.terms)
        return origin


def _lasts(span: Span, at: datetime) -> bool:
    return span.end is None or span.end > at


def _begun_by(clock: Clock, origin: Origin) -> Clock:
    """From the earlier of the two on. What is broken already stays as it was."""
    if origin.at >= clock.origin.at or clock.breached_at is not None:
        return clock
    return replace(clock, origin=replace(clock.origin, at=origin.at))


def _on_terms(clock: Clock, terms: Terms | None, at: datetime) -> Clock:
    if terms is None or clock.kind not in terms.targets:
        return clock.cancel(at)
    if terms.version == clock.terms.version or clock.breached_at is not None:
        return clock
    moved = replace(clock, terms=terms, target=terms.targets[clock.kind], changed_at=at, warned=0, trouble="")
    return replace(moved, warned=_passed(moved, at)).checked()


def _passed(clock: Clock, at: datetime) -> int:
    """Warnings of the new terms that would have come before they held: nobody is warned of the past."""
    try:
        return clock.overdue_warnings(at)
    except NeverOpen:
        return 0
