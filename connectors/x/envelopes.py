"""What one request to the webhook holds, as the raw items that are kept: one event each, and whom it names.

There are two envelopes. Account activity (`aaa`) has lists by kind, and posts in their older shapes; X activity (`xaa`)
has one event in the shapes of the API, but wraps messages as account activity does. Positions are those of polling, so
that what comes both ways is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from connectors.x.ids import identifier_or_empty
from connectors.x.values import thing

_LISTS: Final = {"tweet_create_events": "post", "direct_message_events": "dm", "tweet_delete_events": "deleted"}
_EVENTS: Final = {
    "post.create": "post",
    "post.mention.create": "post",
    "post.delete": "deleted",
    "dm.received": "dm",
    "dm.sent": "dm",
}
_PREFIXES: Final = {"post": "m", "dm": "dm", "deleted": "c;deleted"}


@dataclass(frozen=True, slots=True)
class Item:
    """`account` is the number of the account that it came for, empty where the envelope does not say."""

    account: str
    position: str
    body: bytes

    def of_nobody(self) -> Item:
        """The same, to be kept where it came in and to become no message there: the account is nobody's."""
        content = json.loads(self.body)
        return _item(self.account, "", "", {**content, "stray": True})


def split(body: bytes) -> list[Item]:
    """Whatever is not understood is one item, and is kept."""
    try:
        envelope = json.loads(body)
        found = list(_items(envelope)) if isinstance(envelope, dict) else []
    except (ValueError, RecursionError):
        found = []
    return found or [Item("", f"e;{sha256(body).hexdigest()}", body)]


def _items(envelope: Mapping[str, Any]) -> Iterator[Item]:
    data = envelope.get("data")
    for event in data if isinstance(data, list) else [data]:
        if isinstance(event, dict):
            yield from _activity(event, envelope)
    account = identifier_or_empty(envelope.get("for_user_id"))
    users = thing(envelope.get("users"))
    for name, events in envelope.items():
        if isinstance(events, list) and name.endswith("_events"):
            for event in events:
                yield _legacy(account, name, event, users)
    if "user_event" in envelope:
        source = thing(thing(thing(envelope["user_event"]).get("revoke")).get("source"))
        yield _legacy(identifier_or_empty(source.get("user_id")), "user_event", envelope["user_event"], {})


def _activity(event: Mapping[str, Any], envelope: Mapping[str, Any]) -> Iterator[Item]:
    account = identifier_or_empty(thing(event.get("filter")).get("user_id"))
    payload, name = thing(event.get("payload")), str(event.get("event_type"))
    messages = payload.get("direct_message_events")
    if isinstance(messages, list):
        for message in messages:
            yield _legacy(account, "direct_message_events", message, thing(payload.get("users")))
        return
    includes = event.get("includes") or envelope.get("includes")
    kind = _EVENTS.get(name, name)
    number = identifier_or_empty(payload.get("id"))
    content = {"form": "xaa", "kind": kind, "own": account, "data": payload, "includes": thing(includes)}
    # What has no number of its own is told apart by the event's, which a repetition has as well.
    yield _item(account, kind, number, content if number else {**content, "event": str(event.get("event_uuid"))})


def _legacy(account: str, name: str, event: Any, users: Mapping[str, Any]) -> Item:
    kind, found = _LISTS.get(name, name), thing(event)
    named = thing(found.get("status")) if kind == "deleted" else found
    number = identifier_or_empty(named.get("id_str")) or identifier_or_empty(named.get("id"))
    message = thing(found.get("message_create"))
    ends = (message.get("sender_id"), thing(message.get("target")).get("recipient_id"))
    content = {"form": "aaa", "kind": kind, "own": account, "data": event}
    return _item(
        account, kind, number, {**content, "users": {str(end): users[str(end)] for end in ends if str(end) in users}}
    )


def _item(account: str, kind: str, number: str, content: Mapping[str, Any]) -> Item:
    body = json.dumps(content, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
    prefix = _PREFIXES.get(kind)
    return Item(account, f"{prefix};{number}" if prefix and number else f"e;{sha256(body).hexdigest()}", body)
