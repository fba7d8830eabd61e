"""Notices: what leaves together, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from helpdesk.domain.values import Role
from helpdesk.models.alerts import alert_notices
from helpdesk.services import climbing, notices, sweep
from helpdesk.services.house import Services
from tests import factories
from tests.promised import DAY, MONDAY, Wall

LATER = MONDAY + DAY + timedelta(minutes=1)


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    """Two conversations whose promise was broken while nobody looked, and one supervisor; nothing is climbed yet."""
    await factories.agent(services, role=Role.SUPERVISOR.value)
    made = await Wall.build(services)
    for minute in (0, 1):
        await made.writes(at=MONDAY - timedelta(minutes=minute))
    async with services.database.transaction() as session:
        await sweep.settle(services, session, now=LATER)
    await made.relays(LATER)
    yield made
    await made.close()


async def _climb(wall: Wall) -> None:
    async with wall.services.database.transaction() as session:
        await climbing.climb(wall.services, session, now=LATER)


async def _claimed(wall: Wall, *, after: timedelta = timedelta()) -> int:
    """How many notices would leave together."""
    async with wall.services.database.transaction() as session:
        bundle = await notices.claim(session, worker="here", lease_seconds=60, now=LATER + after)
    return len(bundle.ids) if bundle else 0


async def test_alerts_that_ladders_are_about_to_raise_are_waited_for_and_leave_in_one_letter(wall: Wall) -> None:
    await _climb(wall)
    assert len(await wall.rows(alert_notices)) == 1
    assert await _claimed(wall) == 0
    await _climb(wall)
    assert await _claimed(wall) == 2


async def test_a_ladder_that_is_never_climbed_does_not_hold_up_the_others_for_long(wall: Wall) -> None:
    await _climb(wall)
    assert await _claimed(wall, after=notices.GATHERING) == 1
    async with wall.services.database.reading() as session:
        assert await session.scalar(select(alert_notices.c.claimed_by)) == "here"
