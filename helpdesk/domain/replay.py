"""What happened to conversations, told to other promises: which clocks would have run, and what of them.

A `Story` is one conversation as it began, and what happened to it since. `replay` tells the stories of one matter, a
conversation with all that was merged into it, in the order in which the house learned of things and with the times at
which they were true, as filing, agents and the sweep have told them to the clocks that really ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from helpdesk.domain.clocks import OVER, RESPONSES, Clock, Kind, Origin, Terms
from helpdesk.domain.sla import Ledger
from helpdesk.domain.values import Status

Judge = Callable[[Origin, int, str | None], Terms | None]
"""What is promised to whatever came in there, by a conversation's priority and category."""

_OPENED: Final = frozenset({Status.PENDING, Status.SNOOZED, Status.RESOLVED})
"""A message of the contact opens these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """`noticed` is when the house learned of it, `seq` its place in its conversation."""

    noticed: datetime
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Happening):
    """The contact wrote something that wants an answer; `origin` has the time at which it came in."""

    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote(Happening):
    """We wrote to the contact, whatever became of it. The first message of a conversation starts it: `origin`."""

    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Happening):
    """The channel took a person's reply, at `noticed`. One that bounced later is none."""

    message_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Became(Happening):
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclassified(Happening):
    """`values` holds what changed of `priority` and `category`."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Happening):
    """The conversation `source` went into this one."""

    source: UUID


@dataclass(frozen=True, slots=True)
class Story:
    """A conversation: what it was when it began, and what happened to it, in any order."""

    id: UUID
    status: str
    priority: int
    category: str | None
    happenings: Sequence[Happening]


def replay(stories: Sequence[Story], judge: Judge, *, until: datetime) -> list[Clock]:
    """The clocks of one matter as they would be at `until`, those that were called off among them.

    Of a conversation that went into another of these nothing counts from then on, but the answers that were written
    before: whoever waited for them waits over there.
    """
    lives = {story.id: _Life(story, judge, until) for story in stories}
    told = [(one.noticed, one.seq, story.id, one) for story in stories for one in story.happenings]
    for noticed, _, story_id, happening in sorted(told, key=lambda one: one[:2]):
        life = lives[story_id]
        if noticed > until:
            continue
        if life.into is not None:
            life.tell_late(happening)
        elif isinstance(happening, Joined):
            life.take_over(lives.get(happening.source), happening)
        else:
            life.tell(happening)
    for life in lives.values():
        life.ledger.settle(until)
    return [clock for life in lives.values() for clock in life.ledger.clocks]


@dataclass(slots=True)
class _Waiting:
    """Messages that nobody has answered, and the place of the last answer."""

    asked: list[Origin] = field(default_factory=list)
    answered: int = 0

    @property
    def first(self) -> Origin | None:
        return min(self.asked, key=lambda origin: (origin.at, origin.seq), default=None)

    def answer(self, seq: int) -> None:
        self.answered = max(self.answered, seq)
        self.asked = [origin for origin in self.asked if origin.seq > self.answered]


class _Life:
    """One conversation while its story is told."""

    def __init__(self, story: Story, judge: Judge, until: datetime) -> None:
        self.ledger = Ledger(status=story.status, now=until)
        self.into: _Life | None = None
        self._priority, self._category = story.priority, story.category
        self._judge = judge
        self._waiting = _Waiting()
        self._since: datetime | None = None
        self._start: Origin | None = None
        self._place: Origin | None = None
        self._written = False

    def tell(self, happening: Happening) -> None:
        match happening:
            case Asked():
                self._ask(happening)
            case Wrote():
                self._write(happening)
            case Answered():
                self._answer(happening)
            case Became():
                self._become(happening)
            case Reclassified():
                self._reclassify(happening)

    def take_over(self, source: _Life | None, happening: Joined) -> None:
        if source is None or source.into is not None:
            return
        brought = self.ledger.take_over(source.ledger, happening.noticed, seq=happening.seq)
        source.into = self
        if brought is not None:
            self._since = min(self._since or brought.at, brought.at)

    def tell_late(self, happening: Happening) -> None:
        """What is heard of a conversation that has gone into another one."""
        if not isinstance(happening, Answered):
            return
        called_off = (clock.origin for clock in self.ledger.clocks if clock.cancelled)
        since = {origin.at for origin in called_off if origin.seq < happening.seq}
        place = self
        while place.into is not None:
            place = place.into
        place.ledger.answered_for(since, happening.noticed, by=happening.message_id)
        place.go_on()

    def _terms(self, origin: Origin) -> Terms | None:
        return self._judge(origin, self._priority, self._category)

    def _ask(self, happening: Asked) -> None:
        """Whoever waits already goes on waiting for what he was promised first."""
        origin, ledger = happening.origin, self.ledger
        ledger.settle(happening.noticed)
        self._waiting.asked.append(origin)
        self._start = min(self._start or origin, origin, key=lambda one: (one.at, one.seq))
        self._place = origin
        if self._since is not None and origin.at >= self._since and ledger.status not in _OPENED:
            return
        if ledger.status in _OPENED:
            ledger.became(origin.at, Status.OPEN)
        terms = self._terms(origin)
        if terms is not None:
            (ledger.asked if ledger.clocks or self._written else ledger.opened)(origin, terms)
        awaited = ledger.awaited.origin.at if ledger.awaited else origin.at
        self._since = min(self._since or origin.at, origin.at, awaited)

    def _write(self, happening: Wrote) -> None:
        if happening.seq == 1:
            self._start = self._place = happening.origin
            terms = self._terms(happening.origin)
            if terms is not None:
                self.ledger.opened(happening.origin, terms, by_agent=True)
        self._written = True

    def _answer(self, happening: Answered) -> None:
        self.ledger.answered(happening.noticed, seq=happening.seq, by=happening.message_id)
        self._waiting.answer(happening.seq)
        self.go_on()

    def go_on(self) -> None:
        """Whoever wrote after what was answered, and before it was accepted, waits for the next answer."""
        self._since = None
        if self.ledger.status in OVER:
            return
        waits = self._waiting.first
        terms = self._terms(waits) if waits and self.ledger.awaited is None else None
        if waits and terms:
            self.ledger.asked(waits, terms)
        awaited = self.ledger.awaited
        self._since = min((one.at for one in (waits, awaited and awaited.origin) if one), default=None)

    def _become(self, happening: Became) -> None:
        over = self.ledger.status in OVER
        self.ledger.became(happening.noticed, happening.status)
        if over != (happening.status in OVER):
            waits = self._waiting.first if over else None
            self._since = waits.at if waits else None

    def _reclassify(self, happening: Reclassified) -> None:
        """The clocks take the terms of the new priority or category; what these promise beyond the old ones starts."""
        self._priority = happening.values.get("priority", self._priority)
        self._category = happening.values.get("category", self._category)
        ledger = self.ledger
        ledger.retarget(happening.noticed, lambda clock: self._terms(clock.origin))
        terms = self._terms(self._place) if self._place else None
        if terms is None or ledger.status in OVER:
            return
        if self._start is not None:
            ledger.add_missing(self._start, terms, [Kind.RESOLUTION])
        waits = self._waiting.first
        if waits is not None and ledger.awaited is None and terms.targets.keys() & RESPONSES:
            kind = Kind.NEXT_RESPONSE if self._waiting.answered else Kind.FIRST_RESPONSE
            ledger.add_missing(waits, terms, [kind])
