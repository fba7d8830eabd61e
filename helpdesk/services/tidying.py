"""Rows that would only ever grow, and for how long each kind is kept once it is of no more use.

Ids grow with time, so the oldest rows are the first ones by the primary key: a walk from there ends at the first row
that is too young, and needs no index of its own. Rows that have to stay longer are passed over. The audit, events, and
what people wrote are no such rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Table, delete, func, literal_column, select, true

from helpdesk.db import Database
from helpdesk.dialects import among
from helpdesk.domain.alerting import AlertStatus
from helpdesk.models.alerts import alert_notices, alerts
from helpdesk.models.jobs import jobs
from helpdesk.models.rules import automation_runs
from helpdesk.models.social import fingerprints, pending_changes
from helpdesk.models.visitors import visitor_codes, visitor_sessions
from helpdesk.models.webhooks import webhook_deliveries
from helpdesk.services import floods, notices
from helpdesk.services.webhook_deliveries import GIVE_UP_AFTER

BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows of one table, made at `at`, that go `kept` after that at the earliest, if `over` holds by then.

    `batch` is how many are looked at together, and at most go in one transaction.
    """

    name: str
    table: Table
    kept: timedelta
    over: Callable[[datetime], ColumnElement[bool]]
    at: str = "created_at"
    batch: int = BATCH


_MONTH: Final = timedelta(days=30)
_A: Final = alerts.c
_D: Final = webhook_deliveries.c


def _left(now: datetime) -> ColumnElement[bool]:
    """Sessions that ended, or that nobody could go on with, a month ago."""
    s = visitor_sessions.c
    return func.coalesce(s.ended_at, s.expires_at) <= now - _MONTH


KINDS: Final = (
    # Each takes its results along, up to ten thousand of them.
    Kind("jobs", jobs, _MONTH, lambda now: jobs.c.finished_at <= now - _MONTH, batch=20),
    # One that is told again has three days ahead once more, and a month from then.
    Kind("webhook_deliveries", webhook_deliveries, _MONTH, lambda now: _D.give_up_at <= now - (_MONTH - GIVE_UP_AFTER)),
    # What a rule on elapsed time has answered is what keeps it from answering again: that stays.
    Kind("automation_runs", automation_runs, timedelta(days=90), lambda _: automation_runs.c.event_id.is_not(None)),
    Kind("alert_notices", alert_notices, timedelta(days=90), lambda _: alert_notices.c.status != notices.QUEUED),
    Kind("fingerprints", fingerprints, floods.KEPT_FOR, lambda now: fingerprints.c.created_at <= now - floods.KEPT_FOR),
    Kind("visitor_codes", visitor_codes, timedelta(days=1), lambda now: visitor_codes.c.expires_at <= now),
    # What became of a message that never came.
    Kind("pending_changes", pending_changes, _MONTH, lambda _: true()),
    # What was said in them is told from others' by them: they stay for longer than conversations are gone on with.
    Kind("visitor_sessions", visitor_sessions, _MONTH, _left),
    # More than a year: some are raised once for a calendar's year, and must not be raised twice.
    Kind(
        "alerts",
        alerts,
        timedelta(days=400),
        lambda _: (_A.status != AlertStatus.OPEN.value) & _A.next_due_at.is_(None),
        at="raised_at",
    ),
)


async def forget(database: Database, kind: Kind, *, after: UUID | None, now: datetime) -> tuple[UUID | None, int]:
    """One batch behind `after`, the oldest first. Answers where the next one begins, None at the end; how many went.

    Looking is apart from deleting: where there is nothing to delete, nobody who writes has to wait.
    """
    row_id, at = kind.table.c.id, kind.table.c[kind.at]
    query = select(row_id, at, kind.over(now).label("over")).order_by(row_id).limit(literal_column(str(kind.batch)))
    if after is not None:
        query = query.where(row_id > after)
    async with database.reading() as session:
        found = (await session.execute(query)).all()
    old = [row for row in found if row[1] <= now - kind.kept]
    gone = await _delete(database, kind, [row[0] for row in old if row[2]], now=now)
    whole = len(old) == len(found) == kind.batch
    return (old[-1][0] if whole else None), gone


async def _delete(database: Database, kind: Kind, doomed: list[Any], *, now: datetime) -> int:
    if not doomed:
        return 0
    row_id = kind.table.c.id
    async with database.transaction() as session:
        # Asked again: it may have been taken up anew meanwhile.
        still = delete(kind.table).where(among(row_id, doomed, "uuid"), kind.over(now)).returning(row_id)
        return len((await session.execute(still)).all())
