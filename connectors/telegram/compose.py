"""A reply, frozen: where it goes, what it answers, its words and its files."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from typing import Any, Final

from connectors.telegram.config import TelegramConfig
from connectors.telegram.text import TEXT_UNITS, units
from helpdesk.channels import Composed, OutboundAttachment, OutboundMessage, PermanentFailure

MOST_FILES: Final = 10
_MOST_BYTES: Final = 50 * 1024 * 1024


def compose(config: TelegramConfig, message: OutboundMessage) -> Composed:
    """Pure. Raises PermanentFailure for what the Bot API would never take."""
    handle = message.to[0].handle if message.to else ""
    answered_chat, _, answered = message.in_reply_to.rpartition(":")
    chat, topic = _place(message, handle)
    if not chat:
        raise PermanentFailure("There is no chat that this could go to")
    if units(message.text) > TEXT_UNITS:
        raise PermanentFailure(f"The text is longer than {TEXT_UNITS} characters")
    if not message.text.strip() and not message.attachments:
        raise PermanentFailure("There is nothing to say")
    if len(message.attachments) > MOST_FILES:
        raise PermanentFailure(f"A message takes {MOST_FILES} files")
    if any(len(file.body) > _MOST_BYTES for file in message.attachments):
        raise PermanentFailure("A file may have 50 MB")
    body: dict[str, Any] = {
        "v": 1,
        "kind": message.visibility,
        "target": chat,
        "topic": topic,
        # What he wrote in a group is not there to be answered in the private chat.
        "reply_to": answered if answered_chat == chat else "",
        "text": message.text,
        "token": message.client_token,
        "created_at": message.created_at.isoformat(),
        "media": [_file(file) for file in message.attachments],
    }
    frozen = json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")
    return Composed("", frozen, config.username, (handle or chat,), automatic=message.automatic)


def _place(message: OutboundMessage, handle: str) -> tuple[str, str]:
    """The chat and its topic: in public the group in which he wrote, else the private chat, whose number is his own."""
    chat, _, topic = message.thread.removeprefix("chat:").partition(":")
    if message.visibility == "public":
        if not chat:
            chat = message.in_reply_to.rpartition(":")[0]
        return (chat, topic) if chat.startswith("-") else ("", "")
    return handle, topic if chat == handle else ""


def _file(file: OutboundAttachment) -> dict[str, str]:
    return {
        "filename": file.filename,
        "content_type": file.content_type,
        "sha256": sha256(file.body).hexdigest(),
        "body": b64encode(file.body).decode("ascii"),
    }
