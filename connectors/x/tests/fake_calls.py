"""The calls that the made-up vendor knows, with who may make each and what it answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from connectors.x.tests.fake_world import Thing

if TYPE_CHECKING:
    from connectors.x.tests.fake import FakeX

_NOT_FOUND: Final = "https://api.twitter.com/2/problems/resource-not-found"


@dataclass(frozen=True)
class Answer:
    """`checked`: held against the document, which does not know all that the vendor says."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    checked: bool = True


@dataclass(frozen=True)
class Asked:
    """`path` is split at its slashes: an empty string, `2`, ..."""

    fake: FakeX
    path: Sequence[str]
    query: Mapping[str, str]
    body: Any

    def most(self, default: int) -> int:
        return min(int(self.query.get("max_results", default)), self.fake.page)


@dataclass(frozen=True)
class Call:
    """`kinds`: `oauth1` and `oauth2` are tokens of an account, `app` is the app's own. `binary`: no JSON is sent."""

    kinds: set[str]
    answer: Callable[[Asked], Answer]
    binary: bool = False


def told(found: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(found).encode())


def problem(
    status: int, title: str, detail: str = "", *, kind: str = "about:blank", checked: bool = True, **more: Any
) -> Answer:
    said = {"title": title, "detail": detail or title, "status": status, "type": kind, **more}
    return Answer(status, json.dumps(said).encode(), "application/problem+json", checked=checked)


# -- posts ------------------------------------------------------------------------------------------------------------


def _me(asked: Asked) -> Answer:
    world = asked.fake.world
    shown = world.shown("user", [world.users[world.us]], asked.query)
    return told({**shown, "data": shown["data"][0]})


def _mentions(asked: Asked) -> Answer:
    world, whom = asked.fake.world, asked.path[3]
    name = f"@{world.users[whom]['username']}".lower()

    def theirs(post: Thing) -> bool:
        text = post.get("note_tweet", post)["text"].lower()
        return bool(post["author_id"] != whom and re.search(rf"{name}\b", text))

    found = [post for post in world.posts.values() if theirs(post)]
    return told(world.listed("tweet", found, asked.query, limit=asked.most(10)))


def _timeline(asked: Asked) -> Answer:
    world = asked.fake.world
    found = [post for post in world.posts.values() if post["author_id"] == asked.path[3]]
    return told(world.listed("tweet", found, asked.query, limit=asked.most(10)))


def _search(asked: Asked) -> Answer:
    """`conversation_id:A OR conversation_id:B`, `to:NAME` and `-from:NAME` of the language; there are no retweets."""
    world, query = asked.fake.world, asked.query["query"]
    threads = set(re.findall(r"conversation_id:(\d+)", query))
    without = {world.user(name) for name in re.findall(r"-from:(\w+)", query)}
    to = {world.user(name) for name in re.findall(r"(?<!\S)to:(\w+)", query)}

    def wanted(post: Thing) -> bool:
        answers = not to or post.get("in_reply_to_user_id") in to
        return answers and post["author_id"] not in without and (not threads or post["conversation_id"] in threads)

    found = [post for post in world.posts.values() if wanted(post)]
    return told(world.listed("tweet", found, asked.query, limit=asked.most(10)))


def _posts(asked: Asked) -> Answer:
    world, ids = asked.fake.world, asked.query["ids"].split(",")
    shown = world.shown("tweet", [world.posts[key] for key in ids if key in world.posts], asked.query)
    gone = [_missing(key) for key in ids if key not in world.posts]
    return told({**shown, **({"errors": gone} if gone else {})})


def _missing(key: str) -> Thing:
    same = {"value": key, "resource_id": key, "parameter": "ids", "resource_type": "tweet", "type": _NOT_FOUND}
    return {**same, "title": "Not Found Error", "detail": f"Could not find tweet with ids: [{key}]."}


