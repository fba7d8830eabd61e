"""Tidying up, and the alarm for inboxes that fail: once, with a recovery after."""

from __future__ import annotations

import os
import time
from datetime import timedelta

from sqlalchemy import select, update

from helpdesk.channels import Unreachable
from helpdesk.clock import now
from helpdesk.domain.values import SYSTEM, InboxStatus
from helpdesk.models.events import events
from helpdesk.models.inboxes import inboxes
from helpdesk.models.webhooks import webhook_deliveries
from helpdesk.services import blobs, health
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


async def test_what_webhooks_were_told_is_forgotten_after_a_month(quick: Services) -> None:
    webhook_id = await factories.webhook(quick)
    old, young = [await factories.webhook_delivery(quick, webhook_id, status="sent") for _ in range(2)]
    async with quick.database.transaction() as session:
        w = webhook_deliveries.c
        for delivery_id, days in ((old, 31), (young, 29)):
            past = now() - timedelta(days=days)
            await session.execute(update(webhook_deliveries).where(w.id == delivery_id).values(give_up_at=past))
    await tidy(quick)
    async with quick.database.reading() as session:
        assert (await session.execute(select(webhook_deliveries.c.id))).scalars().all() == [young]
