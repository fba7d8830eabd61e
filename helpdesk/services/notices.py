"""Notices: an alert on its way to a mailbox or a chat room. What is queued for one address leaves together.

After a standstill a hundred conversations may have been broken at once; whoever answers for them gets one letter.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, bindparam, exists, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.db import lock_name, new_id
from helpdesk.dialects import epoch
from helpdesk.domain.alerting import Severity
from helpdesk.models.agents import agents
from helpdesk.models.alerts import alert_notices, alert_routes, alerts
from helpdesk.models.conversations import conversations
from helpdesk.models.sla import escalations
from helpdesk.services import duty
from helpdesk.statements import Row
from helpdesk.writes import Insert, write

TOGETHER = 500
"""Notices in one letter."""
GATHERING = timedelta(seconds=30)
"""How long the first alert waits at most for those that ladders are about to raise."""
GIVE_UP_AFTER = timedelta(hours=24)
LEAST_ATTEMPTS = 8
"""Before one is given up: what waited for the end of quiet hours, or for a worker, may be as old when first tried."""
QUEUED, SENT, FAILED, DROPPED = "queued", "sent", "failed", "dropped"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Claimed notices for one address: an agent's or a room's row, and what each of them is about."""

    agent: RowMapping | None
    route: RowMapping | None
    notices: Sequence[Row]
    alerts: Sequence[Row]

    @property
    def ids(self) -> list[UUID]:
        return [notice["id"] for notice in self.notices]


async def queue(session: AsyncSession, alert: Row, agent_ids: Sequence[UUID], *, now: datetime) -> None:
    """One for each agent, when his quiet hours let it through, and one for each room that wants such alerts."""
    critical = alert["severity"] == Severity.CRITICAL
    quiet = {} if critical or not agent_ids else await duty.quiet_until_of(session, agent_ids, now=now)
    rooms = await _rooms(session, alert)
    rows = [_row(alert, now=now, agent_id=one, at=quiet.get(one) or now) for one in agent_ids]
    rows += [_row(alert, now=now, route_id=room, at=now) for room in rooms]
    await write(session, Insert(alert_notices, rows))


def _row(
    alert: Row, *, now: datetime, at: datetime, agent_id: UUID | None = None, route_id: UUID | None = None
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "alert_id": alert["id"],
        "level": alert["level"],
        "agent_id": agent_id,
        "route_id": route_id,
        "status": QUEUED,
        "attempts": 0,
        "error": "",
        "created_at": now,
        "next_attempt_at": at,
        "sent_at": None,
        "claimed_by": "",
        "claimed_until": 0.0,
        "claim": 0,
    }


async def _rooms(session: AsyncSession, alert: Row) -> Sequence[UUID]:
    r = alert_routes.c
    loud = [one.value for one in Severity if one.rank <= Severity(alert["severity"]).rank]
    theirs = or_(r.team_id.is_(None), r.team_id == alert["team_id"])
    query = select(r.id).where(r.enabled, r.severity.in_(loud), theirs).order_by(r.id).limit(100)
    return (await session.execute(query)).scalars().all()


def due() -> Select[Any]:
    """Notices that `claim` would take at `:now`."""
    n = alert_notices.c
    return select(n.id).where(
        n.status == literal_column(f"'{QUEUED}'"),
        n.next_attempt_at <= bindparam("now", type_=n.next_attempt_at.type),
        n.claimed_until < epoch(),
    )


async def claim(session: AsyncSession, *, worker: str, lease_seconds: float, now: datetime) -> Bundle | None:
    """Everything that is due for whoever has waited longest; nothing yet while ladders are being climbed.

    Each conversation's are climbed in a transaction of their own: without this the first one would leave alone. One
    worker claims at a time, or two would share the notices of one address, and send two letters.
    """
    await lock_name(session, "notices")
    n = alert_notices.c
    ready = (n.status == QUEUED, n.next_attempt_at <= now, n.claimed_until < epoch())
    gathered = or_(n.next_attempt_at <= now - GATHERING, ~exists().where(escalations.c.next_due_at <= now))
    oldest = select(n.agent_id, n.route_id).where(*ready, gathered).order_by(n.next_attempt_at, n.id).limit(1)
    first = (await session.execute(oldest.with_for_update(key_share=True, skip_locked=True))).one_or_none()
    if first is None:
        return None
    agent_id, route_id = first
    same = n.agent_id == agent_id if agent_id else n.route_id == route_id
    chosen = select(n.id).where(*ready, same).order_by(n.next_attempt_at, n.id).limit(TOGETHER)
    taken = (
        update(alert_notices)
        .where(n.id.in_(chosen.with_for_update(key_share=True, skip_locked=True).scalar_subquery()))
        .values(claimed_by=worker, claimed_until=epoch() + lease_seconds, claim=n.claim + 1, attempts=n.attempts + 1)
        .returning(*n)
    )
    rows = (await session.execute(taken)).mappings().all()
    if not rows:
        return None
    return await _bundle(session, agent_id, route_id, rows)


