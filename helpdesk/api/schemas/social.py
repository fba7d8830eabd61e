"""Answers of integrations on social channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.messages import MessageShown
from helpdesk.api.schemas.shared import Given, Line, Shown, Text
from helpdesk.services import lengths, social_replies
from helpdesk.services.previews import Preview
from helpdesk.services.reply_writing import Stored

StatusShown = Literal["queued", "sending", "sent", "failed", "uncertain", "cancelled"]


class SocialReplyCreate(Given):
    """`visibility` is that of what is answered unless it is named."""

    inbox_id: UUID
    in_reply_to: Annotated[Line, Field(min_length=1, max_length=512)] = Field(
        description="The `external_id` of the message that is answered"
    )
    text: Annotated[Text, Field(min_length=1, max_length=100_000)]
    visibility: Literal["direct", "public"] | None = None


class PreviewGiven(Given):
    """Without a `conversation_id` nothing is known of who would be spoken of: `personal_data` is empty then."""

    inbox_id: UUID
    text: Annotated[Text, Field(min_length=1, max_length=100_000)]
    visibility: Literal["direct", "public"] | None = Field(None, description="Default: as the contact wrote last")
    conversation_id: UUID | None = None


class PreviewPart(Shown):
    """One post. `unit` is what `used` and `limit` count: `characters`, `weighted`, `utf-16` or `bytes`."""

    text: str
    used: int
    limit: int | None
    unit: str


class PersonalData(Shown):
    """What would be refused in public: from character `start` to before `end` of the text."""

    kind: str
    start: int
    end: int


class PreviewShown(Shown):
    visibility: Literal["direct", "public"]
    parts: list[PreviewPart]
    personal_data: list[PersonalData]


class HideGiven(Given):
    hidden: bool = True


class ReplyPart(Shown):
    """One post of an answer. `error` is a stable word."""

    id: UUID
    status: StatusShown
    external_id: str
    external_url: str
    error: str


class SocialReplyShown(MessageShown):
    """The message, or the first of `parts` where it is too long for one post."""

    parts: list[ReplyPart]


class SocialReplyState(ReplyPart):
    """`status` is `sent` once all `parts` are, and otherwise that of the one that went worst."""

    parts: list[ReplyPart]


def preview(found: Preview) -> dict[str, Any]:
    parts = [
        {
            "text": text,
            "used": one.used,
            "limit": one.limit if one.limit < lengths.BOUNDLESS else None,
            "unit": one.unit,
        }
        for text, one in found.parts
    ]
    return {"visibility": found.visibility, "parts": parts, "personal_data": list(found.personal_data)}


def parts_of(stored: Stored) -> list[dict[str, Any]]:
    """Of an answer that was just written."""
    return [_part(one, error="") for one in (stored.message, *stored.more)]


def state(rows: Sequence[RowMapping]) -> dict[str, Any]:
    parts = [_part(row, error=row["error"]) for row in rows]
    worst = social_replies.status_of([part["status"] for part in parts])
    error = next((part["error"] for part in parts if part["status"] == worst), "")
    return {**parts[0], "status": worst, "error": error, "parts": parts}


def _part(row: Any, *, error: str) -> dict[str, Any]:
    shown = {name: row[name] for name in ("id", "external_id", "external_url")}
    return {**shown, "status": row["delivery_status"], "error": error}
