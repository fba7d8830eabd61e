"""What would have been broken, had other promises been in force: what happened is read again, and nothing is written.

It is read from messages and events, in pages of conversations that each have a handful of statements, however many rows
these hold. Nothing is kept of a page but its figures.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, Table, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain import policies as policy_rules
from helpdesk.domain.clocks import Clock, Kind, Origin, State, Terms
from helpdesk.domain.policies import Policy
from helpdesk.domain.replay import Story, replay
from helpdesk.domain.tallies import Tally, overdue
from helpdesk.errors import Invalid
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import business_hours, sla_clocks, sla_policies
from helpdesk.services import stories, versions
from helpdesk.services.house import Services
from helpdesk.services.promises import Book, Hours
from helpdesk.services.timetables import timetable
from helpdesk.statements import Row

PAGE: Final = 200
"""Conversations at a time, and what was merged into them."""

GIVEN: Final = UUID(int=0)
"""The id of a policy that is nobody's yet."""

_C: Final = conversations.c


@dataclass(frozen=True, slots=True)
class Promised:
    """What is tried: a book of promises, the names of its policies, and whether it is the one that is in force."""

    book: Book
    names: Mapping[UUID, str]
    in_force: bool
    places: Mapping[UUID, Row]

    def judge(self, origin: Origin, priority: int, category: str | None) -> Terms | None:
        """None also for an inbox that was added while the simulation ran."""
        inbox = self.places.get(origin.inbox_id)
        if inbox is None:
            return None
        return self.book.terms(channel=origin.channel, inbox=inbox, priority=priority, category=category)


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that would have been broken. `late` is in the clock's own time."""

    conversation_id: UUID
    number: int
    clock: Clock
    policy: str
    late: timedelta


@dataclass(slots=True)
class Comparison:
    """Of one kind of clock: what really ran and broke, and what would have."""

    cycles_then: int = 0
    breaches_then: int = 0
    cycles_now: int = 0
    breaches_now: int = 0


@dataclass(slots=True)
class Simulation:
    """What came of it. `tallies` are by policy and kind, `worst` has the latest first."""

    since: datetime
    until: datetime
    promised: Promised
    conversations: int = 0
    tallies: dict[tuple[UUID, Kind], Tally] = field(default_factory=lambda: defaultdict(Tally))
    compared: dict[Kind, Comparison] = field(default_factory=lambda: {kind: Comparison() for kind in Kind})
    worst: list[Broken] = field(default_factory=list)


async def promised(
    services: Services,
    session: AsyncSession,
    *,
    policy: str | None = None,
    content: Mapping[str, Any] | None = None,
    hours: str | None = None,
) -> Promised:
    """What is in force; or one policy alone, by its id or name, or by its content. `hours` stand in for all calendars.

    A policy need not be switched on to be tried. Raises `Invalid` naming what is wrong, or not there.
    """
    book = await services.promises.refresh(session)
    places = {row["id"]: row for row in (await session.execute(select(inboxes))).mappings()}
    names: dict[UUID, str] = {}
    if content is not None:
        versions.checked(policy_rules.check, content)
        _check_mentions(content, book, places)
        chosen, names[GIVEN] = [policy_rules.read(GIVEN, 1, 0, content)], "as given"
    elif policy is not None:
        row = await _named(session, sla_policies, policy, field="policy", what="SLA policy")
        chosen = [policy_rules.read(row["id"], row["version"], 0, row["content"])]
        names[row["id"]] = row["name"]
    else:
        chosen = list(book.policies)
        found = await session.execute(select(sla_policies.c.id, sla_policies.c.name))
        names |= {row.id: row.name for row in found}
    if hours is not None:
        row = await _named(session, business_hours, hours, field="business_hours", what="calendar")
        book = await _under(session, book, chosen, row)
        chosen = [replace(one, business_hours_id=None) for one in chosen]
    in_force = content is None and policy is None
    return Promised(replace(book, policies=chosen), names, in_force, places)


async def _named(session: AsyncSession, table: Table, given: str, *, field: str, what: str) -> RowMapping:
    """The setting with this id, or else with this name."""
    try:
        same = table.c.id == UUID(given)
    except ValueError:
        same = table.c.name == given
    found = (await session.execute(select(table).where(same, table.c.deleted_at.is_(None)))).mappings().all()
    if not found:
        raise Invalid.field(field, f"there is no {what} of this id or name")
    if len(found) > 1:
        raise Invalid.field(field, f"there is more than one {what} of this name; give the id")
    return found[0]


