"""An update as raw item, whichever way it came: polled or by webhook, it has the same position."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from helpdesk.channels import RawInbound

KINDS = ["message", "edited_message", "my_chat_member"]
"""What the bot asks to be told. Everything else would be kept and shown nowhere."""


def raw(body: bytes, *, bot_id: str, username: str, now: datetime) -> RawInbound:
    """One update as bytes. What is no update is kept as well, under its digest.

    Numbers of updates are unique for one bot, so the bot's is part of the position: another token may be set.
    """
    update = _read(body)
    number = update.get("update_id")
    known = isinstance(number, int) and not isinstance(number, bool)
    position = f"u;{bot_id};{number}" if known else f"e;{sha256(body).hexdigest()}"
    hints = {"bot_id": bot_id, "username": username}
    return RawInbound(position, body, min(_date(update) or now, now), hints)


def encoded(update: object) -> bytes:
    return json.dumps(update, separators=(",", ":")).encode("ascii")


def _read(body: bytes) -> dict[str, Any]:
    try:
        update = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return update if isinstance(update, dict) else {}


def _date(update: dict[str, Any]) -> datetime | None:
    """When it was written: an update may wait for a day."""
    for kind in ("message", "edited_message"):
        message = update.get(kind)
        date = message.get("edit_date", message.get("date")) if isinstance(message, dict) else None
        if isinstance(date, int) and 0 < date < 2**35:
            return datetime.fromtimestamp(date, UTC)
    return None
