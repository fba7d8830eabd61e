"""What a message holds: its words, its files, and what is neither, told in a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.telegram.text import cut
from helpdesk.channels import InboundAttachment

_ABOUT: Final = frozenset(
    {
        "message_id",
        "message_thread_id",
        "direct_messages_topic",
        "from",
        "sender_chat",
        "sender_boost_count",
        "sender_business_bot",
        "sender_tag",
        "date",
        "guest_query_id",
        "business_connection_id",
        "chat",
        "forward_origin",
        "is_topic_message",
        "is_automatic_forward",
        "reply_to_message",
        "external_reply",
        "quote",
        "reply_to_story",
        "reply_to_checklist_task_id",
        "reply_to_poll_option_id",
        "via_bot",
        "guest_bot_caller_user",
        "guest_bot_caller_chat",
        "edit_date",
        "has_protected_content",
        "is_from_offline",
        "is_paid_post",
        "media_group_id",
        "author_signature",
        "paid_star_count",
        "text",
        "entities",
        "link_preview_options",
        "suggested_post_info",
        "effect_id",
        "caption",
        "caption_entities",
        "show_caption_above_media",
        "has_media_spoiler",
        "reply_markup",
        "forward_from",
        "forward_from_chat",
        "forward_from_message_id",
        "forward_signature",
        "forward_sender_name",
        "forward_date",
    }
)
"""Fields that say something about a message, or are its text."""

_SERVICE: Final = frozenset(
    {
        "new_chat_members",
        "left_chat_member",
        "chat_owner_left",
        "chat_owner_changed",
        "new_chat_title",
        "new_chat_photo",
        "delete_chat_photo",
        "group_chat_created",
        "supergroup_chat_created",
        "channel_chat_created",
        "message_auto_delete_timer_changed",
        "migrate_to_chat_id",
        "migrate_from_chat_id",
        "pinned_message",
        "connected_website",
        "write_access_allowed",
        "proximity_alert_triggered",
        "boost_added",
        "chat_background_set",
        "forum_topic_created",
        "forum_topic_edited",
        "forum_topic_closed",
        "forum_topic_reopened",
        "general_forum_topic_hidden",
        "general_forum_topic_unhidden",
        "video_chat_scheduled",
        "video_chat_started",
        "video_chat_ended",
        "video_chat_participants_invited",
        "giveaway_created",
        "giveaway_winners",
        "giveaway_completed",
    }
)
"""What the app itself notes in a chat. Nobody said it."""

_FILES: Final = {
    "animation": ("animation.mp4", "video/mp4"),
    "audio": ("audio.mp3", "audio/mpeg"),
    "document": ("file", "application/octet-stream"),
    "video": ("video.mp4", "video/mp4"),
    "video_note": ("video.mp4", "video/mp4"),
    "voice": ("voice.ogg", "audio/ogg"),
}
"""Kinds of files, with the name and type of one that tells none."""

_MOST_BYTES: Final = 20 * 1024 * 1024
"""What a bot may fetch."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says and brings along. `notes` are words of ours: it was forwarded, a file is too large."""

    text: str
    files: tuple[InboundAttachment, ...]
    notes: tuple[str, ...]


def words(value: object) -> str:
    return value if isinstance(value, str) else ""


def is_service(message: Mapping[str, Any]) -> bool:
    """Whether it tells of the chat (somebody came, a title changed), and nobody said anything."""
    return not _SERVICE.isdisjoint(message)


def content(message: Mapping[str, Any]) -> Content:
    """Text and files. An animation is there as a document too, which is the same file."""
    files, notes = [], []
    lines = [_with_links(message)]
    kinds = [kind for kind in message if kind not in _ABOUT and (kind != "document" or "animation" not in message)]
    for kind in kinds:
        found = _file(kind, message[kind])
        if found is None:
            lines.append(_line(kind, message[kind]))
            continue
        file, size = found
        files.append(file)
        if size > _MOST_BYTES:
            notes.append("file_too_large")
    if "forward_origin" in message:
        notes.append("forwarded")
    if "media_group_id" in message:
        notes.append("album")
    return Content("\n".join(filter(None, lines)), tuple(files), tuple(notes))


