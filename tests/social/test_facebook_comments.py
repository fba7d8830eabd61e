"""Comments under posts in the house: grouped by author and post, answered once, and found without a webhook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from connectors.facebook.tests import signed
from connectors.facebook.tests.fake import INSTAGRAM, PAGE, SECRET
from helpdesk import clock
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import Conflict
from helpdesk.models.inboxes import inbox_states, raw_items
from helpdesk.models.messages import attachments
from helpdesk.services import moderation
from helpdesk.services.house import Services
from tests.conftest import ON_ONE_DATABASE
from tests.social import page_house
from workers.connections import Connections
from workers.media import Media
from workers.receive import Receiver

MINA, OLAF = "3383290475046708", "4400000000000001"


class Desk(page_house.Desk):
    """Is told of comments."""

    async def tell(self, *changes: dict[str, Any], escaped: bool = True, object_: str = "page") -> None:
        """One webhook, which is taken."""
        payload = signed.webhook(object_, PAGE if object_ == "page" else INSTAGRAM, changes=list(changes))
        await self.told(payload, escaped=escaped)


@pytest.fixture
async def desk(services: Services, client: httpx.AsyncClient) -> AsyncIterator[Desk]:
    async with page_house.opened(services) as (house, graph, inbox_id):
        graph.names = {MINA: "Mina Bäcker", OLAF: "Olaf"}
        yield Desk(house, client, graph, inbox_id)


def became(change: dict[str, Any], verb: str, **more: Any) -> dict[str, Any]:
    return {**change, "value": {**change["value"], "verb": verb, **more}}


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await look():
            await asyncio.sleep(0.02)


async def test_one_author_under_one_post_is_one_conversation_whatever_order_it_comes_in(desk: Desk) -> None:
    post, other = desk.graph.posts("News"), desk.graph.posts("Older news")
    first = desk.graph.comments(post, MINA, "Wo ist mein Gëld?")
    second = desk.graph.comments(post, OLAF, "Mine too", under=first["value"]["comment_id"])
    third = desk.graph.comments(post, MINA, "Hello?", under=first["value"]["comment_id"])
    fourth = desk.graph.comments(other, MINA, "And here?")
    await desk.tell(became(first, "edited", message="Where is my money?"), became(third, "remove"), third)
    await desk.tell(fourth, second, third, first, escaped=False)
    await desk.tell(first, second)
    await desk.house.drain()
    said = {row["text"]: row for row in await desk.house.incoming()}
    assert said.keys() == {"Where is my money?", "Mine too", "Hello?", "And here?"}
    home = {text: row["conversation_id"] for text, row in said.items()}
    assert home["Where is my money?"] == home["Hello?"]
    assert len(set(home.values())) == 3
    assert {row["visibility"] for row in said.values()} == {"public"}
    assert said["Hello?"]["deleted_at"] is not None
    assert said["Where is my money?"]["edited_at"] is not None
    names = {row["author_name"] for row in said.values()}
    assert names == {"Mina Bäcker", "Olaf"}


async def test_a_public_answer_is_said_once_although_nobody_confirmed_it_and_its_echo_comes_first(desk: Desk) -> None:
    comment = desk.graph.comments(desk.graph.posts("News"), MINA, "Where is my money?")
    await desk.tell(comment)
    await desk.house.drain()
    (conversation,) = await desk.house.conversations()
    desk.graph.accept_then_cut("POST", "/comments")
    await desk.house.reply(conversation["id"], "We are looking into it.")
    await desk.house.deliver()
    assert (await desk.states(), desk.graph.answers) == (["uncertain"], ["We are looking into it."])
    answer = next(one for one in desk.graph.things.values() if one.author == PAGE and one.under)
    value = {"comment_id": answer.id, "message": answer.text, "from": {"id": PAGE, "name": "Wallet"}}
    await desk.tell(became(comment, "add", **value, parent_id=answer.under))
    await desk.waited()
    assert (await desk.states(), desk.graph.answers) == (["sent"], ["We are looking into it."])
    (sent,) = [row for row in await desk.house.messages() if row["type"] == "outgoing"]
    assert (sent["external_id"], sent["visibility"]) == (answer.id, "public")
    assert answer.under == comment["value"]["comment_id"]
    # The echo waits until it is certain whose it is.
    async with desk.house.services.database.transaction() as session:
        await session.execute(update(raw_items).values(next_attempt_at=clock.now()))
    await desk.house.drain()
    assert len(await desk.house.messages()) == 2


async def test_a_private_answer_to_a_comment_goes_on_in_private_in_the_same_conversation(desk: Desk) -> None:
    comment = desk.graph.comments(desk.graph.posts("News"), MINA, "Where is my money?")
    await desk.tell(comment)
    await desk.house.drain()
    (conversation,) = await desk.house.conversations()
    await desk.house.reply(conversation["id"], "Which address was it?", visibility="direct")
    with pytest.raises(Conflict):
        await desk.house.reply(conversation["id"], "And when?", visibility="direct")
    await desk.house.drain()
    private = f"9{MINA}"
    assert [(one.person, one.text) for one in desk.graph.messages] == [(private, "Which address was it?")]
    payload = signed.webhook("page", PAGE, messaging=[desk.graph.writes(private, "bc1q…")])
    assert (await signed.post(desk.client, desk.inbox_id, payload, secret=SECRET)).status_code == 200
    await desk.house.drain()
    assert [row["id"] for row in await desk.house.conversations()] == [conversation["id"]]
    await desk.house.reply(conversation["id"], "We found it.")
    await desk.house.drain()
    assert [one.text for one in desk.graph.messages if one.person == private and one.own][1:] == ["We found it."]
    assert desk.graph.answers == []
    await desk.house.reply(conversation["id"], "It was found.", visibility="public")
    await desk.house.drain()
    assert desk.graph.answers == ["It was found."]
    assert [one.under for one in desk.graph.things.values() if one.author == PAGE and one.post] == [
        comment["value"]["comment_id"]
    ]


@ON_ONE_DATABASE
async def test_comments_on_instagram_come_to_the_pages_inbox_and_are_answered_there(desk: Desk) -> None:
    post = desk.graph.posts("News", instagram=True)
    await desk.tell(desk.graph.comments(post, "17840001", "hm"), object_="instagram")
    await desk.tell({"field": "mentions", "value": {"media_id": "30", "comment_id": "31"}}, object_="instagram")
    await desk.house.drain()
    comment, mention = await desk.house.conversations()
    await desk.house.reply(comment["id"], "Hello")
    await desk.house.reply(mention["id"], "Thank you")
    await desk.house.drain()
    assert sorted(desk.graph.answers) == ["Hello", "Thank you"]
    assert await desk.states() == ["sent", "sent"]


@ON_ONE_DATABASE
async def test_what_is_hidden_here_is_hidden_there_and_the_other_way_round(desk: Desk) -> None:
    comment = desk.graph.comments(desk.graph.posts("News"), MINA, "Claim your free coins at my site")
    await desk.tell(comment)
    await desk.house.drain()
    (message,) = await desk.house.incoming()
    anna = Actor(AuthorKind.AGENT, name="Anna", role=Role.ADMIN)
    await moderation.hide(desk.house.services, message["id"], hidden=True, by=anna, now=clock.now())
    assert desk.graph.things[message["external_id"]].hidden
    await desk.tell(became(comment, "hide"))
    await desk.house.drain()
    assert (await desk.house.incoming())[0]["hidden"]
    await desk.tell(became(comment, "unhide"))
    await desk.house.drain()
    assert not (await desk.house.incoming())[0]["hidden"]


@ON_ONE_DATABASE
async def test_a_picture_under_a_post_is_fetched_after_its_comment_is_filed(desk: Desk) -> None:
    desk.graph.files["a.png"] = b"\x89PNG\r\n\x1a\n" + bytes(40)
    await desk.tell(desk.graph.comments(desk.graph.posts("News"), MINA, "Look", picture="a.png"))
    await desk.house.drain()
    connections = Connections(desk.house.services, desk.house.guard)
    await Media(desk.house.services, connections, worker="media").step()
    await connections.close()
    (file,) = await desk.house.rows(attachments)
    assert (file["content_type"], file["size"]) == ("image/png", 48)


async def test_what_no_webhook_brought_is_read_back_and_stored_once(desk: Desk) -> None:
    services = desk.house.services
    connections = Connections(services, desk.house.guard)
    first = Receiver(services, desk.house.guard, connections, worker="one")
    await first.step()

    async def begun() -> bool:
        row = await desk.house.row(inbox_states, inbox_states.c.inbox_id == desk.inbox_id)
        return set(row["cursor"]) == {"feed", "messenger", "media", "instagram"}

    await until(begun)
    await first.close()
    post = desk.graph.posts("News")
    heard, lost = desk.graph.comments(post, MINA, "one"), desk.graph.comments(post, OLAF, "two")
    desk.graph.writes(MINA, "three")
    await desk.tell(heard)
    second = Receiver(services, desk.house.guard, connections, worker="two")
    await second.step()

    async def read_back() -> bool:
        return len(await desk.house.rows(raw_items)) == 3

    await until(read_back)
    await desk.tell(lost, heard)
    await second.close()
    await connections.close()
    await desk.house.drain()
    assert sorted(row["text"] for row in await desk.house.incoming()) == ["one", "three", "two"]
