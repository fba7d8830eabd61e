"""Messages as they are written and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, model_validator
from sqlalchemy import RowMapping

from helpdesk.api.schemas.conversations import StatusWord
from helpdesk.api.schemas.shared import Given, Handle, Line, Shown, Text
from helpdesk.domain.html import POLICY_VERSION, sanitise


class Person(Shown):
    handle: str
    name: str


class PersonGiven(Given):
    handle: Handle
    name: Line = ""


class Author(Shown):
    kind: Literal["contact", "agent", "bot", "system"]
    id: UUID | None
    name: str


class AttachmentShown(Shown):
    id: UUID
    filename: str
    content_type: str
    size: int
    inline: bool
    content_id: str


class DeliveryShown(Shown):
    """What is written in a chat is `sent` at once, without an attempt; whether it was read, `contact_presence` says.

    `delivered_at` and `read_at` are what the channel tells of the contact, where it tells that.
    """

    status: Literal["queued", "sending", "sent", "failed", "uncertain", "cancelled"]
    attempts: int
    error: str
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None


class Trust(Shown):
    """`sender_verified` is null where the channel cannot say."""

    sender_verified: bool | None
    reasons: list[str]


class MessageShown(Shown):
    """`new_text` is the text without quotes and signature; `html` is sanitised; a `private` message is a note.

    An answer that is too long for one post is several messages: `part_of` is the first of them. `hidden`: the channel
    shows it to nobody else. What the contact changed or deleted there says so, and stays here.
    """

    id: UUID
    seq: int
    type: Literal["incoming", "outgoing", "activity"]
    private: bool
    channel: str
    inbox_id: UUID
    visibility: Literal["direct", "public"]
    author: Author
    subject: str
    text: str
    html: str | None
    new_text: str
    attachments: list[AttachmentShown]
    to: list[Person]
    cc: list[Person]
    delivery: DeliveryShown | None
    external_id: str
    external_url: str
    in_reply_to: str
    auto_submitted: str | None
    trust: Trust
    received_at: datetime | None
    created_at: datetime
    sent_at: datetime | None
    part_of: UUID | None
    hidden: bool
    edited_at: datetime | None
    deleted_at: datetime | None


_SHORT = Annotated[list[PersonGiven], Field(max_length=50)]


class MessageCreate(Given):
    """An answer, or with `private` a note. `to` is the contact unless somebody is named."""

    text: Annotated[Text, Field(max_length=100_000)] = ""
    html: Annotated[Text, Field(max_length=500_000)] | None = None
    private: bool = False
    inbox_id: UUID | None = Field(None, description="Default: where the contact wrote last")
    visibility: Literal["direct", "public"] | None = None
    to: _SHORT = Field(default_factory=list)
    cc: _SHORT = Field(default_factory=list)
    attachment_ids: Annotated[list[UUID], Field(max_length=20)] = Field(default_factory=list)
    seen_seq: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="The newest `seq` that was on the screen"
    )
    status: StatusWord | None = None
    undo_seconds: Annotated[int, Field(ge=0, le=300)] = 0
    mentions: Annotated[list[UUID], Field(max_length=20)] = Field(
        default_factory=list, description="Agents whom a note names; they watch from then on"
    )

    @model_validator(mode="before")
    @classmethod
    def _plain_handles(cls, data: Any) -> Any:
        """`to` and `cc` may be written as plain handles, too."""
        if isinstance(data, dict):
            for name in ("to", "cc"):
                if isinstance(data.get(name), list):
                    data = {**data, name: [{"handle": v} if isinstance(v, str) else v for v in data[name]]}
        return data


def message(row: RowMapping | Mapping[str, Any], files: Sequence[RowMapping] = ()) -> dict[str, Any]:
    """A row of `services.describing` as it is shown. HTML of an older policy is sanitised again."""
    html = row["html"]
    if html is not None and row["html_policy"] < POLICY_VERSION:
        html = sanitise(html).html
    return {
        "id": row["id"],
        "seq": row["seq"],
        "type": row["type"],
        "private": row["private"],
        "channel": row["channel"],
        "inbox_id": row["inbox_id"],
        "visibility": row["visibility"],
        "author": {"kind": row["author_kind"], "id": row["author_id"], "name": row["author_name"]},
        "subject": row["subject"],
        "text": row["text"],
        "html": html,
        "new_text": row["new_text"],
        "attachments": [attachment(file) for file in files],
        "to": [_person(one) for one in row["to"]],
        "cc": [_person(one) for one in row["cc"]],
        "delivery": _delivery(row),
        "external_id": row["external_id"],
        "external_url": row["external_url"],
        "in_reply_to": row["in_reply_to"],
        "auto_submitted": row["auto_submitted"],
        "trust": {"sender_verified": row["sender_verified"], "reasons": row["trust_reasons"]},
        "received_at": row["received_at"],
        "created_at": row["created_at"],
        "sent_at": row["sent_at"],
        "part_of": row["part_of"],
        "hidden": row["hidden"],
        "edited_at": row["edited_at"],
        "deleted_at": row["deleted_at"],
    }


def _delivery(row: RowMapping | Mapping[str, Any]) -> dict[str, Any] | None:
    """What is read where it is written has a status, and no delivery."""
    status = row["d_status"] or row["delivery_status"]
    if status is None:
        return None
    return {
        "status": status,
        "attempts": row["d_attempts"] or 0,
        "error": row["d_error"] or "",
        "next_attempt_at": row["d_next_attempt_at"] if status in ("queued", "uncertain") else None,
        "delivered_at": row["d_delivered_at"],
        "read_at": row["d_read_at"],
    }


def _person(one: Mapping[str, str]) -> dict[str, str]:
    return {"handle": one.get("handle", ""), "name": one.get("name", "")}


def attachment(row: RowMapping | Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "filename", "content_type", "size", "inline", "content_id")}


class ConversationMoved(Shown):
    """The 409 of a reply whose writer had not seen everything: `messages` are the ones that came in."""

    type: str
    title: str
    status: int
    detail: str
    messages: list[MessageShown]
