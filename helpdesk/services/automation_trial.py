"""What a rule would have done lately: the question that `services.automation` asks, of events that are past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import automation
from helpdesk.models.events import events
from helpdesk.services.automation import matching
from helpdesk.services.automation_runs import origins_of
from helpdesk.statements import Row

MOST: Final = 500
"""Acts that are shown."""

MOST_EVENTS: Final = 50_000
"""Events that are looked through, of any kind: a busy week may have more."""

_E: Final = events.c


@dataclass(frozen=True, slots=True)
class Trial:
    """`complete` is false where there is more than is shown or looked through."""

    acts: Sequence[Row]
    complete: bool


async def would_act(session: AsyncSession, rule: RowMapping, *, since: datetime, now: datetime) -> Trial:
    """For which events since then the rule would have acted, the latest first, had it been there as it is.

    Its filter is asked of conversations as they are now. What it has done itself it would not have answered.
    """
    read = automation.read(rule["id"], rule["version"], rule["content"])
    oldest = await _oldest(session)
    wanted = and_(_E.position > oldest, _E.occurred_at >= since)
    found = await matching(session, read, wanted, now=now, most=MOST + 1)
    origins = await origins_of(session, _E.id.in_([one["id"] for one in found]))
    acts = [one for one in found if not _circular(read, origins.get(one["id"]))]
    reached = await session.scalar(select(_E.occurred_at).where(_E.position == oldest))
    seen = reached is None or reached < since
    return Trial(acts[:MOST], complete=seen and len(found) <= MOST)


async def _oldest(session: AsyncSession) -> int:
    """The position before the oldest event that is looked at: positions have no gaps worth speaking of."""
    query = select(_E.position).where(_E.position.is_not(None)).order_by(_E.position.desc()).limit(1)
    return max(0, (await session.scalar(query) or 0) - MOST_EVENTS)


def _circular(rule: automation.Rule, origin: automation.Origin | None) -> bool:
    depth = automation.depth_after(rule, origin)
    return depth is None or depth > automation.DEEPEST
