"""Alerts: whom they call and when, who ends them, and that none ends in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, update

from helpdesk.domain.actions import Alert
from helpdesk.domain.alerting import REPEATS
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.errors import Conflict, NotFound
from helpdesk.models.agents import agents, team_members
from helpdesk.models.alerts import alert_notices, alert_recipients, alerts
from helpdesk.models.conversations import conversation_watchers, conversations
from helpdesk.models.events import audit
from helpdesk.models.sla import escalation_rules, sla_clocks
from helpdesk.services import alerts as service
from helpdesk.services import duty, sla, sweep
from helpdesk.services.access import get_conversation
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services
from tests import factories
from tests.factories import Someone
from tests.promised import ANNA, DAY, HOUR, MONDAY, Wall

MINUTE = timedelta(minutes=1)
WAIT = 15 * MINUTE
ALWAYS_OPEN = [[["00:00", "24:00"]]] * 7


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    async with services.database.transaction() as session:
        await session.execute(update(escalation_rules).values(enabled=False))
    built = await Wall.build(services)
    yield built
    await built.close()


async def about(wall: Wall, **given: Any) -> RowMapping:
    """A conversation that something is to be said of."""
    return await wall.conversation(await factories.conversation(wall.services, inbox_id=wall.inbox_id, **given))


async def raised(
    wall: Wall,
    conversation: RowMapping | None,
    *who: str,
    people: Sequence[UUID] = (),
    severity: str = "critical",
    acknowledge: timedelta | None = WAIT,
    now: datetime = MONDAY,
) -> UUID:
    number = len(await wall.alerts())
    call = Alert(who=who, agent_ids=tuple(people), severity=severity, acknowledge=acknowledge)
    async with wall.services.database.transaction() as session:
        found = await service.call(
            wall.services, session, Subject(f"test:{number}", "escalation"), [call], conversation, data={}, now=now
        )
    assert found is not None
    return found


async def climbed(wall: Wall, now: datetime) -> int:
    async with wall.services.database.transaction() as session:
        return await service.climb(wall.services, session, now=now)


async def levels(wall: Wall, alert_id: UUID) -> dict[int, dict[UUID, str]]:
    found: dict[int, dict[UUID, str]] = {}
    for row in await wall.rows(alert_recipients, alert_recipients.c.alert_id == alert_id):
        found.setdefault(row["level"], {})[row["agent_id"]] = row["reason"]
    return found


async def alert(wall: Wall, alert_id: UUID) -> RowMapping:
    (found,) = await wall.rows(alerts, alerts.c.id == alert_id)
    return found


async def says(wall: Wall, someone: Someone, **values: Any) -> None:
    await wall.set(agents, someone.id, **values)


async def team_of(wall: Wall, lead: Someone, *members: Someone) -> UUID:
    team = await factories.team(wall.services, members=[one.id for one in (lead, *members)])
    async with wall.services.database.transaction() as session:
        await session.execute(update(team_members).where(team_members.c.agent_id == lead.id).values(role="lead"))
    return team


async def fallback(services: Services, *people: Someone) -> None:
    async with services.database.transaction() as session:
        content = {"agent_ids": [str(one.id) for one in people]}
        await duty.create(session, name="Fallback", is_fallback=True, content=content, by=SYSTEM, now=MONDAY)


def actor(someone: Someone, role: Role = Role.AGENT) -> Actor:
    return Actor(AuthorKind.AGENT, id=someone.id, name=someone.name, role=role)


async def acknowledged(wall: Wall, alert_id: UUID, by: Actor, *, now: datetime) -> None:
    async with wall.services.database.transaction() as session:
        row = await service.get_alert(session, by, alert_id, lock=True)
        await service.acknowledge(session, row, by=by, now=now)


async def test_without_an_acknowledgement_everybody_is_called_in_turn_from_the_assignee_up(
    wall: Wall, services: Services
) -> None:
    assignee, lead, member, last = [await factories.agent(services) for _ in range(4)]
    boss, admin, away = [await factories.agent(services, role=role) for role in ("supervisor", "admin", "admin")]
    await says(wall, away, duty="off")
    team = await team_of(wall, lead, member)
    await fallback(services, last)
    alert_id = await raised(wall, await about(wall, assignee_id=assignee.id, team_id=team), "assignee")
    for number in range(1, 7):
        assert await climbed(wall, MONDAY + number * WAIT - MINUTE) == 0, "not before the time is over"
        assert await climbed(wall, MONDAY + number * WAIT) == 1
    assert await levels(wall, alert_id) == {
        0: {assignee.id: "assignee"},
        1: {lead.id: "lead"},
        2: {member.id: "team"},
        3: {boss.id: "supervisors"},
        4: {admin.id: "admins"},
        5: {last.id: "fallback"},
        6: {away.id: "anybody"},
    }
    await wall.relays(MONDAY + DAY)
    told = await wall.told("alert.raised")
    assert [event["data"]["level"] for event in told] == list(range(7))
    assert told[3]["data"]["agent_ids"] == [str(boss.id)]
    assert len(await wall.rows(alert_notices)) == 7


@pytest.mark.parametrize("who", [("assignee",), ("lead",), ("team",), ("watchers",), ("assignee", "watchers")])
async def test_who_is_not_there_is_no_reason_for_silence(wall: Wall, services: Services, who: tuple[str, ...]) -> None:
    off, boss = await factories.agent(services), await factories.agent(services, role="supervisor")
    await says(wall, off, duty="off")
    team = await team_of(wall, off)
    alert_id = await raised(wall, await about(wall, assignee_id=off.id, team_id=team), *who)
    assert await wall.called(alert_id) == {boss.id: "supervisors"}


async def test_those_who_are_named_watch_or_belong_to_the_team_are_called_once_each(
    wall: Wall, services: Services
) -> None:
    anna, bert, carl, dora = [await factories.agent(services) for _ in range(4)]
    conversation = await about(wall, assignee_id=anna.id, team_id=await team_of(wall, anna, bert))
    async with services.database.transaction() as session:
        row = {"conversation_id": conversation["id"], "agent_id": carl.id, "added_by": None, "created_at": MONDAY}
        await session.execute(conversation_watchers.insert().values(row))
    alert_id = await raised(wall, conversation, "assignee", "team", "watchers", people=[dora.id, anna.id])
    assert await wall.called(alert_id) == {
        anna.id: "named",
        bert.id: "team",
        carl.id: "watchers",
        dora.id: "named",
    }


async def test_rosters_say_who_of_the_team_is_called_at_night(wall: Wall, services: Services) -> None:
    day, night = await factories.agent(services), await factories.agent(services)
    team = await factories.team(services, members=[day.id, night.id])
    for someone, hours in ((day, [["08:00", "20:00"]]), (night, [["00:00", "08:00"], ["20:00", "24:00"]])):
        await factories.duty_schedule(services, agents=[someone.id], team_id=team, zone="Asia/Shanghai", hours=hours)
    conversation = await about(wall, team_id=team)
    assert await wall.called(await raised(wall, conversation, "team")) == {day.id: "team"}
    assert await wall.called(await raised(wall, conversation, "team", now=MONDAY + 12 * HOUR)) == {night.id: "team"}


async def test_when_nobody_is_on_duty_the_list_is_called_and_without_one_any_administrator(
    wall: Wall, services: Services
) -> None:
    people = [await factories.agent(services, role=role) for role in ("agent", "supervisor", "admin")]
    for one in people:
        await says(wall, one, duty="off")
    conversation = await about(wall, assignee_id=people[0].id)
    assert await wall.called(await raised(wall, conversation, "assignee")) == {people[2].id: "anybody"}
    await fallback(services, people[1])
    assert await wall.called(await raised(wall, conversation, "assignee")) == {people[1].id: "fallback"}
    await says(wall, people[1], active=False)
    assert await wall.called(await raised(wall, conversation, "assignee")) == {people[2].id: "anybody"}
    assert await wall.called(await raised(wall, None, "team")) == {people[2].id: "anybody"}


async def test_the_last_level_is_called_again_for_a_while_and_the_alert_stays_open(
    wall: Wall, services: Services
) -> None:
    admin = await factories.agent(services, role="admin")
    alert_id = await raised(wall, await about(wall), "admins")
    times = 0
    for number in range(1, REPEATS + 5):
        times += await climbed(wall, MONDAY + number * WAIT)
    row = await alert(wall, alert_id)
    assert (times, row["next_due_at"], row["status"], row["level"]) == (REPEATS, None, "open", 0)
    assert await levels(wall, alert_id) == {0: {admin.id: "admins"}}
    assert len(await wall.rows(alert_notices)) == REPEATS + 1


async def test_whoever_comes_on_duty_meanwhile_is_called_before_the_last_one_again(
    wall: Wall, services: Services
) -> None:
    admin, boss = await factories.agent(services, role="admin"), await factories.agent(services, role="supervisor")
    await says(wall, boss, duty="off")
    alert_id = await raised(wall, await about(wall), "assignee")
    assert await climbed(wall, MONDAY + WAIT) == 1
    await says(wall, boss, duty="auto")
    assert await climbed(wall, MONDAY + 2 * WAIT) == 1
    assert await levels(wall, alert_id) == {0: {admin.id: "admins"}, 1: {boss.id: "supervisors"}}


async def test_when_the_last_one_called_has_left_somebody_else_is_called(wall: Wall, services: Services) -> None:
    gone = await factories.agent(services, role="admin")
    alert_id = await raised(wall, await about(wall), "admins")
    await says(wall, gone, active=False)
    other = await factories.agent(services, role="admin")
    assert await climbed(wall, MONDAY + WAIT) == 1
    assert other.id in await wall.called(alert_id)
    queued = await wall.rows(alert_notices, alert_notices.c.created_at == MONDAY + WAIT)
    assert [one["agent_id"] for one in queued] == [other.id]


async def test_an_alert_that_asks_nobody_to_acknowledge_calls_once(wall: Wall, services: Services) -> None:
    await factories.agent(services, role="admin")
    alert_id = await raised(wall, await about(wall), "admins", acknowledge=None)
    assert (await alert(wall, alert_id))["next_due_at"] is None
    assert await climbed(wall, MONDAY + 30 * DAY) == 0


async def test_an_acknowledgement_ends_the_calling_and_is_remembered_once(wall: Wall, services: Services) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    alert_id = await raised(wall, await about(wall), people=[anna.id, bert.id])
    await acknowledged(wall, alert_id, actor(anna), now=MONDAY + MINUTE)
    await acknowledged(wall, alert_id, actor(bert), now=MONDAY + 2 * MINUTE)
    row = await alert(wall, alert_id)
    assert (row["status"], row["acknowledged_by"], row["acknowledged_at"]) == (
        "acknowledged",
        anna.id,
        MONDAY + MINUTE,
    )
    assert await climbed(wall, MONDAY + DAY) == 0
    assert {one["status"] for one in await wall.rows(alert_notices)} == {"dropped"}
    await wall.relays(MONDAY + DAY)
    (event,) = await wall.told("alert.acknowledged")
    assert event["data"] == {"alert_id": str(alert_id), "agent_id": str(anna.id)}
    (entry,) = await wall.rows(audit, audit.c.action == "alert.acknowledged")
    assert (entry["subject_id"], entry["actor_id"]) == (alert_id, anna.id)


async def test_what_is_over_cannot_be_acknowledged(wall: Wall, services: Services) -> None:
    anna = await factories.agent(services)
    conversation = await about(wall)
    alert_id = await raised(wall, conversation, people=[anna.id])
    await wall.changes(conversation["id"], at=MONDAY + MINUTE, status="resolved")
    await wall.relays(MONDAY + MINUTE)
    assert (await alert(wall, alert_id))["resolved_at"] == MONDAY + MINUTE
    (event,) = await wall.told("alert.resolved")
    assert (event["conversation_id"], event["data"]) == (conversation["id"], {"alert_id": str(alert_id)})
    with pytest.raises(Conflict) as refused:
        await acknowledged(wall, alert_id, actor(anna), now=MONDAY + 2 * MINUTE)
    assert refused.value.problem == "alert_resolved"


async def test_what_is_over_before_anybody_was_told_so_calls_nobody_more(wall: Wall, services: Services) -> None:
    await factories.agent(services, role="admin")
    conversation = await about(wall)
    alert_id = await raised(wall, conversation, "assignee")
    await wall.set(conversations, conversation["id"], status="resolved")
    assert await climbed(wall, MONDAY + WAIT) == 1
    row = await alert(wall, alert_id)
    assert (row["status"], row["next_due_at"]) == ("resolved", None)
    assert len(await wall.told("alert.resolved")) == 1
    assert {one["status"] for one in await wall.rows(alert_notices)} == {"dropped"}


async def test_agents_are_shown_the_alerts_that_called_them_and_supervisors_all(wall: Wall, services: Services) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    boss = await factories.agent(services, role="supervisor")
    conversation = await about(wall)
    first, second = [await raised(wall, conversation, people=[one.id]) for one in (anna, bert)]

    async def shown(by: Actor, **how: Any) -> list[UUID]:
        async with services.database.reading() as session:
            return [row["id"] for row in await service.list_alerts(session, by, limit=10, **how)]

    assert await shown(actor(anna)) == [first]
    assert await shown(actor(bert)) == [second]
    assert await shown(actor(boss, Role.SUPERVISOR)) == [second, first]
    assert await shown(actor(boss, Role.SUPERVISOR), after=second) == [first]
    assert await shown(actor(anna), status=["resolved"]) == []
    assert await shown(actor(anna), severity=["critical"], conversation_id=conversation["id"]) == [first]
    async with services.database.reading() as session:
        with pytest.raises(NotFound):
            await service.get_alert(session, actor(anna), second)


@pytest.mark.parametrize(("severity", "waits"), [("info", True), ("warning", True), ("critical", False)])
async def test_quiet_hours_hold_letters_back_unless_it_is_critical(
    wall: Wall, services: Services, severity: str, waits: bool
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    await says(wall, anna, quiet_hours={"zone": "Asia/Shanghai", "from": "22:00", "to": "07:00"})
    night = datetime(2026, 11, 2, 15, 30, tzinfo=UTC)  # half past eleven at night in Shanghai
    await raised(wall, await about(wall), people=[anna.id, bert.id], severity=severity, now=night)
    due = {one["agent_id"]: one["next_attempt_at"] for one in await wall.rows(alert_notices)}
    assert due == {anna.id: datetime(2026, 11, 2, 23, 0, tzinfo=UTC) if waits else night, bert.id: night}


async def test_one_thing_raises_one_alert_however_many_notice_it_at_once(wall: Wall, services: Services) -> None:
    await factories.agent(services, role="admin")
    conversation = await about(wall)
    call = Alert(who=("admins",), agent_ids=(), severity="critical", acknowledge=WAIT)

    async def notice() -> UUID | None:
        async with services.database.transaction() as session:
            return await service.call(
                services, session, Subject("the same", "escalation"), [call], conversation, data={}, now=MONDAY
            )

    found = await asyncio.gather(*(notice() for _ in range(5)))
    assert len([one for one in found if one is not None]) == 1
    assert (
        len(await wall.alerts()) == len(await wall.rows(alert_recipients)) == len(await wall.rows(alert_notices)) == 1
    )


async def test_two_workers_call_the_next_level_of_each_alert_once(wall: Wall, services: Services) -> None:
    for role in ("admin", "supervisor"):
        await factories.agent(services, role=role)
    conversation = await about(wall)
    for _ in range(6):
        await raised(wall, conversation, "supervisors")
    await asyncio.gather(*(climbed(wall, MONDAY + WAIT) for _ in range(4)))
    await climbed(wall, MONDAY + WAIT)
    assert [one["level"] for one in await wall.alerts()] == 6 * [1]
    assert len(await wall.rows(alert_notices)) == 12


# -- trouble with calendars ------------------------------------------------------------------------------------------


async def closed(services: Services) -> UUID:
    """A calendar of one minute a week, by which nothing long ever comes to its end."""
    return await factories.hours(services, weekly=[[["09:00", "09:01"]], *([[]] * 6)])


async def swept(wall: Wall, now: datetime) -> int:
    async with wall.services.database.transaction() as session:
        return await sweep.settle(wall.services, session, now=now)


async def test_a_clock_that_cannot_be_scheduled_is_marked_and_an_administrator_is_told(
    wall: Wall, services: Services
) -> None:
    admin = await factories.agent(services, role="admin")
    hours = await closed(services)
    targets = {"first_response": 7_000_000}
    await factories.policy(services, position=1, clock="business", business_hours_id=str(hours), targets=targets)
    mail = await wall.waits(at=MONDAY)
    await wall.passes(MONDAY + MINUTE)
    await wall.passes(MONDAY + DAY)
    clock = await wall.clock(mail, "first_response")
    assert (clock["trouble"], clock["state"], clock["due_at"], clock["next_due_at"]) == (
        "unschedulable",
        "running",
        None,
        None,
    )
    (found,) = await wall.alerts()
    assert (found["kind"], found["severity"], found["conversation_id"]) == ("unschedulable", "critical", mail)
    assert found["data"]["calendar_id"] == str(hours)
    assert await wall.called(found["id"]) == {admin.id: "admins"}
    await wall.answers(mail, at=MONDAY + 2 * DAY)
    await wall.passes(MONDAY + 2 * DAY)
    assert (await wall.clock(mail, "first_response"))["state"] == "met"
    assert [one["status"] for one in await wall.alerts()] == ["resolved"]


async def test_the_sweep_waits_for_nobody_who_has_a_conversation_in_hand(wall: Wall, services: Services) -> None:
    """He may be about to wait for the very clocks that the sweep holds."""
    if not services.database.is_postgresql:
        pytest.skip("SQLite has one writer")
    await factories.agent(services, role="admin")
    policy = {"clock": "business", "business_hours_id": str(await closed(services))}
    await factories.policy(services, position=1, targets={"first_response": 7_000_000}, **policy)
    mail, other = await wall.waits(at=MONDAY), await wall.waits(at=MONDAY)
    async with services.database.transaction() as verb:
        await get_conversation(verb, ANNA, mail, lock=True)
        async with asyncio.timeout(5), services.database.transaction() as session:
            assert await sweep.settle(services, session, now=MONDAY + MINUTE) == 2
            taken = asyncio.create_task(sla.clocks_of(services, verb, [mail]))
            await asyncio.sleep(0.2)
            assert not taken.done(), "he waits for the clocks, and the sweep not for him"
        await taken
    assert sorted(one["conversation_id"] for one in await wall.alerts()) == sorted([mail, other])


async def test_a_year_whose_holidays_nobody_has_reviewed_is_told_of_once_for_each_calendar(
    wall: Wall, services: Services
) -> None:
    await factories.agent(services, role="admin")
    # Due on New Year's Eve in London, and a day later in Shanghai, where the calendar is.
    late = datetime(2026, 12, 31, 10, 0, tzinfo=UTC)
    target = {"first_response": 7 * 3600}
    found = []
    for position in (2, 1):
        hours = await factories.hours(services, zone="Asia/Shanghai", weekly=ALWAYS_OPEN, holiday_years=[2026])
        found.append(str(hours))
        policy = {"clock": "business", "business_hours_id": str(hours), "targets": target}
        await factories.policy(services, position=position, **policy)
        for _ in range(2):
            await wall.waits(at=late)
    await asyncio.gather(*(swept(wall, late + MINUTE) for _ in range(3)))
    await wall.waits(at=late + HOUR)
    await wall.passes(late + 2 * HOUR)
    told = await wall.alerts()
    assert sorted(one["data"]["calendar_id"] for one in told) == sorted(found)
    assert {(one["kind"], one["severity"], one["data"]["year"]) for one in told} == {
        ("unknown_holidays", "warning", 2027)
    }
    assert {one["conversation_id"] for one in told} == {None}
    clocks = await wall.rows(sla_clocks)
    assert {(one["trouble"], one["state"], one["due_at"] is None) for one in clocks} == {
        ("unknown_holidays", "running", False)
    }


async def test_a_clock_that_is_halted_before_it_was_told_of_is_told_of_with_its_year(
    wall: Wall, services: Services
) -> None:
    await factories.agent(services, role="admin")
    hours = await factories.hours(services, weekly=ALWAYS_OPEN, holiday_years=[2025])
    policy = {"clock": "business", "business_hours_id": str(hours), "pauses": ["first_response"]}
    await factories.policy(services, position=1, **policy)
    mail = await wall.waits(at=MONDAY)
    await wall.changes(mail, at=MONDAY + MINUTE, status="pending")
    await wall.passes(MONDAY + HOUR)
    (found,) = await wall.alerts()
    assert found["data"]["year"] == 2026
    assert await wall.clocks(mail) == {("first_response", 1): "paused"}
