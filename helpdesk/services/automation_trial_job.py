"""Trying a rule on a long time: a job that goes through what has happened, with a result for each conversation.

On events it goes from the latest back, on time from the oldest on; each batch only reads what it writes results of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows
from helpdesk.dialects import among
from helpdesk.domain import automation
from helpdesk.domain.automation import Elapsed, Rule
from helpdesk.domain.values import Actor
from helpdesk.models.conversations import conversations
from helpdesk.models.jobs import job_results
from helpdesk.models.sla import setting_versions
from helpdesk.services import automation_elapsed, automation_trial, jobs
from helpdesk.services.automation_trial import Act
from helpdesk.services.house import Services
from helpdesk.services.jobs import Step

KIND: Final = "automation_trial"
BATCH: Final = 1000
"""Events, or conversations; results of them are written in one transaction."""

MOST: Final = 10_000
"""Conversations that are told of: whoever would act in more has seen enough."""

_J: Final = job_results.c


async def start(session: AsyncSession, rule: RowMapping, *, days: int, by: Actor, now: datetime) -> UUID:
    """Queue it for the rule as it is now; answers the job's id."""
    since = now - timedelta(days=days)
    arguments: dict[str, Any] = {"rule_id": str(rule["id"]), "version": rule["version"]}
    arguments |= {"since": since.isoformat(), "until": now.isoformat()}
    first, newest = (
        await automation_trial.first_position(session, since),
        await automation_trial.newest_position(session),
    )
    timed = "elapsed" in rule["content"]["when"]
    arguments |= {} if timed else {"first": first, "newest": newest}
    return await jobs.start(session, KIND, arguments, total=0 if timed else newest - first + 1, by=by, now=now)


async def handle(services: Services, session: AsyncSession, job: RowMapping, /, *, now: datetime) -> Step:
    """One batch (`workers.jobs.Handler`)."""
    given = job["arguments"]
    v = setting_versions.c
    query = select(v.content).where(v.subject_id == UUID(given["rule_id"]), v.version == given["version"])
    content = (await session.execute(query)).scalar_one()
    rule = automation.read(UUID(given["rule_id"]), given["version"], content)
    if rule.elapsed is not None:
        return await _along_time(services, session, job, rule, rule.elapsed)
    newest = job["cursor"].get("newest", given["newest"])
    oldest = max(given["first"], newest - BATCH + 1)
    acts = await automation_trial.of_events(session, rule, oldest, newest, now=now)
    written, full = await _write(session, job, acts, content)
    over = full or oldest <= given["first"]
    return Step({"newest": oldest - 1}, max(0, newest - oldest + 1), written, over=over)


async def _along_time(services: Services, session: AsyncSession, job: RowMapping, rule: Rule, elapsed: Elapsed) -> Step:
    since, until = (datetime.fromisoformat(job["arguments"][name]) for name in ("since", "until"))
    clocks = await automation_elapsed.clocks_of(services, session, elapsed)
    number, kept, total = job["cursor"].get("clock", 0), job["cursor"].get("after"), None
    if not job["cursor"]:
        due = automation_elapsed.lasted(elapsed, clocks, begun_at=since, now=until)
        total = await session.scalar(select(func.count()).select_from(conversations).where(due)) or 0
    if number >= len(clocks):
        return Step(job["cursor"], 0, 0, over=True, total=total)
    clock, latest = clocks[number], elapsed.latest(clocks[number].time, until)
    after = automation_elapsed.read_place(kept) or automation_elapsed.begin(elapsed, clock, since)
    found: dict[UUID, datetime] = {}
    if latest is not None:
        query = automation_elapsed.following(elapsed, clock, after, latest, most=BATCH)
        found = {one: at for at, one in await session.execute(query)}
    acts = await automation_trial.of_conversations(session, rule, elapsed, clock, found, now=until)
    written, full = await _write(session, job, acts, {"do": [{"do": action.do} for action in rule.actions]})
    if len(found) < BATCH:
        cursor: dict[str, Any] = {"clock": number + 1}
    else:
        last, at = next(reversed(found.items()))
        cursor = {"clock": number, "after": automation_elapsed.written((at, last))}
    over = full or cursor["clock"] >= len(clocks)
    return Step(cursor, len(found), written, over=over, total=total)


async def _write(session: AsyncSession, job: RowMapping, acts: Sequence[Act], content: Any) -> tuple[int, bool]:
    """A row for each conversation; answers how many are new, and whether there are as many as are told of."""
    times = Counter(act.conversation_id for act in acts)
    latest = {act.conversation_id: act for act in reversed(acts)}
    known = select(_J.subject_id, _J.position, _J.detail).where(_J.job_id == job["id"])
    mine = await session.execute(known.where(among(_J.subject_id, list(times), "uuid")))
    for subject_id, position, detail in mine.all():
        count, _, rest = detail.partition(" ")
        again = f"{int(count) + times.pop(subject_id)} {rest}"
        same = update(job_results).where(_J.job_id == job["id"], _J.position == position)
        await session.execute(same.values(detail=again))
    number = await session.scalar(select(func.count()).select_from(job_results).where(_J.job_id == job["id"])) or 0
    does = ", ".join(action["do"] for action in content["do"])
    new = [
        {
            "job_id": job["id"],
            "position": number + place,
            "subject_id": subject_id,
            "changed": True,
            "error": "",
            "detail": f"{count} × {does}; #{latest[subject_id].number}, last {latest[subject_id].at.isoformat()}",
        }
        for place, (subject_id, count) in enumerate(times.items())
    ][: MOST - number]
    if new:
        await insert_rows(session, job_results, new)
    return len(new), number + len(new) >= MOST
