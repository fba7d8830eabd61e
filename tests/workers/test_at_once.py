"""Mail that comes alone: read, stored and filed in one go where all is well, and the long way where it is not."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

import workers.relaying
from helpdesk.channels import LeaseLost, RawInbound
from helpdesk.clock import now
from helpdesk.domain.events import MessageReceived
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events, pending_work
from helpdesk.models.inboxes import blobs, inbox_states, inboxes, raw_items
from helpdesk.models.messages import acknowledgements, attachments, messages
from helpdesk.services import filing, intake, leases, lookups
from helpdesk.services.acknowledgements import acknowledge
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.lookups import Known
from tests.house import Desk, House, mail
from workers import process
from workers.crew import renew_leases
from workers.hosts import InboxHost
from workers.process import Processor
from workers.relaying import Relaying

MINA = "mina@customer.test"


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


@pytest.fixture
async def relaying(services: Services) -> Relaying:
    made = Relaying(services, worker="mine")
    await made.step()
    return made


@pytest.fixture
def processor(services: Services, house: House, relaying: Relaying) -> Processor:
    return Processor(services, relaying, house.apart, worker="mine")


@pytest.fixture
async def host(services: Services, house: House, desk: Desk, processor: Processor) -> InboxHost:
    """An inbox that has read and filed one mail, number zero."""
    async with services.database.transaction() as session:
        fence = await leases.acquire(session, f"inbox:{desk.id}", owner="mine", seconds=600)
    assert fence is not None
    inbox = await house.row(inboxes, inboxes.c.id == desk.id)
    made = InboxHost(services, house.guard, inbox=inbox, lease=f"inbox:{desk.id}", fence=fence, desk=processor)
    assert await accept(made, item(0)) == 1
    assert await states(house) == {0: "received"}, "the first is stored before it is read"
    await processor.step()
    return made


def item(number: int, body: bytes | None = None) -> RawInbound:
    return RawInbound(f"INBOX;1;{number}", body or mail(MINA, f"Question {number}"), now())


async def accept(host: InboxHost, *items: RawInbound) -> int:
    return await host.accept(items, cursor={"uid": int(items[-1].position.rpartition(";")[2])})


async def states(house: House) -> dict[int, str]:
    return {int(row["position"].rpartition(";")[2]): row["state"] for row in await house.rows(raw_items)}


async def test_a_mail_that_comes_alone_is_there_as_soon_as_it_is_accepted(house: House, host: InboxHost) -> None:
    assert await accept(host, item(1), item(2)) == 2
    assert await states(house) == {0: "filed", 1: "filed", 2: "filed"}
    assert {row["text"].strip() for row in await house.incoming()} == {"Question 0", "Question 1", "Question 2"}
    assert len(await house.rows(acknowledgements)) == 3
    (state,) = await house.rows(inbox_states)
    assert state["cursor"] == {"uid": 2}
    assert {type(row["position"]) for row in await house.rows(events)} == {int}


async def test_its_source_can_be_read_with_the_contacts_key(services: Services, house: House, host: InboxHost) -> None:
    body = mail(MINA, "The very bytes")
    await accept(host, item(1, body))
    raw = await house.row(raw_items, raw_items.c.position == "INBOX;1;1")
    (contact,) = await house.rows(contacts)
    assert raw["key_owner"] == f"contact:{contact['id']}"
    async with services.database.reading() as session:
        assert await intake.body_of(services, session, Keys(services.keyring), raw) == body


async def test_its_files_are_kept_and_the_same_file_of_the_same_contact_once(house: House, host: InboxHost) -> None:
    files = [("attachment; filename=a.txt", "text/plain", b"content")]
    await accept(host, item(1, mail("lin@customer.test", files=files * 2)))
    await accept(host, item(2, mail("lin@customer.test", "And again", files=files)))
    await accept(host, item(3, mail(MINA, files=files)))
    assert set((await states(house)).values()) == {"filed"}
    kept = await house.rows(attachments)
    assert [(file["filename"], file["size"]) for file in kept] == [("a.txt", len(b"content\r\n"))] * 4
    assert len({file["blob_id"] for file in kept}) == len(await house.rows(blobs)) == 2


async def test_an_answer_joins_its_conversation(house: House, host: InboxHost) -> None:
    await house.drain()
    (sent,) = house.outgoing()
    await accept(host, item(1, mail(MINA, "More.", answers=sent["Message-ID"])))
    assert await states(house) == {0: "filed", 1: "filed"}
    (conversation,) = await house.conversations()
    assert conversation["message_count"] == 3


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_answer_to_what_is_changed_at_that_moment_goes_the_long_way(
    services: Services, house: House, host: InboxHost, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is locked between the look and the writing, so that the writing has to notice."""
    await house.drain()
    (sent,) = house.outgoing()

    async def look_up(*where: Any, **how: Any) -> Known:
        known = await lookups.look_up(*where, **how)
        async with services.database.transaction() as session:
            changed = update(conversations).values(priority=3, seq=conversations.c.seq + 1)
            await session.execute(changed)
        return known

    with monkeypatch.context() as interrupted:
        interrupted.setattr(filing, "look_up", look_up)
        await accept(host, item(1, mail(MINA, "More.", answers=sent["Message-ID"])))
    assert await states(house) == {0: "filed", 1: "received"}
    assert len(await house.incoming()) == 1
    await processor.step()
    assert await states(house) == {0: "filed", 1: "filed"}
    (conversation,) = await house.conversations()
    assert (conversation["priority"], conversation["message_count"]) == (3, 3)
    assert [row["seq"] for row in await house.rows(messages)] == [1, 2, 4]


