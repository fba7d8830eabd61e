"""Routing: queues are given out once, to who has room, and what waits with who is not there comes back."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, select, text, update

from helpdesk import clock
from helpdesk.db import insert_rows
from helpdesk.dialects import Prepared
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.models.agents import agents, api_tokens, team_members
from helpdesk.models.conversations import conversations, presence
from helpdesk.models.events import events
from helpdesk.services import agents as agent_verbs
from helpdesk.services import conversations as verbs
from helpdesk.services import routing, taking_back, teams
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from workers.routing import route, take_back
from workers.watch import Watch

HOUR = timedelta(hours=1)
BY_HAND = Actor(AuthorKind.AGENT, role=Role.ADMIN)
ROUTING = {"method": "round_robin", "capacity": 10, "skills": "ignore", "take_back_minutes": None, "only_on_duty": True}


class Desk:
    """A team that routes, its inbox, and who works there."""

    def __init__(self, services: Services, team_id: UUID, inbox_id: UUID, people: list[UUID]) -> None:
        self.services, self.team_id, self.inbox_id, self.people = services, team_id, inbox_id, people

    @classmethod
    async def open(cls, services: Services, people: int = 2, **given: Any) -> Desk:
        crew = [(await factories.agent(services)).id for _ in range(people)]
        team_id = await factories.team(services, members=crew)
        desk = cls(services, team_id, await factories.inbox(services, team_id=team_id), crew)
        await desk.routes(**given)
        return desk

    async def routes(self, **given: Any) -> None:
        async with self.services.database.transaction() as session:
            team = await teams.get_team(session, self.team_id)
            await teams.edit(session, team, routing=ROUTING | given, by=SYSTEM, now=clock.now())

    async def queue(self, **given: Any) -> UUID:
        """A conversation that has waited for an hour, with rules and triage behind it."""
        usual: dict[str, Any] = {"now": clock.now() - HOUR, "messages": 0, "team_id": self.team_id}
        return await factories.conversation(self.services, inbox_id=self.inbox_id, **usual | given)

    async def has(self, conversation_id: UUID) -> UUID | None:
        found: UUID | None = (await row(self.services, conversation_id))["assignee_id"]
        return found

    async def says(self, agent_id: UUID, **values: Any) -> None:
        async with self.services.database.transaction() as session:
            await session.execute(update(agents).where(agents.c.id == agent_id).values(values))

    async def was_seen(self, agent_id: UUID, at: datetime) -> None:
        async with self.services.database.transaction() as session:
            mine = update(api_tokens).where(api_tokens.c.agent_id == agent_id)
            await session.execute(mine.values(last_used_at=at))


async def row(services: Services, conversation_id: UUID) -> RowMapping:
    async with services.database.reading() as session:
        return (
            (await session.execute(select(conversations).where(conversations.c.id == conversation_id))).mappings().one()
        )


async def told(services: Services, conversation_id: UUID) -> list[tuple[str | None, str, str | None]]:
    """To whom it was given, by whom, and why."""
    query = select(events.c.data).where(events.c.conversation_id == conversation_id)
    query = query.where(events.c.type == "conversation.assigned").order_by(events.c.seq)
    async with services.database.reading() as session:
        found = (await session.execute(query)).scalars().all()
    return [(data["assignee_id"], data["by"], data["reason"]) for data in found]


async def changes(services: Services, conversation_id: UUID, **wanted: Any) -> None:
    """Somebody does, by hand."""
    async with services.database.transaction() as session:
        found = await get_conversation(session, BY_HAND, conversation_id, lock=True)
        await verbs.change(services, session, found, wanted, by=BY_HAND, now=clock.now())


async def settles(services: Services) -> int:
    count = 0
    while given := await route(services):
        count += given
    return count


async def test_workers_that_route_at_once_give_each_once_and_nobody_more_than_he_can_take(services: Services) -> None:
    desk = await Desk.open(services, people=3, capacity=4)
    anna, bert, carl = desk.people
    await desk.says(carl, capacity=2)
    await desk.queue(assignee_id=anna)
    for status in ("pending", "resolved"):
        await desk.queue(assignee_id=anna, status=status)
    queue = [await desk.queue() for _ in range(12)]
    other = await Desk.open(services, people=0, capacity=4)
    async with services.database.transaction() as session:
        await insert_rows(session, team_members, [{"team_id": other.team_id, "agent_id": bert}])
    queue += [await other.queue() for _ in range(4)]
    await asyncio.gather(*(settles(services) for _ in range(3)))
    given = {one: agent_id for one in queue if (agent_id := await desk.has(one))}
    assert Counter(given.values()) == {anna: 3, bert: 4, carl: 2}
    assert sorted([len(await told(services, one)) for one in queue]) == [0] * 7 + [1] * 9
    assert await settles(services) == 0
    await changes(services, next(one for one in given if given[one] == carl), status="pending")
    assert await settles(services) == 1


async def test_the_most_urgent_goes_first_by_the_verb_that_people_use_and_turns_go_on(services: Services) -> None:
    desk = await Desk.open(services, people=2, capacity=1)
    long, urgent, short = await desk.queue(now=clock.now() - 3 * HOUR), await desk.queue(priority=3), await desk.queue()
    rung: list[str] = []
    watch = Watch(services, ["routing"], ring=rung.extend, runs=set)
    await watch.step()
    assert rung == ["routing"]
    assert await settles(services) == 2
    assert [await desk.has(one) is not None for one in (urgent, long, short)] == [True, True, False]
    found = await row(services, urgent)
    assert (found["version"], found["taken_from_id"]) == (2, None)
    assert found["assigned_at"] >= clock.now() - HOUR / 60
    assert await told(services, urgent) == [(str(desk.people[0]), "system", "routed")]
    await changes(services, urgent, status="resolved")
    await changes(services, long, status="resolved")
    await settles(services)
    assert await desk.has(short) == desk.people[0]
    rung.clear()
    await watch.step()
    assert rung == []


async def test_who_takes_it_by_hand_at_the_same_moment_has_it(services: Services) -> None:
    desk = await Desk.open(services)
    mail = await desk.queue()
    async with services.database.reading() as session:
        heads = await routing.heads(services, session, now=clock.now())

    async def late() -> int:
        async with services.database.transaction() as session:
            return await routing.route(services, session, heads, now=clock.now())

    async with services.database.transaction() as session:
        found = await get_conversation(session, BY_HAND, mail, lock=True)
        other = asyncio.create_task(late())
        await asyncio.wait([other], timeout=0.05)
        wanted = {"assignee_id": desk.people[1]}
        await verbs.change(services, session, found, wanted, by=BY_HAND, now=clock.now())
    assert await other == 0
    assert await desk.has(mail) == desk.people[1]


@ON_ONE_DATABASE
async def test_only_what_is_nobodys_and_has_settled_in_a_team_that_routes_is_given_out(services: Services) -> None:
    desk, people = await Desk.open(services), await Desk.open(services, method="manual")
    merged = await desk.queue(assignee_id=desk.people[0])
    for given in ({"spam": True}, {"quarantined": True}, {"merged_into_id": merged}, {"now": clock.now()}):
        await desk.queue(**given)
    for status in ("pending", "resolved", "closed"):
        await desk.queue(status=status)
    await desk.queue(status="snoozed", snoozed_until=clock.now() + HOUR)
    await desk.queue(team_id=None)
    handed = await desk.queue(team_id=people.team_id)
    assert await settles(services) == 0
    await changes(services, handed, team_id=desk.team_id)
    assert await settles(services) == 1


@ON_ONE_DATABASE
async def test_what_nobody_can_take_keeps_nobody_behind_it_waiting(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "BATCH", 2)
    desk = await Desk.open(services, people=2, skills="require")
    for agent_id in desk.people:
        await desk.says(agent_id, skills={"languages": ["en"], "categories": ["security", "how-to"]})
    foreign = [await desk.queue(language="zh-CN", priority=3) for _ in range(3)]
    foreign += [await desk.queue(category="complaint", priority=3) for _ in range(2)]
    mine = [await desk.queue(category="security"), await desk.queue(language=""), await desk.queue()]
    assert await settles(services) == 3
    assert all([await desk.has(one) for one in mine])
    await desk.says(desk.people[1], skills={"languages": ["zh-CN"], "categories": []})
    assert await settles(services) == 3
    assert [await desk.has(one) for one in foreign] == [desk.people[1]] * 3 + [None] * 2


async def test_what_is_taken_from_somebody_by_hand_goes_to_another_or_stays(services: Services) -> None:
    desk = await Desk.open(services, people=2)
    anna, bert = desk.people
    await desk.says(bert, duty="off")
    mail = await desk.queue()
    await settles(services)
    await changes(services, mail, assignee_id=None)
    behind = await desk.queue(now=clock.now() - HOUR / 2)
    assert await settles(services) == 1
    assert (await desk.has(mail), await desk.has(behind)) == (None, anna)
    await desk.says(bert, duty="on")
    assert await settles(services) == 1
    assert await desk.has(mail) == bert
    assert (await row(services, mail))["taken_from_id"] is None


async def test_what_waits_with_who_is_not_there_comes_back_and_is_routed_anew(services: Services) -> None:
    desk = await Desk.open(services, people=4, take_back_minutes=30)
    anna, bert, carl, dora = desk.people
    now = clock.now()
    for agent_id in desk.people:
        await desk.was_seen(agent_id, now - HOUR if agent_id == anna else now)
    await desk.says(bert, duty="off")
    mine: dict[str, Any] = {"assigned_at": now - HOUR}
    away, off_duty = await desk.queue(assignee_id=anna, **mine), await desk.queue(assignee_id=bert, **mine)
    left = await desk.queue(assignee_id=carl, waiting_since=None, assigned_at=now)
    async with services.database.transaction() as session:
        await agent_verbs.leave(session, await agent_verbs.get_agent(session, carl), by=SYSTEM, now=now)
    before_her = await desk.queue(assignee_id=anna, **mine)
    at: dict[str, Any] = {"state": "viewing", "since": now, "expires_at": now + HOUR}
    async with services.database.transaction() as session:
        await insert_rows(session, presence, [{"conversation_id": before_her, "agent_id": anna, **at}])
    kept = [
        before_her,
        await desk.queue(assignee_id=anna, waiting_since=None, **mine),
        await desk.queue(assignee_id=anna, status="pending", **mine),
        await desk.queue(assignee_id=anna, assigned_at=now - HOUR / 4),
        await desk.queue(assignee_id=dora, **mine),
    ]
    owners = [await desk.has(one) for one in kept]
    assert sum(await asyncio.gather(take_back(services), take_back(services))) == 3
    assert await take_back(services) == 0
    for one, reason in ((away, "away"), (off_duty, "off_duty"), (left, "left")):
        assert await told(services, one) == [(None, "system", reason)]
        assert (await row(services, one))["taken_from_id"] is None
    assert [await desk.has(one) for one in kept] == owners
    assert await settles(services) == 3
    assert {await desk.has(one) for one in (away, off_duty, left)} == {dora}
    await desk.was_seen(anna, now)
    late = await desk.queue()
    await settles(services)
    assert await desk.has(late) == anna


@ON_ONE_DATABASE
async def test_a_team_that_takes_nothing_back_takes_it_from_who_left_alone(services: Services) -> None:
    desk = await Desk.open(services, people=2)
    anna, bert = desk.people
    await desk.says(anna, duty="off")
    await desk.says(bert, active=False)
    kept, taken = await desk.queue(assignee_id=anna), await desk.queue(assignee_id=bert)
    assert await take_back(services) == 1
    assert (await desk.has(kept), await desk.has(taken)) == (anna, None)
    await desk.routes(method="manual")
    assert await take_back(services) == 0


@ON_ONE_DATABASE
async def test_whom_routing_would_give_it_to_again_is_not_taken_from_for_the_shifts_of_another_team(
    services: Services,
) -> None:
    desk, colleague = await Desk.open(services, people=1, take_back_minutes=30), await factories.agent(services)
    [anna] = desk.people
    await desk.was_seen(anna, clock.now())
    other = await factories.team(services, members=[anna, colleague.id])
    await factories.duty_schedule(services, agents=[colleague.id], team_id=other)
    given = await desk.queue()
    assert await settles(services) == 1
    kept = await desk.queue(assignee_id=anna, assigned_at=clock.now() - HOUR)
    assert await take_back(services) == 0
    assert [await desk.has(one) for one in (given, kept)] == [anna, anna]


MANY = text("""
    INSERT INTO conversations SELECT (jsonb_populate_record(c, jsonb_build_object(
        'id', gen_random_uuid(), 'number', n, 'status', CASE WHEN n % 20 = 0 THEN 'open' ELSE 'closed' END,
        'assignee_id', CASE WHEN n % 40 > 0 THEN CAST(:agent AS text) END
    ))).* FROM conversations c, generate_series(1000, 3000) n
