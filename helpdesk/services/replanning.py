"""Running clocks follow an edited policy or calendar: only when somebody asks, in a job, a batch at a time.

What was broken stays broken, and what runs is computed from its start again, its pauses kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, RowMapping, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.clocks import Clock, State, Terms
from helpdesk.domain.sla import Ledger
from helpdesk.domain.values import Actor
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import sla_clocks
from helpdesk.services import audit, clock_rows, jobs, sla
from helpdesk.services.events import outbox, row, told
from helpdesk.services.house import Services
from helpdesk.services.jobs import Step
from helpdesk.services.promises import Book
from helpdesk.statements import Row
from helpdesk.writes import Insert, Update, write

KIND = "replan"
BATCH = 500
"""Conversations at a time: a second or so."""

_C = sla_clocks.c
# The same words as in the partial indexes' conditions, or the planner does not use them.
_RUNNING = _C.state.in_([literal_column(f"'{one.value}'") for one in (State.RUNNING, State.PAUSED, State.STOPPED)])
_COLUMNS: Mapping[str, Column[Any]] = {"policy_id": _C.policy_id, "business_hours_id": _C.business_hours_id}


async def start(
    session: AsyncSession, *, column: str, subject_id: UUID, version: int, by: Actor, now: datetime
) -> UUID:
    """Queue the job for the clocks of a policy (`policy_id`) or calendar (`business_hours_id`); answers its id."""
    total = await session.scalar(select(func.count()).where(*_of(column, subject_id))) or 0
    arguments = {"column": column, "id": str(subject_id)}
    job_id = await jobs.start(session, KIND, arguments, total=total, by=by, now=now)
    await audit.record(
        session,
        "sla.replanned",
        subject=column.removesuffix("_id"),
        subject_id=subject_id,
        by=by,
        now=now,
        data={"job_id": str(job_id), "version": version, "clocks": total},
    )
    return job_id


def _of(column: str, subject_id: UUID) -> Sequence[Any]:
    found = [_COLUMNS[column] == subject_id, _RUNNING]
    return found if column == "policy_id" else [*found, _C.business_hours_id.is_not(None)]


async def replan(services: Services, session: AsyncSession, job: RowMapping, /, *, now: datetime) -> Step:
    """One batch, in the order of the conversations. The job's cursor is the last of them that was seen."""
    column, subject_id = job["arguments"]["column"], UUID(job["arguments"]["id"])
    after = UUID(job["cursor"]["after"]) if job["cursor"] else UUID(int=0)
    query = select(_C.conversation_id).distinct().where(*_of(column, subject_id), _C.conversation_id > after)
    found = (await session.execute(query.order_by(_C.conversation_id).limit(BATCH))).scalars().all()
    if not found:
        return Step({}, 0, 0, over=True)
    done, changed = await _replan(services, session, found, column, subject_id, now=now)
    return Step({"after": str(found[-1])}, done, changed, over=len(found) < BATCH)


async def _replan(
    services: Services,
    session: AsyncSession,
    wanted: Sequence[UUID],
    column: str,
    subject_id: UUID,
    *,
    now: datetime,
) -> tuple[int, int]:
    """How many clocks were looked at, and how many are now due at another time."""
    locked = select(conversations).where(conversations.c.id.in_(wanted)).order_by(conversations.c.id)
    rows = (await session.execute(locked.with_for_update(key_share=True))).mappings().all()
    clocks = await sla.clocks_of(services, session, wanted)
    book = await services.promises.refresh(session)
    terms_of = await _terms(services, session, book, clocks, column, subject_id)
    together, moved, looked, due = clock_rows.Difference(), [], 0, 0
    for one in rows:
        before = clocks[one["id"]]
        ledger = Ledger(before, status=one["status"], now=now)
        ledger.retarget(now, terms_of)
        difference = clock_rows.difference(one["id"], before, ledger.clocks)
        together.add(difference)
        looked += sum(_is_meant(clock, column, subject_id) for clock in before)
        due += len(difference.changed)
        if difference.changed:
            moved.append({"id": one["id"], **clock_rows.repeated(ledger.clocks), "updated_at": now})
    part = outbox(session, [row(event, now=now) for event in together.events])
    changes = Update(sla_clocks, together.changed, by=clock_rows.KEY)
    *_, count = await write(session, changes, Insert(sla_clocks, together.new), Update(conversations, moved), part)
    if together.events:
        told(session, part, count)
    return looked, due


def _is_meant(clock: Clock, column: str, subject_id: UUID) -> bool:
    used = clock.terms.policy if column == "policy_id" else clock.terms.hours
    return clock.live and clock.breached_at is None and used is not None and used[0] == subject_id


async def _terms(
    services: Services,
    session: AsyncSession,
    book: Book,
    clocks: Mapping[UUID, Sequence[Clock]],
    column: str,
    subject_id: UUID,
) -> Callable[[Clock], Terms | None]:
    """What each clock is to run by: today's version of the policy or of the calendar, the other as it was."""
    if column == "policy_id":
        places = await _places(session, {one.origin.inbox_id for several in clocks.values() for one in several})
        policy = next((one for one in book.policies if one.id == subject_id), None)

        def by_policy(clock: Clock) -> Terms | None:
            if clock.terms.policy[0] != subject_id or policy is None:
                return clock.terms
            return book.terms_of(policy, places[clock.origin.inbox_id])

        return by_policy
    used = {
        clock.terms.policy: None
        for several in clocks.values()
        for clock in several
        if clock.terms.hours and clock.terms.hours[0] == subject_id
    }
    today = book.hours[subject_id].version if subject_id in book.hours else None
    keys: list[Row] = [
        {
            "policy_id": policy_id,
            "policy_version": version,
            "business_hours_id": subject_id,
            "business_hours_version": today,
        }
        for policy_id, version in used
    ]
    found = dict(zip(used, await services.promises.terms(session, keys) if today else (), strict=today is not None))

    def by_hours(clock: Clock) -> Terms | None:
        meant = clock.terms.hours is not None and clock.terms.hours[0] == subject_id
        return found.get(clock.terms.policy, clock.terms) if meant else clock.terms

    return by_hours


async def _places(session: AsyncSession, wanted: set[UUID]) -> dict[UUID, Row]:
    i = inboxes.c
    query = select(i.id, i.sla_policy_id, i.business_hours_id).where(i.id.in_(wanted))
    return {found["id"]: found for found in (await session.execute(query)).mappings()}
