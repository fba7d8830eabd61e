"""Snoozed conversations wake by themselves. A message that comes in before wakes them as well; filing does that."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, String, bindparam, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable, ring
from helpdesk.domain.values import SYSTEM, Status
from helpdesk.models.conversations import conversations
from helpdesk.services import conversations as verbs
from helpdesk.services.house import Services

BATCH: Final = 100

_C: Final = conversations.c
_ASLEEP: Final = _C.status == literal_column(f"'{Status.SNOOZED.value}'", String())


def due() -> Select[Any]:
    """Conversations that `wake` would take at the time `:now`."""
    return select(_C.id).where(_ASLEEP, _C.snoozed_until <= bindparam("now", type_=_C.snoozed_until.type))


async def wake(services: Services, session: AsyncSession, *, now: datetime, most: int = BATCH) -> int:
    """Open those whose time has come, the earliest first, and none that somebody has in hand; answers how many.

    Their locks are taken without waiting and held until the transaction ends, so that any number may do this at once.
    Late, it is done once, with the time at which it is done.
    """
    query = select(conversations).where(_ASLEEP, _C.snoozed_until <= now).order_by(_C.snoozed_until).limit(most)
    rows = (await session.execute(claimable(query))).mappings().all()
    for row in sorted(rows, key=lambda one: str(one["id"])):
        await verbs.change(services, session, row, {"status": Status.OPEN}, by=SYSTEM, now=now)
    if len(rows) == most:
        ring(session, "snooze")
    return len(rows)
