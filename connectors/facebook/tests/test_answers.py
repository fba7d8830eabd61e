"""Answers under posts, against a Graph API on loopback: sent once, found again, hidden, and with their files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from connectors.facebook import comments, compose_comments, find_comments, media, moderate
from connectors.facebook.config import InstagramConfig, MetaConfig
from connectors.facebook.graph import Graph
from connectors.facebook.profile import profile
from connectors.facebook.tests.fake import INSTAGRAM, PAGE, SECRET, TOKEN, VERIFY, FakeGraph, error
from helpdesk.channels import (
    AccessRevoked,
    Address,
    ChannelError,
    Composed,
    OutboundAttachment,
    OutboundMessage,
    PermanentFailure,
    PermissionMissing,
    RateLimited,
    Receipt,
    TargetGone,
    TemporaryFailure,
    Uncertain,
)
from helpdesk.net import AllowList, Guard, SafeHttp, safe_http

MINA, OLAF = "3383290475046708", "4400000000000001"


@dataclass
class Desk:
    """One inbox's side of the conversation with the vendor."""

    fake: FakeGraph
    graph: Graph
    http: SafeHttp
    config: MetaConfig
    finals: list[int] = field(default_factory=list)

    def compose(self, target: str, text: str, *, post: str, **more: Any) -> Composed:
        message = OutboundMessage(
            message_id=UUID(int=7),
            client_token="7",
            to=(Address(MINA),),
            text=text,
            created_at=datetime.now(UTC),
            in_reply_to=target,
            thread=f"post:{post}",
            visibility="public",
        )
        platform = more.pop("platform", "facebook")
        sender = INSTAGRAM if platform == "instagram" else PAGE
        return compose_comments.compose(replace(message, **more), platform=platform, sender=sender)

    async def send(self, composed: Composed) -> Receipt:
        async def at_final() -> None:
            self.finals.append(len(self.fake.calls))

        body = json.loads(composed.body)
        return await comments.send(self.graph, self.config, composed, body, at_final=at_final)

    async def find(self, composed: Composed) -> Receipt | None:
        return await find_comments.find(self.graph, self.config, composed, json.loads(composed.body))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    with FakeGraph() as fake:
        config = MetaConfig.model_validate(
            {
                "page_id": PAGE,
                "instagram_id": INSTAGRAM,
                "page_token": TOKEN,
                "app_secret": SECRET,
                "verify_token": VERIFY,
                "api_url": fake.origin,
            }
        )
        async with safe_http(Guard(AllowList.parse(["127.0.0.0/8"]))) as http:
            yield Desk(fake, Graph(config, http), http, config)


def said(desk: Desk, text: str = "Where is it?", *, author: str = MINA, **more: Any) -> tuple[str, str]:
    """A post of ours and what somebody says below it."""
    post = desk.fake.posts("News")
    return post, desk.fake.comments(post, author, text, **more)["value"]["comment_id"]


async def test_an_answer_stands_under_the_comment_and_knows_its_address(desk: Desk) -> None:
    post, comment = said(desk)
    receipt = await desk.send(desk.compose(comment, "Schön: 一切正常", post=post))
    answer = desk.fake.things[receipt.external_id]
    assert (answer.text, answer.under, answer.author) == ("Schön: 一切正常", comment, PAGE)
    assert receipt.external_url == f"https://www.facebook.com/{receipt.external_id}"
    assert receipt.accepted == (MINA,)


async def test_a_picture_goes_up_before_the_final_byte(desk: Desk) -> None:
    post, comment = said(desk)
    picture = OutboundAttachment("a.png", "image/png", b"png")
    receipt = await desk.send(desk.compose(comment, "", post=post, attachments=(picture,)))
    assert desk.fake.things[receipt.external_id].picture == "a.png"
    assert [call.rpartition("/")[2] for call in desk.fake.calls] == ["photos", "comments"]
    assert desk.finals == [1]


async def test_answers_on_instagram_and_to_mentions_go_where_they_belong(desk: Desk) -> None:
    post = desk.fake.posts("News", instagram=True)
    comment = desk.fake.comments(post, "17840001", "hm")["value"]["id"]
    await desk.send(desk.compose(comment, "Hello", post=post, platform="instagram"))
    named = desk.compose("mention:31", "Thank you", post="", thread="mention:30", platform="instagram")
    await desk.send(named)
    assert desk.fake.answers == ["Hello", "Thank you"]
    with pytest.raises(Uncertain):
        await desk.find(named)