async def test_the_same_bytes_again_are_one_message(house: House, host: InboxHost) -> None:
    body = mail(MINA, "Once")
    await accept(host, item(1, body))
    await accept(host, item(2, body))
    assert await states(house) == {0: "filed", 1: "filed", 2: "duplicate"}
    assert len(await house.incoming()) == 2


async def test_a_position_that_is_there_already_is_a_no_op(house: House, host: InboxHost) -> None:
    await accept(host, item(1))
    assert await accept(host, item(1)) == 0
    assert len(await house.incoming()) == 2
    assert await states(house) == {0: "filed", 1: "filed"}


async def test_one_that_takes_long_to_read_is_stored_first(
    house: House, host: InboxHost, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "AT_ONCE_SECONDS", 0.01)
    await house.apart.close()  # no process starts in that time
    assert await accept(host, item(1)) == 1
    assert await states(house) == {0: "filed", 1: "received"}
    await processor.step()
    assert await states(house) == {0: "filed", 1: "filed"}


async def test_what_else_follows_from_it_is_done_or_kept_for_later(
    house: House,
    host: InboxHost,
    processor: Processor,
    relaying: Relaying,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A subscriber that filing cannot foresee, and that fails: the events must not be taken for told."""

    async def failing(services: Services, session: Any, happened: Any, *, now: Any) -> None:
        raise ValueError("on purpose")

    monkeypatch.setattr(workers.relaying, "SUBSCRIPTIONS", {MessageReceived.type: (acknowledge, failing)})
    await accept(host, item(1))
    assert await states(house) == {0: "filed", 1: "received"}, "the subscriber took everything along"
    await processor.step()
    await relaying.step()
    assert await states(house) == {0: "filed", 1: "filed"}
    (kept,) = await house.rows(pending_work)
    assert (kept["subscriber"], kept["attempts"]) == ("failing", 1)
    assert len(await house.rows(acknowledgements)) == 2


@pytest.mark.parametrize(
    "items",
    [[item(n) for n in range(1, process.AT_ONCE_ITEMS + 2)], [item(1, mail(MINA, "x" * intake.IN_ROW))]],
    ids=["many", "a large one"],
)
async def test_more_than_a_little_is_stored_first(
    house: House, host: InboxHost, processor: Processor, items: list[RawInbound]
) -> None:
    assert await accept(host, *items) == len(items)
    assert {state for number, state in (await states(house)).items() if number} == {"received"}
    await processor.step()
    assert {state for number, state in (await states(house)).items() if number} == {"filed"}


async def test_it_does_not_overtake_what_lies_on_the_desk(house: House, host: InboxHost, processor: Processor) -> None:
    await accept(host, *(item(n) for n in range(1, process.AT_ONCE_ITEMS + 2)))
    await accept(host, item(9))
    assert (await states(house))[9] == "received"


async def test_without_the_relays_lease_it_is_stored_first(house: House, host: InboxHost, relaying: Relaying) -> None:
    await relaying.close()
    async with house.services.database.transaction() as session:
        await leases.acquire(session, "relay", owner="other", seconds=600)
    await renew_leases(house.services, [relaying])
    await accept(host, item(1))
    assert await states(house) == {0: "filed", 1: "received"}


async def test_a_worker_that_lost_the_inbox_stores_and_files_nothing(house: House, desk: Desk, host: InboxHost) -> None:
    async with house.services.database.transaction() as session:
        await leases.acquire(session, f"inbox:{desk.id}", owner="mine", seconds=600)
    before: list[Any] = [await house.rows(table) for table in (raw_items, messages, events, inbox_states)]
    with pytest.raises(LeaseLost):
        await accept(host, item(1))
    assert [await house.rows(table) for table in (raw_items, messages, events, inbox_states)] == before
