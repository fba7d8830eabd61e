"""Macros, as they are given and shown, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.actions import MacroAction, MacroActions
from helpdesk.api.schemas.conversations import ConversationDetail
from helpdesk.api.schemas.shared import Given, Name, Shown, Text
from helpdesk.api.schemas.sharing import SharedGiven, SharedShown, sharing
from helpdesk.services.macro_runs import Outcome

Description = Annotated[Text, Field(max_length=500)]


class MacroCreate(SharedGiven):
    name: Name
    description: Description = ""
    actions: MacroActions


class MacroPatch(Given):
    """`actions` replaces them all. With whom it is shared stays."""

    name: Name | None = None
    description: Description | None = None
    actions: MacroActions | None = None


class MacroShown(SharedShown):
    id: UUID
    name: str
    description: str
    actions: list[MacroAction]
    version: int
    created_at: datetime
    updated_at: datetime


class MacroPreview(Given):
    conversation_id: UUID


class MacroRun(Given):
    conversation_id: UUID
    seen_seq: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="Nothing is done when the contact has written or a colleague has answered since"
    )


class OutcomeShown(Shown):
    """What an action changes, of the things that it is about; nothing is different where both are the same.

    A message has no `before`. An action that is refused has neither, but the `problem` that a request would be
    answered with.
    """

    do: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    refused: str | None = Field(description="The end of the problem's type")
    detail: str | None


class Previewed(Shown):
    actions: list[OutcomeShown]


class Ran(Shown):
    conversation: ConversationDetail
    actions: list[OutcomeShown]


def macro(row: RowMapping) -> dict[str, Any]:
    names = ("id", "name", "description", "actions", "version", "created_at", "updated_at")
    return {**{name: row[name] for name in names}, **sharing(row)}


def outcomes(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "do": one.do,
            "before": one.before,
            "after": one.after,
            "refused": one.problem or None,
            "detail": one.detail or None,
        }
        for one in found
    ]
