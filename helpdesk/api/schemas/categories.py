"""What conversations can be about, as it is given and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.settings_content import PriorityWord
from helpdesk.api.schemas.shared import Given, Line, Shown
from helpdesk.domain.categories import (
    LEAST_WEIGHT,
    LONGEST_NAME,
    LONGEST_WORD,
    MOST_WEIGHT,
    MOST_WORDS,
    NAMES,
)
from helpdesk.domain.triage_rules import CATEGORIES
from helpdesk.domain.values import Priority

Names = Annotated[
    dict[Annotated[Line, Field(max_length=10)], Annotated[Line, Field(min_length=1, max_length=LONGEST_NAME)]],
    Field(max_length=3, description="By language: en, zh-CN and zh-TW, all three"),
]
Words = Annotated[
    list[Annotated[Line, Field(min_length=1, max_length=LONGEST_WORD)]],
    Field(
        max_length=MOST_WORDS,
        description="Words or phrases, in either script; `*` at the end of one stands for any ending",
    ),
]
Weight = Annotated[
    int, Field(ge=LEAST_WEIGHT, le=MOST_WEIGHT, description="One of 3 or more is enough by itself; theft has 8")
]


class CategoryCreate(Given):
    """`key` stays as it is given here: conversations have it."""

    key: Annotated[Line, Field(max_length=40, description="a-z, 0-9 and -, the first of them a letter")]
    names: Names
    words: Words = Field(default_factory=list)
    weight: Weight = 5
    priority: PriorityWord | None = Field(None, description="To which its words raise a conversation")


class CategoryPatch(Given):
    """An archived one is suggested and given no more; what has it keeps it."""

    names: Names | None = None
    words: Words | None = None
    weight: Weight | None = None
    priority: PriorityWord | None = None
    archived: bool | None = None


class CategoryShown(Shown):
    key: str
    names: dict[str, str]
    builtin: bool = Field(description="Every house has it; `GET /triage/rules` has its words")
    words: list[str]
    weight: int | None
    priority: PriorityWord | None
    archived: bool
    version: int | None


class RuleSwitch(Given):
    enabled: bool


def builtin() -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "names": NAMES[key],
            "builtin": True,
            "words": [],
            "weight": None,
            "priority": None,
            "archived": False,
            "version": None,
        }
        for key in CATEGORIES
    ]


def category(row: RowMapping) -> dict[str, Any]:
    priority = None if row["priority"] is None else Priority(row["priority"]).word
    own = {name: row[name] for name in ("key", "names", "words", "weight", "archived", "version")}
    return own | {"builtin": False, "priority": priority}


def given(body: CategoryCreate | CategoryPatch) -> Mapping[str, Any]:
    """The columns that are given; null takes the priority away, and nothing else."""
    found = body.model_dump(exclude_unset=isinstance(body, CategoryPatch))
    if found.get("priority") is not None:
        found["priority"] = int(Priority.of(found["priority"]))
    return {name: value for name, value in found.items() if value is not None or name == "priority"}
