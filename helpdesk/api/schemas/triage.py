"""What texts suggest, and by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.conversations import PriorityWord
from helpdesk.api.schemas.shared import Given, Line, Shown
from helpdesk.domain.triage_rules import ADVERTISING, CATEGORIES, RULES, VERSION, Rule
from helpdesk.domain.values import Priority
from helpdesk.statements import Row


class ReasonShown(Shown):
    rule: str
    category: str = Field(description="`advertising` is none: where it outweighs the others, nothing is suggested")
    weight: int
    priority: PriorityWord | None
    words: list[str] = Field(description="What was found; a `*` stands for any ending")


class SuggestionShown(Shown):
    message_id: UUID = Field(description="The message that was read")
    category: str | None
    priority: PriorityWord | None
    language: str = Field(description="`en`, `zh-CN`, `zh-TW`, or empty")
    reasons: list[ReasonShown]
    rules_version: int
    applied: bool = Field(description="Something of it was taken over at once")
    created_at: datetime
    corrected_at: datetime | None = Field(description="When an agent said what it really is")
    corrected_by: UUID | None


class TriageShown(Shown):
    category: str | None = Field(description="As it is now")
    priority: PriorityWord = Field(description="As it is now")
    suggestion: SuggestionShown | None


class TriageGiven(Given):
    """At least one of the two. What is equal to the suggestion confirms it."""

    category: Annotated[Line, Field(max_length=60)] | None = None
    priority: PriorityWord | None = None


class CorrectionShown(Shown):
    conversation_id: UUID
    number: int
    message_id: UUID = Field(description="The message that was read")
    suggested_category: str | None
    suggested_priority: PriorityWord | None
    category: str | None = Field(description="What the agent said it is; equal to the suggestion where he confirmed it")
    priority: PriorityWord | None = Field(description="Null where he said nothing of it")
    reasons: list[ReasonShown]
    rules_version: int
    corrected_at: datetime
    corrected_by: UUID | None


class RuleShown(Shown):
    name: str
    enabled: bool = Field(description="Administrators may switch those off that every house has")
    category: str
    weight: int
    priority: PriorityWord | None
    deniable: bool = Field(description="Does not count where it is denied or only supposed: `not stolen`, `what if`")
    words: list[str]
    also: list[list[str]] = Field(description="Of each of these groups there must be a word as well")


class RulesShown(Shown):
    mode: Literal["apply", "suggest", "off"]
    version: int
    categories: list[str]
    rules: list[RuleShown]


def triage(conversation: Row, suggestion: Row | None) -> dict[str, Any]:
    return {
        "category": conversation["category"],
        "priority": Priority(conversation["priority"]).word,
        "suggestion": None if suggestion is None else _suggestion(suggestion),
    }


_AS_THEY_ARE = ("message_id", "category", "language", "reasons", "rules_version", "applied", "created_at")


def _suggestion(row: Row) -> dict[str, Any]:
    shown = {name: row[name] for name in (*_AS_THEY_ARE, "corrected_at", "corrected_by")}
    return shown | {"priority": _word(row["priority"])}


def correction(row: Row) -> dict[str, Any]:
    names = ("conversation_id", "number", "message_id", "reasons", "rules_version", "corrected_at", "corrected_by")
    return {name: row[name] for name in names} | {
        "suggested_category": row["category"],
        "suggested_priority": _word(row["priority"]),
        "category": row["corrected_category"],
        "priority": _word(row["corrected_priority"]),
    }


def rules(mode: str, used: Sequence[Rule]) -> dict[str, Any]:
    """Those that are used, and those of every house that are not."""
    off = [one for one in RULES if one not in used]
    known = list(dict.fromkeys([*CATEGORIES, *(one.category for one in used if one.category != ADVERTISING)]))
    shown = [_rule(one, enabled=True) for one in used] + [_rule(one, enabled=False) for one in off]
    return {"mode": mode, "version": VERSION, "categories": known, "rules": shown}


def _rule(rule: Rule, *, enabled: bool) -> dict[str, Any]:
    names = ("name", "category", "weight", "deniable")
    return {name: getattr(rule, name) for name in names} | {
        "enabled": enabled,
        "priority": _word(rule.priority),
        "words": list(rule.words),
        "also": [list(words) for words in rule.also],
    }


def _word(priority: int | None) -> str | None:
    return None if priority is None else Priority(priority).word
