"""What one webhook brings, taken apart: it may hold the events of several accounts, many of each, in any order.

An item is one event with what stood around it, `{"object", "entry", "time", "list", "event"}`: enough to be read by
itself. `list` is `messaging`, `standby` (another app answers there) or `changes`; what has no such shape is kept whole,
with an empty `list`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from connectors.facebook import parse_comments
from connectors.facebook.values import identity, optional, part, text
from helpdesk.channels import Unreadable

LISTS: Final = ("messaging", "standby", "changes")

_LONGEST: Final = 300
"""Characters of a position. Ids of messages take up to 150."""

Item = Mapping[str, Any]


def split(payload: object) -> list[Item]:
    """The events of a payload in the order in which they stand there."""
    given = payload if isinstance(payload, dict) else {}
    entries = given.get("entry")
    if not isinstance(entries, list) or not entries:
        return [_item(given.get("object"), {}, "", payload)]
    return [item for entry in entries for item in _of_entry(given.get("object"), entry)]


def _of_entry(object_: object, entry: object) -> list[Item]:
    if not isinstance(entry, dict):
        return [_item(object_, {}, "", entry)]
    if "field" in entry and "value" in entry:  # some accounts' single change stands in the entry itself
        return [_item(object_, entry, "changes", {"field": entry["field"], "value": entry["value"]})]
    found = [
        _item(object_, entry, name, event)
        for name in LISTS
        if isinstance(entry.get(name), list)
        for event in entry[name]
    ]
    return found or [_item(object_, entry, "", entry)]


def _item(object_: object, entry: Mapping[str, Any], name: str, event: object) -> Item:
    try:
        account = optional(entry.get("id"))
    except Unreadable:
        account = ""
    return {"object": text(object_), "entry": account, "time": entry.get("time"), "list": name, "event": event}


def written(item: Item) -> bytes:
    """The same bytes for the same item. Lone halves of letters, which JSON may hold, stay escaped."""
    return json.dumps(item, sort_keys=True, separators=(",", ":")).encode()


def position(item: Item) -> str:
    """Where it stands in its inbox: the same whenever the vendor tells of the same thing, by whatever way."""
    try:
        found = _position(item)
    except Unreadable:
        found = ""
    return found if 0 < len(found) <= _LONGEST else digest(written(item))


def digest(body: bytes) -> str:
    """The position of what only its own bytes tell from something else."""
    return f"e;{hashlib.sha256(body).hexdigest()}"


def _position(item: Item) -> str:
    if (event := message_event(item)) is None:
        return parse_comments.position(item) if item["list"] == "changes" else ""
    message, sender = part(event, "message"), optional(part(event, "sender").get("id"))
    if "mid" in message:
        kind = "c;deleted" if message.get("is_deleted") is True else "m"
        return f"{kind};{identity(message['mid'])}"
    if "mid" in (postback := part(event, "postback")):
        return f"m;{identity(postback['mid'])}"
    if "mid" in (edit := part(event, "message_edit")):
        return f"c;edited;{identity(edit['mid'])};{optional(edit.get('num_edit'))}"
    if "mid" in (reaction := part(event, "reaction")):
        return f"c;reaction;{identity(reaction['mid'])};{sender};{optional(event.get('timestamp'))}"
    for name, word in (("read", "read"), ("delivery", "delivered")):
        mark = part(event, name)
        if up_to := optional(mark.get("watermark")) or optional(mark.get("mid")):
            return f"c;{word};{sender};{up_to}"
    return ""


def message_event(item: Item) -> Mapping[str, Any] | None:
    """The event, where it is one of private messages; the dashboard's sample comes as a change."""
    event = item.get("event")
    if not isinstance(event, dict):
        return None
    if item.get("list") in ("messaging", "standby"):
        return event
    value = event.get("value")
    if item.get("list") == "changes" and event.get("field") == "messages" and isinstance(value, dict):
        return value
    return None
