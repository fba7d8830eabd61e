"""What a search shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.messages import Author
from helpdesk.api.schemas.shared import Shown
from helpdesk.domain.search_snippets import Part
from helpdesk.services.search import Found, Hit


class PartShown(Shown):
    text: str
    hit: bool = Field(description="This is what was asked for")


class FoundConversation(Shown):
    id: UUID
    number: int
    subject: str
    status: str
    channel: str


class FoundMessage(Shown):
    id: UUID
    seq: int
    type: str
    private: bool = Field(description="It is a note: the contact has never seen it")
    author: Author


class FoundHandle(Shown):
    channel: str
    handle: str


class FoundContact(Shown):
    id: UUID
    name: str
    handles: list[FoundHandle]


class HitShown(Shown):
    """A message with its conversation, a conversation by its number or subject alone, or a contact."""

    kind: Literal["message", "conversation", "contact"]
    at: datetime = Field(description="When it was received, written, begun, or last changed")
    conversation: FoundConversation | None
    message: FoundMessage | None
    contact: FoundContact | None
    title: list[PartShown] = Field(description="The subject, or the contact's name")
    snippet: list[PartShown] = Field(description="The part of the text with most of what was asked for; plain text")


class SearchShown(Shown):
    items: list[HitShown]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one")
    truncated: bool = Field(description="There may be older matches than those that are ranked here")


def found(result: Found) -> dict[str, Any]:
    return {
        "items": [hit(one) for one in result.hits],
        "next_cursor": result.next_cursor,
        "truncated": result.truncated,
    }


def hit(one: Hit) -> dict[str, Any]:
    kind = "contact" if one.contact else "message" if one.message else "conversation"
    talk, message, contact = one.conversation, one.message, one.contact
    return {
        "kind": kind,
        "at": one.candidate.at,
        "conversation": talk and {name: talk[name] for name in ("id", "number", "subject", "status", "channel")},
        "message": message
        and {
            **{name: message[name] for name in ("id", "seq", "type", "private")},
            "author": {"kind": message["author_kind"], "id": message["author_id"], "name": message["author_name"]},
        },
        "contact": contact and {name: contact[name] for name in ("id", "name", "handles")},
        "title": parts(one.title),
        "snippet": parts(one.snippet),
    }


def parts(marked: Sequence[Part]) -> list[dict[str, Any]]:
    return [{"text": part.text, "hit": part.hit} for part in marked]
