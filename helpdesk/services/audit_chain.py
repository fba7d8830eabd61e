"""Chains what the audit says: rows get position and digest after their commit, by one worker at a time.

Entries are appended in many transactions at once, which may wait for nothing, so they are not chained there. Whoever
chains holds a lock until his transaction ends: the next one sees all that he did, and unique positions and the
database's own triggers would catch whoever did not. At the end of each day (UTC) it is noted where the chain stands.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    bindparam,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import Database, insert_rows, lock_name
from helpdesk.domain import audit_chain
from helpdesk.domain.audit_chain import BEGINNING, FIELDS, Broken, Link
from helpdesk.errors import NotFound
from helpdesk.models.agents import agents
from helpdesk.models.events import audit, audit_anchors
from helpdesk.writes import Update, write

BATCH: Final = 500
_LOCK: Final = "audit-chain"
_A: Final = audit.c
_ONE: Final[ColumnElement[Any]] = literal_column("1")
_COLUMNS: Final = tuple(audit.c[name] for name in (*FIELDS, "digest"))


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the chain stood at the end of `day`, which is over."""

    day: date
    link: Link


def unchained() -> Select[Any]:
    """Rows that `extend` would chain."""
    return select(_A.id).where(_A.position.is_(None))


def _due() -> Any:
    anchored = exists().where(audit_anchors.c.day == bindparam("day", type_=audit_anchors.c.day.type))
    ended = exists().where(_A.occurred_at < bindparam("midnight", type_=_A.occurred_at.type))
    return union_all(select(_ONE).where(unchained().exists()), select(_ONE).where(ended, ~anchored))


async def is_due(database: Database, *, now: datetime) -> bool:
    """Whether there are rows to chain, or a day has ended that has no anchor yet."""
    midnight = _midnight(now)
    values = {"midnight": midnight, "day": _yesterday(midnight).isoformat()}
    return bool(await database.fetch(database.prepared("audit chain", _due), values))


async def extend(session: AsyncSession, *, now: datetime) -> tuple[int, Anchor | None]:
    """Chain a batch of rows, in the order of their ids; answers how many, and the anchor if this made one.

    Does nothing while another does it. What commits later than its neighbours gets its place when it is seen.
    """
    if not await lock_name(session, _LOCK, wait=False):
        return 0, None
    rows = await _page(session, _A.position.is_(None), by=_A.id)
    at, changes = await head(session), []
    for row in rows:
        at = audit_chain.link(at, row)
        changes.append({"id": row["id"], "position": at.position, "digest": at.digest})
    await write(session, Update(audit, changes))
    return len(rows), await _anchor(session, now=now) if len(rows) < BATCH else None


async def head(session: AsyncSession) -> Link:
    """Where the chain stands."""
    return await _last(session) or BEGINNING


async def verify(database: Database, *, since: Link | None = None) -> Link | Broken:
    """Walk the chain in pages, and the anchors beside it; answers how far it is whole, or where it first is not.

    `since` is an anchor that was kept elsewhere: the walk begins at its entry, which has to have its digest.
    """
    given = {} if since is None else {since.position: {since.digest}}
    async with database.reading() as session:
        # What an anchor names has to be there: nothing else shows that the end of the chain was cut off.
        furthest = max(await session.scalar(select(func.max(audit_anchors.c.position))) or 0, *given, 0)
        at = BEGINNING if since is None else await _before(session, since.position)
        rows: Sequence[Any] = (None,) * BATCH
        while len(rows) == BATCH:
            rows = await _page(session, _A.position > at.position, by=_A.position)
            kept = await _kept(session, first=at.position, last=rows[-1]["position"]) if rows else {}
            found = audit_chain.follow(at, rows, kept | given)
            if isinstance(found, Broken):
                return found
            at = found
    return Broken(at.position + 1, "gap") if furthest > at.position else at


async def anchor_of(session: AsyncSession, day: date) -> Link:
    """Raises `NotFound` for a day without one."""
    query = select(audit_anchors.c.position, audit_anchors.c.digest).where(audit_anchors.c.day == day.isoformat())
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise NotFound("there is no anchor of that day")
    return Link(*found)


