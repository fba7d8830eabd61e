"""Ratings as they are shown to the desk."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Shown


class RatingSummary(Shown):
    """What a contact was asked last about a conversation, and said; without a score he has not answered."""

    asked_at: datetime
    expires_at: datetime
    rated_at: datetime | None
    score: int | None = Field(description="From 1 to 5")
    comment: str


class RatingShown(RatingSummary):
    """`agent_id` and `team_id` are whose the conversation was when it was resolved."""

    id: UUID
    conversation_id: UUID
    number: int = Field(description="Of the conversation")
    contact_id: UUID
    inbox_id: UUID
    channel: str
    agent_id: UUID | None
    team_id: UUID | None


_SUMMARY = tuple(RatingSummary.model_fields)
_SHOWN = tuple(RatingShown.model_fields)


def summary(row: RowMapping | None) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in _SUMMARY}


def rating(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN}
