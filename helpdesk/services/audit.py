"""Who did what to what: appended in the transaction that does it. Fields and ids only, never bodies or secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor
from helpdesk.models.events import audit


async def record(
    session: AsyncSession,
    action: str,
    *,
    subject: str,
    subject_id: UUID | None,
    by: Actor,
    now: datetime,
    data: Mapping[str, Any] | None = None,
) -> None:
    """`action` is a verb with its subject (`inbox.updated`), `data` names what was touched."""
    await insert_rows(
        session,
        audit,
        [
            {
                "id": new_id(),
                "occurred_at": now,
                "actor_kind": by.kind.value,
                "actor_id": by.id,
                "action": action,
                "subject_type": subject,
                "subject_id": subject_id,
                "data": dict(data or {}),
            }
        ],
    )
