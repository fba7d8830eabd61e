"""The promises in force: calendars, policies and ladders, kept in memory and read again when one of them changes.

Filing must not ask the database what was promised for every mail. A worker looks every tick whether anything has
changed (`refresh`); whoever else asks, after a while at most.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import calendars, ladders, policies
from helpdesk.domain.business_hours import ALWAYS, Timetable
from helpdesk.domain.clocks import Kind, Terms
from helpdesk.domain.ladders import Rule
from helpdesk.domain.policies import Policy
from helpdesk.domain.values import Priority
from helpdesk.models.sla import business_hours, escalation_rules, setting_versions, sla_policies
from helpdesk.services.timetables import timetable
from helpdesk.statements import Row, Statement

FRESH_SECONDS = 5.0
"""For how long a look is good. A worker looks more often, in passing (`seen`)."""


MOST_CHOSEN = 10_000
"""Categories are any text: what is remembered has an end."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A calendar in its present version."""

    id: UUID
    version: int
    timetable: Timetable


@dataclass(frozen=True, slots=True)
class Book:
    """What is promised at present."""

    stamp: int
    policies: Sequence[Policy]
    rules: Sequence[Rule]
    hours: Mapping[UUID, Hours]
    default: Hours
    _chosen: dict[Hashable, Terms | None] = field(default_factory=dict, compare=False, init=False)
    """What was asked before: every mail of an inbox asks the same."""

    def choose(self, *, channel: str, inbox: Row, priority: int, category: str | None) -> Policy | None:
        """The policy for a matter that came in through an inbox."""
        return policies.choose(
            self.policies,
            channel=channel,
            inbox_id=inbox["id"],
            inbox_policy_id=inbox["sla_policy_id"],
            priority=Priority(priority).word,
            category=category,
        )

    def terms(self, *, channel: str, inbox: Row, priority: int, category: str | None) -> Terms | None:
        """What is promised to it, by today's versions."""
        key = channel, inbox["id"], inbox["sla_policy_id"], inbox["business_hours_id"], priority, category
        if key not in self._chosen:
            if len(self._chosen) >= MOST_CHOSEN:
                self._chosen.clear()
            policy = self.choose(channel=channel, inbox=inbox, priority=priority, category=category)
            self._chosen[key] = self.terms_of(policy, inbox) if policy else None
        return self._chosen[key]

    def at(self, inbox: Row) -> Hours:
        """When somebody is at the desk of an inbox."""
        return self.hours.get(inbox["business_hours_id"], self.default)

    def terms_of(self, policy: Policy, inbox: Row) -> Terms:
        """The policy's own calendar, else the inbox's, else the default one."""
        if policy.clock != "business":
            return terms(policy, None)
        wanted = self.hours.get(policy.business_hours_id) if policy.business_hours_id else None
        return terms(policy, wanted or self.at(inbox))


def terms(policy: Policy, hours: Hours | None) -> Terms:
    """A policy on a calendar; without one, on the clock on the wall."""
    return Terms(
        policy=(policy.id, policy.version),
        targets={Kind(kind): target for kind, target in policy.targets.items()},
        time=hours.timetable if hours else ALWAYS,
        hours=(hours.id, hours.version) if hours else None,
        warnings={Kind(kind): policies.thresholds(policy, kind) for kind in policy.targets},
        pauses=frozenset(map(Kind, policy.pauses)),
        pause_states=policy.pause_states,
        next_response_from_creation=policy.next_response_from_creation,
    )


def stamp() -> Select[Any]:
    """A number that is another after every change: each raises a version or deletes, so the sum never comes back."""
    tables = (business_hours, sla_policies, escalation_rules)
    parts = [
        select(func.coalesce(func.sum(t.c.version), literal_column("0")) + func.count() + func.count(t.c.deleted_at))
        .select_from(t)
        .scalar_subquery()
        for t in tables
    ]
    return select(cast(parts[0] + parts[1] + parts[2], Integer()).label("stamp"))