def _create(asked: Asked) -> Answer:
    """The same words below the same post are refused, as the vendor does for some minutes."""
    world, given = asked.fake.world, asked.body
    parent = given.get("reply", {}).get("in_reply_to_tweet_id", "")
    if parent and parent not in world.posts:
        detail = "You attempted to reply to a Tweet that is deleted or not visible to you."
        return problem(403, "Forbidden", detail)
    media = [_key(asked, media_id) for media_id in given.get("media", {}).get("media_ids", [])]
    if None in media or not (given.get("text") or media):
        return problem(400, "Invalid Request", "One or more parameters to your request was invalid.")
    for post in asked.fake.sent:
        same = [one["id"] for one in post.get("referenced_tweets", [])] == ([parent] if parent else [])
        if same and post["text"] == given.get("text", "") and not media:
            return problem(403, "Forbidden", "You are not allowed to create a Tweet with duplicate content.")
    keys = [key for key in media if key is not None]
    found = world.post(world.us, given.get("text", ""), answers=parent, media=keys)
    return told({"data": {"id": found, "text": given.get("text", "")}}, 201)


def _hide(asked: Asked) -> Answer:
    """Only answers below our own posts can be."""
    world, key = asked.fake.world, asked.path[3]
    root = str(world.posts.get(key, {}).get("conversation_id"))
    if key not in world.posts:
        return problem(404, "Not Found")
    if root == key or world.posts.get(root, {}).get("author_id") != world.us:
        return problem(403, "Forbidden", "You are not permitted to perform this action.")
    world.hidden[key] = asked.body["hidden"]
    return told({"data": {"hidden": asked.body["hidden"]}})


# -- messages ---------------------------------------------------------------------------------------------------------


def _messages(asked: Asked) -> Answer:
    world = asked.fake.world
    ours = [one for one in world.messages.values() if world.us in one["dm_conversation_id"].split("-")]
    return told(world.listed("dm_event", ours, asked.query, limit=asked.most(100)))


def _messages_with(asked: Asked) -> Answer:
    world = asked.fake.world
    both = {world.us, asked.path[4]}
    found = [one for one in world.messages.values() if set(one["dm_conversation_id"].split("-")) == both]
    return told(world.listed("dm_event", found, asked.query, limit=asked.most(100)))


def _write(asked: Asked) -> Answer:
    world, other = asked.fake.world, asked.path[4]
    user = world.users.get(other)
    if user is None or user.get("receives_your_dm") is False:
        return problem(403, "Forbidden", "You cannot send messages to this user.")
    media = [_key(asked, one["media_id"]) for one in asked.body.get("attachments", [])]
    if None in media:
        return problem(400, "Invalid Request", "One or more parameters to your request was invalid.")
    keys = [key for key in media if key is not None]
    found = world.message(world.us, other, asked.body.get("text", ""), media=keys)
    thread = world.messages[found]["dm_conversation_id"]
    return told({"data": {"dm_event_id": found, "dm_conversation_id": thread}}, 201)


# -- media ------------------------------------------------------------------------------------------------------------


def _key(asked: Asked, media_id: str) -> str | None:
    """Of what was uploaded whole."""
    found = asked.fake.world.media.get(f"3_{media_id}", {})
    return f"3_{media_id}" if found.get("done") else None


def _uploaded(asked: Asked, body: bytes, *, done: bool) -> Answer:
    world = asked.fake.world
    media_id = world.next_id()
    world.media[f"3_{media_id}"] = {"media_key": f"3_{media_id}", "type": "photo", "body": body, "done": done}
    # The document wants a `meta` that the vendor does not send, and nobody knows what stands in it.
    return told({"data": {"id": media_id, "media_key": f"3_{media_id}", "size": len(body)}, "meta": {}})


def _upload(asked: Asked) -> Answer:
    return _uploaded(asked, base64.b64decode(asked.body["media"]), done=True)


def _initialize(asked: Asked) -> Answer:
    return _uploaded(asked, b"", done=False)


def _append(asked: Asked) -> Answer:
    found = asked.fake.world.media.get(f"3_{asked.path[4]}")
    if found is None:
        return problem(404, "Not Found")
    found["body"] += base64.b64decode(asked.body["media"])
    return told({"data": {"expires_at": 4_000_000_000}, "meta": {}})


def _finalize(asked: Asked) -> Answer:
    found = asked.fake.world.media.get(f"3_{asked.path[4]}")
    if found is None:
        return problem(404, "Not Found")
    found["done"] = True
    data = {"id": asked.path[4], "media_key": found["media_key"], "size": len(found["body"])}
    return told({"data": data, "meta": {}})


