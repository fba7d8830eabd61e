"""Drafts and mentions: what an agent has to himself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from helpdesk.api.schemas import messages
from helpdesk.api.schemas.conversations import ConversationNamed, StatusWord
from helpdesk.api.schemas.messages import AttachmentShown, Author, MessageCreate
from helpdesk.api.schemas.shared import Shown
from helpdesk.domain.plain import preview_of


class DraftGiven(MessageCreate):
    """Whatever a message can be given; what is not sent is not kept."""


class DraftShown(Shown):
    """`content` is what was given, `attachments` those of its files that still wait to be sent."""

    conversation_id: UUID
    content: dict[str, Any]
    attachments: list[AttachmentShown]
    version: int
    updated_at: datetime


class DraftConversation(ConversationNamed):
    status: StatusWord


class DraftItem(DraftShown):
    conversation: DraftConversation


class MentionShown(Shown):
    """A note that names you. `preview` is its beginning, `seq` its place in the conversation."""

    message_id: UUID
    seq: int
    conversation: ConversationNamed
    author: Author
    preview: str
    created_at: datetime
    read_at: datetime | None


def draft(row: Mapping[str, Any] | RowMapping, files: Mapping[UUID, RowMapping]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("conversation_id", "content", "version", "updated_at")}
    named = (UUID(str(one)) for one in row["content"].get("attachment_ids", ()))
    return {**shown, "attachments": [messages.attachment(files[one]) for one in named if one in files]}


def item(row: RowMapping, files: Mapping[UUID, RowMapping]) -> dict[str, Any]:
    return {**draft(row, files), "conversation": {**_named(row), "status": row["status"]}}


def mention(row: RowMapping) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("message_id", "seq", "created_at", "read_at")},
        "conversation": _named(row),
        "author": {"kind": row["author_kind"], "id": row["author_id"], "name": row["author_name"]},
        "preview": preview_of(row["text"]),
    }


def _named(row: RowMapping) -> dict[str, Any]:
    return {"id": row["conversation_id"], "number": row["number"], "subject": row["subject"]}
