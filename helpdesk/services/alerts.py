"""Alerts: raised once for one thing, calling level after level until somebody says that he has seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Executable, RowMapping, Select, String, bindparam, literal_column, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, new_id, ring
from helpdesk.dialects import among
from helpdesk.domain.actions import Alert
from helpdesk.domain.alerting import AlertStatus, Reach, severest
from helpdesk.domain.clocks import OVER, State
from helpdesk.domain.events import AlertAcknowledged, AlertRaised, AlertResolved
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, NotFound
from helpdesk.models.agents import agents
from helpdesk.models.alerts import alert_recipients, alerts
from helpdesk.models.conversations import conversations
from helpdesk.models.sla import sla_clocks
from helpdesk.services import audit, notices, recipients
from helpdesk.services.access import scoped
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.statements import Row, Statement
from helpdesk.writes import Insert, write

log = structlog.get_logger()

BATCH = 50
_ENDED = (State.MET.value, State.MET_LATE.value, State.CANCELLED.value)

_Query = TypeVar("_Query", bound=Select[Any])


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about, with the clock that it ends with, if any. There is one alert for a `key`, ever."""

    key: str
    kind: str
    clock_kind: str = ""
    clock_cycle: int = 0


async def call(
    services: Services,
    session: AsyncSession,
    subject: Subject,
    calls: Sequence[Alert],
    conversation: Row | None,
    *,
    data: Mapping[str, Any],
    now: datetime,
) -> UUID | None:
    """Raise an alert, as all of `calls` ask for it; answers its id, or None where there was one already."""
    reach, severity = Reach.of(calls), severest(calls)
    alert_id = new_id()
    row: dict[str, Any] = {
        "id": alert_id,
        "key": subject.key,
        "kind": subject.kind,
        "severity": severity.value,
        "status": AlertStatus.OPEN.value,
        "conversation_id": conversation["id"] if conversation else None,
        "clock_kind": subject.clock_kind,
        "clock_cycle": subject.clock_cycle,
        "team_id": conversation["team_id"] if conversation else None,
        "data": dict(data),
        "reach": reach.stored(),
        "level": 0,
        "version": 1,
        "raised_at": now,
        "next_due_at": reach.next_call(now),
    }
    made = insert_ignoring(session, alerts, on=["key"]).values(row).returning(alerts.c.id)
    if (await session.execute(made)).scalar_one_or_none() is None:
        return None
    found = await recipients.first(session, reach, conversation, now=now)
    await _tell(services, session, row, found, now=now)
    return alert_id


async def _tell(
    services: Services, session: AsyncSession, alert: Row, found: Mapping[UUID, str], *, now: datetime
) -> None:
    """Note whom this level calls, send for them, and say so."""
    if not found:
        log.error("alert.nobody_to_call", alert_id=str(alert["id"]))
    about = {"alert_id": alert["id"], "level": alert["level"], "created_at": now}
    people = [{**about, "agent_id": agent_id, "reason": reason} for agent_id, reason in found.items()]
    await write(session, Insert(alert_recipients, people, unless=("alert_id", "agent_id")))
    await notices.queue(session, alert, list(found), now=now)
    event = AlertRaised(
        conversation_id=alert["conversation_id"],
        alert_id=alert["id"],
        kind=alert["kind"],
        severity=alert["severity"],
        level=alert["level"],
        agent_ids=[str(one) for one in found],
    )
    await record(session, event, now=now)
    ring(session, "notify")


def due() -> Select[Any]:
    """Alerts that nobody has acknowledged in time, at `:now`."""
    a = alerts.c
    return select(a.id).where(a.next_due_at <= bindparam("now", type_=a.next_due_at.type))


_DUE = Statement(
    lambda: (
        select(alerts)
        .where(alerts.c.next_due_at <= bindparam("now", type_=alerts.c.next_due_at.type))
        .order_by(alerts.c.next_due_at)
        .limit(literal_column(str(BATCH)))
        .with_for_update(key_share=True, skip_locked=True)
    )
)


