"""Comments under posts of a Page and of Instagram: what they are read as, and what an answer is frozen as."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from connectors.facebook import compose_comments, events, parse_comments
from helpdesk.channels import (
    Address,
    Authentication,
    ChangeKind,
    Inbound,
    InboundChange,
    InboundMessage,
    OutboundAttachment,
    OutboundMessage,
    PermanentFailure,
    Post,
    Profile,
    Unreadable,
)

PAGE = {"page_id": "1001", "instagram_id": "1789"}
COMMENT = {
    "item": "comment",
    "verb": "add",
    "comment_id": "555_900",
    "post_id": "1001_555",
    "parent_id": "1001_555",
    "from": {"id": "42", "name": "Mina Bäcker"},
    "message": "Where is my money?",
    "created_time": 1790000000,
    "post": {"permalink_url": "https://www.facebook.com/shop/posts/555", "status_type": "mobile_status_update"},
}
SAID = {
    "id": "1799",
    "text": "me too",
    "from": {"id": "77", "username": "mina.b"},
    "media": {"id": "1800", "media_product_type": "FEED"},
}


def change(field: str, value: Any, *, object_: str = "page") -> dict[str, Any]:
    event = {"field": field, "value": value}
    return {"object": object_, "entry": "1001", "time": 1790000100, "event": event, "list": "changes"}


def read(field: str, value: dict[str, Any], **more: Any) -> InboundMessage:
    found = parse_comments.parse(change(field, value | more), PAGE)
    assert isinstance(found, InboundMessage)
    return found


def became(field: str, value: dict[str, Any], **more: Any) -> InboundChange:
    found = parse_comments.parse(change(field, value | more), PAGE)
    assert isinstance(found, InboundChange)
    return found


def test_a_comment_is_a_public_message_in_its_authors_thread_under_the_post() -> None:
    found = read("feed", COMMENT)
    assert (found.external_id, found.sender) == ("555_900", Address("42", "Mina Bäcker"))
    assert found.text == found.new_text == COMMENT["message"]
    assert (found.visibility, found.thread, found.in_reply_to) == ("public", "post:1001_555", "")
    assert found.post == Post("1001_555", "https://www.facebook.com/shop/posts/555", own=True)
    assert found.profile == Profile("42", "", "Mina Bäcker")
    assert found.authentication == Authentication.PASS
    assert not found.written_by_us


def test_ids_that_came_as_numbers_are_the_same_ids() -> None:
    found = read("feed", COMMENT, **{"from": {"id": 9007199254740993}}, parent_id=900)
    assert (found.sender.handle, found.in_reply_to) == ("9007199254740993", "900")
    odd: object
    for odd in (True, 1.5, {}, "", None):
        with pytest.raises(Unreadable):
            read("feed", COMMENT, comment_id=odd)


def test_whom_the_app_may_not_know_is_a_stranger_in_each_comment() -> None:
    hidden = {name: value for name, value in COMMENT.items() if name != "from"}
    found = read("feed", hidden)
    assert (found.sender.handle, found.notes) == ("unknown:555_900", ("author_hidden",))
    assert (found.authentication, found.profile) == (Authentication.NONE, None)


def test_our_own_comment_is_an_echo_that_names_what_it_answers() -> None:
    ours = {"from": {"id": "1001", "name": "Shop"}}
    found = read("feed", COMMENT, **ours, parent_id="555_900", comment_id="555_901")
    assert (found.written_by_us, found.in_reply_to, found.profile) == (True, "555_900", None)
    assert read("feed", COMMENT, **ours).in_reply_to == "1001_555"
    assert became("feed", COMMENT, **ours, item="status").why == "own_post"
    assert became("feed", COMMENT, **ours, item="status", verb="edited").kind == ChangeKind.NOTHING


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        ("edited", ChangeKind.EDITED),
        ("edit", ChangeKind.EDITED),
        ("remove", ChangeKind.DELETED),
        ("hide", ChangeKind.HIDDEN),
        ("unhide", ChangeKind.SHOWN),
    ],
)
def test_what_becomes_of_a_comment_names_it_and_the_time_of_the_change(verb: str, kind: ChangeKind) -> None:
    found = became("feed", COMMENT, verb=verb, message="anew")
    assert (found.kind, found.external_id, found.handle, found.text) == (kind, "555_900", "42", "anew")
    assert found.at == datetime.fromtimestamp(1790000100, UTC)


def test_what_somebody_writes_on_the_page_is_a_post_that_he_speaks_under_first() -> None:
    found = read("feed", COMMENT, item="photo", link="https://cdn/x.jpg", comment_id=None)
    assert (found.external_id, found.thread, found.in_reply_to) == ("1001_555", "post:1001_555", "")
    assert found.post is not None
    assert (found.post.own, found.post.text) == (False, COMMENT["message"])
    assert [file.source for file in found.attachments] == ["post:1001_555#0"]
    shared = read("feed", COMMENT, item="share", link="https://example.com/a", message="look")
    assert shared.text == "look\nhttps://example.com/a"
    below = read("feed", COMMENT, post={"status_type": "wall_post"})
    assert below.post is not None
    assert not below.post.own


@pytest.mark.parametrize(
    ("more", "files"),
    [
        ({"photo": "https://cdn/a.jpg"}, [("comment:555_900", "image/jpeg")]),
        ({"video": "https://cdn/a.mp4", "photo": "https://cdn/a.jpg"}, [("comment:555_900", "video/mp4")]),
        ({"item": "status", "photos": ["a"]}, [("post:1001_555#0", "image/jpeg")]),
        ({"item": "video"}, [("post:1001_555#0", "video/mp4")]),
        ({"item": "status"}, []),
    ],
)
def test_files_are_named_by_what_they_hang_on(more: dict[str, Any], files: list[tuple[str, str]]) -> None:
    assert [(file.source, file.content_type) for file in read("feed", COMMENT, **more).attachments] == files


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("feed", {"item": "reaction", "verb": "add", "post_id": "1"}, "reaction"),
        ("feed", {"item": "event", "verb": "add"}, "unknown_kind"),
        ("feed", COMMENT | {"verb": "mute"}, "unknown_kind"),
        ("story_insights", {"media_id": "1"}, "unknown_kind"),
        ("feed", None, "unknown_kind"),
    ],
)
def test_what_says_nothing_is_kept_with_a_reason(field: str, value: Any, why: str) -> None:
    found = parse_comments.parse(change(field, value), PAGE)
    assert found == InboundChange(ChangeKind.NOTHING, why=why)


def test_a_comment_on_instagram_names_its_author_by_id_and_shows_the_user_name() -> None:
    found = read("comments", SAID, parent_id="1700")
    assert (found.sender, found.thread, found.in_reply_to) == (Address("77", "@mina.b"), "post:1800", "1700")
    assert found.profile == Profile("77", "mina.b", url="https://www.instagram.com/mina.b/")
    assert read("comments", SAID, **{"from": {"id": "1789", "username": "shop"}}).written_by_us
    with_page = parse_comments.parse(change("comments", SAID), PAGE, prefix="instagram:")
    assert isinstance(with_page, InboundMessage)
    assert with_page.sender.handle == "instagram:77"


def test_a_mention_that_names_only_ids_is_not_lost_and_no_comment_of_ours() -> None:
    found = read("mentions", {"comment_id": "31", "media_id": "30"})
    assert (found.external_id, found.thread, found.sender.handle) == ("mention:31", "mention:30", "unknown:mention:31")
    assert [file.source for file in found.attachments] == ["mention:comment:31"]
    caption = read("mentions", {"media_id": "30"})
    assert (caption.external_id, caption.attachments[0].source) == ("mention:30", "mention:post:30")
    with_page = parse_comments.parse(change("mentions", {"media_id": "30"}), PAGE, prefix="instagram:")
    assert isinstance(with_page, InboundMessage)
    assert with_page.sender.handle == "instagram:unknown:mention:30"


def test_a_change_that_stands_in_the_entry_itself_is_read_as_any_other() -> None:
    payload = {"object": "instagram", "entry": [{"id": "1789", "time": 1, "field": "comments", "value": SAID}]}
    (item,) = events.split(payload)
    assert events.position(item) == "m;1799"
    assert parse_comments.parse(item, PAGE) == parse_comments.parse(change("comments", SAID), PAGE)


def test_a_position_is_the_same_however_the_change_came() -> None:
    def position(field: str, value: dict[str, Any]) -> str:
        return parse_comments.position(change(field, value))

    assert position("feed", COMMENT) == position("feed", COMMENT | {"created_time": 1}) == "m;555_900"
    assert position("comments", SAID) == "m;1799"
    assert position("feed", COMMENT | {"verb": "remove"}) == "c;deleted;555_900"
    assert [position("feed", COMMENT | {"verb": verb}) for verb in ("edited", "hide", "unhide")] == ["", "", ""]
    assert position("feed", COMMENT | {"post_id": None}) == ""


@pytest.mark.parametrize("field", ["feed", "comments", "mentions"])
def test_whatever_stands_in_a_change_it_is_read_or_refused(field: str) -> None:
    whole = COMMENT | SAID | {"comment_id": "31", "media_id": "30"}
    odd: list[object] = [None, True, 1, 1.5, 10**400, [], [None], {}, {"id": 1.5}, "", "x", "\ud800", "²"]
    for name in [*whole, "photos", "link", "time"]:
        for value in odd:
            item = change(field, whole | {name: value}) | ({"time": value} if name == "time" else {})
            assert isinstance(parse_comments.position(item), str)
            try:
                found = parse_comments.parse(item, PAGE)
            except Unreadable:
                continue
            assert isinstance(found, Inbound)
    for nothing in odd:
        assert isinstance(parse_comments.parse({"event": nothing}, {}), InboundChange)


REPLY = OutboundMessage(
    message_id=UUID(int=7),
    client_token="7",
    to=(Address("42"),),
    text="Sorry – we look into it",
    created_at=datetime(2026, 11, 2, tzinfo=UTC),
    in_reply_to="555_900",
    thread="post:1001_555",
    visibility="public",
)
PICTURE = OutboundAttachment("a.png", "image/png", b"png")


def compose(message: OutboundMessage, platform: str = "facebook") -> dict[str, Any]:
    composed = compose_comments.compose(message, platform=platform, sender="1001")
    assert composed == compose_comments.compose(message, platform=platform, sender="1001")
    assert (composed.external_id, composed.recipients) == ("", ("42",))
    found: dict[str, Any] = json.loads(composed.body)
    return found


def test_where_an_answer_goes_is_frozen_with_it() -> None:
    public, private = compose(REPLY), compose(replace(REPLY, visibility="direct"))
    assert (public["kind"], public["target"], public["post"]) == ("comment", "555_900", "1001_555")
    assert (private["kind"], private["target"]) == ("private_reply", "555_900")
    named = compose(replace(REPLY, in_reply_to="mention:31", thread="mention:30"), "instagram")
    assert (named["kind"], named["target"], named["post"]) == ("mention", "31", "30")
    assert compose(replace(REPLY, attachments=(PICTURE,)))["media"][0]["filename"] == "a.png"


@pytest.mark.parametrize(
    ("platform", "more"),
    [
        ("facebook", {"in_reply_to": ""}),
        ("facebook", {"attachments": (PICTURE, PICTURE)}),
        ("facebook", {"attachments": (replace(PICTURE, content_type="application/pdf"),)}),
        ("facebook", {"attachments": (PICTURE,), "visibility": "direct"}),
        ("instagram", {"attachments": (PICTURE,)}),
        ("instagram", {"thread": "mention:30", "visibility": "direct"}),
    ],
)
def test_what_cannot_be_said_under_a_post_is_refused_before_it_leaves(platform: str, more: dict[str, Any]) -> None:
    with pytest.raises(PermanentFailure):
        compose(replace(REPLY, **more), platform)