_STAMP = Statement(stamp)


class Promises:
    """One for each process and database. Terms of earlier versions are kept as well: clocks refer to them."""

    def __init__(self) -> None:
        self._book: Book | None = None
        self._latest: Book | None = None
        self._looked = 0.0
        self._terms: dict[tuple[Any, ...], Terms] = {}
        self._rules: dict[tuple[UUID, int], Rule] = {}

    async def book(self, session: AsyncSession) -> Book:
        """What is in force; a change counts after `FRESH_SECONDS` at the latest."""
        if self._book is None or time.monotonic() - self._looked > FRESH_SECONDS:
            return await self.refresh(session)
        return self._book

    @property
    def at_hand(self) -> Book:
        """The book that was asked for last, for whoever cannot ask: filing has, for every message."""
        assert self._latest is not None
        return self._latest

    def seen(self, stamp: int) -> None:
        """Somebody has looked: what is at hand is still right, or is read again before it is used."""
        if self._book is not None and self._book.stamp == stamp:
            self._looked = time.monotonic()
        else:
            self._book = None

    async def refresh(self, session: AsyncSession) -> Book:
        """Look now."""
        (found,) = await _STAMP.rows(session, begin=False)
        if self._book is None or self._book.stamp != found["stamp"]:
            self._book = self._latest = await _read(session, found["stamp"])
        self._looked = time.monotonic()
        return self._book

    async def terms(self, session: AsyncSession, rows: Sequence[Row]) -> list[Terms]:
        """The terms that clocks (rows of `sla_clocks`) run by, in the versions they began with, in the rows' order."""
        keys = [_key(row) for row in rows]
        missing = {key for key in keys if key not in self._terms}
        if missing:
            await self._load(session, missing)
        return [self._terms[key] for key in keys]

    async def rule(self, session: AsyncSession, rule_id: UUID, version: int) -> Rule:
        """A ladder in the version that was begun."""
        found = self._rules.get((rule_id, version))
        if found is None:
            v = setting_versions.c
            query = select(v.content).where(v.subject_id == rule_id, v.version == version)
            content = (await session.execute(query)).scalar_one()
            found = self._rules[rule_id, version] = ladders.read(rule_id, version, content)
        return found

    async def _load(self, session: AsyncSession, missing: set[tuple[Any, ...]]) -> None:
        v = setting_versions.c
        query = select(v.subject_id, v.version, v.content).where(v.subject_id.in_({key[0] for key in missing}))
        contents = {(row[0], row[1]): row[2] for row in await session.execute(query)}
        for key in missing:
            policy_id, version, hours_id, hours_version = key
            policy = policies.read(policy_id, version, 0, contents[policy_id, version])
            hours = None
            if hours_id is not None:
                hours = Hours(hours_id, hours_version, await timetable(session, hours_id, hours_version))
            self._terms[key] = terms(policy, hours)


def _key(row: Row) -> tuple[Any, ...]:
    return row["policy_id"], row["policy_version"], row["business_hours_id"], row["business_hours_version"]


async def _read(session: AsyncSession, stamp: int) -> Book:
    alive = [
        (await session.execute(select(table).where(table.c.deleted_at.is_(None)))).mappings().all()
        for table in (business_hours, sla_policies, escalation_rules)
    ]
    hours = {row["id"]: Hours(row["id"], row["version"], Timetable(calendars.read(row["content"]))) for row in alive[0]}
    default = next(row["id"] for row in alive[0] if row["is_default"])
    return Book(
        stamp=stamp,
        policies=[policies.read(r["id"], r["version"], r["position"], r["content"]) for r in alive[1] if r["enabled"]],
        rules=[ladders.read(r["id"], r["version"], r["content"]) for r in alive[2] if r["enabled"]],
        hours=hours,
        default=hours[default],
    )
