"""Tidying up, and the alarm for inboxes that fail: once, with a recovery after."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, select, update

from helpdesk.channels import Unreachable
from helpdesk.clock import now
from helpdesk.db import new_id
from helpdesk.domain.values import SYSTEM, InboxStatus
from helpdesk.models.alerts import alert_notices, alerts
from helpdesk.models.events import events
from helpdesk.models.inboxes import inboxes
from helpdesk.models.jobs import job_results, jobs
from helpdesk.models.rules import automation_runs
from helpdesk.models.visitors import visitor_proofs
from helpdesk.models.visitors import visitor_sessions as session_rows
from helpdesk.models.webhooks import webhook_deliveries
from helpdesk.services import blobs, health, tidying, visitor_sessions
from helpdesk.services import inboxes as inbox_service
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from tests import factories
from workers.housekeeping import report_failing, tidy


async def _told(services: Services) -> list[str]:
    async with services.database.reading() as session:
        kinds = ["inbox.failing", "inbox.recovered"]
        return list(
            (
                await session.execute(select(events.c.type).where(events.c.type.in_(kinds)).order_by(events.c.id))
            ).scalars()
        )


async def test_files_that_no_row_names_are_deleted_after_a_day(quick: Services) -> None:
    inbox_id = await factories.inbox(quick)
    kept, orphan, young = await blobs.stage(quick, [b"kept", b"orphan", b"young"])
    keys, owner = Keys(quick.keyring), f"inbox:{inbox_id}"
    async with quick.database.transaction() as session:
        await keys.load(session, owner)
        (blob_id,) = await blobs.adopt(quick, session, keys, [(owner, kept)], now=now())
    long_ago = time.time() - timedelta(days=2).total_seconds()
    for blob in (kept, orphan):
        (path,) = (quick.settings.data / "blobs").rglob(blob.name)
        os.utime(path, (long_ago, long_ago))
    await tidy(quick)
    there = {path.name for path in (quick.settings.data / "blobs").rglob("*") if path.is_file()}
    assert there == {kept.name, young.name}
    async with quick.database.reading() as session:
        assert await blobs.get(quick, session, blob_id) == b"kept"


async def test_a_failing_inbox_is_told_once_and_its_recovery_once(quick: Services) -> None:
    inbox_id = await factories.inbox(quick)
    for _ in range(3):
        async with quick.database.transaction() as session:
            await health.failed(session, inbox_id, Unreachable("nobody answers"), now=now())
        await report_failing(quick)
    assert await _told(quick) == ["inbox.failing"]
    for _ in range(2):
        async with quick.database.transaction() as session:
            await health.succeeded(session, inbox_id, now=now())
    assert await _told(quick) == ["inbox.failing", "inbox.recovered"]


async def test_a_failure_that_passes_in_time_is_not_told(quick: Services) -> None:
    inbox_id = await factories.inbox(quick)
    async with quick.database.transaction() as session:
        await health.failed(session, inbox_id, Unreachable("a hiccup"), now=now())
        assert await health.report(session, after=timedelta(minutes=3), now=now()) == []
        await health.succeeded(session, inbox_id, now=now())
    await report_failing(quick)
    assert await _told(quick) == []


async def test_a_paused_inbox_is_not_told_to_fail(quick: Services) -> None:
    inbox_id = await factories.inbox(quick)
    async with quick.database.transaction() as session:
        await health.failed(session, inbox_id, Unreachable("nobody answers"), now=now())
        version = await session.scalar(select(inboxes.c.version).where(inboxes.c.id == inbox_id))
        row = await inbox_service.get_inbox(session, SYSTEM, inbox_id, version=version)
        await inbox_service.edit(quick, session, row, state=InboxStatus.PAUSED, by=SYSTEM, now=now())
    await report_failing(quick)
    assert await _told(quick) == []


async def _aged(services: Services, table: Table, row_id: UUID, days: float, **values: Any) -> UUID:
    """Made so many days ago."""
    at = now() - timedelta(days=days)
    made = {name: at for name in ("created_at", "raised_at") if name in table.c}
    async with services.database.transaction() as session:
        await session.execute(update(table).where(table.c.id == row_id).values(**made, **values))
    return row_id


async def _left(services: Services, table: Table) -> set[UUID]:
    async with services.database.reading() as session:
        return set((await session.execute(select(table.c.id))).scalars())


async def test_what_webhooks_were_told_is_forgotten_after_a_month(quick: Services) -> None:
    webhook_id = await factories.webhook(quick)
    given_up = {"give_up_at": now() - timedelta(days=28)}
    for days, values in ((31, given_up), (29, given_up), (200, {"give_up_at": now() - timedelta(days=9)})):
        made = await factories.webhook_delivery(quick, webhook_id, status="sent")
        await _aged(quick, webhook_deliveries, made, days, **values)
    before = await _left(quick, webhook_deliveries)
    await tidy(quick)
    gone = before - await _left(quick, webhook_deliveries)
    assert len(gone) == 1, "one is young, and one was told again lately"


async def test_finished_jobs_go_with_their_results_and_waiting_ones_stay(
    quick: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = now() - timedelta(days=31)
    waiting = await _aged(quick, jobs, await factories.job(quick), 99)
    old = [await _aged(quick, jobs, await factories.job(quick), 31, finished_at=long_ago) for _ in range(3)]
    late = await _aged(quick, jobs, await factories.job(quick), 31, finished_at=now())
    rows = [{"job_id": one, "position": 0, "subject_id": one, "error": "", "detail": ""} for one in (*old, late)]
    async with quick.database.transaction() as session:
        await session.execute(job_results.insert(), rows)
    (kind,) = (replace(one, batch=2) for one in tidying.KINDS if one.name == "jobs")
    monkeypatch.setattr(tidying, "KINDS", (kind,))
    await tidy(quick)
    assert await _left(quick, jobs) == {waiting, late}
    async with quick.database.reading() as session:
        assert (await session.execute(select(job_results.c.job_id))).scalars().all() == [late]


async def test_alerts_go_after_more_than_a_year_and_how_they_were_sent_after_a_quarter(quick: Services) -> None:
    anna = await factories.agent(quick)
    talk = await factories.conversation(quick, inbox_id=await factories.inbox(quick))
    over = {"status": "resolved", "next_due_at": None}
    kept, told = set(), set()
    for days, values in ((401, over), (399, over), (401, {"status": "open"})):
        alert_id = await _aged(quick, alerts, await factories.alert(quick, talk, anna.id), days, **values)
        kept |= {alert_id} if (days, values) != (401, over) else set()
    for days, status in ((91, "sent"), (91, "queued"), (89, "failed")):
        row = {"id": new_id(), "alert_id": min(kept), "agent_id": anna.id, "status": status, "level": 0, "error": ""}
        at = now() - timedelta(days=days)
        async with quick.database.transaction() as session:
            await session.execute(alert_notices.insert().values(**row, created_at=at, next_attempt_at=at))
        told |= {row["id"]} if (days, status) != (91, "sent") else set()
    await tidy(quick)
    assert await _left(quick, alerts) == kept
    assert told <= await _left(quick, alert_notices)
    async with quick.database.reading() as session:
        old = select(alert_notices.c.id).where(alert_notices.c.status == "sent")
        assert (await session.execute(old)).all() == []


async def test_of_what_rules_did_only_what_keeps_them_from_doing_it_again_is_kept_for_good(quick: Services) -> None:
    talk = await factories.conversation(quick, inbox_id=await factories.inbox(quick))
    ids = {}
    for name, days, event_id in (("old", 91, new_id()), ("young", 89, new_id()), ("elapsed", 500, None)):
        ids[name] = new_id()
        row = {"id": ids[name], "key": name, "rule_id": new_id(), "conversation_id": talk, "event_id": event_id}
        async with quick.database.transaction() as session:
            at = now() - timedelta(days=days)
            await session.execute(automation_runs.insert().values(**row, actions=[], created_at=at))
    await tidy(quick)
    assert await _left(quick, automation_runs) == {ids["young"], ids["elapsed"]}


async def test_what_visitors_left_behind_goes_a_month_after_it_is_of_use(quick: Services) -> None:
    desk, left = await factories.inbox(quick, channel="chat"), {}
    for name, days, ended in (("old", 61, None), ("ended", 31, 31), ("used", 31, None), ("lately", 99, 2)):
        at = now() - timedelta(days=days)
        given = {"identity": None, "name": "", "email": "", "language": "en", "fields": {}}
        async with quick.database.transaction() as session:
            opened = await visitor_sessions.begin(quick, session, desk, **given, now=at)
            left[name] = opened.visitor.session_id
            values = {"ended_at": ended and now() - timedelta(days=ended), "created_at": at}
            mine = update(session_rows).where(session_rows.c.id == left[name])
            await session.execute(mine.values({key: value for key, value in values.items() if value}))
            for minutes in (-61, 59):
                proof = {
                    "inbox_id": desk,
                    "digest": f"{name} {minutes}",
                    "expires_at": now() + timedelta(minutes=minutes),
                }
                await session.execute(visitor_proofs.insert().values(proof))
    await tidy(quick)
    assert await _left(quick, session_rows) == {left["used"], left["lately"]}
    async with quick.database.reading() as session:
        digests = (await session.execute(select(visitor_proofs.c.digest))).scalars()
        assert {one.rpartition(" ")[2] for one in digests} == {"59"}
