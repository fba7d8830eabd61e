"""What webhooks did not bring is read back, at the positions that it would have had."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from connectors.facebook import events, parse, reconcile
from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.tests.fake import INSTAGRAM, PAGE, SECRET, TOKEN, VERIFY, FakeGraph, error
from helpdesk.channels import ChannelError, Host, InboundMessage, RawInbound
from helpdesk.net import AllowList, Guard, safe_http

MINA, OLAF = "3383290475046708", "17840001"


class Store:
    """A host's memory: what was taken in one commit with which cursor."""

    inbox_id = UUID(int=1)

    def __init__(self) -> None:
        self.items: dict[str, RawInbound] = {}
        self.at: Mapping[str, Any] = {}
        self.commits: list[int] = []

    async def accept(self, batch: Sequence[RawInbound], *, cursor: Mapping[str, Any] | None = None) -> int:
        self.items = {one.position: one for one in batch} | self.items
        self.commits.append(len(batch))
        if cursor is not None:
            self.at = dict(cursor)
        return len(batch)

    async def cursor(self) -> Mapping[str, Any]:
        return self.at


class Inbox:
    def __init__(self, fake: FakeGraph, graph: Graph, config: MetaConfig) -> None:
        self.fake, self.graph, self.config, self.store = fake, graph, config, Store()

    async def look(self) -> list[str]:
        """The positions that were not there before."""
        before = set(self.store.items)
        await reconcile.reconcile(self.graph, self.config, cast(Host, self.store))
        return sorted(self.store.items.keys() - before)

    def read(self, position: str) -> InboundMessage:
        public = {"page_id": PAGE, "instagram_id": INSTAGRAM}
        found = parse.page(self.store.items[position], public)
        assert isinstance(found, InboundMessage)
        return found


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    with FakeGraph() as fake:
        secrets = {"page_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY, "api_url": fake.origin}
        config = MetaConfig.model_validate({"page_id": PAGE, "instagram_id": INSTAGRAM, **secrets})
        async with safe_http(Guard(AllowList.parse(["127.0.0.0/8"]))) as http:
            yield Inbox(fake, Graph(config, http), config)


def posted(account: str, event: dict[str, Any], *, list_: str = "changes") -> str:
    """The position at which a webhook brings it."""
    whole = {
        "object": "page" if account == PAGE else "instagram",
        "entry": [{"id": account, "time": 1, list_: [event]}],
    }
    return events.position(events.split(json.loads(json.dumps(whole)))[0])


async def test_nothing_older_than_the_inbox_is_taken(inbox: Inbox) -> None:
    inbox.fake.comments(inbox.fake.posts("News"), MINA, "long ago")
    assert await inbox.look() == []
    assert inbox.store.at.keys() == {"feed", "messenger", "media", "instagram"}


async def test_what_a_webhook_would_have_brought_is_found_where_it_would_stand(inbox: Inbox) -> None:
    await inbox.look()
    fake = inbox.fake
    post, there = fake.posts("News"), fake.posts("News", instagram=True)
    first = fake.comments(post, MINA, "Where is it?", picture="a.png")
    below = fake.comments(post, MINA, "And why?", under=first["value"]["comment_id"])
    comment = fake.comments(there, OLAF, "hm")
    answer = fake.comments(there, OLAF, "hmm", under=comment["value"]["id"])
    visit = fake.posts("I write here", author=MINA)
    message, direct = fake.writes(MINA, "hello", files=("b.png",)), fake.writes(OLAF, "hi")
    expected = [posted(PAGE, first), posted(PAGE, below), posted(INSTAGRAM, comment), posted(INSTAGRAM, answer)]
    expected += [posted(PAGE, message, list_="messaging"), posted(INSTAGRAM, direct, list_="messaging")]
    assert await inbox.look() == sorted([*expected, f"m;{visit}"])
    assert await inbox.look() == []
    read = inbox.read(posted(PAGE, below))
    assert (read.text, read.thread, read.in_reply_to) == ("And why?", f"post:{post}", first["value"]["comment_id"])
    assert [file.source for file in inbox.read(expected[0]).attachments] == [f"comment:{first['value']['comment_id']}"]
    assert inbox.read(f"m;{visit}").sender.handle == MINA
    assert inbox.read(posted(INSTAGRAM, answer)).in_reply_to == comment["value"]["id"]
    read = inbox.read(posted(PAGE, message, list_="messaging"))
    assert (read.sender.handle, read.thread, len(read.attachments)) == (MINA, f"dm:{MINA}", 1)
    assert inbox.read(posted(INSTAGRAM, direct, list_="messaging")).sender.handle == f"instagram:{OLAF}"


async def test_what_our_account_wrote_is_read_as_an_echo(inbox: Inbox) -> None:
    await inbox.look()
    inbox.fake.writes(MINA, "hello")
    inbox.fake.writes(MINA, "", files=("after the text.png",))
    for message in inbox.fake.messages:
        message.own = True
    (position,) = await inbox.look()
    read = inbox.read(position)
    assert read.written_by_us
    assert read.recipient is not None
    assert read.recipient.handle == MINA


async def test_more_than_a_page_shows_is_read_to_the_end_and_stored_by_and_by(inbox: Inbox) -> None:
    await inbox.look()
    post = inbox.fake.posts("Giveaway?")
    for number in range(130):
        inbox.fake.comments(post, f"55{number}", "me")
        inbox.fake.writes(MINA, f"{number}")
    inbox.store.commits.clear()
    assert len(await inbox.look()) == 260
    assert max(inbox.store.commits) == reconcile.AT_ONCE


async def test_a_place_that_may_not_be_read_leaves_the_others(inbox: Inbox) -> None:
    await inbox.look()
    before = dict(inbox.store.at)
    inbox.fake.comments(inbox.fake.posts("News"), MINA, "hm")
    inbox.fake.writes(MINA, "hello")
    inbox.fake.fail("GET", "/feed", body=error(10))
    assert len(await inbox.look()) == 1
    assert inbox.store.at["feed"] == before["feed"]
    assert len(await inbox.look()) == 1


async def test_nothing_is_skipped_when_the_vendor_breaks_off(inbox: Inbox) -> None:
    await inbox.look()
    before = dict(inbox.store.at)
    inbox.fake.writes(MINA, "hello")
    inbox.fake.fail("GET", "/conversations", 502, body=b"<html>")
    with pytest.raises(ChannelError):
        await inbox.look()
    assert inbox.store.at["messenger"] == before["messenger"]
    assert len(await inbox.look()) == 1


async def test_the_vendors_clock_counts_and_an_account_alone_reads_its_own(inbox: Inbox) -> None:
    inbox.fake.ahead = timedelta(hours=-5)
    inbox.config = InstagramConfig.model_validate(inbox.config.model_dump())
    await inbox.look()
    inbox.fake.writes(MINA, "not for us")
    direct = inbox.fake.writes(OLAF, "hi")
    assert await inbox.look() == [posted(INSTAGRAM, direct, list_="messaging")]
    assert inbox.store.at.keys() == {"media", "instagram"}