async def climb(services: Services, session: AsyncSession, *, now: datetime) -> int:
    """Call the next level of what nobody has acknowledged; when there is none left, the last one again."""
    found = await _DUE.rows(session, now=now)
    for alert in found:
        conversation = await _conversation(session, alert["conversation_id"])
        if await _is_over(session, alert, conversation):
            await _over(session, {alert["id"]: alert["conversation_id"]}, now=now)
            continue
        reach = Reach.read(alert["reach"])
        called = await _called(session, alert["id"])
        above = await recipients.beyond(session, reach, conversation, called=called.keys(), now=now)
        last = {agent_id: reason for agent_id, (level, reason) in called.items() if level == alert["level"]}
        if not above:
            reach = replace(reach, repeats=reach.repeats + 1)
        level = alert["level"] + 1 if above else alert["level"]
        values = {"level": level, "reach": reach.stored(), "next_due_at": reach.next_call(now)}
        await session.execute(
            update(alerts).where(alerts.c.id == alert["id"]).values(**values, version=alerts.c.version + 1)
        )
        again = above or last or await recipients.first(session, reach, conversation, now=now)
        await _tell(services, session, {**alert, **values}, again, now=now)
    return len(found)


async def _is_over(session: AsyncSession, alert: Row, conversation: Row | None) -> bool:
    """Whether there is nothing left to be called for, though nobody has said so yet."""
    if conversation is None:
        return False
    if conversation["status"] in OVER or not alert["clock_kind"]:
        return conversation["status"] in OVER
    c = sla_clocks.c
    mine = c.conversation_id == conversation["id"], c.kind == alert["clock_kind"], c.cycle == alert["clock_cycle"]
    return await session.scalar(select(c.state).where(*mine)) in _ENDED


async def _called(session: AsyncSession, alert_id: UUID) -> dict[UUID, tuple[int, str]]:
    """With the level and the reason; whoever has left since was called in vain."""
    r = alert_recipients.c
    query = select(r.agent_id, r.level, r.reason).join(agents, agents.c.id == r.agent_id)
    found = await session.execute(query.where(r.alert_id == alert_id, agents.c.active))
    return {agent_id: (level, reason) for agent_id, level, reason in found}


async def _conversation(session: AsyncSession, conversation_id: UUID | None) -> Row | None:
    if conversation_id is None:
        return None
    query = select(conversations).where(conversations.c.id == conversation_id)
    return (await session.execute(query)).mappings().one_or_none()


async def acknowledge(session: AsyncSession, alert: RowMapping, *, by: Actor, now: datetime) -> None:
    """Somebody has seen it: nobody else is called. Idempotent. Raises `Conflict` for one that is over."""
    if alert["status"] == AlertStatus.RESOLVED:
        raise Conflict("what this alert was about is over", slug="alert_resolved")
    if alert["status"] == AlertStatus.ACKNOWLEDGED:
        return
    assert by.id is not None
    values = {"status": AlertStatus.ACKNOWLEDGED.value, "acknowledged_at": now, "acknowledged_by": by.id}
    await _end(session, [alert["id"]], values)
    event = AlertAcknowledged(conversation_id=alert["conversation_id"], alert_id=alert["id"], agent_id=by.id)
    await record(session, event, now=now)
    await audit.record(session, "alert.acknowledged", subject="alert", subject_id=alert["id"], by=by, now=now)


async def resolve_alerts(services: Services, session: AsyncSession, happened: Sequence[Row], *, now: datetime) -> None:
    """Subscriber of `sla.met`: what a clock's alerts warned of is over. Nobody is called for it any more.

    Nearly every answer comes in time, so that there is none: it is looked before anything is locked.
    """
    a = alerts.c
    clocks = {(one["conversation_id"], one["data"]["kind"], one["data"]["cycle"]) for one in happened}
    found = await _UNRESOLVED.rows(session, ids=list({one for one, _, _ in clocks}))
    clock = itemgetter("conversation_id", "clock_kind", "clock_cycle")
    concerned = [one["id"] for one in found if clock(one) in clocks]
    if concerned:
        query = select(a.id, a.conversation_id).where(a.id.in_(concerned), a.status != AlertStatus.RESOLVED.value)
        await _resolve(session, query, now=now)


def _unresolved() -> Executable:
    a = alerts.c
    over = literal_column(f"'{AlertStatus.RESOLVED.value}'", String())
    return select(a.id, a.conversation_id, a.clock_kind, a.clock_cycle).where(
        among(a.conversation_id, "ids", "uuid"), a.status != over
    )


_UNRESOLVED: Final = Statement(_unresolved)


async def end_with(session: AsyncSession, conversation_ids: Sequence[UUID], *, now: datetime) -> None:
    """What was raised about these conversations is over with them."""
    a = alerts.c
    query = select(a.id, a.conversation_id).where(
        a.conversation_id.in_(conversation_ids), a.status != AlertStatus.RESOLVED.value
    )
    if conversation_ids:
        await _resolve(session, query, now=now)


