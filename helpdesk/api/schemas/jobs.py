"""Jobs, as they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Shown


class JobShown(Shown):
    """Work that takes longer than a request. `done` of `total` were looked at, `changed` of these were changed."""

    id: UUID
    kind: str
    state: Literal["queued", "running", "done", "failed"]
    total: int
    done: int
    changed: int
    error: str | None = Field(description="The class of what went wrong; null while nothing has")
    created_at: datetime
    finished_at: datetime | None


def job(row: RowMapping) -> dict[str, Any]:
    names = ("id", "kind", "state", "total", "done", "changed", "created_at", "finished_at")
    return {**{name: row[name] for name in names}, "error": row["error"] or None}
