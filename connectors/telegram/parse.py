"""Updates as messages: who wrote what, where, and whether it was meant for us.

A private chat has the number of the person in it. In groups a message is for us when it names the bot, answers it or
is a command that names it; what people say to each other there is nobody's business here, and shown nowhere. One
person in one chat, or in one topic of it, is one conversation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from connectors.telegram import parse_parts
from helpdesk.channels import (
    Address,
    Authentication,
    ChangeKind,
    Inbound,
    InboundChange,
    InboundMessage,
    Profile,
    RawInbound,
    Unreadable,
)

_GROUPS: Final = ("group", "supergroup")


@dataclass(frozen=True, slots=True)
class Us:
    """The bot's account."""

    id: str
    username: str


@dataclass(frozen=True, slots=True)
class _Chat:
    """Where something was said. `topic` is the number of a group's topic, or empty."""

    id: str
    private: bool
    username: str
    topic: str

    @property
    def thread(self) -> str:
        return ":".join(filter(None, ("chat", self.id, self.topic)))

    def url_of(self, message_id: str) -> str:
        """Where everybody can see it, empty where not everybody can."""
        return f"https://t.me/{self.username}/{message_id}" if self.username and not self.private else ""


def parse(raw: RawInbound, config: Mapping[str, Any]) -> Inbound:
    """One update. Raises `Unreadable` for what is none."""
    try:
        update = json.loads(raw.body)
    except (ValueError, RecursionError):
        raise Unreadable("this is not JSON") from None
    if not isinstance(update, dict) or "update_id" not in update:
        raise Unreadable("this is not an update")
    us = Us(str(raw.hints.get("bot_id", "")), str(raw.hints.get("username") or config.get("username", "")).lower())
    for kind in ("message", "edited_message"):
        if isinstance(message := update.get(kind), dict):
            return _Reading(message, us).read(edited=kind != "message")
    return _nothing("membership" if "my_chat_member" in update else "unknown_kind")


def number(value: object) -> str:
    """An id, which is a whole number, also where it came as a string."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii():
        return value
    raise Unreadable("an id is missing")


def _nothing(why: str) -> InboundChange:
    return InboundChange(ChangeKind.NOTHING, why=why)


class _Reading:
    """One message."""

    def __init__(self, message: Mapping[str, Any], us: Us) -> None:
        self._message, self._us = message, us

    def read(self, *, edited: bool) -> Inbound:
        message = self._message
        chat = self._chat()
        message_id = number(message.get("message_id"))
        sender = message.get("from")
        if not isinstance(sender, dict) or (not chat.private and message.get("sender_chat") is not None):
            return _nothing("not_a_person")
        if sender.get("is_bot") is True:
            return _nothing("bot")
        if parse_parts.is_service(message):
            return _nothing("service")
        content = parse_parts.content(message)
        handle = number(sender.get("id"))
        external_id = f"{chat.id}:{message_id}"
        if not chat.private and not self._is_for_us():
            return _nothing("not_for_us")
        if edited:
            return self._edited(external_id, chat, handle, content.text)
        if chat.private and content.text.strip().partition(" ")[0] == "/start" and not content.files:
            return _nothing("started")
        return self._said(external_id, chat, sender, handle, content)

    def _said(
        self, external_id: str, chat: _Chat, sender: Mapping[str, Any], handle: str, content: parse_parts.Content
    ) -> InboundMessage:
        profile = _profile(sender, handle)
        url = chat.url_of(external_id.rpartition(":")[2])
        return InboundMessage(
            external_id=external_id,
            sender=Address(handle, profile.name or (profile.handle and f"@{profile.handle}")),
            text=content.text,
            new_text=content.text,
            quoted=parse_parts.quoted(self._message),
            in_reply_to=self._answered(chat),
            attachments=content.files,
            authentication=Authentication.PASS,
            notes=content.notes,
            external_url=url,
            visibility="direct" if chat.private else "public",
            thread=chat.thread,
            profile=profile,
        )

    def _answered(self, chat: _Chat) -> str:
        """The message that this answers. In a topic the first one is named where none is."""
        answered = self._message.get("reply_to_message")
        if not isinstance(answered, dict) or (chat.topic and "forum_topic_created" in answered):
            return ""
        try:
            return f"{chat.id}:{number(answered.get('message_id'))}"
        except Unreadable:
            return ""

    def _edited(self, external_id: str, chat: _Chat, handle: str, text: str) -> InboundChange:
        # A place that moves is told as an edit every few seconds.
        if "location" in self._message:
            return _nothing("location")
        date = self._message.get("edit_date")
        at = datetime.fromtimestamp(date, UTC) if isinstance(date, int) and 0 < date < 2**35 else None
        return InboundChange(ChangeKind.EDITED, external_id, chat.thread, handle, text, at)

    def _chat(self) -> _Chat:
        chat = self._message.get("chat")
        if not isinstance(chat, dict):
            raise Unreadable("the chat is missing")
        kind = chat.get("type")
        topic = ""
        if self._message.get("is_topic_message") is True:
            topic = number(self._message.get("message_thread_id"))
        username = parse_parts.words(chat.get("username")) if kind in _GROUPS else ""
        return _Chat(number(chat.get("id")), kind == "private", username, topic)

    def _is_for_us(self) -> bool:
        answered = self._message.get("reply_to_message")
        author = answered.get("from") if isinstance(answered, dict) else None
        if isinstance(author, dict) and self._us.id and str(author.get("id")) == self._us.id:
            return True
        return parse_parts.names(self._message, self._us.id, self._us.username)


def _profile(sender: Mapping[str, Any], handle: str) -> Profile:
    name = " ".join(filter(None, (parse_parts.words(sender.get(part)) for part in ("first_name", "last_name"))))
    username = parse_parts.words(sender.get("username"))
    return Profile(handle, username, name, url=f"https://t.me/{username}" if username else "")
