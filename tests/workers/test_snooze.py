"""Snoozed conversations come back: by themselves when it is time, and before that when the contact writes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select

from helpdesk import clock
from helpdesk.models.events import events
from helpdesk.services import waking
from helpdesk.services.house import Services
from tests import factories
from tests.promised import MONDAY, Wall
from workers import snooze

HOUR = timedelta(hours=1)


async def told(services: Services, conversation_id: UUID) -> list[RowMapping]:
    query = select(events).where(
        events.c.conversation_id == conversation_id, events.c.type == "conversation.status_changed"
    )
    async with services.database.reading() as session:
        return list((await session.execute(query.order_by(events.c.seq))).mappings())


async def test_what_is_due_wakes_once_and_nothing_else_does(services: Services) -> None:
    wall = await Wall.build(services)
    now = clock.now()
    asleep: dict[str, Any] = {"status": "snoozed", "messages": 1, "now": now - 5 * HOUR}
    due = await factories.conversation(services, inbox_id=wall.inbox_id, snoozed_until=now - HOUR, **asleep)
    later = await factories.conversation(services, inbox_id=wall.inbox_id, snoozed_until=now + HOUR, **asleep)
    before = await wall.conversation(due)
    assert await asyncio.gather(*(snooze.wake(services) for _ in range(3))) in ([1, 0, 0], [0, 1, 0], [0, 0, 1])
    row = await wall.conversation(due)
    assert (row["status"], row["snoozed_until"], row["version"]) == ("open", None, before["version"] + 1)
    assert row["status_changed_at"] >= now
    (event,) = await told(services, due)
    assert event["data"] == {"before": "snoozed", "after": "open", "by": "system"}
    assert event["seq"] == before["seq"] + 1
    assert (await wall.conversation(later))["status"] == "snoozed"
    assert await snooze.wake(services) == 0
    await wall.close()


async def test_more_than_a_batch_wakes_in_several(services: Services) -> None:
    wall = await Wall.build(services)
    now = clock.now()
    for number in range(3):
        given: dict[str, Any] = {"status": "snoozed", "snoozed_until": now - number * HOUR, "messages": 0}
        await factories.conversation(services, inbox_id=wall.inbox_id, **given)
    found = []
    for _ in range(3):
        async with services.database.transaction() as session:
            found.append(await waking.wake(services, session, now=now, most=2))
    assert found == [2, 1, 0]
    await wall.close()


async def test_a_message_wakes_it_before_its_time_and_says_since_when_it_is_open(services: Services) -> None:
    wall = await Wall.build(services)
    mail = await wall.writes(at=MONDAY)
    await wall.changes(mail, at=MONDAY + HOUR, snoozed_until=MONDAY + 48 * HOUR)
    row = await wall.conversation(mail)
    assert (row["status"], row["status_changed_at"]) == ("snoozed", MONDAY + HOUR)
    await wall.writes(at=MONDAY + 2 * HOUR, into=mail)
    row = await wall.conversation(mail)
    assert (row["status"], row["snoozed_until"]) == ("open", None)
    assert row["status_changed_at"] == MONDAY + 2 * HOUR
    assert [one["data"]["after"] for one in await told(services, mail)] == ["snoozed", "open"]
    await wall.close()


async def test_it_is_known_since_when_somebody_has_it(services: Services) -> None:
    wall = await Wall.build(services)
    anna = await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=wall.inbox_id, now=MONDAY)
    await wall.changes(mail, at=MONDAY + HOUR, assignee_id=anna.id)
    assert (await wall.conversation(mail))["assigned_at"] == MONDAY + HOUR
    await wall.changes(mail, at=MONDAY + 2 * HOUR, status="pending", priority=3)
    row = await wall.conversation(mail)
    assert (row["assigned_at"], row["status_changed_at"]) == (MONDAY + HOUR, MONDAY + 2 * HOUR)
    await wall.changes(mail, at=MONDAY + 3 * HOUR, assignee_id=None)
    row = await wall.conversation(mail)
    assert (row["assigned_at"], row["status_changed_at"]) == (None, MONDAY + 2 * HOUR)
    await wall.close()
