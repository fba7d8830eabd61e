"""The watch: work that nobody rang for is found, and nothing is rung where there is none."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from helpdesk.clock import now
from helpdesk.db import new_id
from helpdesk.domain.events import InboxRecovered
from helpdesk.models.events import events, pending_work
from helpdesk.models.inboxes import inboxes, raw_items
from helpdesk.models.messages import deliveries
from helpdesk.services.events import record
from helpdesk.services.house import Services
from tests.house import Desk, House, mail
from workers.watch import Watch

ALL = ("receive", "process", "relay", "deliver")


class Looking:
    """A watch over some loops, of which this worker reads what it is told that it reads."""

    def __init__(self, services: Services, *loops: str, runs: set[tuple[UUID, int]] | None = None) -> None:
        self._rung: list[str] = []
        self._watch = Watch(services, loops or ALL, ring=self._rung.extend, runs=lambda: runs or set())

    async def look(self) -> list[str]:
        """The loops that are rung by one look."""
        assert await self._watch.step() == 0
        rung = list(self._rung)
        self._rung.clear()
        return rung


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


async def read(house: House, desk: Desk) -> set[tuple[UUID, int]]:
    row = await house.row(inboxes, inboxes.c.id == desk.id)
    return {(row["id"], row["version"])}


async def test_nothing_is_rung_where_there_is_nothing_to_do(services: Services, house: House, desk: Desk) -> None:
    assert await Looking(services, runs=await read(house, desk)).look() == []


async def test_each_loop_is_rung_for_its_own_work(services: Services, house: House, desk: Desk) -> None:
    watch = Looking(services, runs=await read(house, desk))
    await house.post(desk, mail("Mina <mina@customer.test>"))
    assert await watch.look() == ["process"]
    await house.process()
    assert await watch.look() == ["relay"]
    await house.relay()
    assert await watch.look() == ["deliver"]
    await house.deliver()
    await house.drain()
    assert await watch.look() == []


async def test_what_another_has_in_hand_is_rung_for_when_the_claim_runs_out(
    services: Services, house: House, desk: Desk
) -> None:
    await house.post(desk, mail("Mina <mina@customer.test>"))
    watch = Looking(services, "process")
    for until, rung in ((4e9, []), (0.0, ["process"])):
        async with services.database.transaction() as session:
            await session.execute(update(raw_items).values(claimed_until=until))
        assert await watch.look() == rung


async def test_what_is_put_off_is_rung_for_when_it_is_due(services: Services, house: House, desk: Desk) -> None:
    await house.post(desk, mail("Mina <mina@customer.test>"))
    await house.process()
    await house.relay()
    watch = Looking(services, "deliver")
    for when, rung in ((now() + timedelta(hours=1), []), (now(), ["deliver"])):
        async with services.database.transaction() as session:
            await session.execute(update(deliveries).values(next_attempt_at=when))
        assert await watch.look() == rung


async def test_the_relay_is_rung_for_a_subscriber_that_is_to_be_tried_again(services: Services) -> None:
    async with services.database.transaction() as session:
        await record(session, InboxRecovered(inbox_id=new_id()), now=now())
    async with services.database.transaction() as session:
        found = await session.execute(update(events).values(position=1).returning(events.c.id))
        await session.execute(
            pending_work.insert().values(
                event_id=found.scalar_one(), subscriber="noting", attempts=1, next_attempt_at=now(), error="failed"
            )
        )
    watch = Looking(services, "relay")
    assert await watch.look() == ["relay"]
    async with services.database.transaction() as session:
        await session.execute(update(pending_work).values(given_up=True))
    assert await watch.look() == []


async def test_receiving_is_rung_for_whatever_should_run_otherwise_than_it_does(
    services: Services, house: House, desk: Desk
) -> None:
    wanted = await read(house, desk)
    assert await Looking(services, "receive", runs=wanted).look() == []
    assert await Looking(services, "receive").look() == ["receive"], "one to start"
    assert await Looking(services, "receive", runs=wanted | {(new_id(), 1)}).look() == ["receive"], "one to stop"
    changed = {(inbox_id, version + 1) for inbox_id, version in wanted}
    assert await Looking(services, "receive", runs=changed).look() == ["receive"], "one with other settings"


async def test_only_the_loops_of_this_worker_are_asked_for(services: Services, house: House, desk: Desk) -> None:
    await house.post(desk, mail("Mina <mina@customer.test>"))
    assert await Looking(services, "relay", "deliver").look() == []