def _status(asked: Asked) -> Answer:
    media_id = asked.query["media_id"]
    return told({"data": {"id": media_id, "media_key": f"3_{media_id}"}, "meta": {}})


# -- webhooks ---------------------------------------------------------------------------------------------------------


def _webhooks(asked: Asked) -> Answer:
    found = list(asked.fake.webhooks.values())
    return told({**({"data": found} if found else {}), "meta": {"result_count": len(found)}})


def _answers_challenge(asked: Asked, url: str) -> bool:
    challenge = "challenge-1"
    secret = asked.fake.tokens.oauth1["consumer_secret"].encode()
    wanted = base64.b64encode(hmac.new(secret, challenge.encode(), hashlib.sha256).digest()).decode()
    try:
        with urllib.request.urlopen(f"{url}?crc_token={quote(challenge)}", timeout=3) as answer:
            return bool(json.loads(answer.read()).get("response_token") == f"sha256={wanted}")
    except (OSError, ValueError):
        return False


def _register(asked: Asked) -> Answer:
    url = asked.body["url"]
    if not _answers_challenge(asked, url):
        return problem(400, "Invalid Request", "CrcValidationFailed")
    if any(known["url"] == url for known in asked.fake.webhooks.values()):
        return problem(400, "Invalid Request", "DuplicateUrlFailed")
    key = asked.fake.world.next_id()
    asked.fake.webhooks[key] = {"id": key, "url": url, "valid": True, "created_at": "2026-11-02T10:00:00.000Z"}
    return told(asked.fake.webhooks[key])


def _validate(asked: Asked) -> Answer:
    known = asked.fake.webhooks.get(asked.path[3])
    if known is None:
        return problem(404, "Not Found")
    known["valid"] = _answers_challenge(asked, known["url"])
    return told({"data": {"attempted": True}})


def _subscribe(asked: Asked) -> Answer:
    key = asked.path[4]
    if key not in asked.fake.webhooks:
        return problem(404, "Not Found")
    if key in asked.fake.subscribed:
        return problem(400, "Invalid Request", "DuplicateSubscriptionFailed")
    asked.fake.subscribed.add(key)
    return told({"data": {"subscribed": True}})


def _subscription(asked: Asked) -> Answer:
    return told({"data": {"subscribed": asked.path[4] in asked.fake.subscribed}})


_ACCOUNT: Final = {"oauth1", "oauth2"}
_ANY: Final = {*_ACCOUNT, "app"}
_SUBSCRIPTIONS: Final = "/2/account_activity/webhooks/{webhook_id}/subscriptions/all"

CALLS: Final = {
    "GET /2/users/me": Call(_ACCOUNT, _me),
    "GET /2/users/{id}/mentions": Call(_ANY, _mentions),
    "GET /2/users/{id}/tweets": Call(_ANY, _timeline),
    "GET /2/tweets/search/recent": Call(_ANY, _search),
    "GET /2/tweets": Call(_ANY, _posts),
    "POST /2/tweets": Call(_ACCOUNT, _create),
    "PUT /2/tweets/{tweet_id}/hidden": Call(_ACCOUNT, _hide),
    "GET /2/dm_events": Call(_ACCOUNT, _messages),
    "GET /2/dm_conversations/with/{participant_id}/dm_events": Call(_ACCOUNT, _messages_with),
    "POST /2/dm_conversations/with/{participant_id}/messages": Call(_ACCOUNT, _write),
    "GET /2/media/upload": Call(_ACCOUNT, _status),
    "POST /2/media/upload": Call(_ACCOUNT, _upload),
    "POST /2/media/upload/initialize": Call(_ACCOUNT, _initialize),
    "POST /2/media/upload/{id}/append": Call(_ACCOUNT, _append),
    "POST /2/media/upload/{id}/finalize": Call(_ACCOUNT, _finalize),
    "GET /2/webhooks": Call({"app"}, _webhooks),
    "POST /2/webhooks": Call({"app", "oauth1"}, _register),
    "PUT /2/webhooks/{webhook_id}": Call({"app", "oauth1"}, _validate),
    "GET " + _SUBSCRIPTIONS: Call(_ACCOUNT, _subscription),
    "POST " + _SUBSCRIPTIONS: Call(_ACCOUNT, _subscribe),
}