def quoted(message: Mapping[str, Any]) -> str:
    """The part of an earlier message that he marked and answers."""
    quote = message.get("quote")
    return words(quote.get("text")) if isinstance(quote, dict) else ""


def names(message: Mapping[str, Any], bot_id: str, username: str) -> bool:
    """Whether the text names the bot: by its user name, as a person, or in a command."""
    for text, entity in _entities(message):
        kind, user = entity.get("type"), entity.get("user")
        if kind == "text_mention" and isinstance(user, dict) and bot_id and str(user.get("id")) == bot_id:
            return True
        named = _part(text, entity).lower().partition("@")[2] if kind in ("mention", "bot_command") else ""
        if named and named == username:
            return True
    return False


def _entities(message: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for field, marks in (("text", "entities"), ("caption", "caption_entities")):
        entities = message.get(marks)
        for entity in entities if isinstance(entities, list) else ():
            if isinstance(entity, dict):
                yield words(message.get(field)), entity


def _part(text: str, entity: Mapping[str, Any]) -> str:
    offset, length = entity.get("offset"), entity.get("length")
    if not isinstance(offset, int) or not isinstance(length, int) or offset < 0 or length < 0:
        return ""
    return cut(text, offset, length)


def _with_links(message: Mapping[str, Any]) -> str:
    """The text, and below it the addresses that stand behind its words: an agent has to see where they lead."""
    text = words(message.get("text")) or words(message.get("caption"))
    links = [words(entity.get("url")) for _, entity in _entities(message) if entity.get("type") == "text_link"]
    return "\n".join(filter(None, [text, *dict.fromkeys(links)]))


def _file(kind: str, value: object) -> tuple[InboundAttachment, int] | None:
    """A file that is fetched later, and how large it is said to be."""
    if kind in ("photo", "sticker"):
        return _picture(kind, value)
    if kind not in _FILES or not isinstance(value, dict) or not words(value.get("file_id")):
        return None
    name, content_type = _FILES[kind]
    given = words(value.get("file_name")), words(value.get("mime_type"))
    file = InboundAttachment(given[0] or name, given[1] or content_type, b"", source=value["file_id"])
    return file, _size(value)


def _picture(kind: str, value: object) -> tuple[InboundAttachment, int] | None:
    """A photo comes in several sizes, of which the last is the largest."""
    one = value
    if isinstance(value, list):
        one = max((size for size in value if isinstance(size, dict)), key=_area, default=None)
    if not isinstance(one, dict) or not words(one.get("file_id")):
        return None
    name, content_type = "photo.jpg", "image/jpeg"
    if kind == "sticker":
        name, content_type = "sticker.webp", "image/webp"
        if one.get("is_video") is True:
            name, content_type = "sticker.webm", "video/webm"
        elif one.get("is_animated") is True:
            name, content_type = "sticker.tgs", "application/gzip"
    return InboundAttachment(name, content_type, b"", source=one["file_id"]), _size(one)


def _area(size: Mapping[str, Any]) -> int:
    width, height = size.get("width"), size.get("height")
    return width * height if isinstance(width, int) and isinstance(height, int) else 0


def _size(value: Mapping[str, Any]) -> int:
    size = value.get("file_size")
    return size if isinstance(size, int) else 0


def _line(kind: str, value: object) -> str:
    """What is neither text nor file, in a line; of what we do not know at least that it is there."""
    given = value if isinstance(value, dict) else {}
    told: list[object] = []
    if kind == "venue":
        told = [given.get("title"), given.get("address")]
    elif kind == "location":
        told = [given.get("latitude"), given.get("longitude")]
    elif kind == "contact":
        told = [given.get("first_name"), given.get("last_name"), given.get("phone_number")]
    elif kind == "poll":
        told = [given.get("question")]
    elif kind == "dice":
        told = [given.get("emoji"), given.get("value")]
    said = ", ".join(str(one) for one in told if isinstance(one, str | int | float) and one != "")
    return f"[{kind.replace('_', ' ')}{': ' if said else ''}{said}]"
