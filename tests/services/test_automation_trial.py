"""Trying rules: bounded at once, and as a job for as long a time as one likes, with the same answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, select, update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.models.events import events
from helpdesk.models.jobs import job_results, jobs
from helpdesk.services import automation_rules as rule_verbs
from helpdesk.services import automation_trial, automation_trial_job
from helpdesk.services.automation_trial import Trial
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.services.test_automation import asks, talk, writes
from workers.jobs import Jobs

DAY = timedelta(days=1)


async def tried(services: Services, rule_id: UUID, *, days: int, now: datetime) -> Trial:
    async with services.database.reading() as session:
        rule = await rule_verbs.get_rule(session, rule_id)
        return await automation_trial.would_act(services, session, rule, since=now - days * DAY, now=now)


async def worked_out(
    services: Services, rule_id: UUID, *, days: int, now: datetime
) -> tuple[RowMapping, Sequence[Any]]:
    """The job when it is over, and its results."""
    async with services.database.transaction() as session:
        rule = await rule_verbs.get_rule(session, rule_id)
        job_id = await automation_trial_job.start(session, rule, days=days, by=SYSTEM, now=now)
    worker = Jobs(services, worker="one")
    while await worker.step():
        pass
    async with services.database.reading() as session:
        job = (await session.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one()
        query = select(job_results).where(job_results.c.job_id == job_id).order_by(job_results.c.position)
        return job, (await session.execute(query)).mappings().all()


async def test_a_job_finds_what_a_look_finds_batch_by_batch(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule_id = await factories.automation_rule(services, condition=asks("message.text", "stolen", "contains"))
    talks = [await talk(services) for _ in range(3)]
    for number, text in enumerate(["stolen", "hello", "stolen", "stolen again", "more", "nothing", "stolen", "it is"]):
        await writes(services, talks[number % 3], text)
    now = clock.now()
    trial = await tried(services, rule_id, days=1, now=now)
    monkeypatch.setattr(automation_trial_job, "BATCH", 3)
    job, results = await worked_out(services, rule_id, days=30, now=now)
    expected = Counter(act.conversation_id for act in trial.acts)
    assert sum(expected.values()) == 4
    assert {row["subject_id"]: int(row["detail"].split()[0]) for row in results} == expected
    assert [row["position"] for row in results] == list(range(len(expected)))
    assert (job["state"], job["done"], job["changed"]) == ("done", job["total"], len(expected))
    last = next(act for act in trial.acts if act.conversation_id == results[0]["subject_id"])
    assert results[0]["detail"].endswith(f"× tag; #{last.number}, last {last.at.isoformat()}")


async def test_a_rule_on_time_is_tried_by_what_has_come_due(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    elapsed = {"since": "created_at", "minutes": 60, "business_time": True}
    await factories.hours(services, weekly=[[["00:00", "24:00"]]] * 7, default=True)
    rule_id = await factories.automation_rule(services, elapsed=elapsed, condition=asks("status", "open"), now=now)
    ages = [timedelta(minutes=30), timedelta(hours=2), 3 * DAY, 20 * DAY]
    ids = [await talk(services, now=now - age) for age in ages]
    await talk(services, now=now - DAY, status="closed")
    week = await tried(services, rule_id, days=7, now=now)
    assert [(act.conversation_id, act.at, act.event_id) for act in week.acts] == [
        (ids[1], now - timedelta(hours=1), None),
        (ids[2], now - 3 * DAY + timedelta(hours=1), None),
    ]
    assert week.complete
    monkeypatch.setattr(automation_trial_job, "BATCH", 2)
    job, results = await worked_out(services, rule_id, days=30, now=now)
    assert [row["subject_id"] for row in results] == [ids[3], ids[2], ids[1]]
    assert (job["state"], job["total"], job["done"], job["changed"]) == ("done", 4, 4, 3)


@ON_ONE_DATABASE
async def test_the_first_event_since_a_time_is_found_by_bisection(services: Services) -> None:
    now = clock.now()
    mail = await talk(services)
    for _ in range(6):
        await writes(services, mail)
    async with services.database.transaction() as session:
        assert await automation_trial.first_position(session, now + DAY) == 8
        assert await automation_trial.first_position(session, now - DAY) == 1
        await session.execute(update(events).where(events.c.position <= 4).values(occurred_at=now - DAY))
        assert await automation_trial.first_position(session, now - timedelta(hours=1)) == 5


@ON_ONE_DATABASE
async def test_a_look_says_where_it_ends(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    rule_id, mail = await factories.automation_rule(services), await talk(services)
    for _ in range(5):
        await writes(services, mail)
    now = clock.now()
    for name, count in (("MOST", 2), ("MOST_LOOKED", 3)):
        with monkeypatch.context() as patched:
            patched.setattr(automation_trial, name, count)
            found = await tried(services, rule_id, days=1, now=now)
            assert (len(found.acts), found.complete) == (count, False)
    assert (await tried(services, rule_id, days=1, now=now)).complete
