"""Automation: has the rules answer what happens, after the fact, so that filing pays nothing.

What the rules do is committed with how far they came (`following`): each rule answers each event once, whatever dies
in between, and a conversation's events in their order. Filters are asked in one query for a rule and a batch; only
where a rule has just changed a conversation they are asked again of that one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain import automation
from helpdesk.domain.automation import Origin, Rule
from helpdesk.domain.values import SYSTEM
from helpdesk.logs import fault
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import messages
from helpdesk.services import automation_elapsed, automation_rules, filtering
from helpdesk.services.automation_runs import Occasion, Running, origins_of
from helpdesk.services.following import Follower
from helpdesk.services.house import Services
from helpdesk.statements import Row

log = structlog.get_logger()

MOST_RUNS: Final = 25
"""Runs in one transaction: on SQLite nobody else writes meanwhile."""

_E: Final = events.c


@dataclass(slots=True)
class _Batch:
    """What is known of the events at hand: which rules match, and whose doing they are.

    `locked` are the conversations that they are of; a rule has changed those that are `touched` since they were asked.
    """

    running: Running
    rules: Sequence[Rule]
    matches: set[tuple[UUID, UUID]] = field(default_factory=set)
    origins: Mapping[UUID, Origin] = field(default_factory=dict)
    locked: set[UUID] = field(default_factory=set)
    touched: set[UUID] = field(default_factory=set)

    @property
    def session(self) -> AsyncSession:
        return self.running.session


async def _any(session: AsyncSession) -> bool:
    return bool(await automation_rules.in_force(session))


FOLLOWER: Final[Follower[Sequence[Row]]] = Follower(name="events", batch=100, interested=_any)


async def answer(services: Services, session: AsyncSession, happened: Sequence[Row], /, *, now: datetime) -> int | None:
    """Have the rules answer these events. Answers the position that they came to."""
    found = await automation_rules.in_force(session)
    batch = _Batch(Running(services, session, now), [rule for rule, _ in found])
    return await _answer_all(batch, happened, found)


async def matching(
    session: AsyncSession, rule: Rule, wanted: ColumnElement[bool], *, now: datetime, most: int | None = None
) -> Sequence[Row]:
    """Those of the `wanted` events that the rule is for, with their conversation's number, the latest first.

    The filter is asked of the conversation as it is now. Spam is left out unless the filter speaks of it, and so is
    what went into another conversation.
    """
    c, m = conversations.c, messages.c
    query = (
        select(_E.id, _E.type, _E.position, _E.occurred_at, _E.conversation_id, c.number)
        .join(conversations, c.id == _E.conversation_id)
        .where(wanted, among(_E.type, sorted(rule.events), "text"), c.merged_into_id.is_(None))
        .order_by(_E.position.desc())
    )
    if rule.of_messages:
        query = query.join(messages, and_(m.conversation_id == _E.conversation_id, m.seq == _E.seq))
    if not filtering.names_spam(rule.condition):
        query = query.where(c.spam.is_(False))
    query = query.where(filtering.message_condition(rule.condition, actor=SYSTEM, now=now))
    return (await session.execute(query if most is None else query.limit(most))).mappings().all()


async def _answer_all(batch: _Batch, happened: Sequence[Row], found: Sequence[tuple[Rule, datetime]]) -> int | None:
    """Answers the position of the last event that all rules have had their say about."""
    await _prepare(batch, happened, found)
    concerned = {event_id for _, event_id in batch.matches}
    busy = {event["conversation_id"] for event in happened if event["id"] in concerned}
    since = {rule.id: created_at for rule, created_at in found}
    runs, end = 0, None
    for event in happened:
        if runs >= MOST_RUNS:
            break
        if event["conversation_id"] in busy:
            runs += await _answer(batch, event, since)
        end = event["position"]
    looked = {event["conversation_id"] for event in happened if end is not None and event["position"] <= end}
    await automation_elapsed.again(batch.running, batch.rules, sorted(looked & batch.locked))
    return end


async def _prepare(batch: _Batch, happened: Sequence[Row], found: Sequence[tuple[Rule, datetime]]) -> None:
    """Lock the conversations that rules may be for, ask the filters, and see whose doing the events are."""
    asked = {name for rule in batch.rules for name in rule.events}
    timed = any(rule.elapsed for rule in batch.rules)
    mine = [one for one in happened if (timed or one["type"] in asked) and one["conversation_id"] is not None]
    if not mine:
        return
    batch.locked = {event["conversation_id"] for event in mine}
    ids, c = sorted(batch.locked), conversations.c
    await batch.session.execute(
        select(c.id).where(among(c.id, ids, "uuid")).order_by(c.id).with_for_update(key_share=True)
    )
    for rule, created_at in found:
        wanted = [one["id"] for one in mine if one["type"] in rule.events and one["occurred_at"] >= created_at]
        batch.matches |= {(rule.id, event_id) for event_id in await _matched(batch, rule, wanted)}
    if batch.matches:
        concerned = list({event_id for _, event_id in batch.matches} | {event["id"] for event in mine})
        batch.origins = await origins_of(batch.session, among(_E.id, concerned, "uuid"))
    if batch.matches or timed:
        await batch.running.look(ids)


async def _matched(batch: _Batch, rule: Rule, event_ids: Collection[UUID]) -> set[UUID]:
    if not event_ids:
        return set()
    try:
        async with batch.session.begin_nested():
            wanted = among(_E.id, list(event_ids), "uuid")
            return {one["id"] for one in await matching(batch.session, rule, wanted, now=batch.running.now)}
    except Exception as error:  # what one rule asks must not keep the others from having their say
        log.error("automation.unanswerable", rule_id=str(rule.id), **fault(error))
        return set()


async def _answer(batch: _Batch, event: Row, since: Mapping[UUID, datetime]) -> int:
    """Every rule that is for this event, in their order, until one says that it is the last; answers how many ran."""
    runs = 0
    for rule in batch.rules:
        if event["type"] not in rule.events or event["occurred_at"] < since[rule.id]:
            continue
        if event["conversation_id"] in batch.touched:
            matched = bool(await _matched(batch, rule, [event["id"]]))
        else:
            matched = (rule.id, event["id"]) in batch.matches
        depth = automation.depth_after(rule, batch.origins.get(event["id"])) if matched else None
        if depth is None:
            continue
        await batch.running.run(rule, Occasion(event["conversation_id"], event_id=event["id"]), depth)
        batch.touched.add(event["conversation_id"])
        runs += 1
        if rule.stop:
            break
    return runs