async def _resolve(session: AsyncSession, query: Select[Any], *, now: datetime) -> None:
    """The query answers their ids and conversations."""
    over = (await session.execute(query.order_by(alerts.c.id).with_for_update(key_share=True))).all()
    if over:
        await _over(session, {row.id: row.conversation_id for row in over}, now=now)


async def _over(session: AsyncSession, those: Mapping[UUID, UUID | None], *, now: datetime) -> None:
    await _end(session, list(those), {"status": AlertStatus.RESOLVED.value, "resolved_at": now})
    await record(session, *(AlertResolved(conversation_id=at, alert_id=one) for one, at in those.items()), now=now)


async def reopen(
    session: AsyncSession, conversation_ids: Sequence[UUID], clocks: Sequence[tuple[UUID, str, int]], *, now: datetime
) -> None:
    """What had ended with these conversations or clocks is not over: whoever asked for an answer is called again."""
    a = alerts.c
    concerned = tuple_(a.conversation_id, a.clock_kind, a.clock_cycle).in_(
        [*clocks, *((c, "", 0) for c in conversation_ids)]
    )
    query = select(a.id, a.reach).where(concerned, a.status == AlertStatus.RESOLVED.value).order_by(a.id)
    for alert_id, reach in (await session.execute(query.with_for_update(key_share=True))).all():
        values: dict[str, Any] = {"status": AlertStatus.OPEN.value, "resolved_at": None, "acknowledged_at": None}
        values |= {"acknowledged_by": None, "reach": {**reach, "repeats": 0}}
        values["next_due_at"] = None if reach["acknowledge_seconds"] is None else now
        await session.execute(update(alerts).where(a.id == alert_id).values(**values, version=a.version + 1))
        ring(session, "sla")


async def _end(session: AsyncSession, alert_ids: Sequence[UUID], values: Mapping[str, Any]) -> None:
    await session.execute(
        update(alerts)
        .where(alerts.c.id.in_(alert_ids))
        .values(**values, next_due_at=None, version=alerts.c.version + 1)
    )
    await notices.drop(session, alert_ids)


# -- reading them -----------------------------------------------------------------------------------------------------


def _mine(query: _Query, actor: Actor) -> _Query:
    """An agent is shown the alerts that called him; whoever sees everything, all."""
    if actor.sees_all:
        return query
    mine = select(alert_recipients.c.alert_id).where(alert_recipients.c.agent_id == actor.id)
    return query.where(alerts.c.id.in_(mine))


async def list_alerts(
    session: AsyncSession,
    actor: Actor,
    *,
    status: Sequence[str] = (),
    severity: Sequence[str] = (),
    conversation_id: UUID | None = None,
    after: UUID | None = None,
    limit: int,
) -> Sequence[RowMapping]:
    """The latest first."""
    query = _mine(select(alerts), actor).order_by(alerts.c.id.desc()).limit(limit)
    for column, wanted in ((alerts.c.status, status), (alerts.c.severity, severity)):
        if wanted:
            query = query.where(column.in_(wanted))
    if conversation_id is not None:
        query = query.where(alerts.c.conversation_id == conversation_id)
    if after is not None:
        query = query.where(alerts.c.id < after)
    return (await session.execute(query)).mappings().all()


async def subjects_of(session: AsyncSession, actor: Actor, found: Sequence[RowMapping]) -> dict[UUID, RowMapping]:
    """Number and subject of the conversations that these alerts are about, as far as the actor may see them, by id."""
    c = conversations.c
    wanted = {one["conversation_id"] for one in found} - {None}
    query = scoped(select(c.id, c.number, c.subject).where(c.id.in_(wanted)), actor)
    return {row["id"]: row for row in (await session.execute(query)).mappings()} if wanted else {}


async def get_alert(session: AsyncSession, actor: Actor, alert_id: UUID, *, lock: bool = False) -> RowMapping:
    """Raises `NotFound` for what does not concern the actor."""
    query = _mine(select(alerts).where(alerts.c.id == alert_id), actor)
    found = (await session.execute(query.with_for_update(key_share=True) if lock else query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such alert")
    return found


async def recipients_of(session: AsyncSession, alert_ids: Sequence[UUID]) -> dict[UUID, list[RowMapping]]:
    """Whom each alert has called, the first level first."""
    r = alert_recipients.c
    query = select(alert_recipients).where(r.alert_id.in_(alert_ids)).order_by(r.level, r.created_at, r.agent_id)
    found: dict[UUID, list[RowMapping]] = {}
    for row in (await session.execute(query)).mappings():
        found.setdefault(row["alert_id"], []).append(row)
    return found
