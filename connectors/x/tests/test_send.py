"""Exactly one post for each message, whatever becomes of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.x.compose import opened
from connectors.x.connector import XConnector
from connectors.x.tests.desk import connector, nothing
from connectors.x.tests.fake import FakeX
from helpdesk import clock
from helpdesk.channels import (
    AccessRevoked,
    Address,
    Composed,
    OutboundAttachment,
    OutboundMessage,
    PermanentFailure,
    PermissionMissing,
    RateLimited,
    TargetGone,
    TemporaryFailure,
    Uncertain,
)
from helpdesk.db import new_id

POST, MESSAGE = "POST /2/tweets", "POST /2/dm_conversations/with/{participant_id}/messages"
PNG = OutboundAttachment("a.png", "image/png", b"\x89PNG\r\n\x1a\n")


@pytest.fixture
async def x() -> AsyncIterator[FakeX]:
    with FakeX() as fake:
        yield fake


@pytest.fixture(params=["oauth1", "oauth2"])
async def desk(x: FakeX, request: Any) -> AsyncIterator[XConnector]:
    made = connector(x, keys=request.param)
    yield made
    await made.close()


@pytest.fixture
async def only(x: FakeX) -> AsyncIterator[XConnector]:
    made = connector(x)
    yield made
    await made.close()


def answer(to: str, text: str = "We are looking into it.", **more: Any) -> OutboundMessage:
    made = OutboundMessage(new_id(), "token-1", (Address(to),), text, clock.now(), visibility="public")
    return replace(made, **more)


async def test_an_answer_stands_below_the_post_and_a_message_is_for_one_person(x: FakeX, desk: XConnector) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    sent = await desk.send(desk.compose(answer(ann, in_reply_to=post)), at_final=nothing)
    (made,) = x.sent
    assert (made["id"], made["referenced_tweets"]) == (sent.external_id, [{"type": "replied_to", "id": post}])
    assert sent.external_url == f"https://x.com/desk/status/{sent.external_id}"
    told = await desk.send(
        desk.compose(answer(ann, "In private", visibility="direct", in_reply_to=post)), at_final=nothing
    )
    (message,) = x.dms_sent
    assert (message["id"], message["text"]) == (told.external_id, "In private")
    assert (told.thread, told.accepted) == (f"dm:{ann}", (ann,))


@pytest.mark.parametrize("visibility", ["public", "direct"])
async def test_a_post_whose_answer_was_lost_is_found_and_not_made_again(
    x: FakeX, only: XConnector, visibility: str
) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    call = POST if visibility == "public" else MESSAGE
    composed = only.compose(answer(ann, in_reply_to=post, visibility=visibility))
    ways: Sequence[Callable[[], None]] = (
        lambda: x.accept_then_cut(call),
        lambda: x.accept_then_answer(call, 502, b"<html>Bad gateway</html>"),
        lambda: x.accept_then_answer(call, 200, b'{"data":{"id'),
        lambda: x.accept_then_answer(call, 201, b'{"data":{}}'),
    )
    for lose in ways:
        assert await only.find_sent(composed) is None
        lose()
        with pytest.raises(Uncertain):
            await only.send(composed, at_final=nothing)
        found = await only.find_sent(composed)
        assert found is not None
        (made,) = x.sent if visibility == "public" else x.dms_sent
        assert found.external_id == made["id"]
        x.world.posts = {post: x.world.posts[post]}
        x.world.messages.clear()


async def test_what_the_vendor_calls_a_duplicate_is_looked_up(x: FakeX, only: XConnector) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    composed = only.compose(answer(ann, in_reply_to=post))
    first = await only.send(composed, at_final=nothing)
    again = await only.send(composed, at_final=nothing)
    assert again.external_id == first.external_id
    assert len(x.sent) == 1


async def test_only_ours_below_the_same_post_and_as_new_is_it(x: FakeX, only: XConnector) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    other = x.mention("bob", "@desk and mine?")
    composed = only.compose(answer(ann, in_reply_to=post))
    text = opened(composed)["text"]
    x.world.post(ann, text, answers=post)
    x.world.post(x.world.us, text, answers=other)
    x.world.post(x.world.us, text, answers=post, at=clock.now() - timedelta(minutes=5))
    x.world.post(x.world.us, text + "!", answers=post)
    assert await only.find_sent(composed) is None
    ours = x.world.post(x.world.us, f"@ann  {text}", answers=post)
    found = await only.find_sent(composed)
    assert found is not None
    assert found.external_id == ours


async def test_what_the_vendor_made_of_a_text_is_still_it(x: FakeX, only: XConnector) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    composed = only.compose(answer(ann, "See Example.com/help &  <here>\ncafe\u0301", in_reply_to=post))
    ours = x.world.post(x.world.us, "@ann @bob See https://t.co/1 &amp; &lt;here&gt;\ncaf\u00e9", answers=post)
    links = [{"url": "https://t.co/1", "expanded_url": "http://Example.com/help"}]
    x.world.posts[ours].setdefault("entities", {})["urls"] = [{"start": 14, "end": 28, **one} for one in links]
    found = await only.find_sent(composed)
    assert found is not None
    assert found.external_id == ours


async def test_a_look_that_fails_says_so_and_one_without_an_end_is_uncertain(x: FakeX, only: XConnector) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    composed = only.compose(answer(ann, in_reply_to=post))
    x.fail("GET /2/users/{id}/tweets", 503, body=b"<html>")
    with pytest.raises(TemporaryFailure):
        await only.find_sent(composed)
    x.page = 1
    for number in range(12):
        x.world.post(x.world.us, f"{number}", answers=post)
    with pytest.raises(Uncertain):
        await only.find_sent(composed)


async def test_an_access_token_that_ends_meanwhile_makes_no_second_post(x: FakeX) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    made = connector(x, keys="oauth2", user_id="1001")
    finals = 0

    async def at_final() -> None:
        nonlocal finals
        finals += 1

    await made.send(made.compose(answer(ann, in_reply_to=post)), at_final=at_final)
    x.tokens.expire()
    await made.send(made.compose(answer(ann, "And more", in_reply_to=post)), at_final=at_final)
    assert [one["text"] for one in x.sent] == ["We are looking into it.", "And more"]
    assert (finals, x.tokens.refreshed) == (2, 2)
    await made.close()


async def test_refusals_are_no_doubt(x: FakeX, only: XConnector) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    composed = only.compose(answer(ann, in_reply_to=post))
    x.fail(POST, 429, {"retry-after": "9"})
    with pytest.raises(RateLimited) as told:
        await only.send(composed, at_final=nothing)
    assert told.value.retry_after == 9
    x.delete(post)
    with pytest.raises(TargetGone):
        await only.send(composed, at_final=nothing)
    x.read_only()
    with pytest.raises(PermissionMissing):
        await only.send(composed, at_final=nothing)
    x.revoke()
    with pytest.raises(AccessRevoked):
        await only.send(composed, at_final=nothing)
    assert x.sent == []


async def test_files_are_there_before_the_last_moment(x: FakeX, only: XConnector) -> None:
    post, ann = x.mention("ann", "@desk where is it?"), x.world.user("ann")
    film = OutboundAttachment("a.mp4", "video/mp4", b"\x00" * 1_500_000)
    uploaded: list[int] = []

    async def at_final() -> None:
        uploaded.append(x.calls["POST /2/media/upload"] + x.calls["POST /2/media/upload/{id}/finalize"])

    await only.send(only.compose(answer(ann, in_reply_to=post, attachments=(PNG, PNG))), at_final=at_final)
    await only.send(only.compose(answer(ann, visibility="direct", attachments=(film,))), at_final=at_final)
    assert uploaded == [2, 3]
    assert x.calls["POST /2/media/upload/{id}/append"] == 2
    assert [len(made["attachments"]["media_keys"]) for made in (*x.sent, *x.dms_sent)] == [2, 1]
    x.fail("POST /2/media/upload", 503)
    with pytest.raises(TemporaryFailure):
        await only.send(only.compose(answer(ann, "More", in_reply_to=post, attachments=(PNG,))), at_final=at_final)
    assert uploaded == [2, 3]


async def test_what_can_never_be_sent_is_not_tried(only: XConnector) -> None:
    gif, pdf = replace(PNG, content_type="image/gif"), replace(PNG, content_type="application/pdf")
    refused = [
        answer("17", in_reply_to="19", text="x" * 281),
        answer("17", in_reply_to=""),
        answer("mina", visibility="direct"),
        answer("17", in_reply_to="19", attachments=(pdf,)),
        answer("17", in_reply_to="19", attachments=(PNG,) * 5),
        answer("17", in_reply_to="19", attachments=(PNG, gif)),
        answer("17", visibility="direct", attachments=(PNG, PNG)),
        answer("17", in_reply_to="19", attachments=(replace(PNG, body=b"x" * 5_300_000),)),
    ]
    for message in refused:
        with pytest.raises(PermanentFailure):
            only.compose(message)


async def test_the_same_message_is_the_same_bytes(only: XConnector) -> None:
    message = answer("17", "caf\u00e9 \U0001f600", in_reply_to="19", attachments=(PNG,))
    composed = only.compose(message)
    assert composed == only.compose(message)
    assert isinstance(composed, Composed)
    assert opened(composed)["text"] == message.text


async def test_an_answer_below_our_post_is_hidden_and_shown_again(x: FakeX, only: XConnector) -> None:
    spam = x.mention("bob", "Free coins", answers=x.world.post(x.world.us, "We are open again"))
    for hidden in (True, True, False):
        await only.hide(spam, hidden=hidden)
        assert x.world.hidden == {spam: hidden}
    with pytest.raises(TargetGone):
        await only.hide("17", hidden=True)
    with pytest.raises(PermanentFailure):
        await only.hide(x.mention("bob", "@desk is bad"), hidden=True)


async def test_what_came_with_a_post_is_fetched_from_the_vendor_alone(x: FakeX, only: XConnector) -> None:
    picture = x.world.media[x.world.picture(b"bytes of it")]["url"]
    assert await only.fetch(picture, max_bytes=100) == b"bytes of it"
    for source in (
        "https://elsewhere.test/a.png",
        "http://pbs.twimg.com/a.png",
        x.origin + "0/a.png",
        "",
        "file:///etc",
    ):
        with pytest.raises(PermanentFailure):
            await only.fetch(source, max_bytes=100)
    with pytest.raises(PermanentFailure):
        await only.fetch(picture, max_bytes=3)


async def test_a_check_tells_whose_account_it_is_and_what_may_be_read(x: FakeX, only: XConnector) -> None:
    assert [check.ok for check in await only.check()] == [True] * 4
    x.plan("free")
    found = await only.check()
    assert [check.ok for check in found] == [True, False, False, False]
    assert "plan" in found[1].detail
    wrong = connector(x, username="somebody")
    assert "username=desk" in (await wrong.check())[0].detail
    await wrong.close()
    assert (await only.profile()).handle == "desk"
    x.revoke()
    (revoked,) = await only.check(send=True)
    assert "new keys" in revoked.detail