async def entries(database: Database) -> AsyncIterator[Mapping[str, Any]]:
    """All that is chained, in the order of the chain, each entry as it is covered and with its digest.

    Each page is a transaction of its own: whoever reads them may take his time.
    """
    at = 0
    rows: list[Any] = [None] * BATCH
    while len(rows) == BATCH:
        async with database.reading() as session:
            rows = await _page(session, _A.position > at, by=_A.position)
        for row in rows:
            at = row["position"]
            yield {**audit_chain.entry(row, at), "digest": row["digest"]}


async def list_entries(
    session: AsyncSession,
    *,
    actor_id: UUID | None = None,
    subject_type: str | None = None,
    subject_id: UUID | None = None,
    action: str | None = None,
    before: datetime | None = None,
    after: datetime | None = None,
    below: tuple[datetime, UUID] | None = None,
    limit: int,
) -> Sequence[RowMapping]:
    """The newest first, chained or not, with the names of agents. `below` is the last row of the page before."""
    wanted = {"actor_id": actor_id, "subject_type": subject_type, "subject_id": subject_id, "action": action}
    conditions = [audit.c[name] == value for name, value in wanted.items() if value is not None]
    if before is not None:
        conditions.append(_A.occurred_at < before)
    if after is not None:
        conditions.append(_A.occurred_at > after)
    if below is not None:
        at, last = literal(below[0], _A.occurred_at.type), literal(below[1], _A.id.type)
        conditions.append(tuple_(_A.occurred_at, _A.id) < tuple_(at, last))
    query = (
        select(audit, agents.c.name.label("actor_name"))
        .select_from(audit.outerjoin(agents, agents.c.id == _A.actor_id))
        .where(*conditions)
        .order_by(_A.occurred_at.desc(), _A.id.desc())
        .limit(limit)
    )
    return (await session.execute(query)).mappings().all()


async def _anchor(session: AsyncSession, *, now: datetime) -> Anchor | None:
    """Note where the chain stood when yesterday ended, once."""
    midnight = _midnight(now)
    day = _yesterday(midnight)
    if await session.scalar(select(audit_anchors.c.day).where(audit_anchors.c.day == day.isoformat())):
        return None
    at = await _last(session, _A.occurred_at < midnight)
    if at is None:
        return None
    row = {"day": day.isoformat(), "position": at.position, "digest": at.digest, "created_at": now}
    await insert_rows(session, audit_anchors, [row])
    return Anchor(day, at)


async def _before(session: AsyncSession, position: int) -> Link:
    """What the entry at `position` follows; one whose digest is gone cannot be followed."""
    if position <= 1:
        return BEGINNING
    digest = await session.scalar(select(_A.digest).where(_A.position == position - 1))
    return Link(position - 1, digest or BEGINNING.digest)


async def _kept(session: AsyncSession, *, first: int, last: int) -> dict[int, set[str]]:
    """The anchors' digests. Days on which nothing happened have the same position."""
    found: dict[int, set[str]] = {}
    query = select(audit_anchors.c.position, audit_anchors.c.digest)
    for position, digest in await session.execute(query.where(audit_anchors.c.position.between(first, last))):
        found.setdefault(position, set()).add(digest)
    return found


async def _last(session: AsyncSession, *conditions: Any) -> Link | None:
    query = select(_A.position, _A.digest).where(_A.position.is_not(None), *conditions)
    found = (await session.execute(query.order_by(_A.position.desc()).limit(1))).one_or_none()
    return Link(*found) if found else None


async def _page(session: AsyncSession, *conditions: Any, by: Any) -> list[dict[str, Any]]:
    query = select(*_COLUMNS).where(*conditions).order_by(by).limit(BATCH)
    return [dict(row) for row in (await session.execute(query)).mappings()]


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)


def _yesterday(midnight: datetime) -> date:
    return (midnight - timedelta(days=1)).date()