async def _bundle(session: AsyncSession, agent_id: UUID | None, route_id: UUID | None, rows: Sequence[Row]) -> Bundle:
    about = (
        select(alerts, conversations.c.number, conversations.c.channel, conversations.c.priority)
        .outerjoin(conversations, conversations.c.id == alerts.c.conversation_id)
        .where(alerts.c.id.in_({row["alert_id"] for row in rows}))
        .order_by(alerts.c.id)
    )
    table, wanted = (agents, agent_id) if agent_id else (alert_routes, route_id)
    person = (await session.execute(select(table).where(table.c.id == wanted))).mappings().one()
    return Bundle(
        agent=person if agent_id else None,
        route=None if agent_id else person,
        notices=sorted(rows, key=lambda row: row["id"]),
        alerts=(await session.execute(about)).mappings().all(),
    )


async def sent(session: AsyncSession, bundle: Bundle, *, now: datetime) -> None:
    await _held(session, bundle)
    await _set(session, bundle.ids, status=SENT, sent_at=now, error="")


async def failed(session: AsyncSession, bundle: Bundle, *, error: str, permanent: bool, now: datetime) -> None:
    """Try again later, with growing delays and jitter, unless it is no use. Each is given up by its own age."""
    await _held(session, bundle)
    hopeless = [one["id"] for one in bundle.notices if permanent or _is_given_up(one, now)]
    await _set(session, hopeless, status=FAILED, error=error)
    attempt = min(notice["attempts"] for notice in bundle.notices)
    ceiling = min(30.0 * 2 ** min(attempt - 1, 6), 1800.0)
    delay = timedelta(seconds=random.uniform(ceiling / 2, ceiling))  # noqa: S311 - spreads load, guards nothing
    again = [notice_id for notice_id in bundle.ids if notice_id not in hopeless]
    await _set(session, again, next_attempt_at=now + delay, error=error)


def _is_given_up(notice: Row, now: datetime) -> bool:
    return bool(notice["attempts"] >= LEAST_ATTEMPTS and now - notice["created_at"] > GIVE_UP_AFTER)


async def _held(session: AsyncSession, bundle: Bundle) -> None:
    """Raises `LeaseLost` where another worker has taken them meanwhile."""
    n = alert_notices.c
    claims = {notice["id"]: notice["claim"] for notice in bundle.notices}
    held = select(n.id, n.claim).where(n.id.in_(bundle.ids)).order_by(n.id).with_for_update(key_share=True)
    mine = [notice_id for notice_id, claim in await session.execute(held) if claims[notice_id] == claim]
    if len(mine) < len(claims):
        raise LeaseLost("another worker has taken these notices over")


async def _set(session: AsyncSession, notice_ids: Sequence[UUID], **values: Any) -> None:
    if notice_ids:
        mine = alert_notices.c.id.in_(notice_ids)
        await session.execute(update(alert_notices).where(mine).values(**values, claimed_until=0.0))


async def drop(session: AsyncSession, alert_ids: Sequence[UUID]) -> None:
    """What has not left yet about these need not any more. Locked in the order in which senders lock them."""
    n = alert_notices.c
    waiting = (
        select(n.id).where(n.alert_id.in_(alert_ids), n.status == QUEUED).order_by(n.id).with_for_update(key_share=True)
    )
    found = (await session.execute(waiting)).scalars().all()
    if found:
        await session.execute(update(alert_notices).where(n.id.in_(found)).values(status=DROPPED))


async def release(session: AsyncSession, *, worker: str) -> None:
    """Free the claims of a worker that is known to be gone."""
    n = alert_notices.c
    await session.execute(
        update(alert_notices).where(n.claimed_by == worker, n.status == QUEUED).values(claimed_until=0.0)
    )


async def renew(session: AsyncSession, held: Collection[UUID], *, worker: str, lease_seconds: float) -> None:
    """Keep what a living worker has in hand."""
    n = alert_notices.c
    mine = (n.id.in_(held), n.claimed_by == worker, n.claimed_until > 0.0)
    await session.execute(update(alert_notices).where(*mine).values(claimed_until=epoch() + lease_seconds))
