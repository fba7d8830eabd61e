"""Duty schedules, and who is on duty, as they are given and shown. What a roster may say is `domain.duty.check`'s."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.settings_content import given
from helpdesk.api.schemas.shared import Given, Line, Name, Reference, Shown
from helpdesk.domain.calendars import MAX_INTERVALS
from helpdesk.domain.duty import MAX_AGENTS, MAX_OVERRIDES, MAX_SHIFTS

Time = Annotated[Line, Field(max_length=5, examples=["08:30", "24:00"])]
Hours = Annotated[list[tuple[Time, Time]], Field(max_length=MAX_INTERVALS)]
Week = Annotated[
    list[Hours],
    Field(min_length=7, max_length=7, description="Monday first; `[from, to]` in local time, overnight is two days'"),
]
Zone = Annotated[Line, Field(max_length=64, examples=["Asia/Shanghai"])]
Agents = Annotated[list[UUID], Field(min_length=1, max_length=MAX_AGENTS)]


class Shift(Given):
    agent_ids: Agents
    weekly: Week


class DutyOverride(Given):
    """What these agents do on one date instead of their shifts; without hours they are away."""

    date: Annotated[Line, Field(max_length=10, json_schema_extra={"format": "date"})]
    agent_ids: Agents
    hours: Hours


Shifts = Annotated[list[Shift], Field(min_length=1, max_length=MAX_SHIFTS)]
Overrides = Annotated[list[DutyOverride], Field(max_length=MAX_OVERRIDES)]


class DutyCreate(Given):
    """`zone` and `shifts` are a roster's; the fallback list has only `agent_ids`."""

    name: Name
    team_id: UUID | None = Field(None, description="Default: for every team that has no roster of its own")
    is_fallback: bool = Field(False, description="Whom to call when nobody is on duty; there is one such list")
    zone: Zone | None = None
    shifts: Shifts | None = None
    overrides: Overrides | None = None
    agent_ids: Agents | None = Field(None, description="In the order in which they are called")


class DutyPatch(Given):
    """Only what is sent is changed. `shifts`, `overrides` and `agent_ids` are replaced as a whole."""

    name: Name | None = None
    team_id: UUID | None = None
    zone: Zone | None = None
    shifts: Shifts | None = None
    overrides: Overrides | None = None
    agent_ids: Agents | None = None


class DutyShown(Shown):
    """Either a roster or, with `agent_ids` alone, the fallback list."""

    id: UUID
    name: str
    team_id: UUID | None
    is_fallback: bool
    zone: str | None
    shifts: list[Shift] | None
    overrides: list[DutyOverride] | None
    agent_ids: list[UUID] | None
    version: int
    created_at: datetime
    updated_at: datetime


class DutyNow(Shown):
    """`fallback` is who would be called if `agents` were empty."""

    at: datetime
    team_id: UUID | None
    agents: list[Reference]
    fallback: list[Reference]


_OWN: Final = ("id", "name", "team_id", "is_fallback", "version", "created_at", "updated_at")
_CONTENT: Final = ("zone", "shifts", "overrides", "agent_ids")


def schedule(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in _OWN} | {name: row["content"].get(name) for name in _CONTENT}


def content(body: DutyCreate | DutyPatch) -> dict[str, Any]:
    """What was sent of it. A new roster has no overrides unless it says so."""
    found = given(body, *(set(type(body).model_fields) - set(_CONTENT)))
    return {"overrides": []} | found if isinstance(body, DutyCreate) and not body.is_fallback else found
