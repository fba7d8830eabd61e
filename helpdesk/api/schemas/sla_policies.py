"""SLA policies, as they are given and shown. What fields may be together is `domain.policies.check`'s to say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.settings_content import (
    ClockWord,
    Conditions,
    ConditionsPatch,
    ConditionsShown,
    Ids,
    KindWord,
    Seconds,
    Versioned,
    given,
    version,
)
from helpdesk.api.schemas.shared import Given, Name, Shown
from helpdesk.domain.policies import MOST_WARNINGS

PausingWord = Literal["pending", "snoozed"]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Position = Annotated[int, Field(ge=0, le=1_000_000, description="The lowest one is asked first")]


class Targets(Given):
    """In seconds, of the policy's clock. At least one."""

    first_response: Seconds | None = None
    next_response: Seconds | None = None
    resolution: Seconds | None = None


class WarningGiven(Given):
    """Either one: after this part of the target, or so many seconds before its end."""

    fraction: Fraction | None = None
    before: Seconds | None = None


Warnings = Annotated[list[WarningGiven], Field(max_length=MOST_WARNINGS)]


class SlaPolicyCreate(Conditions):
    """Conditions that are empty ask for nothing; all that are given must hold."""

    name: Name
    position: Position = 100
    enabled: bool = True
    clock: ClockWord = Field(description="`calendar`: all time counts; `business`: only time in business hours")
    business_hours_id: UUID | None = Field(None, description="null: the inbox's, or else the default ones")
    inbox_ids: Ids = Field(default_factory=list)
    targets: Targets
    warnings: Warnings = Field(default_factory=list)
    pauses: list[KindWord] = Field(default=["resolution"])
    pause_states: list[PausingWord] = Field(default=["pending"])
    next_response_from_creation: bool = False


class SlaPolicyPatch(ConditionsPatch):
    """Each field that is sent replaces what was there, lists and `targets` whole."""

    name: Name | None = None
    position: Position | None = None
    enabled: bool | None = None
    clock: ClockWord | None = None
    business_hours_id: UUID | None = None
    inbox_ids: Ids | None = None
    targets: Targets | None = None
    warnings: Warnings | None = None
    pauses: list[KindWord] | None = None
    pause_states: list[PausingWord] | None = None
    next_response_from_creation: bool | None = None


class WarningShown(Shown):
    fraction: float | None
    before: int | None


class TargetsShown(Shown):
    first_response: int | None
    next_response: int | None
    resolution: int | None


class PolicyContent(ConditionsShown):
    clock: ClockWord
    business_hours_id: UUID | None
    inbox_ids: list[UUID]
    targets: TargetsShown
    warnings: list[WarningShown]
    pauses: list[KindWord]
    pause_states: list[PausingWord]
    next_response_from_creation: bool


class SlaPolicyShown(PolicyContent):
    id: UUID
    name: str
    position: int
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime


class SlaPolicyVersion(PolicyContent, Versioned):
    """What a policy said in one of its versions."""


def policy(row: RowMapping) -> dict[str, Any]:
    names = ("id", "name", "position", "enabled", "version", "created_at", "updated_at")
    return {name: row[name] for name in names} | _policy(row["content"])


def policy_version(row: RowMapping) -> dict[str, Any]:
    return version(row) | _policy(row["content"])


def _policy(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **content,
        "targets": dict.fromkeys(TargetsShown.model_fields) | content["targets"],
        "warnings": [dict.fromkeys(WarningShown.model_fields) | one for one in content["warnings"]],
    }


def policy_content(body: SlaPolicyCreate | SlaPolicyPatch) -> dict[str, Any]:
    """The fields of the content that are given. Business hours can be taken away with null."""
    found = given(body, "name", "position", "enabled")
    if "business_hours_id" in body.model_fields_set or isinstance(body, SlaPolicyCreate):
        found.setdefault("business_hours_id", None)
    if "targets" in found:
        found["targets"] = _without_nulls(found["targets"])
    if "warnings" in found:
        found["warnings"] = list(map(_without_nulls, found["warnings"]))
    return found


def _without_nulls(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if one is not None}
