"""Entries of the audit, as they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Shown


class AuditActor(Shown):
    kind: str = Field(description="`agent`, `bot` or `system`")
    id: UUID | None
    name: str | None = Field(description="The agent's name today; null for who is none")


class AuditSubject(Shown):
    type: str
    id: UUID | None


class AuditShown(Shown):
    """`position` and `digest` are its place in the chain; null until it is chained, seconds after it was written."""

    id: UUID
    occurred_at: datetime
    actor: AuditActor
    action: str
    subject: AuditSubject
    data: dict[str, Any] = Field(description="Which fields, or which other things, were concerned; never their content")
    position: int | None
    digest: str | None


def entry(row: RowMapping) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "occurred_at", "action", "data", "position", "digest")},
        "actor": {"kind": row["actor_kind"], "id": row["actor_id"], "name": row["actor_name"]},
        "subject": {"type": row["subject_type"], "id": row["subject_id"]},
    }
