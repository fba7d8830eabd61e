"""How webhooks are told: claiming what is due, recording what became of it.

A message has its event's id as `webhook-id`: sent again, it is the same message and the receiver knows it. So a claim
is only a lease with a fence, and one that ran out is repeated. Of a failure the class is kept, never the receiver's
words.

What is told of one conversation goes out one after the other, by position: the next one is claimed when the one before
has ended. Other conversations do not wait for it.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, bindparam, exists, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.db import claimable
from helpdesk.dialects import epoch
from helpdesk.domain.actions import Alert
from helpdesk.domain.values import SYSTEM
from helpdesk.models.webhooks import webhook_deliveries, webhooks
from helpdesk.services import alerts, audit
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services

GONE: Final = 410
DEAD_AFTER: Final = timedelta(days=5)
"""Without one success, nobody is thought to be there any more."""

_ADMINS: Final = Alert(who=("admins",), agent_ids=(), severity="warning", acknowledge=None)
_FIRST_WAIT, _LONGEST_WAIT = 10.0, 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery in hand, and where it goes."""

    delivery: RowMapping
    webhook: RowMapping


def due() -> Select[tuple[UUID]]:
    """Deliveries of which `claim` would take some at the time `:now`."""
    return _due(bindparam("now", type_=webhook_deliveries.c.next_attempt_at.type))


def _due(now: Any) -> Select[tuple[UUID]]:
    return select(webhook_deliveries.c.id).where(
        webhook_deliveries.c.status == literal_column("'queued'"),
        webhook_deliveries.c.next_attempt_at <= now,
        webhook_deliveries.c.claimed_until < epoch(),
        webhook_deliveries.c.webhook_id.in_(select(webhooks.c.id).where(webhooks.c.enabled)),
        or_(webhook_deliveries.c.conversation_id.is_(None), ~_behind(webhook_deliveries)),
    )


def _behind(late: Any) -> Any:
    """Whether an earlier message of the same conversation is still to be sent to the same webhook."""
    # The words of the condition are those of the partial index, or the planner does not use it.
    before = webhook_deliveries.alias("before").c
    return exists().where(
        before.webhook_id == late.c.webhook_id,
        before.conversation_id == late.c.conversation_id,
        before.position < late.c.position,
        before.status == literal_column("'queued'"),
        before.conversation_id.is_not(None),
    )


async def claim(
    session: AsyncSession,
    *,
    worker: str,
    limit: int,
    busy: Collection[UUID] = (),
    healthy_only: bool = False,
    lease_seconds: float,
    now: datetime,
) -> list[Claimed]:
    """Take due deliveries of enabled webhooks that are not `busy`, the oldest first; an attempt counts from here.

    `healthy_only` leaves those out that have failed last time.
    """
    wanted = _due(now).where(webhook_deliveries.c.webhook_id.not_in(list(busy)))
    if healthy_only:
        healthy = select(webhooks.c.id).where(webhooks.c.failing_since.is_(None))
        wanted = wanted.where(webhook_deliveries.c.webhook_id.in_(healthy))
    chosen = claimable(wanted.order_by(webhook_deliveries.c.next_attempt_at, webhook_deliveries.c.id).limit(limit))
    taken = await session.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id.in_(chosen.scalar_subquery()))
        .values(
            claimed_by=worker,
            claimed_until=epoch() + lease_seconds,
            claim=webhook_deliveries.c.claim + 1,
            attempts=webhook_deliveries.c.attempts + 1,
        )
        .returning(*webhook_deliveries.c)
    )
    claimed = list(taken.mappings().all())
    if not claimed:
        return []
    found = await session.execute(select(webhooks).where(webhooks.c.id.in_({row["webhook_id"] for row in claimed})))
    places = {row["id"]: row for row in found.mappings()}
    return [Claimed(row, places[row["webhook_id"]]) for row in claimed if row["webhook_id"] in places]


