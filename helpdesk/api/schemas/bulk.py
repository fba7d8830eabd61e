"""A change of many conversations, as it is asked for."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from helpdesk.api.schemas.actions import MacroActions
from helpdesk.api.schemas.conversations import ConversationPatch
from helpdesk.api.schemas.shared import Given, Shown


class BulkFound(Shown):
    count: int = Field(description="One more than `most` where there are too many")
    most: int = Field(description="So many may be changed at once")


class BulkGiven(Given):
    """`set` is what a single conversation can be changed by; `actions` are those of macros, but for notes and texts.

    One of `set`, `actions` and `spam`.
    """

    ids: Annotated[list[UUID], Field(min_length=1, max_length=500)] | None = None
    filter: dict[str, Any] | None = Field(None, description="A filter tree, as views have it")
    set: ConversationPatch | None = None
    actions: MacroActions | None = None
    spam: bool | None = Field(None, description="Put them away as spam, or say of them that they are none")
