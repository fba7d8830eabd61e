"""Whom an alert finds: rosters of teams and of everybody, what agents say of themselves, quiet hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, update

from helpdesk.domain.values import Role
from helpdesk.models.agents import agents
from helpdesk.services import duty
from helpdesk.services.house import Services
from tests import factories

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
MORNING, EVENING = [("06:00", "11:00")], [("11:00", "20:00")]


async def on_duty(services: Services, *, now: datetime = NOON, **asked: Any) -> set[UUID]:
    async with services.database.reading() as session:
        found = await duty.on_duty(session, **asked, now=now)
    assert len(found) == len(set(found))
    return set(found)


async def says(services: Services, someone: factories.Someone, **values: Any) -> None:
    async with services.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == someone.id).values(values))


async def some(services: Services, count: int) -> Sequence[factories.Someone]:
    return [await factories.agent(services) for _ in range(count)]


async def test_without_rosters_everybody_active_is_on_duty(services: Services) -> None:
    anna, bert, carl = await some(services, 3)
    team = await factories.team(services, members=[anna.id, bert.id])
    await says(services, bert, active=False)
    assert await on_duty(services) == {anna.id, carl.id}
    assert await on_duty(services, team_id=team) == {anna.id}
    assert await on_duty(services, agent_ids=[bert.id, carl.id]) == {carl.id}


async def test_a_team_goes_by_its_own_rosters_and_one_without_by_everybodys(services: Services) -> None:
    anna, bert, carl, dora = await some(services, 4)
    first = await factories.team(services, members=[anna.id, bert.id])
    second = await factories.team(services, members=[carl.id, dora.id])
    await factories.duty_schedule(services, agents=[anna.id], team_id=first, hours=MORNING)
    await factories.duty_schedule(services, agents=[bert.id], team_id=first, hours=EVENING)
    assert await on_duty(services, team_id=first) == {bert.id}
    assert await on_duty(services, team_id=second) == {carl.id, dora.id}
    await factories.duty_schedule(services, agents=[carl.id, anna.id], hours=EVENING)
    assert await on_duty(services, team_id=first) == {bert.id}
    assert await on_duty(services, team_id=second) == {carl.id}
    assert await on_duty(services, team_id=second, now=NOON + timedelta(hours=12)) == set()


async def test_who_is_asked_for_by_name_or_role_goes_by_the_rosters_of_all_his_teams(services: Services) -> None:
    anna, bert = await some(services, 2)
    boss = await factories.agent(services, role="supervisor")
    first = await factories.team(services, members=[anna.id, bert.id])
    second = await factories.team(services, members=[anna.id])
    await factories.duty_schedule(services, agents=[bert.id], team_id=first)
    assert await on_duty(services, agent_ids=[anna.id, bert.id]) == {bert.id}
    await factories.duty_schedule(services, agents=[anna.id], team_id=second)
    assert await on_duty(services, agent_ids=[anna.id, bert.id]) == {anna.id, bert.id}
    assert await on_duty(services, agent_ids=[anna.id], team_id=first) == set()
    assert await on_duty(services, role=Role.SUPERVISOR) == {boss.id}
    assert await on_duty(services, role=Role.ADMIN) == set()


async def test_what_one_says_of_himself_overrules_the_rosters_while_it_lasts(services: Services) -> None:
    anna, bert, carl = await some(services, 3)
    team = await factories.team(services, members=[anna.id, bert.id, carl.id])
    await factories.duty_schedule(services, agents=[anna.id, bert.id], team_id=team)
    await says(services, anna, duty="off", duty_until=NOON + timedelta(hours=1))
    await says(services, bert, duty="off")
    await says(services, carl, duty="on", duty_until=NOON + timedelta(hours=1))
    assert await on_duty(services, team_id=team) == {carl.id}
    assert await on_duty(services, team_id=team, now=NOON + timedelta(hours=1)) == {anna.id}


async def test_a_roster_names_no_one_who_is_not_asked_for(services: Services) -> None:
    anna, bert = await some(services, 2)
    team = await factories.team(services, members=[anna.id])
    await factories.duty_schedule(services, agents=[anna.id, bert.id], team_id=team)
    assert await on_duty(services, team_id=team) == {anna.id}
    assert await on_duty(services, agent_ids=[]) == set()


@pytest.mark.parametrize("count", [1, 12])
async def test_the_question_costs_two_statements_however_many_there_are(services: Services, count: int) -> None:
    everybody = await some(services, count)
    for one in everybody:
        team = await factories.team(services, members=[one.id])
        await factories.duty_schedule(services, agents=[one.id], team_id=team)
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            said.append(statement)

    engine = services.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    assert await on_duty(services, agent_ids=[one.id for one in everybody]) == {one.id for one in everybody}
    event.remove(engine, "before_cursor_execute", note)
    assert len(said) == 2


async def test_the_quiet_of_those_who_want_it_has_an_end(services: Services) -> None:
    anna, bert, carl = await some(services, 3)
    await says(services, anna, quiet_hours={"zone": "UTC", "from": "11:00", "to": "13:00"})
    await says(services, bert, quiet_hours={"zone": "UTC", "from": "22:00", "to": "07:00"})
    async with services.database.reading() as session:
        found = await duty.quiet_until_of(session, [anna.id, bert.id, carl.id], now=NOON)
    assert found == {anna.id: NOON + timedelta(hours=1)}


async def test_without_a_fallback_list_there_is_nobody_to_fall_back_on(services: Services) -> None:
    async with services.database.reading() as session:
        assert await duty.fallback(session) == []
