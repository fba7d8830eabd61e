"""What happens to a conversation's clocks, from the mail that starts them to the breach that nobody may miss.

Each test whose name begins with `trap` is a way in which another helpdesk let its users down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain.values import SYSTEM, Priority
from helpdesk.models.agents import agents
from helpdesk.models.sla import sla_clocks
from helpdesk.services import merging, policies, sweep
from helpdesk.services.house import Services
from tests import factories
from tests.promised import ANNA, DAY, HOUR, MONDAY, Wall

SECOND = timedelta(seconds=1)


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    built = await Wall.build(services)
    yield built
    await built.close()


async def test_a_mail_starts_the_first_response_and_is_due_a_day_later(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["due_at"]) == ("running", MONDAY + DAY)
    assert clock["next_due_at"] == MONDAY + 0.75 * DAY, "the warning comes first"
    row = await wall.conversation(mail)
    assert (row["waiting_since"], row["next_due_at"], row["due_soon_at"]) == (
        MONDAY,
        MONDAY + DAY,
        MONDAY + 0.75 * DAY,
    )
    assert await wall.clocks(mail) == {("first_response", 1): "running"}


async def test_the_clock_starts_when_the_mail_came_in_and_not_when_it_was_filed(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY, now=MONDAY + 5 * HOUR)
    assert (await wall.clock(mail, "first_response"))["started_at"] == MONDAY


async def test_an_answer_ends_the_clock_at_the_time_of_acceptance_and_the_next_message_starts_the_next(
    wall: Wall,
) -> None:
    mail = await wall.writes(at=MONDAY)
    answer = await wall.answers(mail, at=MONDAY + HOUR, accepted=MONDAY + HOUR + SECOND)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["ended_at"], clock["ended_by"]) == ("met", MONDAY + HOUR + SECOND, answer)
    row = await wall.conversation(mail)
    assert (row["waiting_since"], row["next_due_at"]) == (None, None)
    assert await wall.writes(at=MONDAY + 2 * HOUR, into=mail) == mail
    assert await wall.clocks(mail) == {("first_response", 1): "met", ("next_response", 1): "running"}
    assert (await wall.conversation(mail))["next_due_at"] == MONDAY + 2 * HOUR + DAY
    await wall.relays(MONDAY + 2 * HOUR)
    (met,) = await wall.told("sla.met")
    assert met["data"]["late"] is False


async def test_what_is_queued_noted_automatic_or_a_bots_ends_no_clock(wall: Wall, services: Services) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.queues(mail, at=MONDAY + HOUR)
    await wall.queues(mail, at=MONDAY + HOUR, private=True)
    bot = await factories.agent(services, kind="bot")
    identity = await factories.accounts.identify_token(services.database, bot.token, now=factories.clock.now())
    said = await wall.queues(mail, at=MONDAY + HOUR, by=identity.actor, inbox_id=wall.inbox_id)
    await wall.accepts(said, at=MONDAY + HOUR)
    assert await wall.clocks(mail) == {("first_response", 1): "running"}


async def test_whoever_wrote_again_before_the_answer_was_accepted_waits_for_the_next_one(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    answer = await wall.queues(mail, at=MONDAY + HOUR)
    await wall.writes(at=MONDAY + 2 * HOUR, into=mail)
    await wall.accepts(answer, at=MONDAY + 3 * HOUR)
    assert await wall.clocks(mail) == {("first_response", 1): "met", ("next_response", 1): "running"}
    following = await wall.clock(mail, "next_response")
    assert following["started_at"] == MONDAY + 2 * HOUR
    assert (await wall.conversation(mail))["waiting_since"] == MONDAY + 2 * HOUR


async def test_a_reply_that_bounces_reopens_the_clock_from_its_first_start(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    answer = await wall.answers(mail, at=MONDAY + HOUR)
    await wall.changes(mail, at=MONDAY + 2 * HOUR, status="resolved")
    await wall.bounces(answer, at=MONDAY + 3 * HOUR)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["due_at"], clock["ended_by"]) == ("running", MONDAY + DAY, None)
    row = await wall.conversation(mail)
    assert (row["status"], row["waiting_since"], row["next_due_at"]) == ("open", MONDAY, MONDAY + DAY)


async def test_a_bounce_after_the_due_time_was_a_breach_at_the_due_time(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    answer = await wall.answers(mail, at=MONDAY + HOUR)
    await wall.bounces(answer, at=MONDAY + 2 * DAY)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["breached_at"], clock["detected_at"]) == (
        "breached",
        MONDAY + DAY,
        MONDAY + 2 * DAY,
    )


async def test_a_bounce_leaves_the_clock_to_the_answer_that_did_arrive(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    bounced = await wall.answers(mail, at=MONDAY + HOUR)
    arrived = await wall.answers(mail, at=MONDAY + 2 * HOUR)
    await wall.bounces(bounced, at=MONDAY + 3 * HOUR)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["ended_at"], clock["ended_by"]) == ("met", MONDAY + 2 * HOUR, arrived)
    assert (await wall.conversation(mail))["waiting_since"] is None


async def test_what_had_started_after_the_bounced_answer_is_called_off(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    bounced = await wall.answers(mail, at=MONDAY + HOUR)
    await wall.writes(at=MONDAY + 2 * HOUR, into=mail)
    await wall.bounces(bounced, at=MONDAY + 3 * HOUR)
    assert await wall.clocks(mail) == {("first_response", 1): "running", ("next_response", 1): "cancelled"}
    assert (await wall.conversation(mail))["waiting_since"] == MONDAY


async def test_a_breach_is_noticed_once_told_once_and_stays(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    late = MONDAY + DAY + 6 * HOUR
    await wall.passes(late)
    await wall.passes(late + HOUR)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["breached_at"], clock["detected_at"]) == ("breached", MONDAY + DAY, late)
    told = await wall.told("sla.warning", "sla.breached")
    assert [event["type"] for event in told] == ["sla.breached"], "the breach overtakes the warning"
    assert told[0]["data"]["reply_pending"] is False
    assert (await wall.conversation(mail))["next_due_at"] == MONDAY + DAY, "it stands first in the list"
    await wall.answers(mail, at=late + 2 * HOUR)
    assert (await wall.clock(mail, "first_response"))["state"] == "met_late"


async def test_a_warning_comes_once_with_its_true_time(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.passes(MONDAY + 0.75 * DAY)
    assert await wall.told("sla.warning") == [], "not before its time is over"
    await wall.passes(MONDAY + 0.8 * DAY)
    await wall.passes(MONDAY + 0.9 * DAY)
    (warning,) = await wall.told("sla.warning")
    assert warning["data"]["warned_at"] == "2026-11-02T20:00:00Z"
    assert (await wall.clock(mail, "first_response"))["next_due_at"] == MONDAY + DAY


async def test_a_breach_with_an_answer_on_its_way_says_so(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.queues(mail, at=MONDAY + DAY - HOUR)
    await wall.passes(MONDAY + DAY + SECOND)
    (breach,) = await wall.told("sla.breached")
    assert breach["data"]["reply_pending"] is True
    (alert,) = await wall.alerts()
    assert alert["data"]["reply_pending"] is True


async def test_trap_a_reply_exactly_at_the_due_time_is_in_time(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    answer = await wall.queues(mail, at=MONDAY + HOUR)
    await wall.passes(MONDAY + DAY)
    await wall.accepts(answer, at=MONDAY + DAY)
    await wall.passes(MONDAY + 2 * DAY)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["breached_at"]) == ("met", None)
    assert await wall.told("sla.breached") == []


async def test_trap_several_messages_after_one_breach_are_one_breach_and_one_alert(
    wall: Wall, services: Services
) -> None:
    await factories.agent(services, role="admin")
    mail = await wall.writes(at=MONDAY)
    await wall.passes(MONDAY + DAY + SECOND)
    for hours in (1, 2, 3):
        await wall.writes(at=MONDAY + DAY + hours * HOUR, into=mail)
        await wall.passes(MONDAY + DAY + hours * HOUR + SECOND)
    assert await wall.clocks(mail) == {("first_response", 1): "breached"}
    assert len(await wall.told("sla.breached")) == 1
    about = [alert for alert in await wall.alerts() if alert["data"]["steps"][0]["step"] == 1]
    assert len(about) == 1


async def test_trap_reopened_after_resolving_the_same_clock_goes_on_without_the_time_between(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.changes(mail, at=MONDAY + 2 * HOUR, status="resolved")
    row = await wall.conversation(mail)
    assert (row["waiting_since"], row["next_due_at"], row["sla_paused"]) == (None, None, False)
    assert await wall.clocks(mail) == {("first_response", 1): "stopped"}
    await wall.passes(MONDAY + 3 * DAY)
    assert await wall.told("sla.breached") == [], "no breach, no credit"
    await wall.writes(at=MONDAY + 4 * DAY, into=mail)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["due_at"]) == ("running", MONDAY + 4 * DAY + 22 * HOUR)
    assert (await wall.conversation(mail))["waiting_since"] == MONDAY


async def test_trap_resolved_late_before_the_sweep_saw_it_is_a_breach_all_the_same(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.changes(mail, at=MONDAY + HOUR, category="complaint")
    assert (await wall.clock(mail, "resolution"))["due_at"] == MONDAY + 15 * DAY
    await wall.answers(mail, at=MONDAY + 2 * HOUR)
    await wall.changes(mail, at=MONDAY + 16 * DAY, status="resolved")
    clock = await wall.clock(mail, "resolution")
    assert (clock["state"], clock["breached_at"]) == ("met_late", MONDAY + 15 * DAY)
    await wall.passes(MONDAY + 16 * DAY + HOUR)
    told = await wall.told("sla.breached", "sla.met")
    assert [(event["type"], event["data"]["kind"]) for event in told] == [
        ("sla.met", "first_response"),
        ("sla.breached", "resolution"),
        ("sla.met", "resolution"),
    ]
    assert await wall.alerts() == [], "nobody is called for what is over"


async def test_trap_priority_raised_when_the_new_due_time_has_passed_breaks_it_now_and_not_in_the_past(
    wall: Wall, services: Services
) -> None:
    content = await _mail_policy(wall) | {"priorities": ["urgent"], "targets": {"first_response": 3600}}
    async with services.database.transaction() as session:
        await policies.create(session, name="Urgent", position=5, enabled=True, content=content, by=ANNA, now=MONDAY)
    mail = await wall.writes(at=MONDAY)
    raised = MONDAY + 3 * HOUR
    await wall.changes(mail, at=raised, priority=int(Priority.URGENT))
    clock = await wall.clock(mail, "first_response")
    assert (clock["due_at"], clock["changed_at"], clock["state"]) == (MONDAY + HOUR, raised, "running")
    await wall.passes(raised + SECOND)
    clock = await wall.clock(mail, "first_response")
    assert (clock["state"], clock["breached_at"]) == ("breached", raised)


async def test_trap_a_warning_that_would_fall_before_opening_hours_comes_in_them(
    wall: Wall, services: Services
) -> None:
    content = await _mail_policy(wall) | {
        "clock": "business",
        "targets": {"first_response": 4 * 3600},
        "warnings": [{"before": 2 * 3600}],
    }
    async with services.database.transaction() as session:
        policy = await policies.create(
            session, name="Four hours", position=5, enabled=True, content=content, by=ANNA, now=MONDAY
        )
    friday = datetime(2026, 11, 6, 9, 0, tzinfo=UTC)  # 17:00 in Shanghai, three hours before the desk closes
    mail = await wall.writes(at=friday)
    clock = await wall.clock(mail, "first_response")
    assert clock["policy_id"] == policy
    assert clock["due_at"] == datetime(2026, 11, 9, 1, 0, tzinfo=UTC), "Monday, nine o'clock"
    assert clock["next_due_at"] == datetime(2026, 11, 6, 11, 0, tzinfo=UTC), "Friday, not Monday at seven"


async def test_trap_two_workers_sweeping_at_once_tell_each_breach_once(wall: Wall) -> None:
    mails = [await wall.writes(at=MONDAY) for _ in range(12)]
    late = MONDAY + DAY + HOUR

    async def sweep_once() -> int:
        async with wall.services.database.transaction() as session:
            return await sweep.settle(wall.services, session, now=late)

    counts = await asyncio.gather(*(sweep_once() for _ in range(4)))
    while await sweep_once():
        pass
    await wall.relays(late)
    told = await wall.told("sla.breached")
    assert sorted(event["conversation_id"] for event in told) == sorted(mails)
    assert sum(counts) >= 1


async def test_trap_an_alert_for_the_assignee_finds_somebody_when_nobody_is_assigned(
    wall: Wall, services: Services
) -> None:
    admin = await factories.agent(services, role="admin")
    supervisor = await factories.agent(services, role="supervisor")
    mail = await wall.writes(at=MONDAY)
    await wall.passes(MONDAY + 0.8 * DAY)
    (alert,) = await wall.alerts()
    assert (alert["kind"], alert["conversation_id"]) == ("sla_warning", mail)
    assert await wall.called(alert["id"]) == {supervisor.id: "supervisors"}
    await wall.set(agents, supervisor.id, active=False)
    other = await wall.writes(at=MONDAY)
    await wall.passes(MONDAY + 0.8 * DAY)
    alert = next(alert for alert in await wall.alerts() if alert["conversation_id"] == other)
    assert await wall.called(alert["id"]) == {admin.id: "admins"}


async def test_clocks_keep_the_version_that_they_began_with(wall: Wall, services: Services) -> None:
    mail = await wall.writes(at=MONDAY)
    before = await wall.clock(mail, "first_response")
    content = await _mail_policy(wall) | {"targets": {"first_response": 7200, "next_response": 7200}}
    async with services.database.transaction() as session:
        policy = await policies.get_policy(session, before["policy_id"], version=1)
        await policies.edit(session, policy, content=content, by=ANNA, now=MONDAY)
    async with services.database.transaction() as session:
        await services.promises.refresh(session)
    await wall.passes(MONDAY + 3 * HOUR)
    assert (await wall.clock(mail, "first_response"))["due_at"] == MONDAY + DAY
    later = await wall.writes(at=MONDAY + 3 * HOUR)
    assert (await wall.clock(later, "first_response"))["due_at"] == MONDAY + 5 * HOUR


async def test_pending_pauses_the_resolution_and_not_what_is_owed(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.changes(mail, at=MONDAY + HOUR, category="complaint")
    await wall.changes(mail, at=MONDAY + 2 * HOUR, status="pending")
    assert await wall.clocks(mail) == {("first_response", 1): "running", ("resolution", 1): "paused"}
    await wall.answers(mail, at=MONDAY + 3 * HOUR)
    row = await wall.conversation(mail)
    assert (row["next_due_at"], row["sla_paused"]) == (None, True)
    await wall.changes(mail, at=MONDAY + DAY + 2 * HOUR, status="open")
    assert (await wall.clock(mail, "resolution"))["due_at"] == MONDAY + 16 * DAY


async def test_security_is_answered_within_an_hour_on_any_channel(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.changes(mail, at=MONDAY + timedelta(minutes=10), category="security")
    assert (await wall.clock(mail, "first_response"))["due_at"] == MONDAY + HOUR
    await wall.changes(mail, at=MONDAY + timedelta(minutes=20), category=None)
    assert (await wall.clock(mail, "first_response"))["due_at"] == MONDAY + DAY


async def test_automatic_mail_starts_no_clock(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY, headers=[("Auto-Submitted", "auto-replied")])
    assert await wall.clocks(mail) == {}
    row = await wall.conversation(mail)
    assert (row["waiting_since"], row["next_due_at"]) == (None, None)


async def _mail_policy(wall: Wall) -> dict[str, object]:
    """The content of the policy for e-mail, as a new house has it."""
    found = await wall.rows(policies.sla_policies, policies.sla_policies.c.name == "E-mail")
    return dict(found[0]["content"])


async def test_only_clocks_that_are_due_have_something_due(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.passes(MONDAY + 2 * DAY)
    assert (await wall.clock(mail, "first_response"))["next_due_at"] is None
    assert await wall.rows(sla_clocks, sla_clocks.c.next_due_at.is_not(None)) == []


async def _merge(wall: Wall, source: UUID, into: UUID, *, at: datetime) -> None:
    version = (await wall.conversation(source))["version"]
    async with wall.services.database.transaction() as session:
        how: dict[str, Any] = {"into": into, "version": version, "other_contact": True}
        await merging.merge(wall.services, session, source, **how, by=SYSTEM, now=at)


async def test_a_reply_that_bounces_after_a_merge_lets_the_contact_wait_in_the_other_conversation(wall: Wall) -> None:
    source, target = await wall.writes(at=MONDAY), await wall.writes(at=MONDAY)
    bounced = await wall.answers(source, at=MONDAY + HOUR)
    await wall.answers(target, at=MONDAY + HOUR)
    await wall.changes(target, at=MONDAY + 2 * HOUR, status="resolved")
    await _merge(wall, source, target, at=MONDAY + 3 * HOUR)
    await wall.bounces(bounced, at=MONDAY + 4 * HOUR)
    assert await wall.clocks(source) == {("first_response", 1): "cancelled"}
    row = await wall.conversation(target)
    assert (row["status"], row["waiting_since"]) == ("open", MONDAY)
    following = await wall.clock(target, "next_response")
    assert (following["state"], following["due_at"]) == ("running", MONDAY + DAY)


async def test_an_answer_from_before_a_merge_ends_the_wait_that_the_other_conversation_took_over(wall: Wall) -> None:
    source, target = await wall.writes(at=MONDAY), await wall.writes(at=MONDAY)
    await wall.answers(target, at=MONDAY + HOUR)
    queued = await wall.queues(source, at=MONDAY + HOUR)
    await _merge(wall, source, target, at=MONDAY + 2 * HOUR)
    assert (await wall.clock(target, "next_response"))["started_at"] == MONDAY
    await wall.accepts(queued, at=MONDAY + 3 * HOUR)
    following = await wall.clock(target, "next_response")
    assert (following["state"], following["ended_by"]) == ("met", queued)
    assert (await wall.conversation(target))["waiting_since"] is None
