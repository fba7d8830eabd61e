"""Rules on time that has passed: conversations that have just come so far, and those whose state is another since.

A sweep follows each rule's column in its order, batch by batch, up to what has lasted long enough by now; where it is
it keeps in `automation_sweeps`, so that it costs what has come due and not what there is. Opening hours are the
inboxes', so for business time each calendar is followed by itself. Whoever follows a rule has its row locked.

What held no rule's filter when its time came is asked again with each event of its conversation (`again`): that also
finds what began in the past, such as a mail that was late. What a rule has answered it does not answer again until the
column has another value, and not where that value is its own doing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    false,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain import automation
from helpdesk.domain.automation import Elapsed, Origin, Rule
from helpdesk.domain.business_hours import ALWAYS, BusinessTime
from helpdesk.domain.values import SYSTEM
from helpdesk.logs import fault
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.rules import automation_rules, automation_runs, automation_sweeps
from helpdesk.services import automation_rules as settings
from helpdesk.services import filtering
from helpdesk.services.automation_runs import Occasion, Running
from helpdesk.services.house import Services

log = structlog.get_logger()

BATCH: Final = 100
"""Conversations in one transaction."""

MOST_RUNS: Final = 25
"""Of these; on SQLite nobody else writes meanwhile."""

WALL: Final = ""
"""Names the clock on the wall among the calendars."""

_LAST: Final = UUID(int=2**128 - 1)
_KEPT: Final = timedelta(hours=1)
_C: Final = conversations.c
_R: Final = automation_runs.c
_S: Final = automation_sweeps.c

# The same words as in the partial indexes' conditions, or the planner does not use them.
_THERE: Final[Mapping[str, ColumnElement[bool]]] = {
    "status_changed_at": _C.status != literal_column("'open'"),
    "waiting_since": _C.waiting_since.is_not(None),
    "assigned_at": _C.assigned_at.is_not(None),
}

Place = tuple[datetime, UUID]
"""Up to where a column was followed: by its value, then by the conversation's id."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A calendar that rules run by: for the conversations of some inboxes, of all where `inbox_ids` is None."""

    name: str
    time: BusinessTime
    inbox_ids: Sequence[UUID] | None

    @property
    def concerns(self) -> ColumnElement[bool] | None:
        return None if self.inbox_ids is None else among(_C.inbox_id, self.inbox_ids, "uuid")


async def clocks_of(services: Services, session: AsyncSession, elapsed: Elapsed) -> list[Clock]:
    """The clock on the wall; or each calendar that an inbox goes by."""
    if not elapsed.business_time:
        return [Clock(WALL, ALWAYS, None)]
    book = await services.promises.book(session)
    found: dict[UUID, list[UUID]] = {}
    query = select(inboxes.c.id, inboxes.c.business_hours_id).order_by(inboxes.c.id)
    for row in (await session.execute(query)).mappings():
        found.setdefault(book.at(row).id, []).append(row["id"])
    return [Clock(str(hours_id), book.hours[hours_id].timetable, ids) for hours_id, ids in found.items()]


def lasted(
    elapsed: Elapsed, clocks: Iterable[Clock], *, begun_at: datetime | None, now: datetime
) -> ColumnElement[bool]:
    """On `conversations`: so much time has passed by now, and, unless `begun_at` is None, had not by then."""
    column, parts = _C[elapsed.since], []
    for clock in clocks:
        latest, earliest = elapsed.latest(clock.time, now), begun_at and elapsed.latest(clock.time, begun_at)
        if latest is None:
            continue
        holds = [_there(elapsed), column <= latest]
        holds += [] if earliest is None else [column > earliest]
        holds += [] if clock.concerns is None else [clock.concerns]
        parts.append(and_(*holds))
    return or_(false(), *parts)


def _there(elapsed: Elapsed) -> ColumnElement[bool]:
    return _THERE.get(elapsed.since, true())


async def rules(session: AsyncSession) -> list[Rule]:
    """Those on time that are switched on."""
    return [rule for rule, _ in await settings.in_force(session) if rule.elapsed is not None]


async def sweep(services: Services, session: AsyncSession, rule: Rule, *, now: datetime) -> int:
    """Have the rule act where its time has come, one batch for each calendar; answers how many were looked at."""
    mine = select(automation_sweeps).where(_S.rule_id == rule.id).with_for_update(key_share=True, skip_locked=True)
    state = (await session.execute(mine)).mappings().one_or_none()
    current = select(automation_rules.c.version).where(automation_rules.c.id == rule.id)
    if state is None or rule.elapsed is None or await session.scalar(current) != rule.version:
        return 0
    reached, looked = dict(state["reached"]), 0
    running = Running(services, session, now)
    for clock in await clocks_of(services, session, rule.elapsed):
        after = read_place(reached.get(clock.name)) or begin(rule.elapsed, clock, state["begun_at"])
        latest = rule.elapsed.latest(clock.time, now)
        if latest is None or (after is not None and after[0] >= latest):
            continue
        query = following(rule.elapsed, clock, after, latest)
        found = [(at, conversation_id) for at, conversation_id in await session.execute(query)]
        last = await _answer(running, rule, found, [clock], begun_at=state["begun_at"])
        looked += len(found)
        if last is None or (last == found[-1] and len(found) < BATCH):
            last = latest, _LAST
        if found or after is None or last[0] - after[0] > _KEPT:
            reached[clock.name] = written(last)
    if reached != state["reached"]:
        await session.execute(update(automation_sweeps).where(_S.rule_id == rule.id).values(reached=reached))
    return looked


