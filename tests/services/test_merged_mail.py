"""Mail for a conversation that was merged into another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.channels import RawInbound
from helpdesk.domain.values import SYSTEM
from helpdesk.models.conversations import conversation_links, conversations, participants
from helpdesk.models.inboxes import inboxes, raw_items
from helpdesk.models.messages import deliveries, messages
from helpdesk.services import conversations as verbs
from helpdesk.services import leases, merging
from helpdesk.services.house import Services
from tests.house import Desk, House, mail
from tests.services.test_bounces import report
from workers.hosts import InboxHost
from workers.process import Processor
from workers.relaying import Relaying

MINA = "mina@customer.test"
STRANGER = "stranger@elsewhere.test"


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


@dataclass
class Story:
    """Mina wrote twice and was answered once: the answered conversation was merged into the other one."""

    house: House
    desk: Desk
    source_id: UUID
    target_id: UUID
    said: EmailMessage

    def answer(self, text: str, sender: str = MINA, dmarc: str = "pass") -> bytes:
        return mail(sender, text, answers=self.said["Message-ID"], dmarc=dmarc)

    async def texts(self, conversation_id: UUID) -> list[str]:
        return [row["text"].strip() for row in await self.house.incoming(conversation_id)]

    async def row(self, conversation_id: UUID) -> Any:
        return await self.house.row(conversations, conversations.c.id == conversation_id)

    async def newest(self) -> Any:
        return (await self.house.conversations())[-1]

    async def links(self, conversation_id: UUID) -> set[tuple[UUID, str]]:
        found = await self.house.rows(conversation_links, conversation_links.c.conversation_id == conversation_id)
        return {(row["related_id"], row["kind"]) for row in found}

    async def set_status(self, conversation_id: UUID, status: str) -> None:
        async with self.house.services.database.transaction() as session:
            query = select(conversations).where(conversations.c.id == conversation_id).with_for_update()
            row = (await session.execute(query)).mappings().one()
            await verbs.change(self.house.services, session, row, {"status": status}, by=SYSTEM, now=clock.now())

    async def unmerge(self) -> None:
        version = (await self.row(self.source_id))["version"]
        async with self.house.services.database.transaction() as session:
            await merging.unmerge(
                self.house.services, session, self.source_id, version=version, by=SYSTEM, now=clock.now()
            )


@pytest.fixture
async def story(house: House) -> Story:
    desk = await house.inbox()
    await house.receive(desk, mail(f"Mina <{MINA}>", "Where is my withdrawal?", dmarc="pass"))
    (source,) = await house.conversations()
    await house.reply(source["id"], "It is on its way.")
    await house.drain()
    *_, said = house.outgoing()
    await house.receive(desk, mail(f"Mina <{MINA}>", "My withdrawal, again.", dmarc="pass"))
    target = (await house.conversations())[-1]
    version = (await house.row(conversations, conversations.c.id == source["id"]))["version"]
    async with house.services.database.transaction() as session:
        await merging.merge(
            house.services, session, source["id"], into=target["id"], version=version, by=SYSTEM, now=clock.now()
        )
    return Story(house, desk, source["id"], target["id"], said)


async def test_an_answer_to_the_source_joins_the_target_and_opens_it(story: Story) -> None:
    await story.set_status(story.target_id, "resolved")
    await story.house.receive(story.desk, story.answer("It has not come."))
    assert await story.texts(story.target_id) == ["My withdrawal, again.", "It has not come."]
    assert len(await story.house.conversations()) == 2
    assert [(await story.row(one))["status"] for one in (story.source_id, story.target_id)] == ["closed", "open"]
    (message,) = [row for row in await story.house.incoming(story.target_id) if "not come" in row["text"]]
    assert message["sender_verified"] is True


async def test_mail_that_comes_alone_follows_as_well(story: Story, services: Services) -> None:
    relaying = Relaying(services, worker="mine")
    await relaying.step()
    processor = Processor(services, relaying, story.house.apart, worker="mine")
    async with services.database.transaction() as session:
        fence = await leases.acquire(session, f"inbox:{story.desk.id}", owner="mine", seconds=600)
    assert fence is not None
    inbox = await story.house.row(inboxes, inboxes.c.id == story.desk.id)
    host = InboxHost(
        services, story.house.guard, inbox=inbox, lease=f"inbox:{story.desk.id}", fence=fence, desk=processor
    )
    for number, text in enumerate(("First.", "Alone."), 1):
        await host.accept([RawInbound(f"INBOX;1;{number}", story.answer(text), clock.now())], cursor={"uid": number})
        await processor.step()
    assert await story.texts(story.target_id) == ["My withdrawal, again.", "First.", "Alone."]
    assert {row["state"] for row in await story.house.rows(raw_items)} == {"filed"}
    await relaying.close()


async def test_a_strangers_copy_of_the_token_joins_neither(story: Story) -> None:
    await story.house.receive(story.desk, story.answer("Send it to me.", STRANGER))
    new = await story.newest()
    assert await story.texts(story.target_id) == ["My withdrawal, again."]
    assert await story.links(new["id"]) == {(story.target_id, "may_belong_to")}


async def test_whoever_was_taken_out_of_the_target_comes_in_by_no_token_of_the_source(story: Story) -> None:
    async with story.house.services.database.transaction() as session:
        gone = update(participants).where(participants.c.conversation_id == story.target_id)
        await session.execute(gone.values(removed_at=clock.now()))
    await story.house.receive(story.desk, story.answer("Still there?"))
    assert await story.texts(story.target_id) == ["My withdrawal, again."]
    assert await story.links((await story.newest())["id"]) == {(story.target_id, "may_belong_to")}


async def test_mail_for_a_closed_target_starts_a_new_conversation_that_follows_it(story: Story) -> None:
    await story.set_status(story.target_id, "closed")
    await story.house.receive(story.desk, story.answer("One more thing."))
    new = await story.newest()
    assert await story.texts(new["id"]) == ["One more thing."]
    assert await story.links(new["id"]) == {(story.target_id, "follows")}


async def test_after_unmerging_mail_joins_the_source_again(story: Story) -> None:
    await story.unmerge()
    await story.house.receive(story.desk, story.answer("Thank you."))
    assert await story.texts(story.source_id) == ["Where is my withdrawal?", "Thank you."]
    assert (await story.row(story.source_id))["status"] == "open"


async def test_answers_to_both_in_one_batch_join_the_target(story: Story) -> None:
    await story.house.reply(story.target_id, "From here on in one place.")
    await story.house.drain()
    *_, second = story.house.outgoing()
    await story.house.post(
        story.desk,
        story.answer("To the first."),
        mail(MINA, "To the second.", answers=second["Message-ID"], dmarc="pass"),
    )
    await story.house.drain()
    assert (await story.texts(story.target_id))[1:] == ["To the first.", "To the second."]


async def test_a_bounce_of_what_the_source_sent_is_noted_in_the_target(story: Story) -> None:
    await story.house.receive(story.desk, report(story.said["Message-ID"], (MINA, "failed", "5.1.1")), mail_from="")
    (bounce,) = [row for row in await story.house.incoming(story.target_id) if row["private"]]
    assert bounce["trust_reasons"] == ["bounce"]
    assert len(await story.texts(story.source_id)) == 1
    failed = await story.house.rows(messages, messages.c.delivery_status == "failed")
    assert [row["conversation_id"] for row in failed] == [story.source_id]


async def test_an_answer_that_was_queued_before_the_merge_is_sent(story: Story) -> None:
    await story.unmerge()
    await story.house.reply(story.source_id, "Just before.")
    version = (await story.row(story.source_id))["version"]
    async with story.house.services.database.transaction() as session:
        await merging.merge(
            story.house.services,
            session,
            story.source_id,
            into=story.target_id,
            version=version,
            by=SYSTEM,
            now=clock.now(),
        )
    await story.house.drain()
    assert {row["status"] for row in await story.house.rows(deliveries)} == {"sent"}
    assert (await story.row(story.source_id))["status"] == "closed"
