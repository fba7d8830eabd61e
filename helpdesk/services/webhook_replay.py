"""Telling a webhook again what happened since some time: a job that queues the events anew, in their order.

A message has its event's id, so a receiver who had it already knows it by its `webhook-id`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.conversations import conversation_inboxes
from helpdesk.models.events import events
from helpdesk.models.webhooks import webhooks
from helpdesk.services import audit, jobs, webhook_deliveries
from helpdesk.services.house import Services
from helpdesk.services.jobs import Step
from helpdesk.services.webhooks import EVERYTHING, asked

KIND: Final = "webhook_replay"
MOST: Final = 10_000
MOST_LOOKED_AT: Final = 500_000
"""Events of a time, whatever they are: a request counts those that are asked for among them."""

BATCH: Final = 200

_OUT_OF_ORDER: Final = timedelta(minutes=10)
"""Positions are given after the commit: so far may an event's time lie behind the time of one before it."""

_E: Final = events.c


async def start(
    session: AsyncSession,
    webhook: RowMapping,
    *,
    since: datetime,
    until: datetime | None = None,
    types: Sequence[str] | None = None,
    by: Actor,
    now: datetime,
) -> UUID:
    """Queue the job; answers its id. `[since, until)` is when it happened, `types` some of what the webhook asks for.

    Raises `Conflict` where the webhook is off, or where events of that time are not there any more, and `Invalid`.
    """
    webhook_deliveries.need_enabled(webhook)
    end = now if until is None else min(until, now)
    if since >= end:
        raise Invalid.field("since", "use a time in the past, before `until`")
    await _need_kept(session, since)
    wanted = _wanted(webhook, types)
    arguments = {
        "webhook_id": str(webhook["id"]),
        "types": wanted,
        "inbox_ids": webhook["inbox_ids"],
        "first": await _place(session, since - _OUT_OF_ORDER),
        "behind": await _place(session, end + _OUT_OF_ORDER),
        "since": since.isoformat(),
        "until": end.isoformat(),
    }
    if arguments["behind"] - arguments["first"] > MOST_LOOKED_AT:
        raise Invalid.field("since", "too much happened since; ask for a part of that time")
    some = _asked_for(arguments, select(_E.id)).limit(MOST + 1).subquery()
    count = int(await session.scalar(select(func.count()).select_from(some)) or 0)
    if count > MOST:
        raise Invalid.field("since", f"more than {MOST} events happened since; ask for a part of that time, or of them")
    job_id = await jobs.start(session, KIND, arguments, total=count, by=by, now=now)
    data = {"since": arguments["since"], "until": arguments["until"], "types": wanted, "events": count}
    await audit.record(
        session, "webhook.replayed", subject="webhook", subject_id=webhook["id"], by=by, now=now, data=data
    )
    return job_id


async def handle(services: Services, session: AsyncSession, job: RowMapping, /, *, now: datetime) -> Step:
    """One batch (`workers.jobs.Handler`). It is over when the webhook is gone or off.

    What the webhook does not ask for any more is left out: it may have been narrowed since, and must not hear the rest.
    """
    given, after = job["arguments"], job["cursor"].get("after", 0)
    webhook_id = UUID(given["webhook_id"])
    mine = select(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.enabled)
    webhook = (await session.execute(mine.with_for_update(read=True))).mappings().one_or_none()
    if webhook is None:
        return Step({"after": after}, 0, 0, over=True)
    query = _scoped(_asked_for(given, select(events)), webhook["events"], webhook["inbox_ids"])
    query = query.where(_E.position > after).order_by(_E.position).limit(BATCH)
    happened = (await session.execute(query)).mappings().all()
    queued = await webhook_deliveries.tell_again(session, webhook_id, happened, now=now)
    last = happened[-1]["position"] if happened else after
    return Step({"after": last}, len(happened), queued, over=len(happened) < BATCH)


def _asked_for(given: Mapping[str, Any], query: Select[Any]) -> Select[Any]:
    since, until = datetime.fromisoformat(given["since"]), datetime.fromisoformat(given["until"])
    query = query.where(_E.position >= given["first"], _E.position < given["behind"])
    query = query.where(_E.occurred_at >= since, _E.occurred_at < until)
    return _scoped(query, given["types"], given["inbox_ids"])


def _scoped(query: Select[Any], types: Sequence[str], inbox_ids: Sequence[str] | None) -> Select[Any]:
    if EVERYTHING not in types:
        query = query.where(among(_E.type, types, "text"))
    if inbox_ids is not None:
        t = conversation_inboxes.c
        there = among(t.inbox_id, [UUID(one) for one in inbox_ids], "uuid")
        query = query.where(exists().where(t.conversation_id == _E.conversation_id, there))
    return query


def _wanted(webhook: RowMapping, types: Sequence[str] | None) -> list[str]:
    own: list[str] = webhook["events"]
    if types is None:
        return own
    wanted = asked(types, place="types")
    if EVERYTHING not in own and not set(wanted) <= set(own):
        raise Invalid.field("types", f"this webhook asks for {', '.join(own)}")
    return wanted


async def _need_kept(session: AsyncSession, since: datetime) -> None:
    """Raises `Conflict` where events of that time were there once."""
    first = select(_E.position, _E.occurred_at).where(_E.position.is_not(None)).order_by(_E.position).limit(1)
    oldest = (await session.execute(first)).one_or_none()
    if oldest is not None and oldest.position > 1 and since < oldest.occurred_at:
        at = oldest.occurred_at.isoformat().replace("+00:00", "Z")
        raise Conflict(f"events are kept from {at} on", slug="events_gone", extra={"oldest": at})


async def _place(session: AsyncSession, at: datetime) -> int:
    """A position that about what happened at `at` or later begins with, halved towards: times have no index."""
    low, high = 1, int(await session.scalar(select(func.max(_E.position))) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        query = select(_E.position, _E.occurred_at).where(_E.position >= middle).order_by(_E.position).limit(1)
        found = (await session.execute(query)).one_or_none()
        if found is None or found.occurred_at >= at:
            high = middle
        else:
            low = found.position + 1
    return low
