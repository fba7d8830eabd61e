"""One author in one thread is one conversation: what joins, what begins anew, and what never joins."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversation_links, conversations
from helpdesk.models.inboxes import raw_items
from helpdesk.models.social import conversation_threads, inbound_media, pending_changes, posts, social_accounts
from helpdesk.services import changes, intake, merging
from helpdesk.services.house import Services
from tests import factories
from tests.house import Desk, House
from tests.social.vendor import CHANNEL, with_wall

POST = {"external_id": "9", "url": "https://wall.test/9", "text": "We are hiring"}


def said(external_id: str, *, by: str = "17", thread: str = "post:9", **given: Any) -> bytes:
    about = {"external_id": external_id, "sender": {"handle": by, "name": f"Mina {by}"}, "text": f"Help {external_id}"}
    return json.dumps(about | {"thread": thread, "visibility": "public"} | given).encode()


async def grouped(house: House) -> list[list[str]]:
    """The external ids of what was said, conversation by conversation."""
    found: dict[Any, list[str]] = {row["id"]: [] for row in await house.conversations()}
    for message in await house.incoming():
        found[message["conversation_id"]].append(message["external_id"])
    return list(found.values())


async def set_conversation(house: House, **values: Any) -> None:
    async with house.services.database.transaction() as session:
        await session.execute(update(conversations).values(values))


@pytest.mark.parametrize("at_a_time", [1, 4])
async def test_one_author_in_one_thread_is_one_conversation(house: House, desk: Desk, at_a_time: int) -> None:
    items = [said("1"), said("2", by="18"), said("3", thread="dm:17", visibility="direct"), said("4")]
    for start in range(0, 4, at_a_time):
        await house.receive(desk, *items[start : start + at_a_time])
    assert await grouped(house) == [["1", "4"], ["2"], ["3"]]
    assert len(await house.rows(contacts)) == 2
    assert [(one["handle"], one["thread"]) for one in await house.rows(conversation_threads)] == [
        *[("17", "dm:17"), ("17", "post:9")],
        ("18", "post:9"),
    ]


async def test_a_thread_of_one_inbox_leads_nowhere_in_another(house: House, desk: Desk) -> None:
    other = Desk(await factories.inbox(house.services, channel="wall", name="them"), "them")
    await house.receive(desk, said("1"))
    await house.receive(other, said("2"))
    assert await grouped(house) == [["1"], ["2"]]


async def test_a_resolved_matter_is_opened_again_and_a_closed_one_followed(house: House, desk: Desk) -> None:
    await house.receive(desk, said("1"))
    await set_conversation(house, status="resolved")
    await house.receive(desk, said("2"))
    assert [row["status"] for row in await house.conversations()] == ["open"]
    await set_conversation(house, status="closed")
    await house.receive(desk, said("3"), said("4"))
    assert await grouped(house) == [["1", "2"], ["3", "4"]]
    link = await house.row(conversation_links)
    assert (link["related_id"], link["kind"]) == ((await house.conversations())[0]["id"], "follows")


async def test_after_two_weeks_of_silence_it_is_another_matter(house: House, desk: Desk) -> None:
    await house.receive(desk, said("1"))
    await set_conversation(house, last_activity_at=clock.now() - timedelta(days=13))
    await house.receive(desk, said("2"))
    await set_conversation(house, last_activity_at=clock.now() - timedelta(days=15))
    await house.receive(desk, said("3"))
    assert await grouped(house) == [["1", "2"], ["3"]]


async def test_a_thread_leads_into_what_its_conversation_was_merged_into(house: House, desk: Desk) -> None:
    await house.receive(desk, said("1"), said("2", thread="dm:17"))
    into, merged = [row["id"] for row in await house.conversations()]
    async with house.services.database.transaction() as session:
        mine = update(conversations).where(conversations.c.id == merged)
        await session.execute(mine.values(merged_into_id=into, status="closed"))
    await house.receive(desk, said("3", thread="dm:17"))
    assert await grouped(house) == [["1", "3"], ["2"]]


async def test_somebody_whose_matter_went_into_anothers_is_heard_there_until_it_comes_out(
    house: House, desk: Desk
) -> None:
    anna = Actor(AuthorKind.AGENT, name="Anna", role=Role.ADMIN)
    await house.receive(desk, said("1"), said("2", by="18"))
    into, merged = [row["id"] for row in await house.conversations()]
    async with house.services.database.transaction() as session:
        how: dict[str, Any] = {"into": into, "version": 1, "other_contact": True, "by": anna, "now": clock.now()}
        await merging.merge(house.services, session, merged, **how)
    for number in ("3", "4", "5"):
        await house.receive(desk, said(number, by="18"))
    assert await grouped(house) == [["1", "3", "4", "5"], ["2"]]
    async with house.services.database.transaction() as session:
        await merging.unmerge(house.services, session, merged, version=2, by=anna, now=clock.now())
    await house.receive(desk, said("6", by="18"), said("7"))
    assert await grouped(house) == [["1", "3", "4", "5", "7"], ["2"], ["6"]]


async def test_a_thread_leads_to_nobody_elses_conversation(house: House, desk: Desk) -> None:
    await house.receive(desk, said("1"), said("2", by="18"))
    somebody = (await house.conversations())[1]
    async with house.services.database.transaction() as session:
        mine = update(conversation_threads).where(conversation_threads.c.handle == "17")
        await session.execute(mine.values(conversation_id=somebody["id"]))
    await house.receive(desk, said("3"), said("4"))
    assert await grouped(house) == [["1"], ["2"], ["3", "4"]]


async def test_the_same_message_by_poll_and_webhook_is_one(house: House, desk: Desk) -> None:
    await house.receive(desk, said("1"), said("1", text="Help 1 &amp; more"))
    await house.receive(desk, said("1", text="Help 1 & more"))
    assert await grouped(house) == [["1"]]
    assert sorted(row["state"] for row in await house.rows(raw_items)) == ["duplicate", "duplicate", "filed"]


async def test_what_another_inbox_sent_under_the_same_id_is_another_message(house: House, desk: Desk) -> None:
    """Ids of private chats are often numbered by chat: two of our accounts have the same with one person."""
    other = Desk(await factories.inbox(house.services, channel="wall", name="them"), "them")
    await house.receive(desk, said("17:1", thread="chat:17", visibility="direct"))
    await house.reply((await house.conversations())[0]["id"])
    await house.drain()
    (sent,) = [one for one in await house.messages() if one["type"] == "outgoing"]
    await house.receive(other, said(sent["external_id"], thread="chat:17"))
    assert sorted(await grouped(house)) == sorted([["17:1"], [sent["external_id"]]])


async def test_posts_accounts_and_files_to_come_are_kept_with_it(house: House, desk: Desk) -> None:
    profile = {"id": "17", "handle": "mina", "followers": 12}
    picture = {"filename": "a.png", "content_type": "image/png", "source": "post:1#0"}
    await house.receive(desk, said("1", post={"external_id": "9"}, profile=profile, attachments=[picture]))
    await house.receive(desk, said("2", by="18", post=POST), said("3", post={"external_id": "9"}))
    post = await house.row(posts)
    assert (post["url"], post["text"]) == (POST["url"], POST["text"])
    assert {one["post_id"] for one in await house.rows(conversation_threads)} == {post["id"]}
    assert (await house.row(social_accounts))["followers"] == 12
    waiting = await house.row(inbound_media)
    assert (waiting["source"], waiting["message_id"]) == ("post:1#0", (await house.incoming())[0]["id"])
    assert (await house.incoming())[0]["attachment_count"] == 0


async def test_what_could_not_be_read_at_first_begins_its_thread_when_it_is(house: House, desk: Desk) -> None:
    broken = replace(CHANNEL, parse="tests.social.vendor:measure")
    async with House(replace(house.services, channels={"wall": broken})) as before:
        await before.receive(desk, said("1"), json.dumps({"kind": "hidden", "external_id": "1"}).encode())
    assert [row["state"] for row in await house.rows(raw_items)] == ["failed", "failed"]
    async with house.services.database.transaction() as session:
        await intake.reprocess(session, desk.id, message_id=None, now=clock.now())
    await house.drain()
    await house.receive(desk, said("2"), positions=["later"])
    assert [row["state"] for row in await house.rows(raw_items)] == ["filed", "kept", "filed"]
    assert (await grouped(house))[0] == ["1", "2"]
    assert (await house.incoming())[0]["hidden"]


async def test_two_workers_begin_one_conversation(services: Services) -> None:
    house = with_wall(services)
    async with House(house, worker="one") as first, House(house, worker="two") as second:
        desk = Desk(await factories.inbox(house, channel="wall", name="us"), "us")
        for number in range(1, 7):
            positions = [f"m;{number}"]
            await first.post(desk, said(str(number), by="17" if number % 2 else "18"), positions=positions)
            await second.post(desk, said(str(number), by="17" if number % 2 else "18"), positions=positions)
            await asyncio.gather(first.process(), second.process())
        await first.drain()
        assert sorted(map(sorted, await grouped(first))) == [["1", "3", "5"], ["2", "4", "6"]]


async def test_nothing_is_lost_or_doubled_by_two_ways_and_two_workers(services: Services) -> None:
    """What a webhook brings and a poll finds again, in any order, with edits that may be faster than their message."""
    random, house = Random(1), with_wall(services)
    async with House(house, worker="one") as first, House(house, worker="two", alongside=False) as second:
        desk = Desk(await factories.inbox(house, channel="wall", name="us"), "us")
        items: list[tuple[str, bytes]] = []
        for number in range(16):
            about = {"by": str(random.randint(17, 19)), "thread": random.choice(["post:9", "post:8"])}
            edit = {"kind": "edited", "external_id": str(number), "text": f"Edited {number}"}
            items.append((f"m;{number}", said(str(number), **about)))
            items.append((f"c;{number}", json.dumps(edit).encode()))
        ways = [random.sample(items, len(items)) for _ in range(2)]
        for start in range(0, len(items), 8):
            for way, worker in zip(ways, (first, second), strict=True):
                some = way[start : start + 8]
                await worker.post(desk, *(body for _, body in some), positions=[place for place, _ in some])
            await asyncio.gather(first.process(), second.process())
        async with services.database.transaction() as session:
            await session.execute(update(raw_items).values(next_attempt_at=clock.now()))
        await first.drain()
        async with services.database.transaction() as session:
            await changes.sweep(session, now=clock.now())
        messages = await first.incoming()
        assert sorted(int(one["external_id"]) for one in messages) == list(range(16))
        assert {one["text"] for one in messages} == {f"Edited {number}" for number in range(16)}
        places = {(one["author_id"], one["thread"]): one["conversation_id"] for one in messages}
        assert len(places) == len(await first.conversations()) == len({one["conversation_id"] for one in messages})
        assert {row["state"] for row in await first.rows(raw_items)} == {"filed", "kept"}
        assert await first.rows(pending_changes) == []
