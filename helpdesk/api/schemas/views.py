"""Views, and the numbers of the side bar, as they are given and shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Name, Shown
from helpdesk.services.counting import MOST, Counts

SortWord = Literal["-last_activity_at", "next_due_at", "created_at", "-priority", "waiting_since"]
Shared = Literal["personal", "team", "everybody"]
Filter = Annotated[
    dict[str, Any], Field(description="`{all: [...]}`, `{any: [...]}`, `{not: ...}`, or `{field, op, value}`; {}: all")
]
Position = Annotated[int, Field(ge=0, le=10_000)]


class ViewCreate(Given):
    name: Name
    shared: Shared = Field("personal", description="With a team by its leads, with everybody by supervisors")
    team_id: UUID | None = Field(None, description="For `team`")
    filter: Filter = Field(default_factory=dict)
    sort: SortWord = "-last_activity_at"
    position: Position = 100


class ViewPatch(Given):
    """Only what is sent is changed. With whom it is shared stays."""

    name: Name | None = None
    filter: Filter | None = None
    sort: SortWord | None = None
    position: Position | None = None

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in super().given().items() if value is not None}


class ViewShown(Shown):
    id: UUID
    name: str
    shared: Shared
    team_id: UUID | None
    filter: dict[str, Any]
    sort: SortWord
    position: int
    version: int
    created_at: datetime
    updated_at: datetime


def view(row: RowMapping) -> dict[str, Any]:
    found = {name: row[name] for name in ViewShown.model_fields if name != "shared"}
    shared = "personal" if row["owner_id"] else "team" if row["team_id"] else "everybody"
    return {**found, "shared": shared}


class OpenCounts(Shown):
    open: int
    pending: int
    snoozed: int


class SlaCounts(Shown):
    due_soon: int
    breached: int
    paused: int


class CountsShown(Shown):
    """Of what is open, pending or snoozed; `mine`, `unassigned`, `teams` and `inboxes` are of what is open alone."""

    status: OpenCounts
    mine: int
    unassigned: int
    unread: int = Field(description="Yours, with something that you have not read")
    mentions: int = Field(description="Notes that call you, and that you have not read")
    alerts: int = Field(description="Open alerts that call you; of supervisors and administrators, all open ones")
    drafts: int = Field(description="What you have begun to write")
    sla: SlaCounts
    teams: dict[UUID, int]
    inboxes: dict[UUID, int]
    views: dict[UUID, int | None] = Field(description="By id; null: not known, or of what is over")
    most: int = Field(description="Where numbers stop: this many or more")


def counts(found: Counts) -> dict[str, Any]:
    return {
        "status": found.status,
        "mine": found.mine,
        "unassigned": found.unassigned,
        "unread": found.unread,
        "mentions": found.mentions,
        "alerts": found.alerts,
        "drafts": found.drafts,
        "sla": found.sla,
        "teams": {str(team_id): number for team_id, number in found.teams.items()},
        "inboxes": {str(inbox_id): number for inbox_id, number in found.inboxes.items()},
        "views": {str(view_id): number for view_id, number in found.views.items()},
        "most": MOST,
    }


class ReadGiven(Given):
    seq: int | None = Field(None, ge=0, description="Up to where; default: all that there is")


class ReadShown(Shown):
    seq: int = Field(description="How far you have read")
    unread: bool


class ManyReadGiven(Given):
    ids: Annotated[list[UUID], Field(min_length=1, max_length=500)]
    read: bool = Field(True, description="False: as if you had never seen them")


class ReadOf(ReadShown):
    conversation_id: UUID


class ManyRead(Shown):
    items: list[ReadOf]


def read_marks(rows: Sequence[RowMapping], *, read: bool) -> dict[str, Any]:
    def of(row: RowMapping) -> dict[str, Any]:
        return read_mark(row["seq"] if read else 0, row["last_incoming_seq"])

    return {"items": [{"conversation_id": row["id"], **of(row)} for row in rows]}


def read_mark(seq: int, last_incoming_seq: int) -> dict[str, Any]:
    return {"seq": seq, "unread": last_incoming_seq > seq}
