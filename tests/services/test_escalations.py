"""Ladders: begun by what happens, climbed in order and once, stopped with what they are for, and taken up again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import RowMapping, delete, select, update

from helpdesk.domain.values import Priority
from helpdesk.models.agents import agents, teams
from helpdesk.models.alerts import alert_notices
from helpdesk.models.conversations import conversation_watchers
from helpdesk.models.events import events
from helpdesk.models.messages import messages
from helpdesk.models.sla import business_hours, escalation_rules, escalations, sla_clocks
from helpdesk.models.webhooks import webhook_deliveries, webhooks
from helpdesk.services import climbing, merging, sweep
from helpdesk.services import escalation_rules as rules
from helpdesk.services.access import get_conversation
from helpdesk.services.escalations import begin_ladders
from helpdesk.services.house import Services
from tests import factories
from tests.house import House
from tests.house import mail as written
from tests.promised import ANNA, DAY, HOUR, MONDAY, Wall

SECOND = timedelta(seconds=1)
BREACH = MONDAY + DAY
NOTE = {"do": "note", "text": "Nobody has answered."}
AUTO = ("Auto-Submitted", "auto-replied")
ALERT = {"do": "alert", "who": ["admins"], "severity": "critical", "acknowledge_seconds": 900}


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    """An inbox and an administrator, and none of the ladders that a new house begins with."""
    await factories.agent(services, role="admin")
    async with services.database.transaction() as session:
        await session.execute(update(escalation_rules).values(enabled=False))
    built = await Wall.build(services)
    yield built
    await built.close()


def step(after: timedelta, *actions: dict[str, Any], time: str = "calendar") -> dict[str, Any]:
    return {"after": int(after.total_seconds()), "time": time, "actions": list(actions) or [NOTE]}


async def ladder(wall: Wall, conversation_id: UUID) -> RowMapping:
    (found,) = await wall.ladders(conversation_id)
    return found


async def taken(wall: Wall) -> list[tuple[int, int]]:
    """The steps that were told of, and how late each was."""
    found = await wall.told("escalation.advanced")
    return [(event["data"]["step"], event["data"]["late_seconds"]) for event in found]


async def climb(wall: Wall, now: datetime) -> bool:
    async with wall.services.database.transaction() as session:
        return await climbing.climb(wall.services, session, now=now)


async def noticed(wall: Wall, now: datetime) -> None:
    """What is broken is told, and ladders have begun; none is climbed."""
    async with wall.services.database.transaction() as session:
        await sweep.settle(wall.services, session, now=now)
    await wall.relays(now)


async def notes(wall: Wall) -> list[RowMapping]:
    return await wall.rows(messages, messages.c.private)


async def test_a_step_does_all_that_it_says(wall: Wall, services: Services) -> None:
    anna, bert, carl = [await factories.agent(services, role="supervisor") for _ in range(3)]
    team, webhook = await factories.team(services), await factories.webhook(services, asks_for=["sla.met"])
    await factories.rule(
        services,
        {"do": "assign", "agent_id": str(anna.id)},
        {"do": "team", "team_id": str(team)},
        {"do": "watch", "agent_ids": [str(bert.id), str(carl.id)]},
        {"do": "priority", "to": "urgent"},
        {"do": "webhook", "webhook_id": str(webhook)},
        NOTE,
        {**ALERT, "who": ["assignee"]},
    )
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    row = await wall.conversation(mail)
    assert (row["assignee_id"], row["team_id"], row["priority"]) == (anna.id, team, int(Priority.URGENT))
    watching = await wall.rows(conversation_watchers, conversation_watchers.c.conversation_id == mail)
    assert {one["agent_id"] for one in watching} == {bert.id, carl.id}
    (note,) = await notes(wall)
    assert (note["text"], note["author_kind"], note["delivery_status"]) == (NOTE["text"], "system", None)
    (post,) = await wall.rows(webhook_deliveries)
    body = orjson.loads(post["body"])
    assert (post["webhook_id"], body["type"]) == (webhook, "escalation.advanced")
    assert (body["data"]["conversation_id"], body["data"]["step"]) == (str(mail), 1)
    (alert,) = await wall.alerts()
    assert (alert["kind"], alert["severity"], alert["clock_kind"]) == ("sla_breach", "critical", "first_response")
    assert await wall.called(alert["id"]) == {anna.id: "assignee"}, "whom the step has just assigned it to"
    assert await taken(wall) == [(1, 1)]
    found = await ladder(wall, mail)
    assert (found["state"], found["next_due_at"], found["steps"][0]["skipped"]) == ("finished", None, [])
    seqs = Counter(event["seq"] for event in await wall.told() if event["seq"] and event["conversation_id"] == mail)
    assert set(seqs.values()) == {1}, "each change has its own place in the conversation"
    assert row["seq"] == max(seqs)


async def test_a_priority_is_raised_and_never_lowered(wall: Wall, services: Services) -> None:
    await factories.rule(services, {"do": "priority", "to": "high"})
    mail = await wall.waits(at=MONDAY, priority=int(Priority.URGENT))
    await wall.passes(BREACH + SECOND)
    assert (await wall.conversation(mail))["priority"] == int(Priority.URGENT)
    assert await taken(wall) == [(1, 1)]


async def test_steps_are_taken_in_order_each_at_its_time_and_once(wall: Wall, services: Services) -> None:
    await factories.rule(services, steps=[step(timedelta()), step(HOUR), step(2 * HOUR)])
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    assert (await ladder(wall, mail))["next_due_at"] == BREACH + HOUR
    for now in (BREACH + HOUR - SECOND, BREACH + HOUR, BREACH + HOUR + SECOND, BREACH + 2 * HOUR, BREACH + DAY):
        await wall.passes(now)
    assert await taken(wall) == [(1, 1), (2, 0), (3, 0)]
    assert len(await notes(wall)) == 3
    assert [one["step"] for one in (await ladder(wall, mail))["steps"]] == [1, 2, 3]


async def test_six_hours_of_downtime_are_climbed_in_order_with_one_alert_and_true_times(
    wall: Wall, services: Services
) -> None:
    await factories.rule(services, steps=[step(hours * HOUR, NOTE, ALERT) for hours in (0, 1, 2, 5)])
    await factories.rule(services, ALERT)
    mails = [await wall.waits(at=MONDAY) for _ in range(2)]
    late = BREACH + 6 * HOUR
    await wall.passes(late)
    assert sorted(await taken(wall)) == sorted(2 * [(1, 6 * 3600), (1, 6 * 3600), (2, 5 * 3600), (3, 14400), (4, 3600)])
    for mail in mails:
        told = [event["data"] for event in await wall.told("escalation.advanced") if event["conversation_id"] == mail]
        (long,) = [one for one in await wall.ladders(mail) if len(one["steps"]) == 4]
        assert [one["step"] for one in told if one["rule_id"] == str(long["rule_id"])] == [1, 2, 3, 4]
        times = [datetime.fromisoformat(one["due_at"]) for one in long["steps"]]
        assert times == [BREACH + hours * HOUR for hours in (0, 1, 2, 5)]
        assert {datetime.fromisoformat(one["done_at"]) for one in long["steps"]} == {late}
    raised = await wall.alerts()
    assert sorted(one["conversation_id"] for one in raised) == sorted(mails), "one for each conversation"
    for alert in raised:
        assert alert["data"]["late_seconds"] == 6 * 3600
        assert len(alert["data"]["steps"]) == 5
        assert datetime.fromisoformat(alert["data"]["breached_at"]) == BREACH
    assert await wall.told("sla.warning") == []
    assert len(await wall.rows(alert_notices)) == 2


async def test_two_workers_that_climb_at_once_take_each_step_once_and_call_once(wall: Wall, services: Services) -> None:
    for _ in range(2):
        await factories.rule(services, NOTE, ALERT)
    mails = [await wall.waits(at=MONDAY) for _ in range(4)]
    late = BREACH + SECOND
    await noticed(wall, late)

    async def worker() -> None:
        while await climb(wall, late):
            pass

    await asyncio.gather(*(worker() for _ in range(4)))
    await worker()
    await wall.relays(late)
    assert await taken(wall) == 8 * [(1, 1)]
    assert len(await notes(wall)) == 8
    assert sorted(one["conversation_id"] for one in await wall.alerts()) == sorted(mails)


async def test_a_conversation_that_somebody_has_in_hand_is_not_waited_for(wall: Wall, services: Services) -> None:
    if not services.database.is_postgresql:
        pytest.skip("SQLite has one writer")
    await factories.rule(services)
    mail, other = await wall.waits(at=MONDAY), await wall.waits(at=MONDAY + SECOND)
    late = BREACH + HOUR
    await noticed(wall, late)
    async with services.database.transaction() as session:
        await get_conversation(session, ANNA, mail, lock=True)
        async with asyncio.timeout(5):
            assert await climb(wall, late), "the other one is"
            assert not await climb(wall, late)
    assert (await ladder(wall, mail))["next_step"] == 0
    assert (await ladder(wall, other))["state"] == "finished"
    assert await climb(wall, late)


async def test_a_ladder_ends_with_its_clock_and_the_alert_with_it(wall: Wall, services: Services) -> None:
    await factories.rule(services, steps=[step(timedelta(), ALERT), step(HOUR)])
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    await wall.answers(mail, at=BREACH + HOUR / 2)
    await wall.passes(BREACH + 2 * HOUR)
    assert await taken(wall) == [(1, 1)]
    assert (await ladder(wall, mail))["state"] == "stopped"
    (alert,) = await wall.alerts()
    assert (alert["status"], alert["next_due_at"]) == ("resolved", None)


async def test_an_answer_that_comes_back_sets_the_ladder_and_the_alert_going_again(
    wall: Wall, services: Services
) -> None:
    await factories.rule(services, steps=[step(timedelta(), ALERT), step(HOUR)])
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    answer = await wall.answers(mail, at=BREACH + HOUR / 2)
    await wall.passes(BREACH + 2 * HOUR)
    await wall.bounces(answer, at=BREACH + 3 * HOUR)
    await wall.passes(BREACH + 3 * HOUR)
    assert await taken(wall) == [(1, 1), (2, 2 * 3600)]
    (alert,) = await wall.alerts()
    assert (alert["status"], alert["resolved_at"]) == ("open", None)
    assert alert["next_due_at"] == BREACH + 3 * HOUR + timedelta(minutes=15), "somebody was called just now"
    queued = await wall.rows(alert_notices, alert_notices.c.status == "queued")
    assert [one["created_at"] for one in queued] == [BREACH + 3 * HOUR]


async def test_a_ladder_stops_while_the_conversation_is_resolved_and_goes_on_when_it_is_not(
    wall: Wall, services: Services
) -> None:
    await factories.rule(services, steps=[step(timedelta(), ALERT), step(HOUR)])
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    await wall.changes(mail, at=BREACH + HOUR / 2, status="resolved")
    await wall.passes(BREACH + 2 * HOUR)
    assert await taken(wall) == [(1, 1)]
    assert [(one["status"], one["next_due_at"]) for one in await wall.alerts()] == [("resolved", None)]
    await wall.changes(mail, at=BREACH + 3 * HOUR, status="open")
    await wall.passes(BREACH + 3 * HOUR)
    assert await taken(wall) == [(1, 1), (2, 2 * 3600)]
    assert [one["status"] for one in await wall.alerts()] == ["open"]


async def test_a_ladder_stops_when_the_conversation_is_merged_away_and_goes_on_when_it_comes_back(
    wall: Wall, services: Services
) -> None:
    await factories.rule(services, steps=[step(timedelta(), ALERT), step(HOUR)])
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    handle = (await wall.conversation(mail))["contact_handle"]
    into = await wall.waits(at=BREACH, handle=handle)
    async with services.database.transaction() as session:
        version = (await get_conversation(session, ANNA, mail))["version"]
        merged = await merging.merge(
            services, session, mail, into=into, version=version, by=ANNA, now=BREACH + 2 * SECOND
        )
    await wall.passes(BREACH + 2 * HOUR)
    assert await wall.clocks(mail) == {("first_response", 1): "cancelled"}
    assert (await ladder(wall, mail))["state"] == "stopped"
    assert [one["status"] for one in await wall.alerts() if one["conversation_id"] == mail] == ["resolved"]
    async with services.database.transaction() as session:
        back = BREACH + 3 * HOUR
        await merging.unmerge(services, session, mail, version=merged["version"], by=ANNA, now=back)
    await wall.passes(BREACH + 3 * HOUR)
    found = await ladder(wall, mail)
    assert (found["state"], found["next_step"]) == ("finished", 2)
    assert (2, 2 * 3600) in await taken(wall)


async def test_a_paused_clock_halts_its_ladder_until_it_goes_on_and_a_broken_one_does_not(
    wall: Wall, services: Services
) -> None:
    await factories.policy(services, position=1, pauses=["first_response"], warnings=[{"fraction": 0.5}])
    await factories.rule(services, anchor="warning", steps=[step(HOUR)])
    await factories.rule(services, anchor="breach", steps=[step(HOUR)])
    mail = await wall.waits(at=MONDAY)
    warned = MONDAY + DAY / 2
    await wall.passes(warned + SECOND)
    await wall.changes(mail, at=warned + 2 * SECOND, status="pending")
    await wall.passes(warned + 2 * HOUR)
    assert await wall.clocks(mail) == {("first_response", 1): "paused"}
    assert await taken(wall) == []
    await wall.changes(mail, at=warned + 3 * HOUR, status="open")
    await wall.passes(warned + 3 * HOUR)
    assert await taken(wall) == [(1, 2 * 3600)]
    due = BREACH + 3 * HOUR - 2 * SECOND
    await wall.passes(due + SECOND)
    await wall.changes(mail, at=due + 2 * SECOND, status="pending")
    await wall.passes(due + HOUR)
    assert await taken(wall) == [(1, 2 * 3600), (1, 0)], "asking the contact something is no way out"


async def test_business_time_is_counted_by_the_calendar_of_the_desk(wall: Wall, services: Services) -> None:
    await factories.rule(services, steps=[step(HOUR), step(2 * HOUR, time="business")])
    thursday = datetime(2026, 11, 5, 11, 0, tzinfo=UTC)  # 19:00 in Shanghai, an hour before the desk closes
    mail = await wall.waits(at=thursday)
    await wall.passes(thursday + DAY + SECOND)
    await wall.passes(thursday + DAY + HOUR)
    monday = datetime(2026, 11, 9, 1, 0, tzinfo=UTC)  # nine o'clock there
    assert (await ladder(wall, mail))["next_due_at"] == monday
    await wall.passes(monday - SECOND)
    await wall.passes(monday)
    assert await taken(wall) == [(1, 0), (2, 0)]


@pytest.mark.parametrize("alongside", [False, True])
async def test_a_ladder_from_the_creation_begins_the_same_wherever_mail_is_relayed(
    wall: Wall, services: Services, alongside: bool
) -> None:
    rule = await factories.rule(services, anchor="creation", steps=[step(HOUR), step(2 * HOUR)])
    await factories.rule(services, anchor="creation", channels=["chat"])
    async with House(services, alongside=alongside) as house:
        place = await house.inbox()
        await house.relay()
        await house.receive(place, written("mina@customer.test"), written("noreply@customer.test", headers=[AUTO]))
        (first, _) = await house.conversations()
    (found,) = await wall.rows(escalations)
    (desk,) = await wall.rows(business_hours)
    (created,) = [
        one["occurred_at"] for one in await wall.told("message.received") if one["conversation_id"] == first["id"]
    ]
    assert dict(found) == {
        "conversation_id": first["id"],
        "kind": "conversation",
        "cycle": 1,
        "rule_id": rule,
        "rule_version": 1,
        "business_hours_id": desk["id"],
        "business_hours_version": 1,
        "anchor_at": created,
        "state": "running",
        "next_step": 0,
        "steps": [],
        "next_due_at": created + HOUR,
        "created_at": created,
    }


async def test_a_complaint_begins_a_ladder_each_time_it_is_raised_and_ends_it_when_it_is_none(
    wall: Wall, services: Services
) -> None:
    await factories.rule(services, anchor="complaint", steps=[step(timedelta()), step(HOUR)])
    mail = await wall.waits(at=MONDAY)
    await wall.changes(mail, at=MONDAY + SECOND, category="feedback")
    await wall.changes(mail, at=MONDAY + HOUR, category="complaint")
    await wall.changes(mail, at=MONDAY + HOUR, priority=int(Priority.HIGH))
    await wall.passes(MONDAY + HOUR)
    assert await taken(wall) == [(1, 0)]
    await wall.changes(mail, at=MONDAY + HOUR + SECOND, category=None)
    await wall.passes(MONDAY + 3 * HOUR)
    assert await taken(wall) == [(1, 0)]
    await wall.changes(mail, at=MONDAY + 4 * HOUR, category="complaint")
    await wall.passes(MONDAY + 5 * HOUR)
    assert await taken(wall) == [(1, 0), (1, 3600), (2, 0)]
    assert sorted(one["state"] for one in await wall.ladders(mail)) == ["finished", "stopped"]


async def test_a_rule_that_is_changed_changes_no_ladder_that_is_being_climbed(wall: Wall, services: Services) -> None:
    rule_id = await factories.rule(services, steps=[step(timedelta()), step(HOUR)])
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    async with services.database.transaction() as session:
        rule = await rules.get_rule(session, rule_id, version=1)
        content = {**rule["content"], "steps": [step(9 * HOUR, {"do": "note", "text": "Changed."})]}
        await rules.edit(session, rule, content=content, by=ANNA, now=BREACH + SECOND)
    later = await wall.waits(at=MONDAY + 2 * HOUR)
    await wall.passes(BREACH + 3 * HOUR)
    assert [one["text"] for one in await notes(wall)] == 2 * [NOTE["text"]]
    assert (await ladder(wall, mail))["state"] == "finished"
    assert (await ladder(wall, later))["rule_version"] == 2


async def test_what_the_house_refuses_is_noted_and_does_not_hold_up_the_alert(wall: Wall, services: Services) -> None:
    gone, stays = await factories.agent(services, role="supervisor"), await factories.agent(services, role="supervisor")
    team, webhook = await factories.team(services), await factories.webhook(services)
    await factories.rule(
        services,
        {"do": "assign", "agent_id": str(gone.id)},
        {"do": "team", "team_id": str(team)},
        {"do": "watch", "agent_ids": [str(gone.id), str(stays.id)]},
        {"do": "webhook", "webhook_id": str(webhook)},
        ALERT,
        {"do": "priority", "to": "high"},
    )
    mail = await wall.waits(at=MONDAY)
    async with services.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == gone.id).values(active=False))
        await session.execute(delete(teams).where(teams.c.id == team))
        await session.execute(delete(webhooks).where(webhooks.c.id == webhook))
    await wall.passes(BREACH + SECOND)
    assert (await ladder(wall, mail))["steps"][0]["skipped"] == ["assign", "team", "watch", "webhook"]
    assert len(await wall.alerts()) == 1
    assert (await wall.conversation(mail))["priority"] == int(Priority.HIGH)
    watching = await wall.rows(conversation_watchers, conversation_watchers.c.conversation_id == mail)
    assert [one["agent_id"] for one in watching] == [stays.id]


async def test_a_ladder_at_fault_waits_alone_and_is_climbed_later_with_its_true_times(
    wall: Wall, services: Services
) -> None:
    await factories.rule(services)
    mail, other = await wall.waits(at=MONDAY), await wall.waits(at=MONDAY + SECOND)
    late = BREACH + HOUR
    await noticed(wall, late)
    e = escalations.c
    async with services.database.transaction() as session:
        await session.execute(update(escalations).where(e.conversation_id == mail).values(rule_version=99))
    await wall.passes(late)
    assert (await ladder(wall, other))["state"] == "finished"
    assert (await ladder(wall, mail))["next_due_at"] == late + climbing.AGAIN
    async with services.database.transaction() as session:
        await session.execute(update(escalations).where(e.conversation_id == mail).values(rule_version=1))
    await wall.passes(late + climbing.AGAIN)
    assert await taken(wall) == [(1, 3599), (1, 3600 + 300)]


async def test_a_breach_that_no_rule_is_for_calls_somebody_all_the_same(wall: Wall, services: Services) -> None:
    boss = await factories.agent(services, role="supervisor")
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    (alert,) = await wall.alerts()
    assert (alert["kind"], alert["severity"], alert["conversation_id"]) == ("sla_breach", "critical", mail)
    assert await wall.called(alert["id"]) == {boss.id: "supervisors"}
    assert await wall.ladders(mail) == []


async def test_a_breach_that_was_noticed_when_it_was_resolved_calls_nobody_until_it_is_opened_again(
    wall: Wall, services: Services
) -> None:
    mail = await wall.waits(at=MONDAY)
    await wall.changes(mail, at=BREACH + HOUR, status="resolved")
    await wall.passes(BREACH + HOUR)
    assert len(await wall.told("sla.breached")) == 1
    assert await wall.alerts() == []
    await wall.changes(mail, at=BREACH + 2 * HOUR, status="open")
    await wall.passes(BREACH + 2 * HOUR)
    (alert,) = await wall.alerts()
    assert (alert["kind"], alert["data"]["kind"]) == ("sla_breach", "first_response")
    await wall.passes(BREACH + 2 * HOUR + SECOND)
    assert len(await wall.alerts()) == 1


async def test_an_alert_about_several_clocks_lasts_as_long_as_the_longest(wall: Wall, services: Services) -> None:
    await factories.policy(services, position=1, targets={"first_response": 86_400, "resolution": 86_400})
    await factories.rule(services, ALERT)
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    (alert,) = await wall.alerts()
    assert alert["clock_kind"] == "resolution"
    await wall.answers(mail, at=BREACH + HOUR / 10)
    await wall.passes(BREACH + HOUR / 10)
    assert [one["status"] for one in await wall.alerts()] == ["open"]
    await wall.changes(mail, at=BREACH + HOUR / 5, status="resolved")
    await wall.passes(BREACH + HOUR / 5)
    assert [one["status"] for one in await wall.alerts()] == ["resolved"]


async def test_what_was_begun_once_is_not_begun_again(wall: Wall, services: Services) -> None:
    await factories.rule(services, steps=[step(HOUR)])
    mail = await wall.waits(at=MONDAY)
    await wall.passes(BREACH + SECOND)
    async with services.database.transaction() as session:
        found = await session.execute(select(events).where(events.c.type == "sla.breached"))
        await begin_ladders(services, session, found.mappings().all(), now=BREACH + SECOND)
    assert len(await wall.ladders(mail)) == 1
    assert len(await wall.rows(sla_clocks, sla_clocks.c.state == "breached")) == 1
