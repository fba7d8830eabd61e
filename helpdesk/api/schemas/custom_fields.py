"""Custom fields, as they are given and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Line, Name, Shown
from helpdesk.domain.custom_fields import LONGEST_OPTION, MOST_OPTIONS

SubjectWord = Literal["conversation", "contact"]
TypeWord = Literal["text", "number", "boolean", "date", "choice", "multi_choice", "url"]
Options = Annotated[
    list[Annotated[Line, Field(min_length=1, max_length=LONGEST_OPTION)]], Field(max_length=MOST_OPTIONS)
]
Position = Annotated[int, Field(ge=0, le=100_000)]


class CustomFieldCreate(Given):
    """`subject`, `key` and `type` stay as they are given here: values depend on them."""

    subject: SubjectWord
    key: Annotated[str, Field(max_length=40, description="a-z, 0-9 and _, the first of them a letter")]
    title: Name
    type: TypeWord
    options: Options = Field(default_factory=list, description="Of `choice` and `multi_choice`")
    position: Position = 0


class CustomFieldPatch(Given):
    """An option that is taken away stays where it was chosen. An archived field takes no new values."""

    title: Name | None = None
    options: Options | None = None
    position: Position | None = None
    archived: bool | None = None


class CustomFieldShown(Shown):
    id: UUID
    subject: SubjectWord
    key: str
    title: str
    type: TypeWord
    options: list[str]
    position: int
    archived: bool
    version: int
    created_at: datetime
    updated_at: datetime


def custom_field(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in CustomFieldShown.model_fields}
