"""What the routes that vendors call are handed, and how an inbox fares that only a person can help."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from helpdesk import clock
from helpdesk.channels import AccessRevoked, RawInbound, Unreachable
from helpdesk.db import new_id
from helpdesk.errors import NotFound
from helpdesk.hosting import VendorHost
from helpdesk.models.alerts import alerts
from helpdesk.models.events import events
from helpdesk.services import health
from helpdesk.services.house import Services
from tests import factories
from tests.social.vendor import CHANNEL, with_wall


async def test_what_a_webhook_brings_is_stored_once(services: Services) -> None:
    house = with_wall(services)
    inbox_id = await factories.inbox(house, channel="wall", name="us")
    host = VendorHost(house, [CHANNEL])
    assert (await host.inbox(inbox_id)).channel == "wall"
    batch = [RawInbound("m;1", b'{"text": "Help!"}', clock.now())]
    assert [await host.accept(inbox_id, batch) for _ in range(2)] == [1, 0]
    with pytest.raises(NotFound):
        await host.inbox(new_id())


async def test_an_account_that_nobody_has_is_told_of_once(services: Services) -> None:
    house = with_wall(services)
    inbox_id = await factories.inbox(house, channel="wall")
    for account in ("17", "17", "18"):
        await VendorHost(house, [CHANNEL]).unknown_account(inbox_id, account)
    async with house.database.reading() as session:
        kinds = (await session.execute(select(alerts.c.kind))).scalars().all()
    assert kinds == ["unknown_account"] * 2


async def test_what_only_a_person_can_end_is_told_at_once(services: Services) -> None:
    inbox_id = await factories.inbox(services)
    async with services.database.transaction() as session:
        await health.failed(session, inbox_id, Unreachable("no answer"), now=clock.now())
        assert (await session.execute(select(events).where(events.c.type == "inbox.failing"))).all() == []
        await health.failed(session, inbox_id, AccessRevoked("Log in again"), now=clock.now())
        await health.failed(session, inbox_id, AccessRevoked("Log in again"), now=clock.now())
        told = (await session.execute(select(events).where(events.c.type == "inbox.failing"))).mappings().all()
    assert [one["data"]["advice"] for one in told] == ["Log in again"]
