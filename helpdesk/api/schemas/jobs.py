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
    refused: int = Field(description="Of a job that has results: how many of them are refusals")
    error: str | None = Field(
        description="The class of what went wrong, `cancelled` where somebody has ended it; null while nothing has"
    )
    created_by: UUID | None = Field(description="Who began it; null for what the desk does by itself")
    created_at: datetime
    finished_at: datetime | None


class JobResultShown(Shown):
    """What became of one thing. `refused` is the end of the problem's type, null where nothing was refused."""

    position: int
    subject_id: UUID = Field(description="The conversation")
    outcome: Literal["done", "unchanged", "refused"]
    refused: str | None
    detail: str | None


class JobStarted(Shown):
    job_id: UUID


def result(row: RowMapping) -> dict[str, Any]:
    outcome = "refused" if row["error"] else "done" if row["changed"] else "unchanged"
    return {
        "position": row["position"],
        "subject_id": row["subject_id"],
        "outcome": outcome,
        "refused": row["error"] or None,
        "detail": row["detail"] or None,
    }


def job(row: RowMapping, *, refused: int = 0) -> dict[str, Any]:
    names = ("id", "kind", "state", "total", "done", "changed", "created_by", "created_at", "finished_at")
    return {**{name: row[name] for name in names}, "refused": refused, "error": row["error"] or None}