async def renew(session: AsyncSession, held: Collection[UUID], *, worker: str, lease_seconds: float) -> None:
    """Keep what a living worker has in hand."""
    mine = webhook_deliveries.c.id.in_(held), webhook_deliveries.c.claimed_by == worker
    await session.execute(
        update(webhook_deliveries)
        .where(*mine, webhook_deliveries.c.status == "queued", webhook_deliveries.c.claimed_until > 0.0)
        .values(claimed_until=epoch() + lease_seconds)
    )


async def release(session: AsyncSession, *, worker: str) -> None:
    """Free the claims of a worker that is known to be gone."""
    await session.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.claimed_by == worker, webhook_deliveries.c.status == "queued")
        .values(claimed_until=0.0)
    )


async def sent(services: Services, session: AsyncSession, claimed: Claimed, *, status: int, now: datetime) -> None:
    """The receiver has it. Raises `LeaseLost` when another worker took over, as all that record do."""
    await _end(session, claimed, status="sent", last_status=status, error="", sent_at=now)
    await session.execute(
        update(webhooks)
        .where(webhooks.c.id == claimed.webhook["id"], webhooks.c.failing_since.is_not(None))
        .values(failing_since=None)
    )


async def refused(
    services: Services,
    session: AsyncSession,
    claimed: Claimed,
    *,
    status: int | None,
    error: str,
    wait: timedelta,
    now: datetime,
) -> None:
    """Not taken: try again after `wait` at the earliest, with growing pauses, until `give_up_at`; then it has failed.

    410 says that nobody wants to be told there any more, and so do five days without a success: the webhook is
    switched off, and every administrator is told.
    """
    delivery = claimed.delivery
    again = now + max(wait, backoff(delivery["attempts"]))
    if status == GONE or again > delivery["give_up_at"]:
        await _end(session, claimed, status="failed", last_status=status, error=error)
    else:
        await _end(session, claimed, last_status=status, error=error, next_attempt_at=again)
    w, since = webhooks.c, claimed.webhook["failing_since"]
    if since is None:
        first = update(webhooks).where(w.id == delivery["webhook_id"], w.failing_since.is_(None))
        await session.execute(first.values(failing_since=now))
    if status == GONE:
        await _switch_off(services, session, delivery["webhook_id"], reason="gone", now=now)
    elif since is not None and now - since >= DEAD_AFTER:
        await _switch_off(services, session, delivery["webhook_id"], reason="failing", now=now)


async def _switch_off(
    services: Services, session: AsyncSession, webhook_id: UUID, *, reason: str, now: datetime
) -> None:
    """Unless it is off already, or has taken a message meanwhile: several may be refused at the same time."""
    w = webhooks.c
    off = {"enabled": False, "disabled_reason": reason, "version": w.version + 1, "updated_at": now}
    mine = [w.id == webhook_id, w.enabled]
    if reason == "failing":
        mine.append(w.failing_since <= now - DEAD_AFTER)
    version = await session.scalar(update(webhooks).where(*mine).values(off).returning(w.version))
    if version is None:
        return
    await audit.record(
        session,
        "webhook.disabled",
        subject="webhook",
        subject_id=webhook_id,
        data={"reason": reason},
        by=SYSTEM,
        now=now,
    )
    subject = Subject(f"webhook_disabled:{webhook_id}:{version}", "webhook_disabled")
    data = {"webhook_id": str(webhook_id), "change": reason}
    await alerts.call(services, session, subject, [_ADMINS], None, data=data, now=now)


def backoff(attempt: int) -> timedelta:
    """10 s doubling to four hours, with full jitter, so that receivers that come back are not met by everybody."""
    ceiling = min(_FIRST_WAIT * 2 ** min(attempt - 1, 16), _LONGEST_WAIT)
    return timedelta(seconds=random.uniform(1.0, ceiling))  # noqa: S311 - spreads load, guards nothing


async def _end(session: AsyncSession, claimed: Claimed, **values: Any) -> None:
    delivery = claimed.delivery
    done = await session.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id == delivery["id"], webhook_deliveries.c.claim == delivery["claim"])
        .values(**values, claimed_until=0.0)
        .returning(webhook_deliveries.c.id)
    )
    if done.scalar_one_or_none() is None:
        raise LeaseLost("another worker has taken this delivery over")
