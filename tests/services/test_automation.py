"""Automation: each rule answers each event once, in order, never itself, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import RowMapping, func, select, update

from helpdesk import clock
from helpdesk.domain.events import ConversationUpdated, MessageReceived
from helpdesk.domain.values import SYSTEM
from helpdesk.models.alerts import alerts
from helpdesk.models.conversations import conversation_tags, conversations
from helpdesk.models.events import events, followers
from helpdesk.models.rules import automation_rules, automation_runs
from helpdesk.services import automation_rules as rule_verbs
from helpdesk.services import automation_runs as run_log
from helpdesk.services import automation_trial, teams
from helpdesk.services.automation import FOLLOWER
from helpdesk.services.events import NUMBERED, record
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from workers.automate import run_rules
from workers.crew import FOLLOWING

URGENT = {"do": "priority", "to": "urgent"}


def asks(field: str, value: Any, op: str = "eq") -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def tags(*names: str) -> dict[str, Any]:
    return {"do": "tag", "add": list(names), "remove": []}


async def numbered(services: Services) -> None:
    """Positions for what has none, in the order in which it was told."""
    async with services.database.transaction() as session:
        last = await session.scalar(select(func.max(events.c.position))) or 0
        new = select(events.c.id).where(events.c.position.is_(None)).order_by(events.c.id)
        for number, event_id in enumerate((await session.execute(new)).scalars().all(), last + 1):
            await session.execute(update(events).where(events.c.id == event_id).values(position=number))
            await session.execute(update(followers).where(followers.c.name == NUMBERED).values(position=number))


async def writes(services: Services, conversation_id: UUID, text: str = "Hello?", **given: Any) -> None:
    """The contact does, and it is told."""
    message_id = await factories.incoming(services, conversation_id, text=text, **given)
    async with services.database.transaction() as session:
        row = (
            (await session.execute(select(conversations).where(conversations.c.id == conversation_id))).mappings().one()
        )
        about: dict[str, Any] = {"inbox_id": row["inbox_id"], "channel": "email", "first": False, "silent": False}
        event = MessageReceived(conversation_id=conversation_id, seq=row["seq"], message_id=message_id, **about)
        await record(session, event, now=clock.now())
    await numbered(services)


async def settles(services: Services) -> None:
    """Rules answer, and answer what they did, until nothing is left."""
    for _ in range(20):
        if not await run_rules(services):
            return
        await numbered(services)
    raise AssertionError("rules go in circles")


async def runs(services: Services, rule_id: UUID) -> Sequence[RowMapping]:
    """The oldest first."""
    async with services.database.reading() as session:
        return (await run_log.list_of_rule(session, rule_id, limit=100))[::-1]


async def state(services: Services, conversation_id: UUID) -> tuple[int, set[str]]:
    """Its priority and its tags."""
    async with services.database.reading() as session:
        priority = await session.scalar(select(conversations.c.priority).where(conversations.c.id == conversation_id))
        mine = select(conversation_tags.c.tag).where(conversation_tags.c.conversation_id == conversation_id)
        return priority or 0, set((await session.execute(mine)).scalars())


async def talk(services: Services, **given: Any) -> UUID:
    inbox_id = await factories.inbox(services)
    return await factories.conversation(services, inbox_id=inbox_id, messages=0, **given)


async def test_workers_that_look_at_once_answer_each_event_once(services: Services) -> None:
    mail, other = await talk(services), await talk(services)
    rule_id = await factories.automation_rule(
        services, URGENT, tags("theft"), condition=asks("message.text", "phrase", "contains")
    )
    await writes(services, mail, "I gave him my recovery phrase")
    await writes(services, other, "How do I stake?")
    await asyncio.gather(*(run_rules(services) for _ in range(3)))
    await settles(services)
    (run,) = await runs(services, rule_id)
    assert (run["conversation_id"], run["outcome"], run["rule_version"], run["depth"]) == (mail, "done", 1, 0)
    assert run["actions"] == [{"do": "priority", "problem": ""}, {"do": "tag", "problem": ""}]
    assert run["to_seq"] == run["from_seq"] + 2
    assert await state(services, mail) == (3, {"theft"})
    assert await state(services, other) == (1, set())
    async with services.database.reading() as session:
        mine = select(events.c.data).where(events.c.conversation_id == mail, events.c.type == "conversation.updated")
        told = (await session.execute(mine.order_by(events.c.seq))).scalars().all()
    assert [(list(one["changes"]), one["by"]) for one in told] == [(["priority"], "system"), (["tags"], "system")]


async def test_each_rule_sees_what_the_one_before_it_did_until_one_is_the_last(services: Services) -> None:
    mail = await talk(services)
    first = await factories.automation_rule(services, tags("a"), position=1)
    second = await factories.automation_rule(services, tags("b"), position=2, condition=asks("tag", "a"), stop=True)
    third = await factories.automation_rule(services, tags("c"), position=3)
    await writes(services, mail)
    await settles(services)
    assert [len(await runs(services, one)) for one in (first, second, third)] == [1, 1, 0]
    assert (await state(services, mail))[1] == {"a", "b"}


async def test_rules_that_answer_each_other_are_stopped_and_administrators_are_told_once(services: Services) -> None:
    await factories.agent(services, role="admin")
    mail = await talk(services)
    updated = ["conversation.updated"]
    high, low = {"do": "priority", "to": "high"}, {"do": "priority", "to": "low"}
    up = await factories.automation_rule(services, high, events=updated, condition=asks("priority", "low"))
    down = await factories.automation_rule(services, low, events=updated, condition=asks("priority", "high"))
    for number in range(2):
        async with services.database.transaction() as session:
            mine = update(conversations).where(conversations.c.id == mail)
            await session.execute(mine.values(priority=0, seq=1000 * (number + 1)))
            event = ConversationUpdated(conversation_id=mail, seq=1000 * (number + 1), changes={}, by="agent")
            await record(session, event, now=clock.now())
        await numbered(services)
        await settles(services)
    found = [*await runs(services, up), *await runs(services, down)]
    assert sorted((one["depth"], one["outcome"]) for one in found) == sorted(
        [(0, "done"), (0, "done"), (1, "done"), (2, "done"), (3, "done"), (4, "looped")] * 2
    )
    async with services.database.reading() as session:
        (alert,) = (await session.execute(select(alerts))).mappings().all()
    assert (alert["kind"], alert["data"]) == ("automation_looped", {"rule_id": str(down)})


@ON_ONE_DATABASE
async def test_a_rule_never_answers_what_it_did_itself(services: Services) -> None:
    mail = await talk(services)
    rule_id = await factories.automation_rule(
        services, URGENT, tags("seen"), events=["conversation.updated", "message.received"]
    )
    await writes(services, mail)
    await settles(services)
    assert len(await runs(services, rule_id)) == 1


async def test_a_conversation_has_so_many_runs_in_an_hour_and_a_batch_so_many_in_all(services: Services) -> None:
    mail = await talk(services)
    rule_id = await factories.automation_rule(services, tags("busy"))
    async with services.database.transaction() as session:
        about: dict[str, Any] = {"inbox_id": uuid4(), "channel": "email", "first": False, "silent": False}
        told = [
            MessageReceived(conversation_id=mail, seq=number, message_id=uuid4(), **about) for number in range(-30, 0)
        ]
        await record(session, *told, now=clock.now())
    await numbered(services)
    assert await run_rules(services) == 26  # the contact who was made is an event, too
    await settles(services)
    found = [one["outcome"] for one in await runs(services, rule_id)]
    assert found == ["done"] * 20 + ["looped"] * 10


@ON_ONE_DATABASE
async def test_a_batch_that_is_broken_off_is_gone_on_with_at_once(services: Services) -> None:
    """Its loop rests after less than a batch, and several rules have had enough after a few events."""
    talks = [await talk(services) for _ in range(2)]
    for name in ("one", "another", "a third"):
        await factories.automation_rule(services, tags(name))
    for mail in talks * 5:
        await writes(services, mail)
    assert await run_rules(services) >= FOLLOWING["automate"]
    await numbered(services)
    assert 0 < await run_rules(services) < FOLLOWING["automate"]


async def test_what_is_refused_or_at_fault_keeps_nothing_else_from_being_done(services: Services) -> None:
    team_id, mail = await factories.team(services), await talk(services)
    rule_id = await factories.automation_rule(
        services, {"do": "team", "team_id": str(team_id)}, {"do": "status", "to": "open"}, tags("kept"), position=2
    )
    broken = await factories.automation_rule(services, position=1)
    async with services.database.transaction() as session:
        await teams.remove(session, await teams.get_team(session, team_id), by=SYSTEM, now=clock.now())
        mine = update(automation_rules).where(automation_rules.c.id == broken)
        await session.execute(mine.values(content={"of": "a later version"}))
    await writes(services, mail)
    await settles(services)
    (run,) = await runs(services, rule_id)
    assert run["outcome"] == "partly"
    assert [one["problem"] for one in run["actions"]] == ["not_found", "", ""]
    assert (await state(services, mail))[1] == {"kept"}


@ON_ONE_DATABASE
async def test_rules_leave_alone_what_is_spam_or_merged_or_was_before_them(services: Services) -> None:
    spam, old = await talk(services, spam=True), await talk(services)
    merged = await talk(services, merged_into_id=old)
    await writes(services, old)
    rule_id = await factories.automation_rule(services)
    for one in (spam, merged):
        await writes(services, one)
    await settles(services)
    assert await runs(services, rule_id) == []
    async with services.database.reading() as session:
        seen = await session.scalar(select(followers.c.position).where(followers.c.name == FOLLOWER.name))
        assert seen == await session.scalar(select(func.max(events.c.position)))
        assert await session.scalar(select(func.count()).select_from(automation_runs)) == 0


async def test_a_dry_run_tells_what_really_happens_to_the_same_events(services: Services) -> None:
    now = clock.now()
    condition = {
        "any": [asks("message.text", ["phrase", "stolen"], "contains_any"), asks("language", "zh-CN")],
    }
    rule_id = await factories.automation_rule(services, condition=condition, now=now - timedelta(days=1))
    talks = [await talk(services, language="zh-CN" if number == 2 else "en") for number in range(4)]
    for number, text in enumerate(["my phrase", "hello", "stolen!", "nothing", "more", "the phrase again"]):
        await writes(services, talks[number % 4], text)
    async with services.database.reading() as session:
        rule = await rule_verbs.get_rule(session, rule_id)
        trial = await automation_trial.would_act(
            services, session, rule, since=now - timedelta(days=1), now=clock.now()
        )
    await settles(services)
    async with services.database.reading() as session:
        again = await automation_trial.would_act(
            services, session, rule, since=now - timedelta(days=1), now=clock.now()
        )
    done = [(one["event_id"], one["conversation_id"]) for one in await runs(services, rule_id)]
    assert len(done) == 3
    for found in (trial, again):
        assert [(one.event_id, one.conversation_id) for one in found.acts][::-1] == done
        assert found.complete
