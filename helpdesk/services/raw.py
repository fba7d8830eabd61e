"""Raw items that could not be read, put back in line."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import ring
from helpdesk.domain.values import RawState
from helpdesk.models.inboxes import raw_items


async def reprocess(session: AsyncSession, inbox_id: UUID, *, message_id: UUID | None, now: datetime) -> int:
    """Failed items of an inbox are received again; answers how many. `message_id` names one by its visible entry."""
    item = raw_items.c
    mine = update(raw_items).where(item.inbox_id == inbox_id, item.state == RawState.FAILED.value)
    if message_id is not None:
        mine = mine.where(item.message_id == message_id)
    again = {"state": RawState.RECEIVED.value, "attempts": 0, "error": "", "next_attempt_at": now}
    done = await session.execute(mine.values(again).returning(item.id))
    ring(session, "file")
    return len(done.all())
