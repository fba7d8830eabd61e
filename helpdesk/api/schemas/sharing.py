"""For whom something is kept: what `services.sharing` decides, as it is given and shown."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Shown

SharedWord = Literal["personal", "team", "everybody"]


class SharedGiven(Given):
    shared: SharedWord = Field("personal", description="With a team by its leads, with everybody by supervisors")
    team_id: UUID | None = Field(None, description="For `team`, and for nothing else")


class SharedShown(Shown):
    shared: SharedWord
    team_id: UUID | None


def sharing(row: RowMapping) -> dict[str, Any]:
    shared = "personal" if row["owner_id"] else "team" if row["team_id"] else "everybody"
    return {"shared": shared, "team_id": row["team_id"]}
