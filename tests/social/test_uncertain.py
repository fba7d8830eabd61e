"""Exactly one post, whatever happens between the vendor's taking it and our knowing of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.channels import AccessRevoked, BudgetSpent, Uncertain, Unreachable
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.services import deliveries
from helpdesk.services.house import Services
from tests import factories
from tests.house import House
from tests.social.vendor import WALL
from tests.social.wall_story import Wall, wall


@pytest.fixture
async def story(services: Services) -> AsyncIterator[Wall]:
    async with wall(services) as opened:
        await opened.house.reply(opened.conversation_id, visibility="public")
        yield opened


async def test_what_was_taken_before_the_line_went_dead_is_found_again_and_not_sent_twice(story: Wall) -> None:
    WALL.cut_after_accepting = True
    await story.house.deliver()
    assert await story.states() == ["uncertain"]
    WALL.cut_after_accepting = False
    await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["sent"], 1)
    (message,) = await story.outgoing()
    assert (message["external_id"], message["external_url"]) == ("wall-1", "https://wall.test/wall-1")
    assert await story.told() == ["message.uncertain", "message.sent"]


async def test_what_is_surely_not_there_is_sent_once_more(story: Wall) -> None:
    WALL.cut_after_accepting = True
    await story.house.deliver()
    WALL.sent.clear()  # it never arrived
    WALL.cut_after_accepting = False
    await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["sent"], 1)


async def test_while_it_cannot_be_looked_up_nothing_is_sent(story: Wall) -> None:
    WALL.cut_after_accepting = True
    WALL.cannot_look = Unreachable("no answer")
    await story.house.deliver()
    for _ in range(3):
        await story.due_now()
        await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["uncertain"], 1)
    WALL.cannot_look = None
    await story.due_now()
    await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["sent"], 1)
    assert await story.told() == ["message.uncertain", "message.sent"]


@pytest.mark.parametrize("trouble", ["settings", "look"])
async def test_whatever_keeps_us_from_looking_nothing_is_sent(story: Wall, trouble: str) -> None:
    WALL.cut_after_accepting = True
    await story.house.deliver()
    WALL.cut_after_accepting = False
    wrong = {"unknown": 1} if trouble == "settings" else {"name": "us"}
    WALL.cannot_look = ValueError("odd") if trouble == "look" else None
    await _configure(story, wrong)
    for _ in range(2):
        await story.due_now()
        await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["uncertain"], 1)
    WALL.cannot_look, WALL.says_the_same = None, True
    await _configure(story, {"name": "us"})
    await story.due_now()
    await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["sent"], 1)
    assert await story.told() == ["message.uncertain", "message.sent"]


async def _configure(story: Wall, config: dict[str, object]) -> None:
    async with story.services.database.transaction() as session:
        mine = update(inboxes).where(inboxes.c.id == story.inbox_id)
        await session.execute(mine.values(config=config, version=inboxes.c.version + 1))


async def test_where_nobody_can_tell_a_person_decides(story: Wall) -> None:
    WALL.cut_after_accepting = True
    WALL.cannot_look = Uncertain("the timeline ends before it")
    for _ in range(3):
        await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["uncertain"], 1)
    assert await story.told() == ["message.uncertain"]
    anna = await factories.agent(story.services)
    (message,) = await story.outgoing()
    shown = await story.client.get(f"/api/v1/conversations/{story.conversation_id}/messages", headers=anna.headers)
    assert shown.json()["items"][-1]["delivery"]["next_attempt_at"] is None
    WALL.cut_after_accepting = False
    again = await story.post(f"messages/{message['id']}/retry", None, by=anna)
    assert (again.status_code, again.json()["delivery"]["status"]) == (200, "queued")
    await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["sent"], 2)


async def test_while_it_is_still_looked_up_nobody_sends_it_again(story: Wall) -> None:
    WALL.cut_after_accepting = True
    await story.house.deliver()
    anna = await factories.agent(story.services)
    (message,) = await story.outgoing()
    refused = await story.post(f"messages/{message['id']}/retry", None, by=anna)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:helpdesk:problem:delivery_state")


async def test_another_message_that_says_the_same_is_not_taken_for_this_one(story: Wall) -> None:
    WALL.says_the_same = True
    await story.house.deliver()
    await story.house.reply(story.conversation_id, visibility="public")
    WALL.cut_after_accepting = True
    await story.house.deliver()
    WALL.sent.pop()  # it never arrived, and one just like it had
    for _ in range(2):
        await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["sent", "uncertain"], 1)


async def test_a_worker_that_dies_after_the_final_byte_leaves_it_to_be_looked_up(story: Wall) -> None:
    WALL.cut_after_accepting = True
    await story.house.deliver()
    WALL.cut_after_accepting = False
    # As a worker leaves it that was killed while it waited for the answer.
    async with story.services.database.transaction() as session:
        (claimed,) = await deliveries.claim(session, worker="dies", limit=1, lease_seconds=60, now=clock.now())
        await deliveries.start(session, claimed)
        await deliveries.at_final(session, claimed, now=clock.now())
        await deliveries.release(session, worker="dies")
    for _ in range(2):
        await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["sent"], 1)


async def test_two_workers_send_it_once(story: Wall) -> None:
    async with House(story.services, worker="second") as second:
        for _ in range(2):
            await asyncio.gather(story.house.deliver(), second.deliver())
    assert (await story.states(), len(WALL.sent)) == (["sent"], 1)


async def test_that_nothing_can_be_sent_until_a_person_helps_is_told_once_for_each_message(story: Wall) -> None:
    WALL.refuse(AccessRevoked("Log in again"))
    for _ in range(2):
        await story.due_now()
        await story.house.deliver()
    assert await story.told("inbox.failing") == ["inbox.failing"]
    assert (await story.states(), WALL.sent) == (["queued"], [])
    WALL.refuse(None)
    await story.due_now()
    await story.house.deliver()
    assert await story.states() == ["sent"]


async def test_what_a_spent_budget_holds_back_leaves_once_somebody_has_paid(story: Wall) -> None:
    WALL.refuse(BudgetSpent("Buy credits", retry_after=20 * 86_400.0))
    await story.house.deliver()
    assert await story.states() == ["queued"]
    (waiting,) = await story.house.rows(delivery_rows)
    assert waiting["next_attempt_at"] <= clock.now() + timedelta(hours=1)
    assert await story.told("inbox.failing", "message.failed") == ["inbox.failing"]
    WALL.refuse(None)
    await story.due_now()
    await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["sent"], 1)
