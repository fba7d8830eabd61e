"""The made-up vendor itself: the client gets along with it, and it refuses what the real one refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from connectors.x.client import Client
from connectors.x.config import XConfig
from connectors.x.tests.fake import US, FakeX
from connectors.x.tests.fake_calls import CALLS
from connectors.x.tests.spec import load
from helpdesk.channels import ChannelError, House
from helpdesk.db import new_id
from helpdesk.net import AllowList, Guard

FIELDS = ["author_id", "conversation_id", "created_at", "referenced_tweets"]


def house() -> House:
    kept: dict[str, str] = {}

    async def save(changed: Mapping[str, str]) -> None:
        kept.update(changed)

    async def stored() -> Mapping[str, str]:
        return kept

    return House(Guard(AllowList.parse(["127.0.0.0/8"])), new_id(), "", save, stored)


@pytest.fixture
async def x() -> AsyncIterator[FakeX]:
    with FakeX() as fake:
        yield fake


@pytest.fixture(params=["oauth1", "oauth2"])
async def client(x: FakeX, request: Any) -> AsyncIterator[Client]:
    made = Client(XConfig(**getattr(x.tokens, request.param), api_url=x.origin), house())
    yield made
    await made.close()


async def test_mentions_come_newest_first_and_page_by_page(x: FakeX, client: Client) -> None:
    posts = [x.mention("ann", f"@desk {number}") for number in range(5)]
    x.mention("ann", "@deskless is somebody else")
    x.page = 2
    asked = {"max_results": 5, "tweet_fields": FIELDS, "expansions": ["author_id"]}
    first = await client.call("get_users_mentions", US, **asked)
    assert [post["id"] for post in first["data"]] == posts[:2:-1]
    assert first["includes"]["users"][0]["username"] == "ann"
    token = first["meta"]["next_token"]
    second = await client.call("get_users_mentions", US, **asked, pagination_token=token)
    assert [post["id"] for post in second["data"]] == posts[2:0:-1]
    newer = await client.call("get_users_mentions", US, since_id=posts[-1])
    assert newer == {"meta": {"result_count": 0}}


async def test_an_answer_stands_below_what_it_answers(x: FakeX, client: Client) -> None:
    post = x.mention("ann", "@desk where is my money?")
    made = await client.call("create_tweet", text="We look into it", in_reply_to_tweet_id=post)
    assert [one["id"] for one in x.sent] == [made["data"]["id"]]
    with pytest.raises(ChannelError):
        await client.call("create_tweet", text="We look into it", in_reply_to_tweet_id=post)
    query = f"conversation_id:{post} -from:desk"
    found = await client.call("search_recent_tweets", query, max_results=10, tweet_fields=FIELDS)
    assert [one["id"] for one in found["data"]] == [post]
    x.delete(post)
    found = await client.call("get_tweets", [post, made["data"]["id"]])
    assert found["errors"][0]["resource_id"] == post
    assert len(x.sent) == 1


async def test_messages_go_both_ways(x: FakeX, client: Client) -> None:
    event = x.dm("ann", "my number is 17")
    ann = x.world.user("ann")
    await client.call("create_direct_message", participant_id=ann, text="Thank you")
    fields = ["sender_id", "dm_conversation_id", "created_at"]
    for asked in ({}, {"participant_id": ann}):
        found = await client.call("get_direct_message_events", **asked, dm_event_fields=fields)
        assert [one["text"] for one in found["data"]] == ["Thank you", "my number is 17"]
        assert found["data"][1]["id"] == event


async def test_a_picture_is_uploaded_before_it_is_shown(x: FakeX, client: Client) -> None:
    given = {"media": "iVBORw0KGgo=", "media_category": "tweet_image", "media_type": "image/png"}
    media_id = (await client.request("POST", "/2/media/upload", json=given))["data"]["id"]
    await client.call("create_tweet", text="Look", media_ids=[media_id])
    assert x.sent[0]["attachments"] == {"media_keys": [f"3_{media_id}"]}


async def test_what_is_taken_may_be_told_to_nobody(x: FakeX, client: Client) -> None:
    async def final() -> None:
        pass

    x.accept_then_cut("POST /2/tweets")
    x.accept_then_answer("POST /2/tweets", 200, b'{"data": {"id": "19')
    x.fail("POST /2/tweets", 503, body=b"<html>")
    for text in ("one", "two", "three"):
        with pytest.raises(ChannelError) as error:
            await client.call("create_tweet", text=text, final=final)
        assert error.value.kind == "uncertain"
    assert [post["text"] for post in x.sent] == ["one", "two"]


async def test_a_plan_may_change(x: FakeX) -> None:
    client = Client(XConfig(**x.tokens.oauth1, api_url=x.origin), house())
    kinds = []
    for change in (lambda: x.plan("free"), lambda: x.plan("capped"), lambda: x.plan("spent"), x.revoke):
        change()
        with pytest.raises(ChannelError) as error:
            await client.call("get_users_mentions", US)
        kinds.append(error.value.kind)
    assert kinds == ["plan", "budget", "budget", "revoked"]
    await client.close()


async def test_a_refresh_token_is_good_for_once(x: FakeX) -> None:
    client = Client(XConfig(**x.tokens.oauth2, api_url=x.origin), house())
    assert (await client.call("get_me"))["data"]["username"] == "desk"
    form = b"grant_type=refresh_token&client_id=client-id&refresh_token="
    assert x.tokens.grant("", form + b"refresh-0")[0] == 400
    x.tokens.expire()
    assert (await client.call("get_me"))["data"]["id"] == US
    assert x.tokens.refreshed == 2
    await client.close()


async def test_what_the_document_does_not_know_is_found(x: FakeX) -> None:
    if load(tuple(CALLS)) is None:
        pytest.skip("the vendor's document is not here")
    client = Client(XConfig(**x.tokens.oauth1, api_url=x.origin), house())
    for params in ({"max_results": "3"}, {"colour": "red"}):
        with pytest.raises(ChannelError):
            await client.request("GET", f"/2/users/{US}/mentions", params=params)
    with pytest.raises(ChannelError):
        await client.request("POST", "/2/tweets", json={"txt": "a"})
    assert [finding.split(":")[0] for finding in x.findings] == ["GET /2/users/{id}/mentions"] * 2 + ["POST /2/tweets"]
    x.findings.clear()
    await client.close()


def test_who_may_call_is_as_the_document_says() -> None:
    document = load(tuple(CALLS))
    if document is None:
        pytest.skip("the vendor's document is not here")
    names = {"BearerToken": "app", "UserToken": "oauth1", "OAuth2UserToken": "oauth2"}
    for call, known in CALLS.items():
        ways = {names[name] for way in document.operations[call]["security"] for name in way}
        assert known.kinds == ways, call