async def again(running: Running, asked: Sequence[Rule], conversation_ids: Sequence[UUID]) -> None:
    """Ask the rules of locked conversations in which something has happened."""
    timed = [rule for rule in asked if rule.elapsed is not None]
    if not timed or not conversation_ids:
        return
    query = select(_S.rule_id, _S.begun_at).where(_S.rule_id.in_([rule.id for rule in timed]))
    begun = {row[0]: row[1] for row in await running.session.execute(query)}
    for rule in timed:
        if rule.id in begun and rule.elapsed is not None:
            clocks = await clocks_of(running.services, running.session, rule.elapsed)
            due = lasted(rule.elapsed, clocks, begun_at=begun[rule.id], now=running.now)
            try:
                async with running.session.begin_nested():
                    await _run(running, rule, await _matching(running, rule, conversation_ids, due))
            except Exception as error:  # what one rule asks must not keep the others from having their say
                log.error("automation.unanswerable", rule_id=str(rule.id), **fault(error))


def begin(elapsed: Elapsed, clock: Clock, begun_at: datetime | None) -> Place | None:
    """Before everything that had not lasted so long when the rule was made."""
    earliest = begun_at and elapsed.latest(clock.time, begun_at)
    return (earliest, _LAST) if earliest else None


def following(
    elapsed: Elapsed, clock: Clock, after: Place | None, latest: datetime, *, most: int = BATCH
) -> Select[Any]:
    """What has lasted so long since `after`, in order, along the column's index, whatever the filter is."""
    column = _C[elapsed.since]
    query = select(column, _C.id).where(_there(elapsed), column <= latest).order_by(column, _C.id)
    if after is not None:
        at, last = literal(after[0], column.type), literal(after[1], _C.id.type)
        query = query.where(tuple_(column, _C.id) > tuple_(at, last))
    if clock.concerns is not None:
        query = query.where(clock.concerns)
    return query.limit(literal_column(str(most)))


async def _answer(
    running: Running, rule: Rule, found: Sequence[Place], clocks: Sequence[Clock], *, begun_at: datetime | None
) -> Place | None:
    """Answers the last one that the rule has had its say about."""
    if not found or rule.elapsed is None:
        return None
    ids = sorted(conversation_id for _, conversation_id in found)
    await running.session.execute(
        select(_C.id).where(among(_C.id, ids, "uuid")).order_by(_C.id).with_for_update(key_share=True)
    )
    due = lasted(rule.elapsed, clocks, begun_at=begun_at, now=running.now)
    matches = await _matching(running, rule, ids, due)
    await running.look(ids)
    runs, last = 0, None
    for place in found:
        if runs >= MOST_RUNS:
            break
        runs += await _run(running, rule, [one for one in matches if one[1] == place[1]])
        last = place
    return last


async def _matching(
    running: Running, rule: Rule, conversation_ids: Sequence[UUID], due: ColumnElement[bool]
) -> list[Place]:
    """Those in which the filter holds and the rule has not run since then. As for events, spam is left out."""
    if rule.elapsed is None:
        return []
    query = select(_C[rule.elapsed.since], _C.id).where(among(_C.id, conversation_ids, "uuid"), due)
    query = query.where(_C.merged_into_id.is_(None))
    if not filtering.names_spam(rule.condition):
        query = query.where(_C.spam.is_(False))
    query = query.where(filtering.condition(rule.condition, actor=SYSTEM, now=running.now))
    found = [(at, conversation_id) for at, conversation_id in await running.session.execute(query.order_by(_C.id))]
    keys = {Occasion(conversation_id, since=at).key(rule): (at, conversation_id) for at, conversation_id in found}
    done = select(_R.key).where(_R.key.in_(keys))
    for key in (await running.session.execute(done)).scalars() if keys else ():
        del keys[key]
    return list(keys.values())


async def _run(running: Running, rule: Rule, matches: Sequence[Place]) -> int:
    """Answers how often the rule has run."""
    origins = await _origins(running.session, matches) if matches else {}
    runs = 0
    for at, conversation_id in matches:
        whose = origins.get(conversation_id, ())
        depths = [automation.depth_after(rule, origin) for origin in whose] or [0]
        if None not in depths:
            await running.run(rule, Occasion(conversation_id, since=at), max(depth or 0 for depth in depths))
            runs += 1
    return runs


async def _origins(session: AsyncSession, matches: Sequence[Place]) -> Mapping[UUID, list[Origin]]:
    """Whose doing the times are: those of runs that changed the conversation at that very time."""
    at_once = or_(*(and_(_R.conversation_id == one, _R.created_at == at) for at, one in matches))
    query = select(_R.conversation_id, _R.rule_id, _R.depth).where(at_once, _R.to_seq > _R.from_seq)
    found: dict[UUID, list[Origin]] = {}
    for conversation_id, rule_id, depth in await session.execute(query):
        found.setdefault(conversation_id, []).append(Origin(rule_id, depth))
    return found


def read_place(kept: Sequence[str] | None) -> Place | None:
    return None if kept is None else (datetime.fromisoformat(kept[0]), UUID(kept[1]))


def written(place: Place) -> list[str]:
    return [place[0].isoformat(), str(place[1])]