async def _under(session: AsyncSession, book: Book, chosen: Sequence[Policy], row: RowMapping) -> Book:
    """The book with one calendar for everything that goes by business hours."""
    if not any(one.clock == "business" for one in chosen):
        raise Invalid.field("business_hours", "no policy that is tried goes by business hours: its clock is calendar")
    hours = Hours(row["id"], row["version"], await timetable(session, row["id"], row["version"]))
    return replace(book, hours={}, default=hours)


def _check_mentions(content: Mapping[str, Any], book: Book, places: Mapping[UUID, Row]) -> None:
    for name, kind, thing in policy_rules.mentions(content):
        if kind == "business_hours" and thing not in book.hours:
            raise Invalid.field(name, "there are no such business hours")
        if kind == "inbox" and (thing not in places or places[thing]["deleted_at"] is not None):
            raise Invalid.field(name, "there is no such inbox")


async def simulate(
    services: Services,
    promised: Promised,
    *,
    since: datetime,
    limit: int,
    now: datetime,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Simulation:
    """Replay the conversations that somebody wrote in `since` then, and count the cycles that began since then.

    What was merged counts with what it was merged into. `limit` is how many of the worst are kept; `tell` hears how
    many conversations of how many are done.
    """
    found = Simulation(since, now, promised)
    async with services.database.reading() as session:
        total = await session.scalar(_of_interest(select(func.count()).select_from(conversations), since)) or 0
    if total:
        tell(0, total)
    after: UUID | None = UUID(int=0)
    while after is not None:
        # One transaction for each page: a longer one would hold up whoever tidies the database.
        async with services.database.reading() as session:
            after = await _page(session, found, after, limit=limit)
        tell(found.conversations, max(total, found.conversations) if after else found.conversations)
    return found


def _of_interest(query: Select[Any], since: datetime) -> Select[Any]:
    """Conversations in no other one that somebody wrote in since then, or in what was merged into them."""
    source = conversations.alias("source")
    lately = select(source.c.merged_into_id).where(
        source.c.merged_into_id.is_not(None), source.c.last_activity_at >= since
    )
    return query.where(_C.merged_into_id.is_(None), or_(_C.last_activity_at >= since, _C.id.in_(lately)))


async def _page(session: AsyncSession, found: Simulation, after: UUID, *, limit: int) -> UUID | None:
    """Replay one page; answers the last id on it, None when there are no more."""
    query = _of_interest(select(*stories.COLUMNS), found.since).where(_C.id > after).order_by(_C.id).limit(PAGE)
    rows = (await session.execute(query)).mappings().all()
    if not rows:
        return None
    matters = await stories.read(session, rows)
    ran = await _ran(session, matters, found.since)
    broken: list[Broken] = []
    for row in rows:
        clocks = replay(matters[row["id"]], found.promised.judge, until=found.until)
        began = [one for one in clocks if not one.cancelled and one.origin.at >= found.since]
        _count(found, began)
        broken += [_broken(found, row, one) for one in began if one.breached_at is not None]
        if clocks or found.promised.in_force:
            _compare(found, ran[row["id"]])
    found.conversations += len(rows)
    found.worst = heapq.nlargest(limit, [*found.worst, *broken], key=lambda one: one.late)
    return rows[-1]["id"] if len(rows) == PAGE else None


def _count(found: Simulation, began: Sequence[Clock]) -> None:
    for clock in began:
        found.tallies[clock.terms.policy[0], clock.kind].add(clock)
        found.compared[clock.kind].cycles_now += 1
        found.compared[clock.kind].breaches_now += clock.breached_at is not None


def _broken(found: Simulation, row: Row, clock: Clock) -> Broken:
    policy = found.promised.names.get(clock.terms.policy[0], "")
    return Broken(row["id"], row["number"], clock, policy, overdue(clock, until=found.until))


def _compare(found: Simulation, ran: Sequence[tuple[Kind, bool]]) -> None:
    for kind, broke in ran:
        found.compared[kind].cycles_then += 1
        found.compared[kind].breaches_then += broke


async def _ran(
    session: AsyncSession, matters: Mapping[UUID, Sequence[Story]], since: datetime
) -> Mapping[UUID, Sequence[tuple[Kind, bool]]]:
    """Of each matter the cycles that really began since then and were not called off, and whether they were broken."""
    home = {story.id: conversation_id for conversation_id, several in matters.items() for story in several}
    c = sla_clocks.c
    query = select(c.conversation_id, c.kind, c.breached_at).where(
        among(c.conversation_id, list(home), "uuid"), c.started_at >= since, c.state != State.CANCELLED.value
    )
    ran: dict[UUID, list[tuple[Kind, bool]]] = {conversation_id: [] for conversation_id in matters}
    for conversation_id, kind, breached_at in await session.execute(query):
        ran[home[conversation_id]].append((Kind(kind), breached_at is not None))
    return ran
