"""Private messages, and what becomes of them: Messenger's and Instagram's, which write much the same.

One person's private messages are one thread, `dm:` and his handle. Names are in none of these events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from connectors.facebook.events import Item
from connectors.facebook.values import identity, moment, optional, part, parts, text
from helpdesk.channels import (
    Address,
    Authentication,
    ChangeKind,
    Inbound,
    InboundAttachment,
    InboundChange,
    InboundMessage,
    Unreadable,
)

PART: Final = "#part"
"""Ends the token of a part of ours that is not the last: that one's echo speaks for all."""

_FILES: Final = {
    "image": ("image/jpeg", ".jpg"),
    "video": ("video/mp4", ".mp4"),
    "audio": ("audio/mp4", ".m4a"),
    "file": ("application/octet-stream", ".bin"),
}
_KNOWN: Final = {"reaction": "reaction", "optin": "optin", "referral": "referral"}
"""Kinds that are nothing to read, and why."""


def parse(item: Item, event: Mapping[str, Any], *, prefix: str) -> Inbound:
    """One event. `prefix` stands before ids of people. Raises Unreadable where an id is missing or none."""
    message = part(event, "message")
    person = _Person(item, event, prefix, echo=message.get("is_echo") is True)
    if message.get("is_deleted") is True:
        return person.change(ChangeKind.DELETED, identity(message.get("mid")), event)
    if person.ours and text(message.get("metadata")).endswith(PART):
        return InboundChange(ChangeKind.NOTHING, why="own_part")
    if message:
        return _message(item, message, person)
    if "mid" in (edit := part(event, "message_edit")):
        return person.change(ChangeKind.EDITED, identity(edit["mid"]), event, text=text(edit.get("text")))
    if postback := part(event, "postback"):
        return _postback(item, event, postback, person)
    if mark := part(event, "read"):
        return _mark(ChangeKind.READ, mark, event, person)
    if mark := part(event, "delivery"):
        return _mark(ChangeKind.DELIVERED, mark, event, person)
    why = next((why for name, why in _KNOWN.items() if name in event), "unknown_kind")
    return InboundChange(ChangeKind.NOTHING, why=why)


class _Person:
    """Who is at the other end: the sender, or the recipient of what our account wrote."""

    def __init__(self, item: Item, event: Mapping[str, Any], prefix: str, *, echo: bool) -> None:
        sender = optional(part(event, "sender").get("id"))
        self.account = text(item.get("entry"))
        self.ours = echo or (bool(sender) and sender == self.account)
        other = optional(part(event, "recipient").get("id")) if self.ours else sender
        self.handle = f"{prefix}{other}" if other else ""
        self.thread = f"dm:{self.handle}" if other else ""

    def named(self) -> Address:
        """Raises Unreadable: what nobody wrote cannot be answered."""
        if not self.handle:
            raise Unreadable("the sender is missing")
        return Address(self.handle)

    def change(self, kind: ChangeKind, external_id: str, event: Mapping[str, Any], *, text: str = "") -> InboundChange:
        at = moment(event.get("timestamp"))
        return InboundChange(kind, external_id, self.thread, self.handle, text=text, at=at)


def _message(item: Item, message: Mapping[str, Any], person: _Person) -> InboundMessage:
    mid = identity(message.get("mid"))
    files, lines = _attached(message, mid)
    answered = part(message, "reply_to")
    story = part(answered, "story")
    said = "\n".join(line for line in (text(message.get("text")), *lines) if line)
    other = person.named()
    return InboundMessage(
        external_id=mid,
        sender=Address(person.account) if person.ours else other,
        text=said,
        new_text=said,
        quoted=text(story.get("url")),
        in_reply_to=optional(answered.get("mid")),
        attachments=tuple(files),
        authentication=Authentication.PASS,
        notes=tuple(_notes(item, message, story)),
        thread=person.thread,
        written_by_us=person.ours,
        client_token=text(message.get("metadata")) if person.ours else "",
        recipient=other if person.ours else None,
    )


def _notes(item: Item, message: Mapping[str, Any], story: Mapping[str, Any]) -> list[str]:
    found = ["standby"] if item.get("list") == "standby" else []
    if message.get("is_unsupported") is True:
        found.append("unsupported")
    if story:
        found.append("story_reply")
    if app := optional(message.get("app_id")):
        found.append(f"app:{app}")
    return found


def _attached(message: Mapping[str, Any], mid: str) -> tuple[list[InboundAttachment], list[str]]:
    """Files, which are fetched later by the message's id; and lines for what is shared, which is a link or a place."""
    files: list[InboundAttachment] = []
    lines: list[str] = []
    for number, one in enumerate(parts(message, "attachments")):
        kind, payload = text(one.get("type")), part(one, "payload")
        if kind in _FILES:
            content_type, ending = _FILES[kind]
            name = _filename(text(payload.get("url"))) or f"{kind}-{number + 1}{ending}"
            files.append(InboundAttachment(name, content_type, b"", source=f"{mid}#{number}"))
        elif place := part(payload, "coordinates"):
            lines.append(f"{place.get('lat')}, {place.get('long')}")
        else:
            title = text(payload.get("title")) or text(one.get("title"))
            link = text(payload.get("url")) or text(one.get("url"))
            lines.append(" ".join(word for word in (title, link) if word) or f"[{kind}]")
    return files, lines


def _filename(url: str) -> str:
    """The name in an address, if it looks like one."""
    try:
        name = unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        return ""
    stem, dot, ending = name.rpartition(".")
    return name if stem and dot and ending.isalnum() and len(name) <= 100 else ""


def _postback(item: Item, event: Mapping[str, Any], given: Mapping[str, Any], person: _Person) -> InboundMessage:
    """A button that he pressed: what stood on it. Old ones have no id but when and who."""
    moment_of = f"{optional(part(event, 'sender').get('id'))}.{optional(event.get('timestamp'))}"
    said = text(given.get("title")) or text(given.get("payload"))
    return InboundMessage(
        external_id=optional(given.get("mid")) or f"postback.{moment_of}",
        sender=person.named(),
        text=said,
        new_text=said,
        authentication=Authentication.PASS,
        notes=("postback", *_notes(item, {}, {})),
        thread=person.thread,
    )


def _mark(kind: ChangeKind, mark: Mapping[str, Any], event: Mapping[str, Any], person: _Person) -> InboundChange:
    """All up to a time; Instagram names the last message that was seen, at the time when it was."""
    up_to = moment(mark.get("watermark")) or moment(event.get("timestamp"))
    return InboundChange(kind, thread=person.thread, handle=person.handle, at=up_to)
