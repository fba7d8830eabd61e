"""What webhooks are told: queueing messages, listing them, sending a failed one again.

    queued → sent | failed

A message is fixed when it is queued. How it leaves is `webhook_sending`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, new_id, ring
from helpdesk.errors import Conflict, NotFound
from helpdesk.models.webhooks import webhook_deliveries, webhooks
from helpdesk.services.house import Services
from helpdesk.services.webhooks import EVERYTHING
from helpdesk.statements import Row

GIVE_UP_AFTER: Final = timedelta(days=3)
KEPT: Final = timedelta(days=30)
TEST_EVENT: Final = "webhook.test"

_LISTENING = select(webhooks.c.id, webhooks.c.events).where(webhooks.c.enabled)


async def post_webhooks(services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime) -> None:
    """Subscriber: one delivery for each webhook that asks for each of these events."""
    listening = (await session.execute(_LISTENING)).all()
    rows = [
        _row(webhook_id, event["id"], event["type"], _body_of(event), now=now)
        for webhook_id, asked in listening
        for event in happened
        if EVERYTHING in asked or event["type"] in asked
    ]
    await _queue(session, rows)


async def queue(
    session: AsyncSession,
    webhook_id: UUID,
    *,
    event_id: UUID,
    type: str,  # noqa: A002 - what the specification calls it
    body: str,
    now: datetime,
    give_up_after: timedelta = GIVE_UP_AFTER,
) -> None:
    """One message. An event that this webhook was told of, or is being told of, is not queued again."""
    await _queue(session, [_row(webhook_id, event_id, type, body, now=now, give_up_after=give_up_after)])


async def queue_test(session: AsyncSession, webhook: RowMapping, *, now: datetime) -> UUID:
    """A message of its own type, tried once. Raises `Conflict` where the webhook is off."""
    _need_enabled(webhook)
    event_id = new_id()
    body = body_of(TEST_EVENT, now, {"id": str(event_id), "webhook_id": str(webhook["id"])})
    row = _row(webhook["id"], event_id, TEST_EVENT, body, now=now, give_up_after=timedelta())
    await _queue(session, [row])
    delivery_id: UUID = row["id"]
    return delivery_id


async def replay(session: AsyncSession, webhook: RowMapping, delivery: RowMapping, *, now: datetime) -> None:
    """Send a failed one again, the same message, with three days ahead. Raises `Conflict` for any other."""
    _need_enabled(webhook)
    if delivery["status"] != "failed":
        raise Conflict("only what has failed is sent again", slug="not_failed")
    await session.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id == delivery["id"])
        .values(status="queued", attempts=0, next_attempt_at=now, give_up_at=now + GIVE_UP_AFTER, claimed_until=0.0)
    )
    ring(session, "hooks")


async def get_delivery(session: AsyncSession, webhook_id: UUID, delivery_id: UUID) -> RowMapping:
    """Locked. Raises `NotFound`, also for a delivery of another webhook."""
    mine = webhook_deliveries.c.id == delivery_id, webhook_deliveries.c.webhook_id == webhook_id
    found = await session.execute(select(webhook_deliveries).where(*mine).with_for_update())
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such delivery")
    return row


async def list_deliveries(
    session: AsyncSession, webhook_id: UUID, *, status: str | None = None, before: UUID | None, limit: int
) -> Sequence[RowMapping]:
    """The newest first."""
    query = select(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id)
    if status is not None:
        query = query.where(webhook_deliveries.c.status == status)
    if before is not None:
        query = query.where(webhook_deliveries.c.id < before)
    found = await session.execute(query.order_by(webhook_deliveries.c.id.desc()).limit(limit))
    return found.mappings().all()


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop what was given up, or could have been, so long ago; what was never sent to a webhook that is off as well."""
    await session.execute(delete(webhook_deliveries).where(webhook_deliveries.c.give_up_at <= now - KEPT))


def body_of(type_: str, at: datetime, data: Mapping[str, Any]) -> str:
    """A message as it is stored, signed and sent."""
    return orjson.dumps(
        {"type": type_, "timestamp": at.astimezone(UTC), "data": data}, option=orjson.OPT_UTC_Z
    ).decode()


def _body_of(event: Row) -> str:
    conversation_id = event["conversation_id"]
    place = {
        "conversation_id": str(conversation_id) if conversation_id else None,
        "seq": event["seq"],
        "position": event["position"],
        "id": str(event["id"]),
    }
    return body_of(event["type"], event["occurred_at"], {**event["data"], **place})


def _row(
    webhook_id: UUID,
    event_id: UUID,
    type_: str,
    body: str,
    *,
    now: datetime,
    give_up_after: timedelta = GIVE_UP_AFTER,
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "webhook_id": webhook_id,
        "event_id": event_id,
        "type": type_,
        "body": body,
        "status": "queued",
        "attempts": 0,
        "last_status": None,
        "error": "",
        "created_at": now,
        "next_attempt_at": now,
        "give_up_at": now + give_up_after,
        "sent_at": None,
        "claimed_by": "",
        "claimed_until": 0.0,
        "claim": 0,
    }


async def _queue(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        statement = insert_ignoring(session, webhook_deliveries, on=["webhook_id", "event_id"])
        await (await session.connection()).execute(statement, list(rows))
        ring(session, "hooks")


def _need_enabled(webhook: RowMapping) -> None:
    if not webhook["enabled"]:
        raise Conflict("this webhook is off; enable it first", slug="webhook_disabled")