async def test_a_private_answer_names_the_comment_and_the_thread_that_it_opens(desk: Desk) -> None:
    post, comment = said(desk)
    composed = desk.compose(comment, "Tell me more", post=post, visibility="direct")
    assert await desk.find(composed) is None
    receipt = await desk.send(composed)
    assert receipt.thread == f"dm:9{MINA}"
    assert desk.fake.answers == []
    assert desk.fake.messages[0].metadata == "7"
    found = await desk.find(composed)
    assert found is not None
    assert (found.external_id, found.thread) == (receipt.external_id, receipt.thread)
    with pytest.raises(PermanentFailure):
        await desk.send(composed)
    with pytest.raises(Uncertain):
        await desk.find(desk.compose(comment, "Other words", post=post, visibility="direct"))


@pytest.mark.parametrize("answer", [b"", b'{"id": "5'])
@pytest.mark.parametrize("platform", ["facebook", "instagram"])
async def test_what_was_taken_before_the_line_was_cut_is_found_and_not_said_twice(
    desk: Desk, platform: str, answer: bytes
) -> None:
    on_instagram = platform == "instagram"
    post = desk.fake.posts("News", instagram=on_instagram)
    value = desk.fake.comments(post, "17840001" if on_instagram else MINA, "hm")["value"]
    comment = value["id" if on_instagram else "comment_id"]
    composed = desk.compose(comment, "It is  on its way\n", post=post, platform=platform)
    assert await desk.find(composed) is None
    desk.fake.accept_then_cut("POST", "/replies" if on_instagram else "/comments", answer=answer)
    with pytest.raises(Uncertain):
        await desk.send(composed)
    found = await desk.find(composed)
    assert found is not None
    assert desk.fake.things[found.external_id].text == "It is  on its way\n"
    assert len(desk.fake.answers) == 1


async def test_clocks_may_differ_and_older_answers_of_the_same_words_are_others(desk: Desk) -> None:
    desk.fake.ahead = timedelta(hours=-3)
    post, comment = said(desk)
    composed = desk.compose(comment, "Thank you", post=post)
    receipt = await desk.send(composed)
    found = await desk.find(composed)
    assert found is not None
    assert found.external_id == receipt.external_id
    desk.fake.things[receipt.external_id].at -= timedelta(minutes=5)
    assert await desk.find(composed) is None


async def test_of_two_answers_with_the_same_words_the_newest_is_found(desk: Desk) -> None:
    post = desk.fake.posts("News", instagram=True)
    comment = desk.fake.comments(post, "17840001", "hm")["value"]["id"]
    composed = desk.compose(comment, "Thank you", post=post, platform="instagram")
    older, newer = [await desk.send(composed) for _ in range(2)]
    desk.fake.things[older.external_id].at -= timedelta(seconds=9)
    found = await desk.find(composed)
    assert found is not None
    assert found.external_id == newer.external_id


async def test_an_answer_to_an_answer_may_be_somebody_elses_so_a_person_decides(desk: Desk) -> None:
    post, comment = said(desk)
    below = desk.fake.comments(post, OLAF, "mine too", under=comment)["value"]["comment_id"]
    composed = desk.compose(below, "Thank you", post=post)
    assert await desk.find(composed) is None
    await desk.send(desk.compose(comment, "Thank you", post=post))
    with pytest.raises(Uncertain):
        await desk.find(composed)


async def test_the_same_words_by_an_unknown_hand_leave_it_open(desk: Desk) -> None:
    post, comment = said(desk)
    composed = desk.compose(comment, "Thank you", post=post)
    desk.fake.comments(post, OLAF, "Thank you", under=comment)
    with pytest.raises(Uncertain):
        await desk.find(composed)


async def test_a_look_up_that_was_refused_says_nothing(desk: Desk) -> None:
    post, comment = said(desk)
    composed = desk.compose(comment, "Thank you", post=post)
    desk.fake.fail("GET", "/comments", 500, body=b"<html>")
    with pytest.raises(TemporaryFailure):
        await desk.find(composed)
    del desk.fake.things[comment]
    with pytest.raises(Uncertain):
        await desk.find(composed)


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (error(190), {}, AccessRevoked),
        (error(200), {}, PermissionMissing),
        (error(100, 33), {}, TargetGone),
        (error(32), {"Retry-After": "7"}, RateLimited),
        (error(2, status=500), {}, Uncertain),
        ((502, b"<html>bad gateway"), {}, Uncertain),
        ((200, b'{"success":true}'), {}, Uncertain),
        ((200, b"[]"), {}, Uncertain),
    ],
)
async def test_each_refusal_is_told_apart(
    desk: Desk, body: tuple[int, bytes], headers: dict[str, str], expected: type[ChannelError]
) -> None:
    post, comment = said(desk)
    desk.fake.fail("POST", "/comments", body=body, headers=headers)
    with pytest.raises(expected):
        await desk.send(desk.compose(comment, "Hello", post=post))
    assert desk.fake.answers == []


