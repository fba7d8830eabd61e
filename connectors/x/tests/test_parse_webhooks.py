"""What comes by webhook becomes what polling makes of it, at the same position."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from connectors.x import items
from connectors.x.envelopes import split
from connectors.x.parse import parse
from connectors.x.tests import fake_activity
from connectors.x.tests.fake_world import World
from helpdesk import clock
from helpdesk.channels import ChangeKind, Inbound, InboundChange, InboundMessage, RawInbound, Unreadable

US = "1001"
NOW = clock.now()


@pytest.fixture
def world() -> World:
    return World("https://x.test", US)


def brought(envelope: Any) -> list[tuple[str, Inbound]]:
    return [(one.position, parse(RawInbound(one.position, one.body, clock.now()), {})) for one in read(envelope)]


def read(envelope: Any) -> Any:
    return split(json.dumps(envelope).encode())


def polled(world: World, kind: str, number: str) -> tuple[str, Inbound]:
    things, shown = (world.posts, "tweet") if kind == "post" else (world.messages, "dm_event")
    asked = items.POST if kind == "post" else items.MESSAGE
    query = {name.replace("_fields", ".fields"): ",".join(values) for name, values in asked.items()}
    (raw,) = items.of_page(kind, world.shown(shown, [things[number]], query), own=US, at=clock.now())
    return raw.position, parse(raw, {})


def test_a_mention_is_the_same_both_ways(world: World) -> None:
    ann = world.user("ann", "Ann &amp; Co", followers=90_000)
    picture = world.picture()
    post = world.post(ann, "@desk my coins &lt;3 are gone", media=[picture])
    (told,) = brought(fake_activity.posted(world, post))
    position, message = polled(world, "post", post)
    assert isinstance(message, InboundMessage)
    assert told == (position, message)
    assert (message.text, message.thread, message.visibility) == (
        "@desk my coins <3 are gone",
        f"post:{post}",
        "public",
    )
    assert told[1].profile.followers == 90_000  # type: ignore[union-attr]


def test_a_message_is_the_same_both_ways_and_in_both_envelopes(world: World) -> None:
    event = world.message(world.user("ann"), US, "my address is …")
    told = brought(fake_activity.written(world, event))
    assert told == [polled(world, "dm", event)]
    wrapped = {**fake_activity.written(world, event)}
    wrapped["users"] = {key: {"data": user} for key, user in wrapped["users"].items()}
    assert brought(fake_activity.happened(world, "dm.received", wrapped)) == told
    shown = world.shown("dm_event", [world.messages[event]], {"dm_event.fields": "sender_id,dm_conversation_id"})
    ((position, message),) = brought(fake_activity.happened(world, "dm.received", shown["data"][0]))
    assert (position, message.text, message.thread) == (  # type: ignore[union-attr]
        f"dm;{event}",
        "my address is …",
        f"dm:{world.user('ann')}",
    )


def test_an_answer_stands_below_what_it_answers(world: World) -> None:
    ann = world.user("ann")
    root = world.post(ann, "@desk hello")
    ours = world.post(US, "@ann hello", answers=root)
    reply = world.post(ann, "@desk thank you", answers=ours)
    (_, echo), (_, message) = brought(fake_activity.posted(world, ours, reply))
    assert isinstance(echo, InboundMessage)
    assert isinstance(message, InboundMessage)
    assert (echo.written_by_us, echo.recipient and echo.recipient.handle, echo.in_reply_to) == (True, ann, root)
    assert (message.written_by_us, message.in_reply_to, message.thread) == (False, ours, f"post:{ours}")
    payload = {"id": reply, "author_id": ann, "conversation_id": root, "text": "thanks", "in_reply_to_tweet_id": ours}
    ((position, message),) = brought(fake_activity.happened(world, "post.mention.create", payload))
    assert isinstance(message, InboundMessage)
    assert (position, message.thread, message.in_reply_to) == (f"m;{reply}", f"post:{root}", ours)


def test_a_long_post_is_read_whole(world: World) -> None:
    post = world.post(world.user("ann"), "@desk it begins…", long="@desk it begins and it ends")
    ((_, message),) = brought(fake_activity.posted(world, post))
    assert message.text == "@desk it begins and it ends"


def test_a_post_that_is_gone_is_told_by_either(world: World) -> None:
    gone = InboundChange(ChangeKind.DELETED, external_id="1793610000000000017")
    assert brought(fake_activity.gone(world, "1793610000000000017", "5")) == [("c;deleted;1793610000000000017", gone)]
    told = brought(fake_activity.happened(world, "post.delete", {"id": "1793610000000000017"}))
    assert told == [("c;deleted;1793610000000000017", gone)]


def test_many_events_of_many_kinds_are_told_apart(world: World) -> None:
    post = world.post(world.user("ann"), "@desk one")
    event = world.message(world.user("ann"), US, "two")
    odd = {
        "favorite_events": [{"id": "17", "user": {}}],
        "direct_message_indicate_typing_events": [{"sender_id": "5"}],
        "birthday_events": [{}, 17, None],
    }
    envelope = {**fake_activity.posted(world, post), **fake_activity.written(world, event), **odd}
    envelope["tweet_create_events"].append({"id_str": "9", "retweeted_status": {"id_str": "8"}, "user": {}})
    found = brought(envelope)
    assert len({position for position, _ in found}) == len(found) == 8
    whys = [one.why for _, one in found if isinstance(one, InboundChange)]
    assert sorted(whys) == ["reaction", "repost", *["unknown_kind"] * 4]
    assert [position for position, _ in brought(envelope)] == [position for position, _ in found]


@pytest.mark.parametrize(
    "envelope",
    [
        {"for_user_id": "1001", "tweet_create_events": [17]},
        {"for_user_id": "1001", "tweet_create_events": [{"id": 1.5, "text": "", "user": {}}]},
        {"for_user_id": "1001", "tweet_create_events": [{"id": 17, "user": {"id": 5}}]},
        {"for_user_id": "1001", "direct_message_events": [{"type": "message_create", "id": "17"}]},
        {"for_user_id": "1001", "tweet_delete_events": [{"status": 5}]},
        {"data": {"event_type": "post.create", "filter": {"user_id": "1001"}, "payload": {"text": "no number"}}},
        {"data": {"event_type": "dm.received", "payload": {"direct_message_events": [None]}}},
        {},
        {"data": [17]},
        [],
    ],
    ids=str,
)
def test_odd_events_are_kept_and_shown_as_unreadable(envelope: Any) -> None:
    (one,) = read(envelope)
    assert one.position.partition(";")[0] in ("e", "m", "dm")
    with pytest.raises(Unreadable):
        parse(RawInbound(one.position, one.body, clock.now()), {})


def test_numbers_may_come_as_numbers(world: World) -> None:
    envelope = fake_activity.posted(world, world.post(world.user("ann"), "@desk help"))
    (event,) = envelope["tweet_create_events"]
    with_text = brought(envelope)
    del event["id_str"], event["user"]["id_str"]
    assert brought({**envelope, "for_user_id": int(US)}) == with_text


def test_what_is_nobodys_becomes_no_message(world: World) -> None:
    (item,) = read(fake_activity.posted(world, world.post(world.user("ann"), "@desk help")))
    stray = item.of_nobody()
    assert stray.position.startswith("e;")
    found = parse(RawInbound(stray.position, stray.body, clock.now()), {})
    assert found == InboundChange(ChangeKind.NOTHING, why="unknown_account")


def test_whatever_stands_in_an_envelope_it_is_kept_and_read_or_refused(world: World) -> None:
    ann = world.user("ann")
    post = world.post(ann, "@desk help", media=[world.picture()])
    event = world.message(ann, US, "my number is 17")
    legacy = {**fake_activity.posted(world, post), **fake_activity.written(world, event)}
    legacy |= {"user_event": {"revoke": {"source": {"user_id": US}}}, **fake_activity.gone(world, post, ann)}
    payload = {"id": post, "author_id": ann, "text": "x", "entities": {"urls": [{"url": "a", "expanded_url": "b"}]}}
    modern = fake_activity.happened(world, "post.mention.create", payload, {"users": [{"id": ann, "username": "ann"}]})
    tried = 0
    for whole in (legacy, modern, fake_activity.happened(world, "dm.received", fake_activity.written(world, event))):
        for path in places(whole):
            for odd in (None, 17, 1.5, True, "", "x\ud800\0", [], {}, [None], {"id": {}}, "9" * 30):
                body = json.dumps(changed(whole, path, odd)).encode()
                for item in split(body):
                    tried += 1
                    with suppress(Unreadable):
                        assert isinstance(parse(RawInbound(item.position, item.body, NOW), {}), Inbound)
                    item.of_nobody()
    assert tried > 3000


def test_no_depth_keeps_it_from_being_stored() -> None:
    for depth in (*range(900, 1010), 100_000):
        body = b'{"for_user_id": "1001", "odd_events": [' + b"[" * depth + b"]" * depth + b"]}"
        assert len(split(body)) == 1


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = changed(node[path[0]], path[1:], value)
    return copy
