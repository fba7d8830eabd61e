"""What texts suggest, and by which rules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.conversations import PriorityWord
from helpdesk.api.schemas.shared import Given, Line, Shown
from helpdesk.domain.triage_rules import CATEGORIES, RULES, VERSION, Rule
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


class RuleShown(Shown):
    name: str
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


def rules(mode: str) -> dict[str, Any]:
    return {"mode": mode, "version": VERSION, "categories": list(CATEGORIES), "rules": [_rule(one) for one in RULES]}


def _rule(rule: Rule) -> dict[str, Any]:
    names = ("name", "category", "weight", "deniable")
    return {name: getattr(rule, name) for name in names} | {
        "priority": _word(rule.priority),
        "words": list(rule.words),
        "also": [list(words) for words in rule.also],
    }


def _word(priority: int | None) -> str | None:
    return None if priority is None else Priority(priority).word
