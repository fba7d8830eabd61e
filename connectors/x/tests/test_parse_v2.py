"""Items read from the API, in the shapes that they really come in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.x import ids, items
from connectors.x.parse import parse
from helpdesk.channels import (
    Authentication,
    ChangeKind,
    Inbound,
    InboundChange,
    InboundMessage,
    Post,
    RawInbound,
    Unreadable,
)

AT = datetime(2026, 11, 2, tzinfo=UTC)
OWN, ANN = "1001", "9007199254740993"
USER = {
    "id": ANN,
    "name": "Ann",
    "username": "ann",
    "verified_type": "Business",
    "profile_image_url": "https://pbs.twimg.com/a_normal.png",
    "public_metrics": {"followers_count": 70_000},
    "created_at": "2019-05-04T10:00:00.000Z",
}


def read(kind: str, data: dict[str, Any], **includes: Any) -> Inbound:
    return parse(items.item(kind, data, includes, own=OWN, at=AT), {})


def message(kind: str, data: dict[str, Any], **includes: Any) -> InboundMessage:
    found = read(kind, data, **includes)
    assert isinstance(found, InboundMessage)
    return found


def post(**more: Any) -> dict[str, Any]:
    return {"id": "20", "author_id": ANN, "conversation_id": "10", "text": "@desk hello", **more}


def test_a_post_tells_who_wrote_it_where_it_stands_and_that_the_vendor_vouches() -> None:
    found = message("post", post(referenced_tweets=[{"type": "replied_to", "id": "11"}]), users=[USER])
    assert (found.external_id, found.sender.handle, found.sender.name) == ("20", ANN, "Ann")
    assert (found.thread, found.in_reply_to, found.visibility) == ("post:10", "11", "public")
    assert found.post == Post("10", "https://x.com/i/status/10")
    assert found.authentication is Authentication.PASS
    assert found.profile is not None
    assert (found.profile.followers, found.profile.verified) == (70_000, "business")
    assert found.profile.avatar_url == "https://pbs.twimg.com/a.png"
    assert found.profile.created_at == datetime(2019, 5, 4, 10, tzinfo=UTC)
    assert not found.written_by_us


def test_a_text_is_whole_and_as_its_author_wrote_it() -> None:
    urls = [
        {"url": "https://t.co/a", "expanded_url": "https://scam.test/photo/1?a=1&lt=2"},
        {"url": "https://t.co/b", "expanded_url": "https://x.com/ann/status/20/photo/1", "media_key": "3_1"},
    ]
    text = "A &lt;b&gt; &amp;amp; &amp;copy https://t.co/a https://t.co/b"
    media = {"media_key": "3_1", "type": "photo", "url": "https://pbs.twimg.com/media/1.jpg"}
    whole = post(text=text, entities={"urls": urls}, attachments={"media_keys": ["3_1", "3_2"]})
    found = message("post", whole, media=[media])
    assert found.text == "A <b> &amp; &copy https://scam.test/photo/1?a=1&lt=2"
    assert [(one.filename, one.source) for one in found.attachments] == [
        ("3_1.jpg", "https://pbs.twimg.com/media/1.jpg"),
        ("3_2.bin", ""),
    ]
    long = message("post", post(text="short…", note_tweet={"text": "the whole of it"}))
    assert long.text == "the whole of it"


def test_the_best_copy_of_a_film_is_taken() -> None:
    copies = [
        {"content_type": "application/x-mpegURL", "url": "https://video.twimg.com/a.m3u8"},
        {"content_type": "video/mp4", "bit_rate": 256_000, "url": "https://video.twimg.com/small.mp4"},
        {"content_type": "video/mp4", "bit_rate": 832_000, "url": "https://video.twimg.com/large.mp4"},
    ]
    film = {"media_key": "13_1", "type": "video", "variants": copies}
    found = message("post", post(attachments={"media_keys": ["13_1"]}), media=[film])
    assert found.attachments[0].source == "https://video.twimg.com/large.mp4"


def test_our_own_words_are_echoes_and_reposts_are_nothing() -> None:
    ours = message("post", post(author_id=OWN, in_reply_to_user_id=ANN))
    assert ours.written_by_us
    assert ours.recipient is not None
    assert ours.recipient.handle == ANN
    repost = read("post", post(referenced_tweets=[{"type": "retweeted", "id": "1"}]))
    assert isinstance(repost, InboundChange)
    assert (repost.kind, repost.why) == (ChangeKind.NOTHING, "repost")


def test_messages_are_a_matter_with_one_person() -> None:
    event = {"id": "30", "event_type": "MessageCreate", "sender_id": ANN, "text": "hi"}
    theirs = message("dm", {**event, "dm_conversation_id": f"{OWN}-{ANN}"}, users=[USER])
    assert (theirs.thread, theirs.visibility, theirs.sender.name) == (f"dm:{ANN}", "direct", "Ann")
    ours = message("dm", {**event, "sender_id": OWN, "dm_conversation_id": f"{OWN}-{ANN}"})
    assert ours.written_by_us
    assert ours.recipient is not None
    assert (ours.thread, ours.recipient.handle) == (f"dm:{ANN}", ANN)
    group = message("dm", {**event, "dm_conversation_id": "1500000000000000000"})
    assert (group.thread, group.notes) == (f"dm:{ANN}", ("group",))
    joined = read("dm", {"id": "31", "event_type": "ParticipantsJoin"})
    assert isinstance(joined, InboundChange)
    assert joined.kind is ChangeKind.NOTHING


def test_numbers_are_texts_whatever_they_come_as() -> None:
    found = message("post", post(id=9007199254740995, author_id=9007199254740993, conversation_id=9007199254740991))
    assert (found.external_id, found.sender.handle, found.thread) == (
        "9007199254740995",
        "9007199254740993",
        "post:9007199254740991",
    )
    odds: list[Any] = [9.007199254740993e15, True, None, "", "12a", "-5", [], "1" * 20, "１２"]
    for odd in odds:
        with pytest.raises(ValueError, match="identifier"):
            ids.identifier(odd)
        with pytest.raises(Unreadable):
            read("post", post(id=odd))


ODD: list[Any] = [
    {},
    {"form": "v2"},
    {"form": "v2", "kind": "post", "data": None},
    {"form": "v2", "kind": "post", "data": []},
    {"form": "v2", "kind": "like", "data": {}},
    {"form": ["v2"], "kind": "post"},
    {"form": "v3", "kind": "post", "data": {"id": "1"}},
    {"form": "v2", "kind": "dm", "data": {"id": "1", "event_type": "MessageCreate"}},
    {"form": "v2", "kind": "deleted", "data": {"id": None}},
    "form",
    17,
    None,
]


@pytest.mark.parametrize("item", ODD, ids=str)
def test_what_is_none_of_these_is_unreadable(item: Any) -> None:
    with pytest.raises(Unreadable):
        parse(RawInbound("x;1", json.dumps(item).encode(), AT), {})


WRONG: list[Any] = [None, 17, "text", [], [17], {}, {"media_keys": 3}, {"urls": [{"url": 1}]}, [{"id": {}}]]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_part_in_an_odd_shape_spoils_no_post(wrong: Any) -> None:
    names = ("attachments", "entities", "referenced_tweets", "note_tweet", "in_reply_to_user_id", "conversation_id")
    for name in names:
        assert message("post", post(**{name: wrong})).external_id == "20"
    for name in ("users", "media", "tweets"):
        found = message("post", post(attachments={"media_keys": ["3_1"]}), **{name: wrong})
        assert found.external_id == "20"


def test_only_what_a_post_names_is_kept_with_it() -> None:
    page = {"data": [post(), post(id="21", author_id="22"), "odd"], "includes": {"users": [USER, {"id": "23"}]}}
    first, second = items.of_page("post", page, own=OWN, at=AT)
    assert json.loads(first.body)["includes"] == {"users": [USER]}
    assert json.loads(second.body)["includes"] == {}
    assert [first.position, second.position] == ["m;20", "m;21"]


def test_no_odd_page_stops_the_poller() -> None:
    odd: list[Any] = [[], {}, None, 1.5, True, ["a"], {"id": []}]
    for one in odd:
        data = [post(author_id=one, attachments={"media_keys": [one]}, referenced_tweets=[{"id": one}, one]), one]
        included = {name: [{"id": one, "media_key": one}, one] for name in ("users", "media", "tweets")}
        for page in ({"data": data, "includes": included, "meta": one}, {"data": one, "includes": one}):
            found = items.of_page("post", page, own=OWN, at=AT)
            assert [item.position for item in found[:1]] == (["m;20"] if page["data"] is data else [])
            assert items.more(page) == ""
    mixed = {"data": [post(author_id=int(ANN))], "includes": {"users": [USER]}}
    (item,) = items.of_page("post", mixed, own=OWN, at=AT)
    assert json.loads(item.body)["includes"] == {"users": [USER]}


def test_numbers_tell_their_time() -> None:
    number = "1146654567674912769"
    assert ids.made_at(number).date().isoformat() == "2019-07-04"
    assert ids.made_at(number) - ids.made_at(ids.before(number, seconds=30)) == timedelta(seconds=30)
    assert ids.before("17", seconds=30) == "16"
    assert ids.newest("9", "", "10") == "10"
