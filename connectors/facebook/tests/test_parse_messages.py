"""What private messages and what becomes of them are read as, by the vendor's own samples and by odd ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.facebook import events, lengths, values
from connectors.facebook.parse import instagram, page
from connectors.facebook.tests.fake import INSTAGRAM, PAGE, FakeGraph
from connectors.facebook.tests.signed import webhook
from helpdesk.channels import Authentication, ChangeKind, Inbound, InboundChange, InboundMessage, RawInbound, Unreadable
from helpdesk.domain.admission import admit, admit_change

SPECS = Path(os.environ.get("HELPDESK_SPECS") or Path(__file__).parents[4] / "shared" / "specs") / "meta"
CONFIG = {"page_id": PAGE, "instagram_id": INSTAGRAM}
PERSON = "3383290475046708"
AT = datetime(2026, 11, 2, tzinfo=UTC)


def _read(payload: Any, config: dict[str, str], *, of: Any = page) -> list[Inbound]:
    items = [RawInbound(events.position(item), events.written(item), AT) for item in events.split(payload)]
    found: list[Inbound] = [of(raw, config) for raw in items]
    for one in found:  # whatever it is, it can be stored
        _ = admit(one) if isinstance(one, InboundMessage) else admit_change(one)
    return found


def _one(event: dict[str, Any], *, list_: str = "messaging", object_: str = "page") -> Inbound:
    people = {"sender": {"id": PERSON}, "recipient": {"id": PAGE}, "timestamp": 1_648_581_633_369}
    account = PAGE if object_ == "page" else INSTAGRAM
    (found,) = _read(webhook(object_, account, **{list_: [people | event]}), CONFIG)
    return found


def _message(message: dict[str, Any], **more: Any) -> InboundMessage:
    found = _one({"message": {"mid": "m_1", **message}, **more})
    assert isinstance(found, InboundMessage)
    return found


def _sample(name: str) -> Any:
    if not SPECS.is_dir():
        pytest.skip("the vendor's samples are not beside this checkout")
    return json.loads((SPECS / name).read_text("utf-8"))


def test_the_vendors_sample_of_messenger_is_a_message() -> None:
    (found,) = _read(_sample("messenger-text-event.json"), CONFIG)
    assert isinstance(found, InboundMessage)
    assert (found.text, found.sender.handle, found.thread) == ("facebook message", PERSON, f"dm:{PERSON}")
    assert (found.visibility, found.authentication) == ("direct", Authentication.PASS)


SAMPLES: dict[str, tuple[str, ...]] = {
    "instagram_message_create_event": ("This is the first message from the customer",),
    "instagram_message_standby_event": (
        "This is the first standby message from the customer, after 24 hours.",
        "standby",
    ),
    "instagram_story_reply_event": ("This is the story reply", "story_reply"),
    "instagram_message_reply_event": ("This is message with replyto mid",),
    "instagram_message_attachment_event": ("https://www.example.com/test.jpeg",),
    "instagram_shared_reel_event": ("Reel title https://www.example.com/test.jpeg",),
    "instagram_story_mention_event": ("https://www.example.com/test.jpeg",),
    "instagram_story_mention_event_with_echo": ("https://www.example.com/test.jpeg",),
    "instagram_message_unsupported_event": ("", "unsupported"),
    "instagram_test_event": ("random_text",),
}


def test_the_vendors_samples_of_instagram_are_read() -> None:
    samples = _sample("instagram-events.json")
    for name, expected in SAMPLES.items():
        account = samples[name]["entry"][0]["id"]
        for of, prefix in ((page, "instagram:"), (instagram, "")):
            (found,) = _read(samples[name], {"instagram_id": account}, of=of)
            assert isinstance(found, InboundMessage), name
            assert (found.text, *found.notes) == expected
            if not found.written_by_us:
                assert found.sender.handle.startswith(prefix)
                assert found.thread == f"dm:{found.sender.handle}"
    echo = samples["instagram_story_mention_event_with_echo"]
    (found,) = _read(echo, {"instagram_id": "instagram-message-id-1234"}, of=instagram)
    assert isinstance(found, InboundMessage)
    assert found.written_by_us
    (unsent,) = _read(samples["instagram_message_unsend_event"], {"instagram_id": "instagram-message-id-123"})
    assert isinstance(unsent, InboundChange)
    assert (unsent.kind, unsent.external_id) == (ChangeKind.DELETED, "message-id-to-delete")
    (seen,) = _read(samples["messaging_seen_event"], {"instagram_id": "instagram-message-id-123"})
    assert isinstance(seen, InboundChange)
    assert (seen.kind, seen.at) == (ChangeKind.READ, datetime(2021, 9, 8, 6, 34, 4, tzinfo=UTC))
    assert len(samples) == len(SAMPLES) + 2


def test_an_answer_names_what_it_answers() -> None:
    assert _message({"text": "yes", "reply_to": {"mid": "m_0"}}).in_reply_to == "m_0"


def test_files_are_named_and_fetched_later() -> None:
    files = [
        {"type": "image", "payload": {"url": "https://scontent.fbcdn.net/v/t1/photo.png?oh=secret"}},
        {"type": "file", "payload": {"url": "https://cdn.fbsbx.com/v/%E5%8F%91%E7%A5%A8.pdf?x=1"}},
        {"type": "audio", "payload": {"url": "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1"}},
        {"type": "location", "payload": {"coordinates": {"lat": 22.28, "long": 114.16}}},
        {"type": "fallback", "title": "A page", "url": "https://example.com/a"},
        {"type": "template", "payload": {}},
        "odd",
    ]
    found = _message({"text": "See:", "attachments": files})
    assert [(one.filename, one.source, one.body) for one in found.attachments] == [
        ("photo.png", "m_1#0", b""),
        ("发票.pdf", "m_1#1", b""),
        ("audio-3.m4a", "m_1#2", b""),
    ]
    assert found.text == "See:\n22.28, 114.16\nA page https://example.com/a\n[template]"


def test_an_echo_is_ours_and_says_to_whom() -> None:
    people = {"sender": {"id": PAGE}, "recipient": {"id": PERSON}}
    message = {"text": "Hello", "is_echo": True, "app_id": 70707, "metadata": "token-1"}
    found = _message(message, **people)
    assert (found.written_by_us, found.client_token, found.sender.handle) == (True, "token-1", PAGE)
    assert found.recipient is not None
    assert (found.recipient.handle, found.thread) == (PERSON, f"dm:{PERSON}")
    # Of a message with files only the last part speaks for all.
    part = _one({"message": {"mid": "m_2", **message, "metadata": "token-1#part"}, **people})
    assert part == InboundChange(ChangeKind.NOTHING, why="own_part")
    # Who is not us cannot claim to be by words of his own.
    assert _message({"text": "Hi", "metadata": "token-1"}).client_token == ""
    assert _message({"text": "Hi", "metadata": "token-1#part"}).text == "Hi"


def test_watermarks_say_up_to_when() -> None:
    for name, kind in (("read", ChangeKind.READ), ("delivery", ChangeKind.DELIVERED)):
        found = _one({name: {"watermark": 1_648_581_600_000, "mids": ["m_1"]}})
        at = datetime(2022, 3, 29, 19, 20, tzinfo=UTC)
        assert found == InboundChange(kind, thread=f"dm:{PERSON}", handle=PERSON, at=at)


@pytest.mark.parametrize(
    ("event", "kind", "why"),
    [
        ({"message": {"mid": "m_1", "is_deleted": True}}, ChangeKind.DELETED, ""),
        ({"message_edit": {"mid": "m_1", "text": "better", "num_edit": 1}}, ChangeKind.EDITED, ""),
        ({"reaction": {"mid": "m_1", "action": "react", "emoji": "x"}}, ChangeKind.NOTHING, "reaction"),
        ({"referral": {"ref": "x"}}, ChangeKind.NOTHING, "referral"),
        ({"take_thread_control": {"previous_owner_app_id": "1"}}, ChangeKind.NOTHING, "unknown_kind"),
        ({"a_kind_of_next_year": {}}, ChangeKind.NOTHING, "unknown_kind"),
    ],
)
def test_what_is_no_message_is_a_change(event: dict[str, Any], kind: ChangeKind, why: str) -> None:
    found = _one(event)
    assert isinstance(found, InboundChange)
    assert (found.kind, found.why, found.text) == (kind, why, "better" if kind == ChangeKind.EDITED else "")


def test_a_button_says_what_stood_on_it() -> None:
    found = _one({"postback": {"title": "Talk to a person", "payload": "HUMAN", "mid": "m_9"}})
    assert isinstance(found, InboundMessage)
    assert (found.text, found.external_id) == ("Talk to a person", "m_9")
    old = _one({"postback": {"payload": "HUMAN"}})
    assert isinstance(old, InboundMessage)
    assert old.external_id == f"postback.{PERSON}.1648581633369"


def test_ids_may_be_numbers_beyond_what_a_double_holds() -> None:
    (found,) = _read(
        json.loads(
            f'{{"object": "page", "entry": [{{"id": {PAGE}, "messaging": [{{"sender": {{"id": 90071992547409931}}, '
            f'"recipient": {{"id": {PAGE}}}, "message": {{"mid": 90071992547409933, "text": "Hi"}}}}]}}]}}'
        ),
        CONFIG,
    )
    assert isinstance(found, InboundMessage)
    assert (found.sender.handle, found.external_id) == ("90071992547409931", "90071992547409933")


@pytest.mark.parametrize(
    "event",
    [
        {"message": {"text": "no id"}},
        {"message": {"mid": 1.5, "text": "x"}},
        {"message": {"mid": True, "text": "x"}},
        {"message": {"mid": "", "text": "x"}},
        {"message": {"mid": "m_1", "text": "x"}, "sender": {}},
        {"message": {"mid": "m_1", "text": "x"}, "sender": {"id": [1]}},
    ],
    ids=json.dumps,
)
def test_a_message_without_ids_is_kept_as_unreadable(event: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        _one(event)


def test_somebody_elses_account_is_not_ours() -> None:
    stranger = webhook("page", "400", messaging=[{"sender": {"id": "1"}, "message": {"mid": "m", "text": "x"}}])
    for of in (page, instagram):
        assert _read(stranger, CONFIG, of=of) == [InboundChange(ChangeKind.NOTHING, why="unknown_account")]
    # An inbox of Instagram reads nothing of the Page that speaks for it.
    pages_own = webhook("page", PAGE, messaging=[{"sender": {"id": "1"}, "message": {"mid": "m", "text": "x"}}])
    assert _read(pages_own, CONFIG, of=instagram) == [InboundChange(ChangeKind.NOTHING, why="unknown_account")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1_648_581_633_369, 1_648_581_633.369),
        (1_648_581_633, 1_648_581_633),
        ("1527459824", 1_527_459_824),
        ("2021-09-08T06:34:04+0000", 1_631_082_844),
        ("2021-09-08T06:34:04", 1_631_082_844),
        (10**30, None),
        (True, None),
        ("soon", None),
        ("²", None),
        (None, None),
    ],
)
def test_times_come_in_five_spellings(given: object, expected: float | None) -> None:
    found = values.moment(given)
    assert (found and found.timestamp()) == expected


def test_positions_tell_events_apart_and_repetitions_not() -> None:
    people = {"sender": {"id": PERSON}, "recipient": {"id": PAGE}, "timestamp": 17}
    said = [
        {"message": {"mid": "m_1", "text": "a"}},
        {"message": {"mid": "m_1", "is_deleted": True}},
        {"message_edit": {"mid": "m_1", "num_edit": 1}},
        {"message_edit": {"mid": "m_1", "num_edit": 2}},
        {"reaction": {"mid": "m_1", "action": "react"}},
        {"read": {"watermark": 5}},
        {"read": {"watermark": 6}},
        {"delivery": {"watermark": 5}},
        {"optin": {"ref": "a"}},
        {"optin": {"ref": "b"}},
        {"message": {"mid": "m" * 600, "text": "a"}},
    ]
    first = [
        events.position(item) for item in events.split(webhook("page", PAGE, messaging=[people | x for x in said]))
    ]
    assert len(set(first)) == len(said)
    assert max(map(len, first)) <= 300
    # The same by the other list, since a thread may change hands, is the same message.
    (again,) = events.split(webhook("page", PAGE, time=9, standby=[people | said[0]]))
    assert events.position(again) == first[0]


def test_instagram_counts_bytes_in_private() -> None:
    def measured(of: Any, visibility: str) -> tuple[int, int, str]:
        found = of("钱" * 10, visibility, {})
        return found.used, found.limit, found.unit

    assert measured(lengths.instagram, "direct") == (30, 1000, "bytes")
    assert measured(lengths.instagram, "public") == (10, 2200, "characters")
    assert measured(lengths.facebook, "direct") == (10, 2000, "characters")
    assert measured(lengths.facebook, "public") == (10, 8000, "characters")


_ODD: list[Any] = [None, True, 1.5, 10**40, "", "\x00", "x" * 600, "\ud83d", [], {}, [[]], "https://["]


def _places(found: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    below = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in below:
        yield from _places(value, (*above, key))


def _with(found: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = found.copy()
    changed[place[0]] = _with(found[place[0]], place[1:], value)
    return changed


def test_whatever_stands_in_one_place_of_a_webhook_it_is_read_or_refused() -> None:
    """What raised anything else would be posted again until the vendor gives the address up."""
    people = {"sender": {"id": PERSON}, "recipient": {"id": PAGE}, "timestamp": 1_648_581_633_369}
    files = [
        {"type": "image", "payload": {"url": "https://a.test/b.png"}},
        {"type": "share", "payload": {"title": "t"}},
    ]
    message = {"mid": "m", "text": "a", "attachments": files, "reply_to": {"mid": "x", "story": {"url": "u"}}}
    with FakeGraph() as graph:
        feed = graph.comments(graph.posts("News"), PERSON, "Hi")
        comment = graph.comments(graph.posts("News", instagram=True), "17840001", "Hi")
    mention = {"field": "mentions", "value": {"media_id": "30", "comment_id": "31"}}
    told = [people | {"message": message}, people | {"read": {"watermark": 5}}, people | {"postback": {"title": "b"}}]
    for sample in (
        webhook("page", PAGE, messaging=told, changes=[feed]),
        webhook("instagram", INSTAGRAM, changes=[comment, mention]),
    ):
        for place in _places(sample):
            for value in _ODD:
                for item in events.split(_with(sample, place, value)):
                    assert 0 < len(events.position(item)) <= 300
                    try:
                        found = page(RawInbound("x", events.written(item), AT), CONFIG)
                    except Unreadable:
                        continue
                    if isinstance(found, InboundMessage):
                        assert admit(found).external_id
                        assert admit(found).sender.handle
