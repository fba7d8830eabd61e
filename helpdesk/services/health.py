"""How an inbox fares: when it last worked, since when it fails, and saying so once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import BudgetSpent, ChannelError
from helpdesk.db import is_postgresql
from helpdesk.domain.events import InboxFailing, InboxRecovered
from helpdesk.domain.values import InboxStatus
from helpdesk.models.inboxes import inbox_states, inboxes
from helpdesk.services.events import record

NOTED_EVERY = timedelta(seconds=60)


async def succeeded(session: AsyncSession, inbox_id: UUID, *, now: datetime) -> None:
    """The inbox works. Ends a failure, and tells of the recovery when the failure had been told."""
    state = inbox_states.c
    reported = await session.scalar(
        select(state.failing_reported_at).where(state.inbox_id == inbox_id).with_for_update(key_share=True)
    )
    await session.execute(
        update(inbox_states)
        .where(
            state.inbox_id == inbox_id,
            or_(
                state.failing_since.is_not(None),
                state.last_success_at.is_(None),
                state.last_success_at < now - NOTED_EVERY,
            ),
        )
        .values(last_success_at=now, failing_since=None, failing_reported_at=None, error_kind="", error_detail="")
    )
    if reported is not None:
        await record(session, InboxRecovered(inbox_id=inbox_id), now=now)


async def failed(session: AsyncSession, inbox_id: UUID, error: ChannelError, *, now: datetime) -> None:
    """An attempt failed. The alarm is another matter (see `report`), unless waiting can mend nothing."""
    maker = postgresql.insert if is_postgresql(session) else sqlite.insert
    told = {"error_kind": error.kind, "error_detail": error.detail}
    statement = maker(inbox_states).values(inbox_id=inbox_id, cursor={}, failing_since=now, **told)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["inbox_id"]))
    await session.execute(update(inbox_states).where(inbox_states.c.inbox_id == inbox_id).values(told))
    await session.execute(
        update(inbox_states)
        .where(inbox_states.c.inbox_id == inbox_id, inbox_states.c.failing_since.is_(None))
        .values(failing_since=now)
    )
    if error.urgent or isinstance(error, BudgetSpent):
        await report(session, after=timedelta(0), only=inbox_id, now=now)


async def report(session: AsyncSession, *, after: timedelta, only: UUID | None = None, now: datetime) -> Sequence[UUID]:
    """`inbox.failing`, once per failure, for inboxes that have not worked for `after`; for one of them with `only`."""
    active = select(inboxes.c.id).where(inboxes.c.state == InboxStatus.ACTIVE.value, inboxes.c.deleted_at.is_(None))
    found = await session.execute(
        update(inbox_states)
        .where(
            inbox_states.c.failing_since <= now - after,
            inbox_states.c.failing_reported_at.is_(None),
            inbox_states.c.inbox_id.in_(active),
            *([inbox_states.c.inbox_id == only] if only else []),
        )
        .values(failing_reported_at=now)
        .returning(inbox_states.c.inbox_id, inbox_states.c.error_kind, inbox_states.c.error_detail)
    )
    failing = found.all()
    told = (InboxFailing(inbox_id=inbox_id, kind=kind, advice=advice) for inbox_id, kind, advice in failing)
    await record(session, *told, now=now)
    return [inbox_id for inbox_id, *_ in failing]
