"""Automation rules, as they are given and shown. What may be in one is `domain.automation.check`'s to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.actions import RuleActions
from helpdesk.api.schemas.settings_content import Versioned, version
from helpdesk.api.schemas.shared import Given, Name, Shown
from helpdesk.domain.automation import EVENTS, LEAST_MINUTES, MOST_MINUTES, EventWord, SinceWord
from helpdesk.services.automation_trial import Act

Condition = Annotated[
    dict[str, Any],
    Field(
        description="A filter as views have it; {}: always. After `message.received` and `message.created` it may ask "
        "for `message.*` too",
    ),
]
Position = Annotated[int, Field(ge=0, le=10_000, description="Lower ones have their say first")]
Stop = Annotated[bool, Field(description="Whether the rules after it are not asked where it acts")]


class ElapsedGiven(Given):
    """So long after a time of the conversation's. It answers each such time once; what it did itself it does not."""

    since: SinceWord = Field(description="`status_changed_at` is asked of what is not open")
    minutes: Annotated[int, Field(ge=LEAST_MINUTES, le=MOST_MINUTES)]
    business_time: bool = Field(False, description="Of the opening hours of the conversation's inbox")
    include_existing: bool = Field(False, description="Also where it was so long ago when the rule was made")


class When(Given):
    """One of the two."""

    events: Annotated[list[EventWord], Field(min_length=1, max_length=len(EVENTS))] | None = None
    elapsed: ElapsedGiven | None = None


class AutomationRuleCreate(Given):
    """When one of the events happens and the filter holds, the actions are done, in their order."""

    name: Name
    enabled: bool = True
    position: Position = 100
    when: When
    condition: Condition = Field(default_factory=dict, alias="if")
    do: RuleActions
    stop: Stop = False


class AutomationRulePatch(Given):
    """Each field that is sent replaces what was there, `do` whole."""

    name: Name | None = None
    enabled: bool | None = None
    position: Position | None = None
    when: When | None = None
    condition: Condition | None = Field(None, alias="if")
    do: RuleActions | None = None
    stop: Stop | None = None


class _Content(Shown):
    when: When
    condition: Condition = Field(alias="if")
    do: RuleActions
    stop: bool


class AutomationRuleShown(_Content):
    id: UUID
    name: str
    enabled: bool
    position: int
    version: int
    created_at: datetime
    updated_at: datetime


class AutomationRuleVersion(_Content, Versioned):
    """What a rule said in one of its versions."""


class ActionDone(Shown):
    do: str
    problem: str = Field(description="Why the house refused it; empty: it is done")


class AutomationRunShown(Shown):
    """`looped`: it was stopped, because rules would have gone in circles."""

    id: UUID
    rule_version: int
    conversation_id: UUID
    event_id: UUID | None = Field(description="Null where it was about time")
    since: datetime | None = Field(description="From when that counted")
    depth: int = Field(description="How many rules had acted before, each upon what the other did")
    outcome: Literal["done", "partly", "looped"]
    actions: list[ActionDone]
    created_at: datetime


class RunInConversation(AutomationRunShown):
    rule_id: UUID
    rule_name: str | None = Field(description="Null where the rule was removed")


class DryRun(Given):
    days: Annotated[int, Field(ge=1, le=7)] = 7


class LongDryRun(Given):
    days: Annotated[int, Field(ge=1, le=90)] = 30


class WouldAct(Shown):
    conversation_id: UUID
    number: int
    event_id: UUID | None = Field(description="Null where it is about time")
    event: EventWord | Literal["elapsed"]
    at: datetime = Field(description="When it happened, or when so much time had passed")
    actions: list[str]


class DryRunShown(Shown):
    """The latest first, at most 500. Filters were asked of the conversations as they are now, not as they were."""

    items: list[WouldAct]
    since: datetime
    complete: bool = Field(description="False: there are more, or more has happened than is looked through")


def rule(row: RowMapping) -> dict[str, Any]:
    names = ("id", "name", "enabled", "position", "version", "created_at", "updated_at")
    return {name: row[name] for name in names} | dict(row["content"])


def rule_version(row: RowMapping) -> dict[str, Any]:
    return version(row) | dict(row["content"])


def run(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in AutomationRunShown.model_fields}


def content(body: AutomationRuleCreate | AutomationRulePatch) -> dict[str, Any]:
    """The fields of the content that are given."""
    found = body.model_dump(mode="json", by_alias=True, exclude={"name", "enabled", "position"})
    if body.when is not None:
        found["when"] = {name: value for name, value in found["when"].items() if value is not None}
    return {name: value for name, value in found.items() if value is not None}


def run_in_conversation(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in RunInConversation.model_fields}


def act(found: Act, actions: Sequence[str]) -> dict[str, Any]:
    """What a rule would have answered."""
    return asdict(found) | {"actions": actions}
