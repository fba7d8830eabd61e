"""Work that takes longer than a request: started by somebody, done in batches by a worker, seen by who started it.

    queued → running → done | failed (also by whoever cancels it)

A claim is a lease with a fence, in the database's own time. Each batch is one transaction together with how far it got,
so whoever takes a job over goes on exactly there, and a worker that was overtaken finds its batch refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, false, func, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import LeaseLost
from helpdesk.db import claimable, insert_rows, new_id, ring
from helpdesk.dialects import epoch
from helpdesk.domain.values import Actor, AuthorKind, JobState, Role
from helpdesk.errors import Conflict, NotFound
from helpdesk.models.jobs import job_results, jobs
from helpdesk.services import audit

MAX_ATTEMPTS: Final = 5
_FIRST_WAIT: Final = 5.0

CANCELLED: Final = "cancelled"
"""The error of a job that somebody has ended before its time."""
WHOLE: Final = frozenset({"replan"})
"""Kinds that are not cancelled: of an edited promise, every clock follows it or none does."""

# The same words as in the partial index's condition, or the planner does not use it.
_OPEN: Final = jobs.c.state.in_([literal_column(f"'{s.value}'") for s in (JobState.QUEUED, JobState.RUNNING)])


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch did: `done` of the total were looked at, `changed` of these were changed.

    The next batch is given `cursor`; there is none when it is `over`. `total` corrects what was announced.
    """

    cursor: Mapping[str, Any]
    done: int
    changed: int
    over: bool
    total: int | None = None


async def start(
    session: AsyncSession, kind: str, arguments: Mapping[str, Any], *, total: int, by: Actor, now: datetime
) -> UUID:
    """Queue a job; workers are rung after the commit. `arguments` are JSON values: ids and settings, never contents."""
    job_id = new_id()
    row = {
        "id": job_id,
        "kind": kind,
        "state": JobState.QUEUED.value,
        "arguments": dict(arguments),
        "cursor": {},
        "total": total,
        "done": 0,
        "changed": 0,
        "attempts": 0,
        "error": "",
        "created_by": by.id,
        "created_at": now,
        "updated_at": now,
        "finished_at": None,
        "claimed_by": "",
        "claimed_until": 0.0,
        "claim": 0,
    }
    await insert_rows(session, jobs, [row])
    ring(session, "jobs")
    return job_id


def _sees_all(actor: Actor) -> bool:
    return actor.kind is AuthorKind.SYSTEM or actor.role is Role.ADMIN


