"""Rules on time that has passed: once for each time, late rather than never, and not for what was before them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from helpdesk.domain.automation import SINCE, Elapsed
from helpdesk.domain.business_hours import ALWAYS
from helpdesk.domain.events import ConversationUpdated
from helpdesk.domain.values import SYSTEM
from helpdesk.models.alerts import alerts
from helpdesk.models.conversations import conversations
from helpdesk.models.rules import automation_sweeps
from helpdesk.services import automation_elapsed
from helpdesk.services import automation_rules as rule_verbs
from helpdesk.services.automation_elapsed import Clock
from helpdesk.services.events import record
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.services.test_automation import asks, numbered, runs, settles, state, talk
from workers.automate import run_rules, sweep_rules

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WAITS: dict[str, Any] = {"since": "waiting_since", "minutes": 60}


async def passes(services: Services, at: datetime) -> int:
    """It is that late, and the sweep looks until nothing is left; answers how many conversations it looked at."""
    looked = 0
    for _ in range(50):
        async with services.database.reading() as session:
            rules = await automation_elapsed.rules(session)
        found = 0
        for rule in rules:
            async with services.database.transaction() as session:
                found += await automation_elapsed.sweep(services, session, rule, now=at)
        if not found:
            return looked
        looked += found
    raise AssertionError("sweeps go in circles")


async def give(services: Services, conversation_id: UUID, **values: Any) -> None:
    async with services.database.transaction() as session:
        await session.execute(update(conversations).where(conversations.c.id == conversation_id).values(values))


async def ran(services: Services, rule_id: UUID) -> list[tuple[UUID, datetime | None, datetime]]:
    return [(one["conversation_id"], one["since"], one["created_at"]) for one in await runs(services, rule_id)]


async def test_a_rule_acts_once_when_the_time_has_come_and_again_for_another_time(services: Services) -> None:
    rule_id = await factories.automation_rule(services, elapsed=WAITS, condition=asks("status", "open"), now=MONDAY)
    mail, done = await talk(services, now=MONDAY + MINUTE), await talk(services, now=MONDAY + MINUTE)
    await give(services, done, waiting_since=None)
    await passes(services, MONDAY + HOUR)
    assert await runs(services, rule_id) == []
    for late in (MINUTE, HOUR):
        await passes(services, MONDAY + HOUR + late)
        assert await ran(services, rule_id) == [(mail, MONDAY + MINUTE, MONDAY + HOUR + MINUTE)]
    assert await state(services, mail) == (1, {"seen"})
    await give(services, mail, waiting_since=MONDAY + 3 * HOUR)
    # Nobody looked for a day: once, late, with the times as they are.
    await passes(services, MONDAY + DAY)
    assert (await ran(services, rule_id))[1:] == [(mail, MONDAY + 3 * HOUR, MONDAY + DAY)]
    (run, _) = await runs(services, rule_id)
    assert (run["event_id"], run["outcome"], run["depth"], run["to_seq"] - run["from_seq"]) == (None, "done", 0, 1)


@ON_ONE_DATABASE
async def test_what_was_before_the_rule_is_left_alone_unless_it_asks_for_it(services: Services) -> None:
    old, young = await talk(services, now=MONDAY - DAY), await talk(services, now=MONDAY - MINUTE)
    spam = await talk(services, now=MONDAY - MINUTE, spam=True)
    one = await factories.automation_rule(services, elapsed=WAITS, now=MONDAY)
    everything = {**WAITS, "include_existing": True}
    other = await factories.automation_rule(services, elapsed=everything, now=MONDAY)
    await passes(services, MONDAY + HOUR)
    assert [row[0] for row in await ran(services, one)] == [young]
    assert [row[0] for row in await ran(services, other)] == [old, young]
    assert spam not in {row[0] for row in await ran(services, other)}


@ON_ONE_DATABASE
async def test_business_time_is_that_of_the_inbox_and_each_calendar_is_followed_by_itself(services: Services) -> None:
    await factories.hours(services, default=True)
    night = await factories.hours(services, weekly=[[["00:00", "24:00"]]] * 7)
    inboxes = [await factories.inbox(services), await factories.inbox(services, business_hours_id=night)]
    elapsed = {"since": "created_at", "minutes": 120, "business_time": True}
    rule_id = await factories.automation_rule(services, elapsed=elapsed, now=MONDAY)
    evening = MONDAY.replace(hour=16)
    day, always = [await factories.conversation(services, inbox_id=one, messages=0, now=evening) for one in inboxes]
    await passes(services, evening + 2 * HOUR)
    assert [row[0] for row in await ran(services, rule_id)] == [always]
    tomorrow = MONDAY + DAY
    await passes(services, tomorrow + HOUR - MINUTE)
    assert len(await ran(services, rule_id)) == 1
    await passes(services, tomorrow + HOUR)
    assert [row[0] for row in await ran(services, rule_id)] == [always, day]


async def test_what_held_not_when_its_time_came_is_asked_with_the_next_event(services: Services) -> None:
    rule_id = await factories.automation_rule(services, elapsed=WAITS, condition=asks("priority", "high"))
    mail = await talk(services)
    async with services.database.transaction() as session:
        # It has waited for long, but came in late: no sweep passes there any more.
        begun = (await session.execute(select(automation_sweeps.c.begun_at))).scalar_one()
        await session.execute(update(automation_sweeps).values(begun_at=begun - DAY))
        mine = update(conversations).where(conversations.c.id == mail)
        await session.execute(mine.values(waiting_since=begun - 2 * HOUR, priority=2))
        await record(session, ConversationUpdated(conversation_id=mail, seq=1, changes={}, by="agent"), now=begun)
    await numbered(services)
    await settles(services)
    await settles(services)
    assert [row[:2] for row in await ran(services, rule_id)] == [(mail, begun - 2 * HOUR)]


async def test_a_rule_never_answers_its_own_time_and_two_of_them_are_stopped(services: Services) -> None:
    await factories.agent(services, role="admin")
    still: dict[str, Any] = {"since": "last_activity_at", "minutes": 60}
    alone = await factories.automation_rule(services, {"do": "note", "text": "Still?"}, elapsed=still, now=MONDAY)
    mail = await talk(services, now=MONDAY + MINUTE)
    for hours in range(1, 6):
        await passes(services, MONDAY + hours * HOUR + MINUTE)
    assert [row[0] for row in await ran(services, alone)] == [mail]
    other = await factories.automation_rule(services, {"do": "note", "text": "Indeed."}, elapsed=still, now=MONDAY)
    for hours in range(6, 20):
        await passes(services, MONDAY + hours * HOUR + 2 * MINUTE)
    found = [*await runs(services, alone), *await runs(services, other)]
    assert [(one["depth"], one["outcome"]) for one in sorted(found, key=lambda one: one["id"])] == [
        (0, "done"),
        (1, "done"),
        (2, "done"),
        (3, "done"),
        (4, "looped"),
    ]
    async with services.database.reading() as session:
        (alert,) = (await session.execute(select(alerts))).mappings().all()
    assert (alert["kind"], alert["data"]) == ("automation_looped", {"rule_id": str(alone)})


@ON_ONE_DATABASE
async def test_more_than_a_batch_is_answered_batch_by_batch_and_then_nothing_is_looked_at(services: Services) -> None:
    inbox_id = await factories.inbox(services)
    ids = [
        await factories.conversation(services, inbox_id=inbox_id, messages=0, now=MONDAY + (number // 3) * MINUTE)
        for number in range(automation_elapsed.MOST_RUNS + 5)
    ]
    everything = {**WAITS, "include_existing": True}
    rule_id = await factories.automation_rule(services, elapsed=everything, now=MONDAY + DAY)
    assert await passes(services, MONDAY + DAY) == len(ids) + 5
    assert sorted(row[0] for row in await ran(services, rule_id)) == sorted(ids)
    assert await passes(services, MONDAY + DAY + HOUR) == 0


@ON_ONE_DATABASE
async def test_another_time_begins_anew_and_a_rule_that_is_switched_on_does_not_catch_up(services: Services) -> None:
    rule_id = await factories.automation_rule(services, elapsed=WAITS, now=MONDAY)
    mail = await talk(services, now=MONDAY + MINUTE)

    async def edit(at: datetime, *, content: Any = None, **given: Any) -> None:
        async with services.database.transaction() as session:
            row = await rule_verbs.get_rule(session, rule_id)
            await rule_verbs.edit(session, row, given, content or {}, by=SYSTEM, now=at)

    await edit(MONDAY + 30 * MINUTE, enabled=False)
    await passes(services, MONDAY + 2 * HOUR)
    await edit(MONDAY + 2 * HOUR, enabled=True)
    await passes(services, MONDAY + 3 * HOUR)
    assert await runs(services, rule_id) == []
    await edit(MONDAY + 3 * HOUR, content={"when": {"elapsed": {**WAITS, "minutes": 240}}})
    await passes(services, MONDAY + 4 * HOUR)
    assert await runs(services, rule_id) == []
    await passes(services, MONDAY + 5 * HOUR)
    (run,) = await runs(services, rule_id)
    assert (run["conversation_id"], run["rule_version"]) == (mail, 4)


@pytest.mark.parametrize("since", SINCE)
async def test_a_sweep_goes_along_an_index(services: Services, since: Any) -> None:
    elapsed, clock = Elapsed(since, HOUR), Clock("", ALWAYS, None)
    async with services.database.reading() as session:
        dialect = (await session.connection()).dialect
        if dialect.name == "postgresql":
            for setting in ("enable_seqscan", "enable_sort"):
                await session.execute(text(f"SET LOCAL {setting} = off"))
        query = automation_elapsed.following(elapsed, clock, (MONDAY, UUID(int=1)), MONDAY + HOUR)
        words = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN" if dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = " ".join(str(row) for row in (await session.execute(text(f"{explain} {words}"))).all())
    wanted = {
        "created_at": "ix_conversations_created",
        "waiting_since": "ix_conversations_waiting",
        "last_activity_at": "ix_conversations_activity",
        "status_changed_at": "ix_conversations_since_status",
        "assigned_at": "ix_conversations_since_assigned",
    }
    assert wanted[since] in plan, plan
    assert "TEMP B-TREE" not in plan, plan


async def test_workers_that_look_at_once_answer_a_time_once(services: Services) -> None:
    rule_id = await factories.automation_rule(services, elapsed={**WAITS, "include_existing": True})
    mails = [await talk(services, now=MONDAY + number * MINUTE) for number in range(3)]
    for _ in range(2):
        await asyncio.gather(*(sweep_rules(services) for _ in range(3)), run_rules(services))
        async with services.database.transaction() as session:
            await session.execute(update(automation_sweeps).values(reached={}))
        await numbered(services)
    assert sorted(row[0] for row in await ran(services, rule_id)) == mails
