"""What a channel tells after it took a message: where the answer comes in, what arrived, what was read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations, participants
from helpdesk.models.events import events
from helpdesk.models.messages import deliveries, messages
from helpdesk.models.social import conversation_threads
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk
from tests.social.vendor import WALL
from tests.social.wall_story import MINA, Wall, thread_row, wall


@pytest.fixture
async def story(services: Services) -> AsyncIterator[Wall]:
    async with wall(services) as opened:
        yield opened


async def _write_to_him(story: Wall, thread: str) -> None:
    WALL.thread = thread
    await story.house.reply(story.conversation_id, "We write to you here.", visibility="direct")
    await story.house.deliver()
    assert await story.states() == ["sent"]


async def _came_in(story: Wall, **given: Any) -> None:
    body = {"external_id": "in-1", "sender": {"handle": "m-99", "name": "Mina"}, "text": "Here I am."}
    await story.house.receive(Desk(story.inbox_id, "us"), json.dumps(body | given).encode())


async def test_his_answer_to_a_private_reply_joins_although_he_has_another_handle_there(story: Wall) -> None:
    await _write_to_him(story, "dm:M-99")
    await _came_in(story, thread="dm:M-99", sender={"handle": "M-99", "name": "Mina"})
    assert len(await story.house.conversations()) == 1
    assert [row["text"] for row in await story.house.incoming()][-1] == "Here I am."
    whose = {row["contact_id"] for row in await story.house.rows(contact_identities)}
    assert whose == {(await story.conversation())["contact_id"]}


async def test_nobody_is_given_the_handle_of_another(story: Wall) -> None:
    await factories.contact(story.services, handle="m-99", channel="wall")
    await _write_to_him(story, "dm:m-99")
    assert await thread_row(story, "dm:m-99") is None


async def test_in_anothers_matter_the_new_handle_is_his_to_whom_it_was_written(story: Wall) -> None:
    bert = await factories.contact(story.services, handle="4712", name="Bert", channel="wall")
    asked = await factories.incoming(story.services, story.conversation_id, visibility="public", thread="post:17")
    async with story.services.database.transaction() as session:
        row = {"inbox_id": story.inbox_id, "conversation_id": story.conversation_id, "post_id": None}
        row |= {"handle": "4712", "thread": "post:17", "created_at": clock.now()}
        await session.execute(conversation_threads.insert().values(**row))
        person = {"conversation_id": story.conversation_id, "channel": "wall", "handle": "4712", "name": "Bert"}
        person |= {"contact_id": bert, "added_by": None, "created_at": clock.now(), "removed_at": None}
        await session.execute(participants.insert().values(**person))
        await session.execute(update(messages).where(messages.c.id == asked).values(author_id=bert))
    WALL.thread = "dm:b-99"
    made = await story.reply(in_reply_to=f"<{asked}@customer.test>", visibility="direct")
    assert made.status_code == 201, made.text
    await story.house.deliver()
    await _came_in(story, thread="dm:b-99", sender={"handle": "b-99", "name": "Bert"})
    heard = (await story.house.incoming())[-1]
    assert (heard["author_id"], heard["conversation_id"] == story.conversation_id) == (bert, False)


async def test_a_thread_that_leads_somewhere_else_goes_on_there_until_that_is_closed(story: Wall) -> None:
    other = await factories.conversation(story.services, inbox_id=story.inbox_id, handle=MINA)
    async with story.services.database.transaction() as session:
        row = {"inbox_id": story.inbox_id, "handle": MINA, "thread": f"dm:{MINA}", "conversation_id": other}
        await session.execute(conversation_threads.insert().values(**row, post_id=None, created_at=clock.now()))
    for state, leads in (("open", other), ("closed", story.conversation_id)):
        async with story.services.database.transaction() as session:
            await session.execute(update(conversations).where(conversations.c.id == other).values(status=state))
            await session.execute(update(deliveries).values(status="cancelled"))
        await factories.incoming(story.services, story.conversation_id, visibility="direct")
        WALL.thread = f"dm:{MINA}"
        await story.house.reply(story.conversation_id, "We write to you here.", visibility="direct")
        await story.house.deliver()
        found = await thread_row(story, f"dm:{MINA}")
        assert found is not None
        assert found["conversation_id"] == leads


async def test_what_arrived_and_what_was_read_is_kept_and_told(story: Wall) -> None:
    await _write_to_him(story, f"dm:{MINA}")
    before = clock.now() - timedelta(minutes=5)
    for kind, at, fields in (
        ("read", before, set()),
        ("delivered", clock.now(), {"delivered_at"}),
        ("delivered", clock.now(), set()),
        ("read", clock.now(), {"read_at"}),
    ):
        told = len(await story.told("conversation.updated"))
        change = {"kind": kind, "handle": MINA, "thread": f"dm:{MINA}", "at": at.isoformat()}
        await story.house.receive(Desk(story.inbox_id, "us"), json.dumps(change).encode())
        rows = await story.house.rows(events, events.c.type == "conversation.updated")
        assert len(rows) == told + bool(fields), kind
        if fields:
            ((message_id, names),) = rows[-1]["data"]["changes"]["messages"].items()
            assert set(names) == fields
            shown = await story.client.get(
                f"/api/v1/conversations/{story.conversation_id}/messages",
                headers=(await factories.agent(story.services, role="admin")).headers,
            )
            (message,) = [one for one in shown.json()["items"] if one["id"] == message_id]
            assert all(message["delivery"][name] for name in fields)
