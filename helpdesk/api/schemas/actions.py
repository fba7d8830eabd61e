"""Actions, as they are given and shown. What may be in one is `domain.actions.check`'s to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, ValidatorFunctionWrapHandler, WrapValidator

from helpdesk.api.schemas.settings_content import Ids, PriorityWord
from helpdesk.api.schemas.shared import Given, Line, Scalar, Text
from helpdesk.domain.actions import (
    LEAST_SNOOZE,
    LONGEST_NOTE,
    LONGEST_REPLY,
    LONGEST_TAG,
    ME,
    MOST_ACTIONS,
    MOST_SNOOZE,
    MOST_TAGS,
)

WhoWord = Literal["assignee", "team", "lead", "supervisors", "admins", "watchers"]
SeverityWord = Literal["info", "warning", "critical"]
StatusWord = Literal["open", "pending", "snoozed", "resolved", "closed"]
Tag = Annotated[Line, Field(min_length=1, max_length=LONGEST_TAG)]
Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS)]


class AlertAction(Given):
    """Call people. Without an acknowledgement in time the next level is called."""

    do: Literal["alert"]
    who: list[WhoWord] = Field(default_factory=list)
    agent_ids: Ids = Field(default_factory=list)
    severity: SeverityWord = "warning"
    acknowledge_seconds: Annotated[int, Field(ge=60, le=604_800)] | None = None


class AssignAction(Given):
    """Null takes the assignee away."""

    do: Literal["assign"]
    agent_id: UUID | None


def _id_or_me(value: str) -> str:
    """Not a union with UUID: what is wrong in one is named after the union's parts."""
    if value == ME:
        return value
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError(f"use an id, {ME} or null") from None


class AssignAnyAction(Given):
    """`me` is whoever runs it; null takes the assignee away."""

    do: Literal["assign"]
    agent_id: Annotated[str, AfterValidator(_id_or_me)] | None = Field(description="An id, or `me`")


class TeamAction(Given):
    """Null takes it from its team."""

    do: Literal["team"]
    team_id: UUID | None


class WatchAction(Given):
    do: Literal["watch"]
    agent_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)]


class PriorityAction(Given):
    do: Literal["priority"]
    to: PriorityWord


class WebhookAction(Given):
    do: Literal["webhook"]
    webhook_id: UUID


class NoteAction(Given):
    do: Literal["note"]
    text: Annotated[Text, Field(min_length=1, max_length=LONGEST_NOTE)]


class StatusAction(Given):
    """`snooze_seconds` with the status `snoozed`, and with no other."""

    do: Literal["status"]
    to: StatusWord
    snooze_seconds: Annotated[int, Field(ge=LEAST_SNOOZE, le=MOST_SNOOZE)] | None = None


class CategoryAction(Given):
    """Null takes the category away."""

    do: Literal["category"]
    to: Annotated[Line, Field(min_length=1, max_length=LONGEST_TAG)] | None


class TagAction(Given):
    do: Literal["tag"]
    add: Tags = Field(default_factory=list)
    remove: Tags = Field(default_factory=list)


class FieldAction(Given):
    """A custom field of the conversation; null takes its value away."""

    do: Literal["custom_field"]
    key: Annotated[Line, Field(min_length=1, max_length=40)]
    value: Scalar


class ReplyAction(Given):
    """Answer the contact: `text` or `canned_response_id`, one of the two. A text may hold variables."""

    do: Literal["reply"]
    text: Annotated[Text, Field(max_length=LONGEST_REPLY)] | None = None
    canned_response_id: UUID | None = None


def _by_word(*shapes: type[BaseModel]) -> Callable[[Any, ValidatorFunctionWrapHandler], Any]:
    """Pydantic puts a union's word into the field's name (`actions.0.assign.agent_id`), which no client has sent."""
    known = {shape.model_fields["do"].annotation.__args__[0]: shape for shape in shapes}  # type: ignore[union-attr]

    def read(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        word = value.get("do") if isinstance(value, dict) else None
        shape = known.get(word) if isinstance(word, str) else None
        return handler(value) if shape is None else shape.model_validate(value)

    return read


_Of_Ladders = AlertAction | AssignAction | TeamAction | WatchAction | PriorityAction | WebhookAction | NoteAction
LadderAction = Annotated[
    Annotated[_Of_Ladders, Field(discriminator="do")], WrapValidator(_by_word(*_Of_Ladders.__args__))
]
_Of_Macros = (
    AssignAnyAction
    | TeamAction
    | WatchAction
    | PriorityAction
    | StatusAction
    | CategoryAction
    | TagAction
    | FieldAction
    | NoteAction
    | ReplyAction
)
MacroAction = Annotated[Annotated[_Of_Macros, Field(discriminator="do")], WrapValidator(_by_word(*_Of_Macros.__args__))]
_Of_Rules = (
    AlertAction
    | AssignAction
    | TeamAction
    | WatchAction
    | PriorityAction
    | StatusAction
    | CategoryAction
    | TagAction
    | FieldAction
    | NoteAction
    | ReplyAction
    | WebhookAction
)
RuleAction = Annotated[Annotated[_Of_Rules, Field(discriminator="do")], WrapValidator(_by_word(*_Of_Rules.__args__))]
RuleActions = Annotated[list[RuleAction], Field(min_length=1, max_length=MOST_ACTIONS)]
MacroActions = Annotated[list[MacroAction], Field(min_length=1, max_length=MOST_ACTIONS)]

PLACE: Final = "actions"


def stored(actions: list[Any]) -> list[dict[str, Any]]:
    """Actions as the JSON that is kept."""
    return [action.model_dump(mode="json") for action in actions]
