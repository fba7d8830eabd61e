"""Running a rule in a conversation, and the log of it: once for each occasion, never itself, and not for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, RowMapping, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.dialects import among
from helpdesk.domain import automation
from helpdesk.domain.actions import Alert
from helpdesk.domain.automation import Origin, Rule
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import HelpdeskError
from helpdesk.logs import fault
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.rules import automation_rules, automation_runs
from helpdesk.services import actions, alerts
from helpdesk.services.actions import Cause
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services
from helpdesk.statements import Row

log = structlog.get_logger()

_R: Final = automation_runs.c
_ADMINS: Final = Alert(who=("admins",), agent_ids=(), severity="warning", acknowledge=None)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a rule acts upon in a conversation: an event, or that so long ago was the time `since`."""

    conversation_id: UUID
    event_id: UUID | None = None
    since: datetime | None = None

    def key(self, rule: Rule) -> str:
        """Names it for this rule once and for all, whatever the rule says by then."""
        if self.event_id is not None:
            return f"{rule.id}:{self.event_id}"
        return f"{rule.id}:{self.conversation_id}:{self.since.isoformat() if self.since else ''}"


@dataclass(slots=True)
class Running:
    """Rules at work in one transaction. `this_hour` is how often they have run of late, by conversation."""

    services: Services
    session: AsyncSession
    now: datetime
    this_hour: Counter[UUID] = field(default_factory=Counter)

    async def look(self, conversation_ids: Collection[UUID]) -> None:
        """See how busy rules have been there."""
        lately = (
            select(_R.conversation_id, func.count())
            .where(among(_R.conversation_id, list(conversation_ids), "uuid"))
            .where(_R.created_at > self.now - timedelta(hours=1), _R.outcome != "looped")
            .group_by(_R.conversation_id)
        )
        self.this_hour = Counter({row[0]: row[1] for row in await self.session.execute(lately)})

    async def run(self, rule: Rule, occasion: Occasion, depth: int) -> None:
        """Do what the rule says in the locked conversation, or stop it for going in circles, and write down which."""
        before = await self._conversation(occasion.conversation_id)
        circles = automation.goes_in_circles(depth=depth, this_hour=self.this_hour[before["id"]])
        if circles:
            await self._tell_admins(rule, before)
        done = [] if circles else [await self._act(rule, occasion, number) for number in range(len(rule.actions))]
        after = await self._conversation(before["id"])
        row = {
            "id": new_id(),
            "key": occasion.key(rule),
            "rule_id": rule.id,
            "rule_version": rule.version,
            "conversation_id": before["id"],
            "event_id": occasion.event_id,
            "since": occasion.since,
            "depth": depth,
            "from_seq": before["seq"],
            "to_seq": after["seq"],
            "outcome": "looped" if circles else "partly" if any(one["problem"] for one in done) else "done",
            "actions": done,
            "created_at": self.now,
        }
        await insert_rows(self.session, automation_runs, [row])
        self.this_hour[before["id"]] += int(not circles)

    async def _act(self, rule: Rule, occasion: Occasion, number: int) -> dict[str, str]:
        """One action, and the problem for which it was refused, if it was."""
        action, problem = rule.actions[number], ""
        ids = {"rule_id": str(rule.id), "conversation_id": str(occasion.conversation_id)}
        ids |= {"event_id": str(occasion.event_id)} if occasion.event_id else {}
        cause = Cause(f"automation:{occasion.key(rule)}:{number}", "automation.run", ids, rule_id=rule.id)
        try:
            async with self.session.begin_nested():
                conversation = await self._conversation(occasion.conversation_id)
                how: dict[str, Any] = {"by": SYSTEM, "cause": cause, "now": self.now}
                await actions.act(self.services, self.session, conversation, action, **how)
        except HelpdeskError as error:
            problem = error.problem
            log.warning("automation.action_refused", action=action.do, rule_id=str(rule.id), kind=problem)
        except Exception as error:  # a bug in one action must not hold up every other rule for ever
            problem = "failed"
            log.error("automation.action_failed", action=action.do, rule_id=str(rule.id), **fault(error))
        return {"do": action.do, "problem": problem}

    async def _conversation(self, conversation_id: UUID) -> Row:
        query = select(conversations).where(conversations.c.id == conversation_id)
        return (await self.session.execute(query)).mappings().one()

    async def _tell_admins(self, rule: Rule, conversation: Row) -> None:
        """Once for each version of a rule."""
        log.warning("automation.looped", rule_id=str(rule.id), conversation_id=str(conversation["id"]))
        subject = Subject(f"automation:{rule.id}:{rule.version}", "automation_looped")
        how: dict[str, Any] = {"data": {"rule_id": str(rule.id)}, "now": self.now}
        await alerts.call(self.services, self.session, subject, [_ADMINS], conversation, **how)


async def origins_of(session: AsyncSession, wanted: ColumnElement[bool]) -> dict[UUID, Origin]:
    """Of the `wanted` events those that are the doing of a run, with that run's rule and depth."""
    mine = and_(_R.conversation_id == events.c.conversation_id, events.c.seq > _R.from_seq, events.c.seq <= _R.to_seq)
    query = select(events.c.id, _R.rule_id, _R.depth).join(automation_runs, mine).where(wanted)
    return {event_id: Origin(rule_id, depth) for event_id, rule_id, depth in await session.execute(query)}


async def list_of_rule(
    session: AsyncSession, rule_id: UUID, *, before: UUID | None = None, limit: int
) -> Sequence[RowMapping]:
    """What the rule did, the latest first."""
    query = select(automation_runs).where(_R.rule_id == rule_id).order_by(_R.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_R.id < before)
    return (await session.execute(query)).mappings().all()


async def list_of_conversation(
    session: AsyncSession, conversation_id: UUID, *, before: UUID | None = None, limit: int
) -> Sequence[RowMapping]:
    """What rules did there, the latest first, with the `rule_name` where the rule is still there."""
    query = (
        select(automation_runs, automation_rules.c.name.label("rule_name"))
        .outerjoin(automation_rules, automation_rules.c.id == _R.rule_id)
        .where(_R.conversation_id == conversation_id)
        .order_by(_R.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(_R.id < before)
    return (await session.execute(query)).mappings().all()