async def test_a_comment_is_hidden_and_shown_again_as_often_as_one_likes(desk: Desk) -> None:
    _, comment = said(desk)
    there = desk.fake.comments(desk.fake.posts("News", instagram=True), "17840001", "hm")["value"]["id"]
    for one in (comment, there):
        for hidden in (True, True, False):
            await moderate.hide(desk.graph, one, hidden=hidden)
            assert desk.fake.things[one].hidden is hidden
    for elsewhere, refused in (("1_2", TargetGone), ("mention:31", PermanentFailure)):
        with pytest.raises(refused):
            await moderate.hide(desk.graph, elsewhere, hidden=True)


async def fetch(desk: Desk, source: str, *, max_bytes: int = 1000) -> bytes:
    return await media.fetch(desk.graph, desk.http, desk.config, source, max_bytes=max_bytes)


async def test_files_are_fetched_by_what_they_hang_on_and_without_our_token(desk: Desk) -> None:
    desk.fake.files = {"a.png": b"picture", "b.png": b"other"}
    _, comment = said(desk, picture="a.png")
    message = desk.fake.writes(MINA, "two", files=("a.png", "b.png"))["message"]["mid"]
    assert await fetch(desk, f"comment:{comment}") == b"picture"
    assert await fetch(desk, f"{message}#1") == b"other"
    for gone in (f"{message}#2", "comment:1_2", "post:1_2#0"):
        with pytest.raises(TargetGone):
            await fetch(desk, gone)
    with pytest.raises(PermanentFailure, match="larger"):
        await fetch(desk, f"comment:{comment}", max_bytes=3)
    desk.fake.files.clear()
    with pytest.raises(TargetGone):
        await fetch(desk, f"comment:{comment}")


async def test_what_a_mention_says_is_fetched_since_the_vendor_tells_no_words_with_it(desk: Desk) -> None:
    post = desk.fake.posts("Look at @wallet", author="17840009", instagram=True)
    comment = desk.fake.comments(post, "17840001", "@wallet is this you?")["value"]["id"]
    said = await fetch(desk, f"mention:comment:{comment}")
    assert said.decode() == f"@Mina: @wallet is this you?\nhttps://fb.test/{comment}\n"
    assert b"Look at @wallet" in await fetch(desk, f"mention:post:{post}")
    with pytest.raises(TargetGone):
        await fetch(desk, "mention:comment:5")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a",
        "https://example.com/a",
        "https://fbcdn.net.example.com/a",
        "http://x.fbcdn.net/a",
        "https://[",
        "file:///etc/passwd",
    ],
)
async def test_nothing_is_fetched_from_elsewhere(desk: Desk, url: str) -> None:
    answer = {"id": "5_6", "attachment": {"media": {"image": {"src": url}}}}
    desk.fake.fail("GET", "/5_6", 200, body=json.dumps(answer).encode())
    with pytest.raises(PermanentFailure, match="nothing is fetched"):
        await fetch(desk, "comment:5_6")
    desk.fake.fail("GET", "/5_7", 200, body=json.dumps({"attachment": {"file_url": desk.fake.file_url("a")}}).encode())
    desk.fake.fail("GET", "/cdn/a", 302, headers={"Location": url})
    with pytest.raises(PermanentFailure, match="nothing is fetched"):
        await fetch(desk, "comment:5_7")


async def test_our_own_accounts_are_known_as_everybody_sees_them(desk: Desk) -> None:
    page = await profile(desk.graph, desk.config)
    assert (page.id, page.handle, page.followers, page.verified) == (PAGE, "wallet", 1200, "blue_verified")
    assert page.avatar_url == desk.fake.file_url("page.png")
    account = await profile(desk.graph, InstagramConfig.model_validate(desk.config.model_dump()))
    assert (account.id, account.url) == (INSTAGRAM, "https://www.instagram.com/wallet/")
