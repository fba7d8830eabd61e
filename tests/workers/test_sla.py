"""The loop of promises: all that is due in one step, and what fails keeps nothing else from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.models.alerts import alerts
from helpdesk.models.sla import sla_clocks
from helpdesk.services import sweep
from helpdesk.services.house import Services
from tests import factories
from tests.promised import DAY, HOUR, Wall
from workers import sla


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    await factories.agent(services, role="admin")
    built = await Wall.build(services)
    yield built
    await built.close()


async def test_a_step_settles_climbs_and_calls(wall: Wall, services: Services) -> None:
    now = clock.now()
    mail = await wall.waits(at=now - DAY - HOUR)
    assert await sla.keep_promises(services) == 1
    assert (await wall.clock(mail, "first_response"))["state"] == "breached"
    await wall.relays(now)
    assert await sla.keep_promises(services) == 1
    (alert,) = await wall.alerts()
    assert alert["conversation_id"] == mail
    await wall.set(alerts, alert["id"], next_due_at=now)
    assert await sla.keep_promises(services) == 1
    assert await sla.keep_promises(services) == 0


async def test_a_clock_at_fault_silences_no_ladder_and_no_alert(wall: Wall, services: Services) -> None:
    now = clock.now()
    mail = await wall.waits(at=now - DAY - HOUR)
    async with services.database.transaction() as session:
        await sweep.settle(services, session, now=now)
    await wall.relays(now)
    bad = await wall.waits(at=now - 2 * DAY)
    async with services.database.transaction() as session:
        at_fault = update(sla_clocks).where(sla_clocks.c.conversation_id == bad)
        await session.execute(at_fault.values(policy_version=99))
    with pytest.raises(KeyError):
        await sla.keep_promises(services)
    (alert,) = await wall.alerts()
    assert alert["conversation_id"] == mail
    assert alert["next_due_at"] > now - timedelta(minutes=1)
