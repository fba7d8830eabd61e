"""A long answer in public: several posts, each of which answers the one before, and none of which comes twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from helpdesk import clock
from helpdesk.channels import PermanentFailure, Unreachable
from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import Invalid
from helpdesk.models.messages import deliveries
from helpdesk.models.social import conversation_threads, posts
from helpdesk.services import outgoing, redelivery
from helpdesk.services.house import Services
from tests import factories
from tests.social.vendor import WALL
from tests.social.wall_story import MINA, POST, Wall, wall

LONG = "We have found your withdrawal. " * 8


@pytest.fixture
async def story(services: Services) -> AsyncIterator[Wall]:
    async with wall(services) as opened:
        yield opened


async def _deliver(story: Wall) -> None:
    while await story.house.deliver():
        pass


async def test_each_part_answers_the_one_before(story: Wall) -> None:
    await story.house.reply(story.conversation_id, LONG)
    first, *rest = await story.outgoing()
    assert [one["part_of"] for one in rest] == [first["id"]] * 2
    assert (await story.conversation())["seq"] == rest[-1]["seq"]
    await _deliver(story)
    texts, targets = zip(*((sent["text"], sent["target"]) for _, sent in WALL.sent), strict=True)
    assert [text.rpartition(" ")[2] for text in texts] == ["1/3", "2/3", "3/3"]
    assert targets == (story.asked, "wall-1", "wall-2")
    assert await story.told() == ["message.sent"] * 3
    boss = await factories.agent(story.services, role="admin")
    report = await story.client.get("/api/v1/reports/volume", headers=boss.headers)
    assert report.json()["rows"][0]["sent"] == 1, "it is one answer"


async def test_one_that_is_not_known_to_have_arrived_holds_back_the_others(story: Wall) -> None:
    await story.house.reply(story.conversation_id, LONG)
    WALL.cut_after_accepting, WALL.cannot_look = True, Unreachable("no answer")
    for _ in range(2):
        await story.due_now()
        await story.house.deliver()
    assert (await story.states(), len(WALL.sent)) == (["uncertain", "queued", "queued"], 1)
    WALL.cut_after_accepting, WALL.cannot_look = False, None
    await story.due_now()
    await _deliver(story)
    assert await story.states() == ["sent"] * 3
    assert [sent["target"] for _, sent in WALL.sent] == [story.asked, "wall-1", "wall-2"]


async def test_one_that_was_refused_is_sent_again_and_the_others_follow(story: Wall) -> None:
    await story.house.reply(story.conversation_id, LONG)
    WALL.refuse(PermanentFailure("not now"))
    await _deliver(story)
    assert await story.states() == ["failed", "queued", "queued"]
    WALL.refuse(None)
    first = (await story.outgoing())[0]
    anna = Actor(AuthorKind.AGENT, name="Anna", role=Role.ADMIN)
    async with story.services.database.transaction() as session:
        await redelivery.retry(session, first, by=anna, now=clock.now())
    await _deliver(story)
    assert (await story.states(), len(WALL.sent)) == (["sent"] * 3, 3)


async def test_what_waits_for_a_part_that_will_not_leave_silences_nobody(story: Wall) -> None:
    await story.house.reply(story.conversation_id, LONG)
    WALL.refuse(PermanentFailure("not now"))
    await _deliver(story)
    WALL.refuse(None)
    await story.house.reply(story.conversation_id, "In short: it is on its way.")
    await _deliver(story)
    assert await story.states() == ["failed", "queued", "queued", "sent"]


async def test_what_no_number_of_posts_holds_is_refused_with_what_it_weighs(story: Wall) -> None:
    cases = (
        ("word " * 1000, "public", 100, "at most 25 posts of 100 "),
        ("word " * 400, "direct", 1000, "at most 1000 "),
    )
    for text, visibility, limit, told in cases:
        with pytest.raises(Invalid) as refused:
            await story.house.reply(story.conversation_id, text, visibility=visibility)
        assert refused.value.problem == "text_too_long"
        assert told in str(refused.value)
        assert refused.value.extra["length"] == {"used": len(text), "limit": limit, "unit": "characters"}


async def test_the_thread_and_the_post_are_told_to_the_channel(story: Wall) -> None:
    async with story.services.database.transaction() as session:
        post = {"inbox_id": story.inbox_id, "external_id": "17", "url": "", "text": "", "own": True}
        post |= {"id": new_id(), "created_at": clock.now()}
        await insert_rows(session, posts, [post])
        row = {"inbox_id": story.inbox_id, "handle": MINA, "thread": POST, "created_at": clock.now()}
        row |= {"conversation_id": story.conversation_id, "post_id": post["id"]}
        await insert_rows(session, conversation_threads, [row])
    await story.house.reply(story.conversation_id, LONG)
    async with story.services.database.reading() as session:
        for delivery in await story.house.rows(deliveries):
            message = await outgoing.load(story.services, session, delivery)
            assert (message.thread, message.post) == (POST, "17")
