"""The desk: what a worker's own connectors took in it files without asking, and others take it up if it dies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from helpdesk.channels import RawInbound
from helpdesk.clock import now
from helpdesk.models.inboxes import inboxes, raw_items
from helpdesk.models.messages import messages
from helpdesk.services import filing, leases
from helpdesk.services.house import Services
from tests.house import Desk, House, mail
from workers import process
from workers.hosts import InboxHost
from workers.process import Processor
from workers.relaying import Relaying

MINA = "mina@customer.test"


@pytest.fixture
def quick(services: Services) -> Services:
    """Claims that outlast every test: here they run out when they are told to."""
    return replace(services, settings=services.settings.model_copy(update={"lease_seconds": 600.0}))


@pytest.fixture
def rung() -> list[str]:
    return []


@pytest.fixture
def processor(quick: Services, house: House, rung: list[str]) -> Processor:
    relaying = Relaying(quick, worker="mine")
    return Processor(quick, relaying, house.apart, worker="mine", ring=lambda: rung.append("process"))


@pytest.fixture
async def host(quick: Services, house: House, processor: Processor) -> InboxHost:
    desk: Desk = await house.inbox()
    async with quick.database.transaction() as session:
        fence = await leases.acquire(session, f"inbox:{desk.id}", owner="mine", seconds=60)
    assert fence is not None
    inbox = await house.row(inboxes, inboxes.c.id == desk.id)
    return InboxHost(quick, house.guard, inbox=inbox, lease=f"inbox:{desk.id}", fence=fence, desk=processor)


def other(house: House) -> Processor:
    return Processor(house.services, Relaying(house.services, worker="other"), house.apart, worker="other")


async def due(house: House) -> bool:
    """Whether there is something to claim."""
    async with house.services.database.reading() as session:
        return (await session.execute(filing.due().limit(1), {"now": now()})).first() is not None


def raws(*numbers: int) -> list[RawInbound]:
    return [RawInbound(f"INBOX;1;{n}", mail(MINA, f"Question {n}"), now()) for n in numbers]


async def meanwhile(house: House, number: int, **changed: Any) -> None:
    """Somebody else has changed an item."""
    async with house.services.database.transaction() as session:
        await session.execute(update(raw_items).where(raw_items.c.position == f"INBOX;1;{number}").values(changed))


async def test_what_is_laid_on_the_desk_is_filed_without_a_claim(
    house: House, host: InboxHost, processor: Processor, rung: list[str]
) -> None:
    assert await host.accept(raws(1, 2), cursor={"uid": 2}) == 2
    before = await house.rows(raw_items)
    assert [(row["claimed_by"], row["claim"], row["attempts"]) for row in before] == [("mine", 1, 1)] * 2
    assert processor.held == {row["id"] for row in before}
    assert rung == ["process"]
    assert await other(house).step() == 0, "nobody else may have them meanwhile"
    assert await house.rows(messages) == []
    await processor.step()
    assert {row["state"] for row in await house.rows(raw_items)} == {"filed"}
    assert len(await house.rows(messages)) == 2
    assert processor.held == set()


async def test_what_was_there_already_is_not_laid_on_the_desk(
    house: House, host: InboxHost, processor: Processor
) -> None:
    await host.accept(raws(1))
    assert await host.accept(raws(1, 2)) == 1
    assert await host.accept(raws(1, 2)) == 0
    while processor.held or await due(house):
        await processor.step()
    assert len(await house.rows(messages)) == 2


async def test_what_does_not_fit_on_the_desk_is_filed_all_the_same(
    house: House, host: InboxHost, processor: Processor
) -> None:
    await host.accept(raws(*range(process.DESK_ITEMS)))
    await host.accept(raws(1000))
    (late,) = [row for row in await house.rows(raw_items) if row["position"] == "INBOX;1;1000"]
    assert (late["claimed_by"], late["claim"]) == ("", 0)
    while processor.held or await due(house):
        await processor.step()
    assert {row["state"] for row in await house.rows(raw_items)} == {"filed"}


async def test_what_lay_on_the_desk_of_a_worker_that_died_is_taken_up_when_the_claim_runs_out(
    house: House, host: InboxHost
) -> None:
    await host.accept(raws(1))
    await meanwhile(house, 1, claimed_until=0.0)
    successor = other(house)
    assert await due(house)
    await successor.step()
    assert len(await house.rows(messages)) == 1


async def test_a_worker_that_was_overtaken_files_nothing_of_what_lies_on_its_desk(
    house: House, host: InboxHost, processor: Processor
) -> None:
    await host.accept(raws(1))
    await host.accept(raws(2))
    await meanwhile(house, 1, claim=2, claimed_by="other")
    await processor.step()
    assert await house.rows(messages) == []
    await processor.step()
    states = {row["position"]: row["state"] for row in await house.rows(raw_items)}
    assert states == {"INBOX;1;1": "received", "INBOX;1;2": "filed"}
    assert len(await house.rows(messages)) == 1


async def test_a_commit_whose_answer_was_lost_is_not_made_again(
    house: House, host: InboxHost, processor: Processor
) -> None:
    await host.accept(raws(1))
    await host.accept(raws(2))
    await meanwhile(house, 1, state="filed")
    while processor.held or await due(house):
        await processor.step()
    assert {row["state"] for row in await house.rows(raw_items)} == {"filed"}
    (only,) = await house.rows(messages)
    assert "Question 2" in only["text"]


async def test_a_worker_that_ends_leaves_its_desk_to_the_others(
    house: House, host: InboxHost, processor: Processor
) -> None:
    await host.accept(raws(1))
    await processor.close()
    assert await due(house)
    assert await other(house).step() == 0
    assert len(await house.rows(messages)) == 1
