"""Asking contacts how it went: who is asked, when not, and until when an answer counts.

A question that nobody wanted costs more than an answer is worth, so there are many reasons against and one for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from helpdesk.domain.acknowledgement import HELD, mailbox
from helpdesk.domain.values import Status

LIFE: Final = timedelta(days=30)
"""For how long a link is good."""
AFTER_CLOSING: Final = timedelta(days=14)
"""A closed conversation is rated until then, if the link is good for longer."""
FORGOTTEN: Final = timedelta(days=14)
"""Whose last answer lay that far back when it was resolved is not asked about it any more."""
PATIENCE: Final = timedelta(days=3)
"""For so long after it was resolved, asking waits for a message that has to leave first."""
AGAIN: Final = timedelta(minutes=15)

SCORES: Final = (1, 2, 3, 4, 5)
GOOD: Final = 4
"""From this score on, somebody was satisfied."""
LONGEST_COMMENT: Final = 2000

OVER: Final = frozenset({Status.RESOLVED.value, Status.CLOSED.value})


class State(StrEnum):
    """Of a resolution: asking is `planned`, was done, or was `dropped` for a reason."""

    PLANNED = "planned"
    ASKED = "asked"
    DROPPED = "dropped"


class Outcome(StrEnum):
    """What becomes of asking, by a letter or where he is. All but the first three are reasons why nobody is asked."""

    ASKED = "asked"
    ASKED_THERE = "asked_there"
    LATER = "later"
    SWITCHED_OFF = "switched_off"
    NOT_OFFERED = "not_offered"
    REOPENED = "reopened"
    MERGED = "merged"
    SPAM = "spam"
    BLOCKED = "blocked"
    UNVERIFIED = "unverified"
    AUTOMATIC = "automatic"
    NO_ADDRESS = "no_address"
    OWN_ADDRESS = "own_address"
    BOUNCED = "bounced"
    UNANSWERED = "unanswered"
    FORGOTTEN = "forgotten"
    WAITING = "waiting"
    WINDOW_CLOSED = "window_closed"
    ASKED_LATELY = "asked_lately"


@dataclass(frozen=True, slots=True)
class Case:
    """What decides.

    `offered`: the channel carries what the house says by itself; `wrote_at` is when a person last wrote in, None where
    only programs did; `answered_at` when a person's last answer arrived. `under_way`: a message has to leave first.
    `reply_window` is how long after a message the channel takes answers, None for ever.
    """

    switched_on: bool
    offered: bool
    status: str
    merged: bool
    spam: bool
    blocked: bool
    doubtful: bool
    handle: str
    own_handles: frozenset[str]
    held_since: datetime | None
    wrote_at: datetime | None
    answered_at: datetime | None
    waiting: bool
    under_way: bool
    asked_lately: bool
    reply_window: timedelta | None
    resolved_at: datetime


def decide(case: Case, *, now: datetime) -> Outcome:
    """Whether to ask; the first reason against it wins."""
    wrote_at, answered_at, window = case.wrote_at, case.answered_at, case.reply_window
    checks = (
        (Outcome.SWITCHED_OFF, not case.switched_on),
        (Outcome.NOT_OFFERED, not case.offered),
        (Outcome.MERGED, case.merged),
        (Outcome.SPAM, case.spam),
        (Outcome.REOPENED, case.status not in OVER),
        (Outcome.BLOCKED, case.blocked),
        (Outcome.UNVERIFIED, case.doubtful),
        (Outcome.NO_ADDRESS, not case.handle),
        (Outcome.OWN_ADDRESS, not case.own_handles.isdisjoint({case.handle, mailbox(case.handle)})),
        (Outcome.BOUNCED, case.held_since is not None and now - case.held_since < HELD),
        (Outcome.AUTOMATIC, wrote_at is None),
        (Outcome.LATER, case.under_way and now - case.resolved_at < PATIENCE),
        (Outcome.WAITING, case.waiting or case.under_way),
        (Outcome.UNANSWERED, answered_at is None),
        (Outcome.FORGOTTEN, answered_at is not None and case.resolved_at - answered_at > FORGOTTEN),
        (Outcome.WINDOW_CLOSED, window is not None and wrote_at is not None and wrote_at + window < now),
        (Outcome.ASKED_LATELY, case.asked_lately),
    )
    return next((outcome for outcome, against in checks if against), Outcome.ASKED)


def counts_until(*, expires_at: datetime, status: str, changed_at: datetime | None) -> datetime:
    """Until when a rating can be given and changed. `changed_at` is since when the conversation has its status."""
    if status == Status.CLOSED and changed_at is not None:
        return min(expires_at, changed_at + AFTER_CLOSING)
    return expires_at
