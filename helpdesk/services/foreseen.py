"""Subscribers' work that filing does itself, in the statement that files.

A subscriber of `message.received` would ask the database for what filing has in its hands, and write in a statement of
its own. One that can do without both has a function here, by which its part of the work is foreseen. It is called only
where filing relays as well; everywhere else, and after any failure, the subscriber does it as it always does. So both
have to lead to the same rows, and the subscriber has to find its work done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.events import DomainEvent
from helpdesk.services.house import Services
from helpdesk.services.lookups import Automatic
from helpdesk.statements import Row


@dataclass(frozen=True, slots=True)
class Filed:
    """A message, as it is about to be written. `conversation` may still be changed.

    `first` and `silent` are as in its `message.received`.
    """

    conversation: dict[str, Any]
    message: Row
    first: bool
    silent: bool


@dataclass(slots=True)
class Work:
    """Rows to be written with what is filed, what they tell, and whom to wake for them."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    acknowledgements: list[dict[str, Any]] = field(default_factory=list)
    escalations: list[dict[str, Any]] = field(default_factory=list)
    events: list[DomainEvent] = field(default_factory=list)
    rings: set[str] = field(default_factory=set)

    def add(self, other: Work) -> None:
        self.messages += other.messages
        self.deliveries += other.deliveries
        self.acknowledgements += other.acknowledgements
        self.escalations += other.escalations
        self.events += other.events
        self.rings |= other.rings


Foresee = Callable[..., Work]
"""`(services, filed, *, inbox, automatic, now)`: the subscriber's work for some messages of one inbox."""

Foreseen = Mapping[str, Foresee]
"""By the name of the subscriber."""


def expect(session: AsyncSession, foreseen: Foreseen, subscribed: Mapping[str, Sequence[Any]]) -> None:
    """Let what is filed in this session take along the work of these subscribers, of all that there are by event."""
    session.info["foreseen"], session.info["subscribed"] = foreseen, subscribed


def is_all(session: AsyncSession, told: Sequence[Mapping[str, Any]], filed: Sequence[Filed]) -> bool:
    """Whether nothing is left of what follows from these events, once they and the work for `filed` are written.

    What is left has to be done in the transaction that gives the events their positions: nobody comes for it later.
    Where this session gives none, the relay comes for everything.
    """
    foreseen: Foreseen | None = session.info.get("foreseen")
    if foreseen is None:
        return True
    messages = {str(one.message["id"]) for one in filed}
    return all(
        subscriber.__name__ in foreseen and event["data"].get("message_id") in messages
        for event in told
        for subscriber in session.info["subscribed"].get(event["type"], ())
    )


def work(
    services: Services,
    session: AsyncSession,
    filed: Sequence[Filed],
    *,
    inbox: Row,
    automatic: Automatic,
    now: datetime,
) -> Work:
    """What is expected to be done with filing."""
    together = Work()
    foreseen: Foreseen = session.info.get("foreseen", {})
    for foresee in foreseen.values() if filed else ():
        together.add(foresee(services, filed, inbox=inbox, automatic=automatic, now=now))
    return together


def done(session: AsyncSession, told: Sequence[Mapping[str, Any]], filed: Sequence[Filed]) -> None:
    """The work for these messages was written; `told` has their events, among others."""
    messages = {str(one.message["id"]) for one in filed}
    mine = [event["id"] for event in told if event["data"].get("message_id") in messages]
    names: Foreseen = session.info.get("foreseen", {})
    session.info.setdefault("done", set()).update((name, event_id) for name in names for event_id in mine)


def is_done(session: AsyncSession, subscriber: str, event_id: UUID) -> bool:
    return (subscriber, event_id) in session.info.get("done", ())
