"""Handing a conversation over into a chat."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.messages import MessageShown
from helpdesk.api.schemas.shared import Given, Shown


class HandoffGiven(Given):
    inbox_id: UUID = Field(description="The live chat in which it goes on")
    text: str = Field(
        "", max_length=2000, description="Said in public in place of our own words; unused where he wrote directly"
    )
    language: Literal["en", "zh-CN", "zh-TW"] | None = Field(
        None, description="Of our own words; the conversation's unless given"
    )


class HandoffShown(Shown):
    """The direct message carries the link, which is not in its text here; the public one leaves once that has left."""

    public_message: MessageShown | None = Field(description="Null where he wrote directly last")
    direct_message: MessageShown
    expires_at: datetime
