"""Items that were read from the API, version 2: posts, direct messages, and that a post is gone. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.x.ids import identifier, identifier_or_empty
from connectors.x.profile import address_of, profile_of, word
from connectors.x.values import things
from helpdesk.channels import (
    Address,
    Authentication,
    ChangeKind,
    Inbound,
    InboundAttachment,
    InboundChange,
    InboundMessage,
    Post,
    Profile,
)

_TYPES = {"photo": "image/jpeg", "video": "video/mp4", "animated_gif": "video/mp4"}
_MEDIA = re.compile(r"https://(?:x|twitter)\.com/\w+/status/\d+/(?:photo|video)/\d+")
_ENDINGS = {"photo": "jpg", "video": "mp4", "animated_gif": "mp4"}


def parse(item: Mapping[str, Any], config: Mapping[str, Any]) -> Inbound:
    """Raises ValueError, KeyError or TypeError for what is no such item."""
    data, own = item["data"], str(item.get("own") or config.get("user_id") or "")
    kind = item["kind"]
    if kind == "deleted":
        return InboundChange(ChangeKind.DELETED, external_id=identifier(data["id"]))
    included = item.get("includes")
    includes = included if isinstance(included, dict) else {}
    if kind == "post":
        return _post(data, includes, own)
    if kind == "dm":
        return _message(data, includes, own)
    raise ValueError("an unknown kind")


def _post(data: Mapping[str, Any], includes: Mapping[str, Any], own: str) -> Inbound:
    number, author = identifier(data["id"]), identifier(data["author_id"])
    references = _references(data)
    if "retweeted" in references:
        return InboundChange(ChangeKind.NOTHING, external_id=number, why="repost")
    profile = _profile(includes, author)
    attachments = _attachments(data, includes)
    text = text_of(data, attached=bool(attachments))
    root = identifier_or_empty(data.get("conversation_id")) or number
    return InboundMessage(
        external_id=number,
        sender=address_of(author, profile),
        text=text,
        new_text=text,
        in_reply_to=references.get("replied_to", ""),
        attachments=attachments,
        authentication=Authentication.PASS,
        notes=("quotes",) if "quoted" in references else (),
        external_url=f"https://x.com/{profile.handle if profile and profile.handle else 'i'}/status/{number}",
        visibility="public",
        thread=f"post:{root}",
        post=_root(root, number, text, author, includes, own),
        profile=profile,
        written_by_us=bool(own) and author == own,
        recipient=_answered(data),
    )


def _root(root: str, number: str, text: str, author: str, includes: Mapping[str, Any], own: str) -> Post:
    url = f"https://x.com/i/status/{root}"
    if root == number:
        return Post(root, url, text, own=author == own)
    for one in things(includes.get("tweets")):
        if identifier_or_empty(one.get("id")) == root:
            mine = bool(own) and identifier_or_empty(one.get("author_id")) == own
            return Post(root, url, text_of(one, attached=False), own=mine)
    return Post(root, url)


def _answered(data: Mapping[str, Any]) -> Address | None:
    other = identifier_or_empty(data.get("in_reply_to_user_id"))
    return Address(other) if other else None


def _message(data: Mapping[str, Any], includes: Mapping[str, Any], own: str) -> Inbound:
    number = identifier(data["id"])
    if data.get("event_type", "MessageCreate") != "MessageCreate":
        return InboundChange(ChangeKind.NOTHING, external_id=number, why="membership")
    sender = identifier(data["sender_id"])
    written_by_us = bool(own) and sender == own
    thread = word(data.get("dm_conversation_id"))
    others = [one for one in thread.split("-") if one != own] if "-" in thread else []
    other = others[0] if len(others) == 1 and written_by_us else ("" if written_by_us else sender)
    # In a group each one's words are his own matter with us: the answer goes to him alone.
    group = bool(thread) and "-" not in thread
    attachments = _attachments(data, includes)
    text = text_of(data, attached=bool(attachments))
    profile = _profile(includes, sender)
    return InboundMessage(
        external_id=number,
        sender=address_of(sender, profile),
        text=text,
        new_text=text,
        attachments=attachments,
        authentication=Authentication.PASS,
        notes=("group",) if group else (),
        visibility="direct",
        thread=f"dm:{other or thread}",
        profile=profile,
        written_by_us=written_by_us,
        recipient=Address(other) if written_by_us and other else None,
    )


def text_of(data: Mapping[str, Any], *, attached: bool) -> str:
    """The text as its author wrote it, whole: without entities, and with his links in place of the vendor's short ones.

    `attached`: its files are kept beside it, so that the links to them go.
    """
    note = data.get("note_tweet")
    whole = note if isinstance(note, dict) and word(note.get("text")) else data
    text, entities = _unescaped(word(whole.get("text"))), whole.get("entities")
    for one in things(entities.get("urls")) if isinstance(entities, dict) else []:
        short, long = word(one.get("url")), word(one.get("expanded_url"))
        if short and long:
            own_media = attached and ("media_key" in one or _MEDIA.fullmatch(long))
            text = text.replace(short, "" if own_media else long)
    return text.strip()


def _unescaped(text: str) -> str:
    """The vendor escapes these three alone. `html.unescape` would find others in what people write, and in links."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _references(data: Mapping[str, Any]) -> dict[str, str]:
    return {word(one.get("type")): identifier_or_empty(one.get("id")) for one in things(data.get("referenced_tweets"))}


def _profile(includes: Mapping[str, Any], number: str) -> Profile | None:
    for one in things(includes.get("users")):
        if identifier_or_empty(one.get("id")) == number:
            return profile_of(one)
    return None


def _attachments(data: Mapping[str, Any], includes: Mapping[str, Any]) -> tuple[InboundAttachment, ...]:
    """By their addresses: the bytes are fetched afterwards."""
    named = data.get("attachments")
    keys = named.get("media_keys") if isinstance(named, dict) else None
    media = {word(one.get("media_key")): one for one in things(includes.get("media"))}
    found = []
    for key in keys if isinstance(keys, list) else []:
        one = media.get(key, {}) if isinstance(key, str) else {}
        kind, source = word(one.get("type")), _source(one)
        name = f"{key}.{_ENDINGS.get(kind, 'bin')}"
        found.append(InboundAttachment(name, _TYPES.get(kind, "application/octet-stream"), b"", source=source))
    return tuple(found)


def _source(media: Mapping[str, Any]) -> str:
    """A photo's address, or that of a film's best copy in one file."""
    if url := word(media.get("url")):
        return url
    copies = [one for one in things(media.get("variants")) if one.get("content_type") == "video/mp4"]
    rates = [one["bit_rate"] if isinstance(one.get("bit_rate"), int) else 0 for one in copies]
    best = copies[rates.index(max(rates))] if copies else {}
    return word(best.get("url")) or word(media.get("preview_image_url"))
