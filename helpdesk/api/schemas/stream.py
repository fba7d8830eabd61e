"""What the stream says, and who is at a conversation."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.shared import Given, Reference, Shown


class EventTold(Shown):
    id: UUID
    position: int
    type: str
    occurred_at: datetime
    conversation_id: UUID | None = Field(None, description="Absent where it is about none")
    seq: int | None = Field(None, description="Its place in the conversation")
    data: dict[str, Any]


class Polled(Shown):
    items: list[EventTold]
    position: int = Field(description="Give it as `after` the next time")
    resync: bool = Field(description="Something is missing: read again what you show, and go on from `position`")


class PresenceGiven(Given):
    """Say it again within 30 seconds."""

    state: Literal["viewing", "typing", "noting", "gone"] = Field(
        description="`typing` is shown to the visitor of a live channel, `noting` (a note) to colleagues alone"
    )


class PresenceShown(Shown):
    agent: Reference
    state: Literal["viewing", "typing", "noting"]
    since: datetime


class PresenceList(Shown):
    items: list[PresenceShown]


class PresencePlace(Shown):
    conversation_id: UUID
    presence: list[PresenceShown]


class PresencePlaces(Shown):
    items: list[PresencePlace]
