"""Escalation rules, as they are given and shown. What fields may be together is `domain.ladders.check`'s to say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.actions import LadderAction
from helpdesk.api.schemas.settings_content import (
    ClockWord,
    Conditions,
    ConditionsPatch,
    ConditionsShown,
    Ids,
    KindWord,
    Versioned,
    given,
    version,
)
from helpdesk.api.schemas.shared import Given, Name
from helpdesk.domain.ladders import MOST_STEPS
from helpdesk.domain.policies import MOST_SECONDS

AnchorWord = Literal["warning", "breach", "creation", "complaint"]


class StepGiven(Given):
    after: Annotated[int, Field(ge=0, le=MOST_SECONDS, description="Seconds from the anchor; they ascend")]
    time: ClockWord = "calendar"
    actions: Annotated[list[LadderAction], Field(min_length=1, max_length=MOST_STEPS)]


Steps = Annotated[list[StepGiven], Field(min_length=1, max_length=MOST_STEPS)]


class EscalationRuleCreate(Conditions):
    """A ladder. Conditions that are empty ask for nothing; all that are given must hold."""

    name: Name
    enabled: bool = True
    anchor: AnchorWord
    clocks: list[KindWord] = Field(default_factory=list, description="Only with the anchors `warning` and `breach`")
    policy_ids: Ids = Field(default_factory=list)
    steps: Steps


class EscalationRulePatch(ConditionsPatch):
    """Each field that is sent replaces what was there, `steps` whole."""

    name: Name | None = None
    enabled: bool | None = None
    anchor: AnchorWord | None = None
    clocks: list[KindWord] | None = None
    policy_ids: Ids | None = None
    steps: Steps | None = None


class RuleContent(ConditionsShown):
    anchor: AnchorWord
    clocks: list[KindWord]
    policy_ids: list[UUID]
    steps: list[StepGiven]


class EscalationRuleShown(RuleContent):
    id: UUID
    name: str
    enabled: bool
    version: int
    created_at: datetime
    updated_at: datetime


class EscalationRuleVersion(RuleContent, Versioned):
    """What a rule said in one of its versions."""


def rule(row: RowMapping) -> dict[str, Any]:
    names = ("id", "name", "enabled", "version", "created_at", "updated_at")
    return {name: row[name] for name in names} | _rule(row["content"])


def rule_version(row: RowMapping) -> dict[str, Any]:
    return version(row) | _rule(row["content"])


def _rule(content: Mapping[str, Any]) -> dict[str, Any]:
    """An alert always shows whom it names, also one that was stored without."""
    nobody: Mapping[str, Any] = {"agent_ids": []}
    steps = [
        {**step, "actions": [(nobody if one["do"] == "alert" else {}) | one for one in step["actions"]]}
        for step in content["steps"]
    ]
    return {**content, "steps": steps}


def rule_content(body: EscalationRuleCreate | EscalationRulePatch) -> dict[str, Any]:
    """The fields of the content that are given."""
    return given(body, "name", "enabled")
