"""The relay: gives committed events their position and turns them into work, one relay at a time.

Positions are what resuming streams and webhook order use. They are given after the commit, because ids and serials
commit out of order. What a subscriber does is rows in the relay's own transaction, so it happens exactly once; a
subscriber that fails is remembered per event and tried again, and holds nobody else up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import Executable, Select, and_, bindparam, delete, exists, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, unring
from helpdesk.logs import fault
from helpdesk.models.events import events, pending_work
from helpdesk.models.inboxes import leases
from helpdesk.services.events import take_numbered
from helpdesk.services.foreseen import is_done
from helpdesk.services.house import Services
from helpdesk.statements import Row, Statement

log = structlog.get_logger()

BATCH = 500
GIVE_UP_AFTER = 12


class Subscriber(Protocol):
    """A function that makes work of events, in the given session. `__name__` identifies it for ever."""

    __name__: str

    def __call__(
        self, services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime
    ) -> Awaitable[None]: ...


Subscriptions = Mapping[str, Sequence[Subscriber]]


def _position() -> Executable:
    """One statement claims, numbers and returns: the lease keeps other relays out, the constraint would catch them.

    It holds the lease until the transaction ends, and finds nothing where that is another's.
    """
    held = (
        select(leases.c.name)
        .where(
            leases.c.name == bindparam("lease", type_=leases.c.name.type),
            leases.c.fence == bindparam("fence", type_=leases.c.fence.type),
        )
        .with_for_update(read=True)
        .cte("held")
    )
    waiting = (
        select(events.c.id)
        .where(events.c.position.is_(None), exists(select(held.c.name)))
        .order_by(events.c.id)
        .limit(literal_column(str(BATCH)))
        .subquery("waiting")
    )
    last = select(func.coalesce(func.max(events.c.position), literal_column("0"))).scalar_subquery()
    numbered = select(waiting.c.id, (last + func.row_number().over(order_by=waiting.c.id)).label("position")).subquery(
        "numbered"
    )
    return (
        update(events)
        .where(events.c.id == numbered.c.id, events.c.position.is_(None))
        .values(position=numbered.c.position)
        .returning(*events.c)
    )


_POSITION = Statement(_position)


async def relay(
    services: Services,
    session: AsyncSession,
    subscriptions: Subscriptions,
    *,
    lease: str,
    fence: int,
    careful: bool,
    now: datetime,
) -> Sequence[Row]:
    """Position a batch of events, and those that come of it, and run their subscribers. Answers the events, in order.

    What this session has told with positions already (`events.number`) is all that is looked at, unless it told more.
    Answers none where the lease went to another. A subscriber that raises fails the whole batch, unless `careful`: then
    each is fenced in by savepoints, which cost two round trips, and what fails is kept for later. Callers are careful
    after a failure, and only then.
    """
    happened: list[Row] = []
    # One for all of its types: what it asks of the database it asks once.
    types: dict[Subscriber, set[str]] = {}
    for type_, subscribers in subscriptions.items():
        for subscriber in subscribers:
            types.setdefault(subscriber, set()).add(type_)
    # What subscribers tell is positioned in the same transaction; what that leads to can wait for the next one.
    for first in (True, False):
        batch, unnumbered = take_numbered(session)
        if unnumbered or not batch:
            found = await _POSITION.rows(session, lease=lease, fence=fence)
            batch += sorted(found, key=lambda event: event["position"])
        happened += batch
        for subscriber, its in types.items():
            mine = [e for e in batch if e["type"] in its and not is_done(session, subscriber.__name__, e["id"])]
            if not mine:
                continue
            if careful:
                await _run(services, session, subscriber, mine, now=now)
            else:
                await subscriber(services, session, mine, now=now)
        if not (first and len(batch) < BATCH and unring(session, "relay")):
            break
    return happened


async def _run(
    services: Services, session: AsyncSession, subscriber: Subscriber, mine: Sequence[Row], *, now: datetime
) -> None:
    """All at once; when that fails, one by one, and what still fails is kept for later."""
    if await _attempt(session, lambda: subscriber(services, session, mine, now=now)):
        return
    for event in mine:
        if not await _attempt(session, lambda event=event: subscriber(services, session, [event], now=now)):  # type: ignore[misc]
            await session.execute(
                insert_ignoring(session, pending_work, on=["event_id", "subscriber"]).values(
                    event_id=event["id"],
                    subscriber=subscriber.__name__,
                    attempts=1,
                    next_attempt_at=now + timedelta(seconds=5),
                    error="failed",
                    given_up=False,
                )
            )


async def _attempt(session: AsyncSession, work: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with session.begin_nested():
            await work()
    except Exception as error:  # a subscriber's fault must not stop the relay; it is logged and repeated
        log.error("subscriber.failed", **fault(error))
        return False
    return True


def unnumbered() -> Select[Any]:
    """Events that `relay` would position."""
    return select(events.c.id).where(events.c.position.is_(None))


def late() -> Select[Any]:
    """Subscribers that `retry` would try again at the time `:now`."""
    return select(pending_work.c.event_id, pending_work.c.subscriber, pending_work.c.attempts).where(
        pending_work.c.given_up.is_(False),
        pending_work.c.next_attempt_at <= bindparam("now", type_=pending_work.c.next_attempt_at.type),
    )


_LATE = Statement(lambda: late().order_by(pending_work.c.next_attempt_at).limit(literal_column("50")))


async def retry(services: Services, session: AsyncSession, subscriptions: Subscriptions, *, now: datetime) -> int:
    """Try failed subscribers again, with growing delays; after `GIVE_UP_AFTER` attempts a person has to look."""
    due = await _LATE.rows(session, now=now)
    if not due:
        return 0
    found = await session.execute(select(events).where(events.c.id.in_({work["event_id"] for work in due})))
    happened = {event["id"]: event for event in found.mappings()}
    due.sort(key=lambda work: happened[work["event_id"]]["position"])
    names = {subscriber.__name__: subscriber for several in subscriptions.values() for subscriber in several}
    for work in due:
        subscriber, event = names.get(work["subscriber"]), happened[work["event_id"]]
        mine = and_(pending_work.c.event_id == event["id"], pending_work.c.subscriber == work["subscriber"])
        if subscriber is not None and await _attempt(
            session,
            lambda event=event, subscriber=subscriber: subscriber(services, session, [event], now=now),  # type: ignore[misc]
        ):
            await session.execute(delete(pending_work).where(mine))
            continue
        attempts = work["attempts"] + 1
        await session.execute(
            update(pending_work)
            .where(mine)
            .values(
                attempts=attempts,
                next_attempt_at=now + timedelta(seconds=min(5 * 2**attempts, 3600)),
                given_up=attempts >= GIVE_UP_AFTER,
            )
        )
    return len(due)