async def get_job(session: AsyncSession, actor: Actor, job_id: UUID) -> RowMapping:
    """Administrators see all, others what they started. Raises `NotFound`."""
    found = (await session.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one_or_none()
    if found is None or not (_sees_all(actor) or (actor.id is not None and found["created_by"] == actor.id)):
        raise NotFound("there is no such job")
    return found


async def list_jobs(
    session: AsyncSession, actor: Actor, *, states: Collection[JobState], before: UUID | None, limit: int
) -> Sequence[RowMapping]:
    """The newest first, of those that the actor may see; `before` is the last one of the page before."""
    query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    if not _sees_all(actor):
        query = query.where(jobs.c.created_by == actor.id) if actor.id is not None else query.where(false())
    if states:
        query = query.where(jobs.c.state.in_([state.value for state in states]))
    if before is not None:
        query = query.where(jobs.c.id < before)
    return (await session.execute(query)).mappings().all()


async def cancel(session: AsyncSession, job: RowMapping, *, by: Actor, now: datetime) -> None:
    """Let it go no further. The batch in hand is rolled back, for its claim is gone; what was done before stays.

    Raises `Conflict` for what nobody began by himself, or has to be done `WHOLE`, since it would be left half done for
    everybody, and for what has come to its end.
    """
    if job["created_by"] is None or job["kind"] in WHOLE:
        raise Conflict("this job has to come to its end: half of it would be worse than none", slug="cannot_cancel")
    ended = await session.execute(
        update(jobs)
        .where(jobs.c.id == job["id"], _OPEN)
        .values(
            state=JobState.FAILED.value,
            error=CANCELLED,
            updated_at=now,
            finished_at=now,
            claimed_by="",
            claimed_until=0.0,
            claim=jobs.c.claim + 1,
        )
        .returning(jobs.c.id)
    )
    if ended.scalar_one_or_none() is None:
        raise Conflict("this job has come to its end", slug="job_over")
    await audit.record(
        session, "job.cancelled", subject="job", subject_id=job["id"], by=by, now=now, data={"kind": job["kind"]}
    )


def due(kinds: Collection[str]) -> Select[tuple[UUID]]:
    """Jobs of these kinds that nobody has in hand."""
    known = or_(false(), *(jobs.c.kind == literal_column(f"'{kind}'") for kind in sorted(kinds)))
    return select(jobs.c.id).where(_OPEN, jobs.c.claimed_until < epoch(), known)


async def claim(
    session: AsyncSession, *, worker: str, kinds: Collection[str], lease_seconds: float, now: datetime
) -> RowMapping | None:
    """Take the job that has waited longest. That counts as an attempt, so that one which kills workers is found out."""
    chosen = claimable(due(kinds).order_by(jobs.c.created_at, jobs.c.id).limit(1))
    taken = await session.execute(
        update(jobs)
        .where(jobs.c.id.in_(chosen.scalar_subquery()))
        .values(
            state=JobState.RUNNING.value,
            attempts=jobs.c.attempts + 1,
            updated_at=now,
            claimed_by=worker,
            claimed_until=epoch() + lease_seconds,
            claim=jobs.c.claim + 1,
        )
        .returning(*jobs.c)
    )
    return taken.mappings().one_or_none()


async def renew(session: AsyncSession, held: Collection[UUID], *, worker: str, lease_seconds: float) -> None:
    """Keep what a living worker has in hand, however long its batch takes."""
    await session.execute(
        update(jobs)
        .where(jobs.c.id.in_(held), jobs.c.claimed_by == worker, _OPEN, jobs.c.claimed_until > 0.0)
        .values(claimed_until=epoch() + lease_seconds)
    )


async def release(session: AsyncSession, *, worker: str) -> None:
    """Free what a worker had in hand: it stops, or is known to be gone."""
    await session.execute(
        update(jobs)
        .where(jobs.c.claimed_by == worker, _OPEN, jobs.c.claimed_until > 0.0)
        .values(claimed_by="", claimed_until=0.0)
    )


async def advance(
    session: AsyncSession, job: RowMapping, step: Step, *, lease_seconds: float, now: datetime
) -> RowMapping:
    """Record a batch, in the transaction that did it; answers the job as it is then. Raises `LeaseLost`."""
    return await _update(
        session,
        job,
        cursor=dict(step.cursor),
        done=jobs.c.done + step.done,
        changed=jobs.c.changed + step.changed,
        total=jobs.c.total if step.total is None else step.total,
        attempts=1,
        error="",
        updated_at=now,
        claimed_until=epoch() + lease_seconds,
    )


async def finish(session: AsyncSession, job: RowMapping, *, now: datetime) -> None:
    """Raises `LeaseLost`."""
    await _update(session, job, state=JobState.DONE.value, error="", updated_at=now, finished_at=now, claimed_until=0.0)


async def put_off(session: AsyncSession, job: RowMapping, *, error: str, now: datetime) -> None:
    """A batch failed: try again after a pause that doubles. Nobody holds the job meanwhile. Raises `LeaseLost`."""
    pause = _FIRST_WAIT * 2 ** (job["attempts"] - 1)
    await _update(session, job, error=error, updated_at=now, claimed_by="", claimed_until=epoch() + pause)


async def fail(session: AsyncSession, job: RowMapping, *, error: str, now: datetime) -> None:
    """For good. `error` is a class, never a text. What earlier batches did stays done. Raises `LeaseLost`."""
    await _update(
        session, job, state=JobState.FAILED.value, error=error, updated_at=now, finished_at=now, claimed_until=0.0
    )


async def _update(session: AsyncSession, job: RowMapping, **values: Any) -> RowMapping:
    changed = await session.execute(
        update(jobs)
        .where(jobs.c.id == job["id"], jobs.c.claim == job["claim"], _OPEN)
        .values(values)
        .returning(*jobs.c)
    )
    found = changed.mappings().one_or_none()
    if found is None:
        raise LeaseLost("another worker has taken this job over")
    return found


async def list_results(
    session: AsyncSession, job: RowMapping, *, after: int | None, limit: int
) -> Sequence[RowMapping]:
    """What became of each thing that was looked at so far, in order; `after` is the position of the last one seen."""
    r = job_results.c
    query = select(job_results).where(r.job_id == job["id"], r.position < job["done"]).order_by(r.position)
    if after is not None:
        query = query.where(r.position > after)
    return (await session.execute(query.limit(limit))).mappings().all()


async def count_refused(session: AsyncSession, found: Collection[RowMapping]) -> Mapping[UUID, int]:
    """How many of those were refused, for each job that has any."""
    r = job_results.c
    mine = r.job_id.in_([job["id"] for job in found])
    query = select(r.job_id, func.count()).where(mine, r.error != "").group_by(r.job_id)
    return {row[0]: row[1] for row in await session.execute(query)}
