"""What policies and rules have in common: their words, their conditions, and who made which version."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Line, Shown
from helpdesk.domain.policies import MOST_SECONDS

ClockWord = Literal["calendar", "business"]
KindWord = Literal["first_response", "next_response", "resolution"]
PriorityWord = Literal["low", "normal", "high", "urgent"]

Seconds = Annotated[int, Field(ge=1, le=MOST_SECONDS)]
Ids = Annotated[list[UUID], Field(max_length=100)]
Channels = Annotated[list[Annotated[Line, Field(max_length=40)]], Field(max_length=100)]
Categories = Annotated[list[Annotated[Line, Field(min_length=1, max_length=60)]], Field(max_length=100)]


class Conditions(Given):
    """Those that are empty ask for nothing; all that are given must hold."""

    channels: Channels = Field(default_factory=list)
    priorities: list[PriorityWord] = Field(default_factory=list)
    categories: Categories = Field(default_factory=list)


class ConditionsPatch(Given):
    channels: Channels | None = None
    priorities: list[PriorityWord] | None = None
    categories: Categories | None = None


class ConditionsShown(Shown):
    channels: list[str]
    priorities: list[PriorityWord]
    categories: list[str]


class Versioned(Shown):
    version: int
    created_by: UUID | None = Field(description="Who made it; null for what a new house begins with")
    created_at: datetime


def version(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in ("version", "created_by", "created_at")}


def given(body: Given, *beside: str) -> dict[str, Any]:
    """What was sent, or is meant by a field's default, as the JSON that is stored; not what is `beside` the content.

    What a patch does not name stays as it is, and null means that it is not named.
    """
    dumped = body.model_dump(mode="json", exclude=set(beside))
    return {name: value for name, value in dumped.items() if value is not None}