""")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_queues_and_loads_are_read_along_their_indexes(services: Services) -> None:
    """Among thousands that are over."""
    desk = await Desk.open(services, people=2, take_back_minutes=30)
    await desk.says(desk.people[0], duty="off")
    await desk.queue()
    now = clock.now()
    async with services.database.reading() as session:
        await session.execute(MANY, {"agent": str(desk.people[0])})
        await session.execute(text("ANALYZE conversations"))
        board = await routing.board(services, session, await routing.routings(session), now=now)
        absences = await taking_back.absences(services, session, now=now)
        suiting = routing._suiting(False, board.teams[desk.team_id].members)
        live = routing.of_kind(["email"], live=True)
        asked = (
            (routing._head(desk.team_id, live, live=True, before=now, most=5), "unassigned"),
            (routing._head(desk.team_id, suiting, before=now, most=5), "unassigned"),
            (select(routing.queued().exists()), "unassigned"),
            (routing._loads(desk.people, ["email"]), "load"),
            (taking_back._taken(select(conversations.c.id), absences, now=now), "load|live"),
        )
        connection = await session.connection()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        for statement, index in asked:
            found = Prepared(statement, connection.dialect)
            rows = await driver.fetch(f"EXPLAIN {found.sql}", *found.arguments({}))
            plan = "\n".join(one[0] for one in rows)
            scans = [line for line in plan.splitlines() if " on conversations" in line or "ix_conversations" in line]
            assert scans, plan
            along = re.compile(rf"ix_conversations_({index})\b|Heap Scan")
            assert all(along.search(line) for line in scans), plan
