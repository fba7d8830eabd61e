"""What the vendor sends to a webhook, made of what the made-up one holds, in both of its envelopes."""

from __future__ import annotations

from typing import Any

from connectors.x.tests.fake_world import Thing, World


def posted(world: World, *post_ids: str) -> Thing:
    """Account activity: posts by us, or to us."""
    return {"for_user_id": world.us, "tweet_create_events": [_post(world, world.posts[one]) for one in post_ids]}


def written(world: World, *event_ids: str) -> Thing:
    """Account activity: messages from us, or to us."""
    found = [world.messages[one] for one in event_ids]
    people = {end for one in found for end in one["dm_conversation_id"].split("-")}
    return {
        "for_user_id": world.us,
        "direct_message_events": [_message(one) for one in found],
        "apps": {"17": {"id": "17", "name": "An app"}},
        "users": {end: _user(world.users[end]) for end in sorted(people)},
    }


def gone(world: World, post_id: str, author: str) -> Thing:
    event = {"status": {"id": post_id, "user_id": author}, "timestamp_ms": "1793610000000"}
    return {"for_user_id": world.us, "tweet_delete_events": [event]}


def happened(world: World, kind: str, payload: Thing, includes: Thing | None = None) -> Thing:
    """X activity."""
    event: Thing = {"event_uuid": world.next_id(), "filter": {"user_id": world.us}, "event_type": kind, "tag": "desk"}
    return {"data": {**event, "payload": payload, **({"includes": includes} if includes else {})}}


def _post(world: World, post: Thing) -> Thing:
    """The number as a number as well, which most readers of JSON round."""
    links, pictures = _attached(world, post)
    text = post["text"]
    found: Thing = {
        "created_at": "Mon Nov 02 10:00:00 +0000 2026",
        "id": int(post["id"]),
        "id_str": post["id"],
        "text": text,
        "truncated": "note_tweet" in post,
        "user": {**_user(world.users[post["author_id"]]), "id": int(post["author_id"]), "id_str": post["author_id"]},
        "entities": {"hashtags": [], "urls": links, "user_mentions": [], "media": pictures},
    }
    if pictures:
        found["extended_entities"] = {"media": pictures}
    if "note_tweet" in post:
        found["extended_tweet"] = {"full_text": post["note_tweet"]["text"], "entities": found["entities"]}
    for one in post.get("referenced_tweets", []):
        found |= {"in_reply_to_status_id": int(one["id"]), "in_reply_to_status_id_str": one["id"]}
        found |= {"in_reply_to_user_id_str": post.get("in_reply_to_user_id")}
    return found


def _attached(world: World, post: Thing) -> tuple[list[Any], list[Any]]:
    links = [dict(one) for one in post.get("entities", {}).get("urls", [])]
    keys = post.get("attachments", {}).get("media_keys", [])
    return links, [{**_picture(world.media[key]), "indices": [0, 1]} for key in keys]


def _picture(media: Thing) -> Thing:
    number = media["media_key"].split("_")[1]
    shown = {"url": "https://t.co/picture", "expanded_url": "https://x.com/a/status/1/photo/1"}
    return {"id": int(number), "id_str": number, "type": "photo", "media_url_https": media["url"], **shown}


def _message(message: Thing) -> Thing:
    ends = message["dm_conversation_id"].split("-")
    other = next(end for end in ends if end != message["sender_id"])
    content = {"text": message.get("text", ""), "entities": {"hashtags": [], "urls": [], "user_mentions": []}}
    made = {"target": {"recipient_id": other}, "sender_id": message["sender_id"], "message_data": content}
    return {"type": "message_create", "id": message["id"], "created_timestamp": "1793610000000", "message_create": made}


def _user(user: Thing) -> Thing:
    return {
        "id": user["id"],
        "created_at": "Sat May 04 10:00:00 +0000 2019",
        "name": user["name"],
        "screen_name": user["username"],
        "verified": user["verified"],
        "followers_count": user["public_metrics"]["followers_count"],
        "profile_image_url_https": user["profile_image_url"],
    }
