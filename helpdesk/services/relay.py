"""The relay: gives committed events their position and turns them into work, one relay at a time.

Positions are what resuming streams and webhook order use. They are given after the commit, because ids and serials
commit out of order; or with it, by one writer at a time (`events.outbox_ahead`), and then they are noted for the relay.
What a subscriber does is rows in the relay's own transaction, so it happens exactly once; a subscriber that fails is
remembered per event and tried again, and holds nobody else up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import (
    CTE,
    Executable,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, unring
from helpdesk.dialects import among
from helpdesk.logs import fault
from helpdesk.models.events import events, followers, pending_work, undistributed
from helpdesk.models.inboxes import leases
from helpdesk.services import leases as leasing
from helpdesk.services.events import NUMBERED, take_numbered
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


def _held() -> CTE:
    """The caller's lease, which stays his until the transaction ends. Empty where it is another's by now."""
    mine = leases.c.name == bindparam("lease", type_=leases.c.name.type)
    current = leases.c.fence == bindparam("fence", type_=leases.c.fence.type)
    return select(leases.c.name).where(mine, current).with_for_update(read=True).cte("held")


_COUNTER = followers.c.name == literal_column(f"'{NUMBERED}'")


def _last() -> Executable:
    """The last position, as long as nobody else can give any."""
    return select(followers.c.position).where(_COUNTER, exists(select(_held().c.name))).with_for_update(key_share=True)


def _position() -> Executable:
    """Constraints would catch whoever else did it."""
    waiting = unnumbered().order_by(events.c.id).limit(literal_column(str(BATCH))).subquery("waiting")
    last = bindparam("last", type_=events.c.position.type)
    place = last + func.row_number().over(order_by=waiting.c.id)
    numbered = select(waiting.c.id, place.label("position")).subquery("numbered")
    return (
        update(events)
        .where(events.c.id == numbered.c.id, events.c.position.is_(None))
        .values(position=numbered.c.position)
        .returning(*events.c)
    )


def _move() -> Executable:
    to = bindparam("last", type_=followers.c.position.type)
    return update(followers).where(_COUNTER).values(position=to).returning(followers.c.name)


def _ahead() -> Executable:
    noted = numbered_ahead().where(exists(select(_held().c.name)))
    return noted.order_by(undistributed.c.position).limit(literal_column(str(BATCH)))


def _taken() -> Executable:
    taken = delete(undistributed).where(among(undistributed.c.position, "positions", "bigint"))
    return taken.returning(undistributed.c.position)


_LAST, _POSITION, _MOVE = Statement(_last), Statement(_position), Statement(_move)
_AHEAD, _TAKEN = Statement(_ahead), Statement(_taken)
_EVENTS = Statement(lambda: select(events).where(among(events.c.position, "positions", "bigint")))


async def acquire(session: AsyncSession, lease: str, *, owner: str, seconds: float) -> int | None:
    """`leases.acquire`, for one who will `relay`: whoever was first begins to count, from what there is.

    A release that did not count may have been at work meanwhile: then it goes on from what that has left.
    """
    fence = await leasing.acquire(session, lease, owner=owner, seconds=seconds)
    if fence is not None:
        highest = select(func.coalesce(func.max(events.c.position), 0)).scalar_subquery()
        begun = select(literal_column(f"'{NUMBERED}'"), highest).where(true())
        begin = insert_ignoring(session, followers, on=["name"])
        await session.execute(begin.from_select(["name", "position"], begun))
        behind = followers.c.position < highest
        await session.execute(update(followers).where(_COUNTER, behind).values(position=highest))
    return fence


async def _next(session: AsyncSession, *, ahead: bool, **lease: Any) -> list[Row]:
    """Events to hand on, in order, with positions for those that had none; none where the lease is another's.

    `ahead`: those as well that have theirs from who wrote them, and before all that gets one now.
    """
    counted = await _LAST.rows(session, **lease)
    if not counted:
        return []
    taken = await _take(session, **lease) if ahead else []
    if len(taken) >= BATCH:
        return taken  # there may be more of them
    found: list[Row] = list(await _POSITION.rows(session, last=counted[0]["position"]))
    if found:
        await _MOVE.rows(session, last=counted[0]["position"] + len(found))
    return taken + found


async def _take(session: AsyncSession, **lease: Any) -> list[Row]:
    """Events that have their positions from who wrote them, and were handed on to nobody yet."""
    positions = [noted["position"] for noted in await _AHEAD.rows(session, **lease)]
    if not positions:
        return []
    await _TAKEN.rows(session, positions=positions)
    return list(await _EVENTS.rows(session, positions=positions))


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
            batch += await _next(session, ahead=first, lease=lease, fence=fence)
            batch.sort(key=lambda event: event["position"])
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


def numbered_ahead() -> Select[Any]:
    """Events with positions that `relay` would hand on."""
    return select(undistributed.c.position)


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
