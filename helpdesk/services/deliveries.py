"""The one way out: queueing a message, claiming what is due, recording what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, ring
from helpdesk.domain import tokens
from helpdesk.domain.values import DeliveryStatus
from helpdesk.models.messages import deliveries
from helpdesk.services.house import Services

GIVE_UP_AFTER = timedelta(days=3)


def token_for(services: Services, *, number: int, recipient: str) -> str:
    """The reply token of one recipient of conversation `number`."""
    keyring = services.keyring
    return tokens.issue(keyring.subkey("token", None), key_id=keyring.current, number=number, recipient=recipient)


def row(
    *,
    message_id: UUID,
    inbox_id: UUID,
    token: str,
    to: Sequence[Mapping[str, str]],
    cc: Sequence[Mapping[str, str]] = (),
    bcc: Sequence[Mapping[str, str]] = (),
    automatic: bool,
    now: datetime,
    not_before: datetime | None = None,
) -> dict[str, Any]:
    """A queued delivery. Addresses are `{"handle", "name"}`; `not_before` defers it (undo)."""
    due = not_before or now
    return {
        "message_id": message_id,
        "inbox_id": inbox_id,
        "status": DeliveryStatus.QUEUED.value,
        "automatic": automatic,
        "token": token,
        "to": list(to),
        "cc": list(cc),
        "bcc": list(bcc),
        "external_id": "",
        "sender": "",
        "recipients": [],
        "accepted": [],
        "refused": [],
        "body": None,
        "data_key": b"",
        "attempts": 0,
        "resends": 0,
        "error": "",
        "created_at": now,
        "next_attempt_at": due,
        "give_up_at": due + GIVE_UP_AFTER,
        "final_at": None,
        "claimed_by": "",
        "claimed_until": 0.0,
        "claim": 0,
        "copied": False,
    }


async def queue(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Store queued deliveries; the senders are rung after the commit."""
    await insert_rows(session, deliveries, rows)
    ring(session, "deliver")
