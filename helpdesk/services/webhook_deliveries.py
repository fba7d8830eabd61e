"""What webhooks are told: following the events, queueing messages, listing them, sending failed ones again.

    queued → sent | failed

A message is fixed when it is queued, in one transaction with how far the events were followed (`following`): each is
told of once, in order, and none is left out. How it leaves is `webhook_sending`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, new_id, ring
from helpdesk.dialects import among
from helpdesk.errors import Conflict, NotFound
from helpdesk.models.conversations import conversation_inboxes
from helpdesk.models.webhooks import webhook_deliveries, webhooks
from helpdesk.services.following import Follower
from helpdesk.services.webhooks import EVERYTHING
from helpdesk.statements import Row

GIVE_UP_AFTER: Final = timedelta(days=3)
TEST_EVENT: Final = "webhook.test"

_W: Final = webhooks.c
_LISTENING: Final = select(_W.id, _W.events, _W.inbox_ids, _W.created_at).where(_W.enabled)


async def listened(session: AsyncSession) -> bool:
    """Whether any webhook is on."""
    return (await session.execute(_LISTENING.limit(1))).first() is not None


FOLLOWER: Final[Follower[Sequence[Row]]] = Follower(name="webhooks", batch=200, interested=listened)


async def tell(session: AsyncSession, happened: Sequence[Row], /, *, now: datetime) -> None:
    """Queue what these events have to tell.

    A webhook hears of what happens from its making on, and of nothing that happens while it is off.
    """
    listening = (await session.execute(_LISTENING)).all()
    narrow = any(inbox_ids is not None for _, _, inbox_ids, _ in listening)
    touched = await _touched(session, happened) if narrow else {}
    await _queue(session, [row for event in happened for row in _rows(event, listening, touched, now=now)])


async def tell_again(session: AsyncSession, webhook_id: UUID, happened: Sequence[Row], *, now: datetime) -> int:
    """Queue these events for one webhook, also those that it was told of, as the same messages; answers how many.

    What is on its way already is left alone.
    """
    d = webhook_deliveries.c
    mine = d.webhook_id == webhook_id, among(d.event_id, [event["id"] for event in happened], "uuid")
    waiting = set((await session.execute(select(d.event_id).where(*mine, d.status == "queued"))).scalars())
    ended = update(webhook_deliveries).where(*mine, d.status != "queued")
    await session.execute(ended.values(**_anew(now)))
    await _queue(session, [_told(event, webhook_id, _body_of(event), now=now) for event in happened])
    return len(happened) - len(waiting)


async def _touched(session: AsyncSession, happened: Sequence[Row]) -> dict[UUID, set[str]]:
    """The inboxes of the conversations that the events are of."""
    ids = {event["conversation_id"] for event in happened if event["conversation_id"] is not None}
    t, found = conversation_inboxes.c, dict[UUID, set[str]]()
    query = select(t.conversation_id, t.inbox_id).where(among(t.conversation_id, list(ids), "uuid"))
    for conversation_id, inbox_id in await session.execute(query):
        found.setdefault(conversation_id, set()).add(str(inbox_id))
    return found


def _rows(
    event: Row, listening: Sequence[Any], touched: Mapping[UUID, set[str]], *, now: datetime
) -> list[dict[str, Any]]:
    places = touched.get(event["conversation_id"], set())
    asking = [
        webhook_id
        for webhook_id, asked, inbox_ids, since in listening
        if (EVERYTHING in asked or event["type"] in asked)
        and (inbox_ids is None or not places.isdisjoint(inbox_ids))
        and event["occurred_at"] >= since
    ]
    body = _body_of(event) if asking else ""
    return [_told(event, one, body, now=now) for one in asking]


def _told(event: Row, webhook_id: UUID, body: str, *, now: datetime) -> dict[str, Any]:
    place = {"conversation_id": event["conversation_id"], "position": event["position"]}
    return {**_row(webhook_id, event["id"], event["type"], body, now=now), **place}


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
    need_enabled(webhook)
    event_id = new_id()
    body = body_of(TEST_EVENT, now, {"id": str(event_id), "webhook_id": str(webhook["id"])})
    row = _row(webhook["id"], event_id, TEST_EVENT, body, now=now, give_up_after=timedelta())
    await _queue(session, [row])
    delivery_id: UUID = row["id"]
    return delivery_id


async def replay(session: AsyncSession, webhook: RowMapping, delivery: RowMapping, *, now: datetime) -> None:
    """Send a failed one again, the same message, with three days ahead. Raises `Conflict` for any other."""
    need_enabled(webhook)
    if delivery["status"] != "failed":
        raise Conflict("only what has failed is sent again", slug="not_failed")
    mine = update(webhook_deliveries).where(webhook_deliveries.c.id == delivery["id"])
    await session.execute(mine.values(**_anew(now)))
    ring(session, "hooks")


def _anew(now: datetime) -> dict[str, Any]:
    """As if it had just been queued, but for what was seen of it."""
    return {
        "status": "queued",
        "attempts": 0,
        "next_attempt_at": now,
        "give_up_at": now + GIVE_UP_AFTER,
        "claimed_until": 0.0,
    }


async def get_delivery(session: AsyncSession, webhook_id: UUID, delivery_id: UUID) -> RowMapping:
    """Locked. Raises `NotFound`, also for a delivery of another webhook."""
    mine = webhook_deliveries.c.id == delivery_id, webhook_deliveries.c.webhook_id == webhook_id
    found = await session.execute(select(webhook_deliveries).where(*mine).with_for_update(key_share=True))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such delivery")
    return row


async def list_deliveries(
    session: AsyncSession,
    webhook_id: UUID,
    *,
    status: str | None = None,
    type: str | None = None,  # noqa: A002 - what the specification calls it
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """The newest first. `before`: when the last one that was seen was made, and its id."""
    d = webhook_deliveries.c
    query = select(webhook_deliveries).where(d.webhook_id == webhook_id)
    if status is not None:
        query = query.where(d.status == status)
    if type is not None:
        query = query.where(d.type == type)
    if before is not None:
        at, last = before
        query = query.where(d.created_at <= at, or_(d.created_at < at, d.id < last))
    found = await session.execute(query.order_by(d.created_at.desc(), d.id.desc()).limit(limit))
    return found.mappings().all()


def body_of(type_: str, at: datetime, data: Mapping[str, Any]) -> str:
    """A message that is no event, as it is stored, signed and sent."""
    return _dumped({"type": type_, "timestamp": at.astimezone(UTC), "data": data})


def _body_of(event: Row) -> str:
    """The event as the stream has it, with `timestamp`, where Standard Webhooks looks for the time."""
    at = event["occurred_at"].astimezone(UTC)
    conversation_id, seq = event["conversation_id"], event["seq"]
    return _dumped(
        {
            "id": str(event["id"]),
            "position": event["position"],
            "type": event["type"],
            "occurred_at": at,
            "timestamp": at,
            **({} if conversation_id is None else {"conversation_id": str(conversation_id)}),
            **({} if seq is None else {"seq": seq}),
            "data": event["data"],
        }
    )


def _dumped(message: Mapping[str, Any]) -> str:
    return orjson.dumps(message, option=orjson.OPT_UTC_Z).decode()


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
        "conversation_id": None,
        "position": None,
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


def need_enabled(webhook: RowMapping) -> None:
    """Raises `Conflict` where the webhook is off."""
    if not webhook["enabled"]:
        raise Conflict("this webhook is off; enable it first", slug="webhook_disabled")
