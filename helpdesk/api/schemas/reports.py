"""Reports, as they are shown: times and zone they are about, and a line for each group."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.shared import Shown

_Line = TypeVar("_Line")


class Line(Shown):
    group: str | int | None = Field(description="An id, a word, a day; null for what has none, or without groups")
    name: str | None = Field(description="Of an inbox, a team or an agent")


class VolumeLine(Line):
    created: int = Field(description="Conversations that began")
    resolved: int = Field(description="Times that one was resolved or closed")
    reopened: int = Field(description="Times that one came back from there")
    received: int = Field(description="Messages of contacts")
    sent: int = Field(description="Messages to contacts")


class ResponseLine(Line):
    kind: str = Field(description="`first_response` or `next_response`")
    count: int = Field(description="Answers")
    mean: int | None = Field(description="Seconds, as all of these")
    median: int | None
    p90: int | None = Field(description="Nine of ten waited no longer")


class SlaLine(Line):
    kind: str = Field(description="`first_response`, `next_response` or `resolution`")
    policy_id: UUID
    policy: str | None = Field(description="Its name today")
    met: int = Field(description="Kept in time")
    broken: int = Field(description="Kept too late")
    open_broken: int = Field(description="Late, and not kept yet")
    open: int = Field(description="Neither yet")
    compliance: float | None = Field(description="`met` of the first three; null where there are none")


class Report(Shown, Generic[_Line]):
    after: datetime
    before: datetime
    zone: str
    group_by: str | None
    rows: list[_Line]
