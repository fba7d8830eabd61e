"""A crew starts, works, stops and leaves nothing behind; receivers share inboxes by lease."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update

from helpdesk.channels import LeaseLost, RawInbound
from helpdesk.clock import now
from helpdesk.domain.values import SYSTEM, InboxStatus
from helpdesk.errors import Invalid
from helpdesk.models.inboxes import inbox_states, inboxes, leases, raw_items
from helpdesk.services import inboxes as inbox_service
from helpdesk.services import leases as lease_service
from helpdesk.services.house import Services
from helpdesk.wiring import open_guard
from tests import factories
from tests.house import Desk, House, mail
from workers.connections import Connections
from workers.crew import Crew, renew_leases
from workers.hosts import DoorHost, InboxHost
from workers.receive import Receiver
from workers.relaying import Relaying
from workers.watch import Watch


async def until(true: Callable[[], object], *, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def _tasks() -> set[str]:
    """All but the test's own, and the one that ends the parsing processes with the event loop."""
    names = {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    return {name for name in names if not name.startswith("AnyIO process pool")}


def _reads(inbox_id: UUID) -> int:
    """How many connectors of this inbox run here."""
    return sum(task.get_name() == f"inbox {inbox_id}" for task in asyncio.all_tasks())


async def _owner(services: Services, inbox_id: UUID) -> str:
    async with services.database.reading() as session:
        found = await session.scalar(select(leases.c.owner).where(leases.c.name == f"inbox:{inbox_id}"))
    return str(found)


async def _expire(services: Services, inbox_id: UUID) -> None:
    """As time does, when nobody renews."""
    async with services.database.transaction() as session:
        await session.execute(update(leases).where(leases.c.name == f"inbox:{inbox_id}").values(expires_at=0.0))


async def test_the_example_of_settings_names_every_loop(quick: Services, house: House) -> None:
    """Who divides them among workers by that list would lose what it leaves out: nobody woke what was snoozed."""
    text = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
    told = text.partition("# The loops that a worker runs")[2].partition("each of:")[2].partition("#HELPDESK_")[0]
    everything = Crew(quick, house.guard, worker="crew")._loops.keys()
    assert set(re.findall(r"[a-z_]+", told)) == everything - {"watch", "renew"}


async def test_a_loop_that_is_not_there_is_refused_by_its_name(quick: Services, house: House) -> None:
    settings = quick.settings.model_copy(update={"worker_loops": "relay,snoze"})
    with pytest.raises(Invalid, match="HELPDESK_WORKER_LOOPS: there is no loop snoze"):
        Crew(replace(quick, settings=settings), house.guard, worker="crew")


async def test_a_crew_works_and_leaves_no_task_behind(quick: Services, house: House) -> None:
    desk = await house.inbox()
    before = _tasks()
    crew = Crew(quick, house.guard, worker="crew")
    await crew.start()
    await house.post(desk, mail("Mina <mina@customer.test>"))
    crew.ring(["process", "nobody"])
    await until(lambda: len(list((quick.settings.data / "outgoing").glob("*.eml"))) == 1)
    await until(lambda: _reads(desk.id))
    await crew.stop()
    assert _tasks() - before == set()
    async with quick.database.reading() as session:
        held = await session.execute(select(leases.c.name).where(leases.c.expires_at > 0.0))
        assert held.scalars().all() == [], "a clean end gives leases back"


async def test_what_a_dead_life_of_the_same_name_had_claimed_is_taken_up_at_once(quick: Services, house: House) -> None:
    desk = await house.inbox()
    await house.post(desk, mail("Mina <mina@customer.test>"))
    async with quick.database.transaction() as session:
        far = {"claimed_by": "crew", "claimed_until": 4e9, "claim": 1, "attempts": 1}
        await session.execute(update(raw_items).values(far))
        await lease_service.acquire(session, f"inbox:{desk.id}", owner="crew", seconds=3600)
    crew = Crew(quick, house.guard, worker="crew", alone=True)
    await crew.start()
    try:
        await until(lambda: len(list((quick.settings.data / "outgoing").glob("*.eml"))) == 1)
        await until(lambda: _reads(desk.id))
    finally:
        await crew.stop()


async def test_only_one_of_two_workers_reads_an_inbox_and_the_other_follows(quick: Services) -> None:
    inbox_id = await factories.inbox(quick)
    guard = open_guard(quick.settings)
    connections = Connections(quick, guard)
    first = Receiver(quick, guard, connections, worker="first")
    second = Receiver(quick, guard, connections, worker="second")
    await first.step()
    await second.step()
    assert await _owner(quick, inbox_id) == "first"
    assert _reads(inbox_id) == 1
    await first.close()
    await second.step()
    assert await _owner(quick, inbox_id) == "second"
    await second.close()
    await connections.close()
    assert _reads(inbox_id) == 0


async def test_a_worker_whose_lease_ran_out_stops_reading_and_can_store_nothing(quick: Services) -> None:
    inbox_id = await factories.inbox(quick)
    guard = open_guard(quick.settings)
    connections = Connections(quick, guard)
    frozen = Receiver(quick, guard, connections, worker="frozen")
    await frozen.step()
    await _expire(quick, inbox_id)
    other = Receiver(quick, guard, connections, worker="other")
    await other.step()
    assert await _owner(quick, inbox_id) == "other"
    assert _reads(inbox_id) == 2
    late = InboxHost(quick, guard, inbox={"id": inbox_id}, lease=f"inbox:{inbox_id}", fence=1)
    with pytest.raises(LeaseLost):
        await late.accept([RawInbound("INBOX;1;1", b"Subject: late\r\n\r\n", now())], cursor={"uid": 1})
    async with quick.database.reading() as session:
        assert (await session.execute(select(raw_items.c.id))).all() == []
    await renew_leases(quick, [frozen])
    assert _reads(inbox_id) == 1
    for receiver in (frozen, other):
        await receiver.close()
    await connections.close()


async def test_all_leases_are_renewed_together_and_only_what_went_to_another_is_stopped(quick: Services) -> None:
    kept, lost = await factories.inbox(quick), await factories.inbox(quick)
    guard = open_guard(quick.settings)
    connections = Connections(quick, guard)
    receiver, relaying = Receiver(quick, guard, connections, worker="mine"), Relaying(quick, worker="mine")
    await receiver.step()
    await relaying.step()
    await _expire(quick, kept)
    await _expire(quick, lost)
    async with quick.database.transaction() as session:
        await lease_service.acquire(session, f"inbox:{lost}", owner="other", seconds=600)
    await renew_leases(quick, [receiver, relaying])
    async with quick.database.reading() as session:
        found = await session.execute(select(leases.c.name, leases.c.expires_at))
        expires = {row.name: row.expires_at for row in found}
    assert expires[f"inbox:{kept}"] > time.time(), "although nobody had renewed it in time"
    assert (_reads(kept), _reads(lost)) == (1, 0)
    assert await _owner(quick, lost) == "other"
    assert relaying.ready
    await receiver.close()
    await relaying.close()
    await connections.close()


async def test_a_connector_that_ended_is_noticed_although_its_inbox_is_paused(quick: Services, house: House) -> None:
    """Its lease would be renewed for ever."""
    desk = await house.inbox()
    connections = Connections(quick, house.guard)
    receiver = Receiver(quick, house.guard, connections, worker="house")
    await receiver.step()
    (reads,) = [task for task in asyncio.all_tasks() if task.get_name() == f"inbox {desk.id}"]
    await _set_state(quick, desk, InboxStatus.PAUSED)
    reads.cancel()
    await asyncio.gather(reads, return_exceptions=True)
    rung: list[str] = []
    await Watch(quick, ["receive"], ring=rung.extend, runs=receiver.runs).step()
    assert rung == ["receive"]
    await receiver.step()
    assert receiver.runs() == set()
    async with quick.database.reading() as session:
        held = await session.scalar(select(leases.c.expires_at).where(leases.c.name == f"inbox:{desk.id}"))
    assert held == 0.0
    await connections.close()


async def test_a_paused_inbox_is_not_read_and_its_mail_waits_at_the_door(quick: Services, house: House) -> None:
    desk = await house.inbox()
    door = DoorHost(quick, house.guard, channel="email", settings={})
    connections = Connections(quick, house.guard)
    receiver = Receiver(quick, house.guard, connections, worker="house")
    await receiver.step()
    assert _reads(desk.id) == 1
    await _set_state(quick, desk, InboxStatus.PAUSED)
    await receiver.step()
    assert _reads(desk.id) == 0
    (view,) = await door.inboxes_by("address", desk.address.upper())
    assert view.inbox_id == desk.id
    await door.accept(desk.id, [RawInbound("smtp;1", mail("Mina <mina@customer.test>"), now())])
    await house.drain()
    assert await house.conversations() == []
    await _set_state(quick, desk, InboxStatus.ACTIVE)
    await house.drain()
    assert len(await house.conversations()) == 1
    await receiver.close()
    await connections.close()


async def _set_state(services: Services, desk: Desk, state: InboxStatus) -> None:
    async with services.database.transaction() as session:
        version = await session.scalar(select(inboxes.c.version).where(inboxes.c.id == desk.id))
        row = await inbox_service.get_inbox(session, SYSTEM, desk.id, version=version)
        await inbox_service.edit(services, session, row, state=state, by=SYSTEM, now=now())


async def test_an_inbox_that_was_just_added_never_bounces_its_first_mail(quick: Services, house: House) -> None:
    door = DoorHost(quick, house.guard, channel="email", settings={})
    assert await door.inboxes_by("address", "new@wallet.test") == ()
    desk = await house.inbox("new@wallet.test")
    await asyncio.sleep(0.25)
    (view,) = await door.inboxes_by("address", "new@wallet.test")
    assert view.inbox_id == desk.id


async def test_one_inbox_that_crashes_is_shown_as_failing_and_the_others_run(quick: Services, house: House) -> None:
    good, bad = await house.inbox(), await house.inbox("bad@wallet.test")
    async with quick.database.transaction() as session:
        await session.execute(update(inboxes).where(inboxes.c.id == bad.id).values(config={"address": "no address"}))
    connections = Connections(quick, house.guard)
    receiver = Receiver(quick, house.guard, connections, worker="house")
    await receiver.step()

    async def kind() -> str:
        async with quick.database.reading() as session:
            found = await session.scalar(select(inbox_states.c.error_kind).where(inbox_states.c.inbox_id == bad.id))
        return str(found or "")

    async with asyncio.timeout(10):
        while not await kind():
            await asyncio.sleep(0.02)
    assert await kind() == "misconfigured"
    assert _reads(good.id) == 1
    await receiver.close()
    await connections.close()
