"""Trying promises on what happened: the figures are counted by hand from what each test lets happen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from helpdesk.domain.clocks import Kind
from helpdesk.domain.events import MessageReceived
from helpdesk.domain.values import Priority
from helpdesk.errors import Invalid
from helpdesk.models import metadata
from helpdesk.models.messages import messages
from helpdesk.services import merging, simulation
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.services.simulation import Simulation
from tests import factories
from tests.promised import ANNA, DAY, HOUR, MONDAY, Wall

FIRST, NEXT, RESOLUTION = Kind.FIRST_RESPONSE, Kind.NEXT_RESPONSE, Kind.RESOLUTION
END = MONDAY + 3 * DAY


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    built = await Wall.build(services)
    yield built
    await built.close()


def content(hours: float = 4, **given: Any) -> dict[str, Any]:
    """A policy for everything, by the clock on the wall."""
    seconds = int(hours * 3600)
    return {
        "clock": "calendar",
        "business_hours_id": None,
        "inbox_ids": [],
        "channels": [],
        "priorities": [],
        "categories": [],
        "targets": {"first_response": seconds, "next_response": seconds},
        "warnings": [],
        "pauses": ["resolution"],
        "pause_states": ["pending"],
        "next_response_from_creation": False,
    } | given


async def simulated(
    wall: Wall, *, since: datetime = MONDAY - DAY, now: datetime = END, limit: int = 20, **how: Any
) -> Simulation:
    async with wall.services.database.reading() as session:
        tried = await simulation.promised(wall.services, session, **how)
    return await simulation.simulate(wall.services, tried, since=since, limit=limit, now=now)


def figures(found: Simulation) -> dict[Kind, tuple[int, int, int, int, int]]:
    """Cycles, met, late, breached, open by kind, whichever the policy."""
    return {
        kind: (tally.cycles, tally.met, tally.met_late, tally.breached, tally.open)
        for (_, kind), tally in found.tallies.items()
    }


def compared(found: Simulation, kind: Kind) -> tuple[int, int, int, int]:
    one = found.compared[kind]
    return one.cycles_then, one.breaches_then, one.cycles_now, one.breaches_now


async def three_mails(wall: Wall) -> list[UUID]:
    """Answered after two hours and asked again, answered after ten, and never answered."""
    quick, slow, never = [await wall.writes(at=MONDAY + number * HOUR) for number in range(3)]
    await wall.answers(quick, at=MONDAY + 2 * HOUR)
    await wall.answers(slow, at=MONDAY + 11 * HOUR)
    await wall.writes(at=MONDAY + 12 * HOUR, into=quick)
    await wall.answers(quick, at=MONDAY + 18 * HOUR)
    await wall.passes(END)
    return [quick, slow, never]


async def test_the_promises_in_force_come_to_what_really_happened(wall: Wall) -> None:
    _, _, never = await three_mails(wall)
    found = await simulated(wall)
    assert found.conversations == 3
    assert figures(found) == {FIRST: (3, 2, 0, 1, 0), NEXT: (1, 1, 0, 0, 0)}
    assert [compared(found, kind) for kind in Kind] == [(3, 1, 3, 1), (1, 0, 1, 0), (0, 0, 0, 0)]
    (worst,) = found.worst
    assert (worst.conversation_id, worst.clock.kind, worst.policy) == (never, FIRST, "E-mail")
    assert (worst.clock.due, worst.late) == (MONDAY + 2 * HOUR + DAY, END - (MONDAY + 2 * HOUR + DAY))
    ((policy_id, _), tally) = next(iter(found.tallies.items()))
    assert policy_id == (await wall.clock(never, "first_response"))["policy_id"]
    assert (tally.median, tally.ninetieth, tally.share_met) == (6 * HOUR, 10 * HOUR, pytest.approx(2 / 3))


async def test_four_hours_would_have_been_broken_more_often(wall: Wall) -> None:
    quick, slow, never = await three_mails(wall)
    found = await simulated(wall, content=content(4), limit=2)
    assert figures(found) == {FIRST: (3, 1, 1, 1, 0), NEXT: (1, 0, 1, 0, 0)}
    assert compared(found, FIRST) == (3, 1, 3, 2)
    assert compared(found, NEXT) == (1, 0, 1, 1)
    late = [(one.conversation_id, one.late) for one in found.worst]
    assert late == [(never, END - (MONDAY + 6 * HOUR)), (slow, 6 * HOUR)], "the two hours of the third are left out"
    assert quick not in {one.conversation_id for one in found.worst}


async def test_nothing_is_written(wall: Wall) -> None:
    await three_mails(wall)
    before = [await wall.rows(table) for table in metadata.sorted_tables]
    await simulated(wall, content=content(1))
    assert [await wall.rows(table) for table in metadata.sorted_tables] == before


async def test_only_cycles_that_began_in_the_window_count(wall: Wall) -> None:
    old = await wall.writes(at=MONDAY)
    await wall.answers(old, at=MONDAY + 8 * HOUR)
    await wall.writes(at=MONDAY + 2 * DAY, into=old)
    await wall.answers(old, at=MONDAY + 2 * DAY + HOUR)
    gone = await wall.writes(at=MONDAY)
    await wall.answers(gone, at=MONDAY + HOUR)
    found = await simulated(wall, since=MONDAY + DAY, content=content(4))
    assert found.conversations == 1, "nobody wrote in the other one"
    assert figures(found) == {NEXT: (1, 1, 0, 0, 0)}
    assert [compared(found, kind) for kind in (FIRST, NEXT)] == [(0, 0, 0, 0), (1, 0, 1, 0)]


async def test_what_bounced_was_noted_or_written_by_a_machine_is_no_answer(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    bounced = await wall.answers(mail, at=MONDAY + HOUR)
    await wall.bounces(bounced, at=MONDAY + 2 * HOUR)
    await wall.queues(mail, at=MONDAY + HOUR, private=True)
    await wall.queues(mail, at=MONDAY + HOUR)
    await wall.writes(at=MONDAY, headers=[("Auto-Submitted", "auto-replied")])
    found = await simulated(wall, content=content(4))
    assert (found.conversations, figures(found)) == (2, {FIRST: (1, 0, 0, 1, 0)})


async def test_whoever_nobody_has_to_answer_breaks_no_promise(wall: Wall, services: Services) -> None:
    suspect = await wall.writes(at=MONDAY)
    unreadable = await wall.writes(at=MONDAY)
    for conversation_id, notes in ((suspect, []), (unreadable, ["unreadable", "damaged"])):
        (message,) = await wall.rows(messages, messages.c.conversation_id == conversation_id)
        await wall.set(messages, message["id"], notes=notes)
        silent = MessageReceived(
            conversation_id=conversation_id,
            seq=1,
            message_id=message["id"],
            inbox_id=wall.inbox_id,
            channel="email",
            first=True,
            silent=True,
        )
        async with services.database.transaction() as session:
            await record(session, silent, now=MONDAY)
    found = await simulated(wall, content=content(4))
    assert [one.conversation_id for one in found.worst] == [unreadable], "a person may be behind that one"


async def test_status_priority_and_category_are_what_they_were_at_the_time(wall: Wall) -> None:
    mail = await wall.writes(at=MONDAY)
    await wall.changes(mail, at=MONDAY + HOUR, priority=int(Priority.URGENT), category="complaint")
    await wall.changes(mail, at=MONDAY + 3 * HOUR, priority=int(Priority.NORMAL), category="transaction")
    await wall.answers(mail, at=MONDAY + 3 * HOUR)
    await wall.changes(mail, at=MONDAY + 4 * HOUR, status="pending")
    await wall.changes(mail, at=MONDAY + 34 * HOUR, status="open")
    await wall.changes(mail, at=MONDAY + 40 * HOUR, status="resolved")
    found = await simulated(wall, content=content(2, priorities=["urgent"]))
    assert figures(found) == {}, "called off when it was urgent no longer"
    targets = {"resolution": 12 * 3600}
    found = await simulated(wall, content=content(targets=targets))
    assert figures(found) == {RESOLUTION: (1, 1, 0, 0, 0)}
    ((_, tally),) = found.tallies.items()
    assert tally.median == 10 * HOUR, "forty hours, and thirty of them pending"
    found = await simulated(wall, content=content(targets=targets, pauses=[]))
    assert figures(found) == {RESOLUTION: (1, 0, 1, 0, 0)}


async def test_what_was_merged_counts_with_its_target(wall: Wall, services: Services) -> None:
    source = await wall.writes(at=MONDAY)
    target = await wall.writes(at=MONDAY + HOUR)
    async with services.database.transaction() as session:
        how: dict[str, Any] = {"into": target, "version": 1, "other_contact": True, "by": ANNA}
        await merging.merge(services, session, source, **how, now=MONDAY + 2 * HOUR)
    await wall.answers(target, at=MONDAY + 5 * HOUR)
    found = await simulated(wall, content=content(4.5))
    assert (found.conversations, figures(found)) == (1, {FIRST: (1, 0, 1, 0, 0)})
    (worst,) = found.worst
    number = (await wall.conversation(target))["number"]
    assert (worst.conversation_id, worst.number, worst.late) == (target, number, HOUR / 2)
    assert compared(found, FIRST) == (1, 0, 1, 1)


async def test_what_came_out_again_counts_by_itself(wall: Wall, services: Services) -> None:
    source = await wall.writes(at=MONDAY)
    target = await wall.writes(at=MONDAY + HOUR)
    async with services.database.transaction() as session:
        how: dict[str, Any] = {"into": target, "version": 1, "other_contact": True, "by": ANNA}
        merged = await merging.merge(services, session, source, **how, now=MONDAY + HOUR)
    async with services.database.transaction() as session:
        version = merged["version"]
        await merging.unmerge(services, session, source, version=version, by=ANNA, now=MONDAY + 2 * HOUR)
    await wall.answers(target, at=MONDAY + 3 * HOUR)
    found = await simulated(wall, content=content(4))
    assert (found.conversations, figures(found)) == (2, {FIRST: (2, 1, 0, 1, 0)})


async def test_a_policy_is_tried_by_id_or_name_be_it_on_or_off(wall: Wall, services: Services) -> None:
    await three_mails(wall)
    identifier = await factories.policy(
        services, name="Four hours", enabled=False, targets={"first_response": 4 * 3600}, channels=["email"]
    )
    for given in ("Four hours", str(identifier)):
        found = await simulated(wall, policy=given)
        assert figures(found) == {FIRST: (3, 1, 1, 1, 0)}
        assert {one.policy for one in found.worst} == {"Four hours"}
    assert figures(await simulated(wall, policy="Chat")) == {}
    assert compared(await simulated(wall, policy="Chat"), FIRST) == (0, 0, 0, 0), "it is for none of them"


async def test_a_policy_is_for_the_inboxes_that_it_names(wall: Wall, services: Services) -> None:
    await three_mails(wall)
    other = await factories.inbox(services)
    assert figures(await simulated(wall, content=content(inbox_ids=[str(other)]))) == {}
    assert len(figures(await simulated(wall, content=content(inbox_ids=[str(wall.inbox_id)])))) == 2


async def test_a_calendar_stands_in_for_all_others(wall: Wall, services: Services) -> None:
    shut = [["09:00", "17:00"]]
    days = await factories.hours(services, weekly=[shut[0:1]] * 5 + [[], []])
    nights = await factories.hours(services, weekly=[[["20:00", "24:00"]]] * 7)
    mail = await wall.writes(at=MONDAY)  # two in the morning, UTC
    await wall.answers(mail, at=MONDAY + 10 * HOUR)  # at noon
    business = content(2, clock="business", business_hours_id=str(nights))
    assert figures(await simulated(wall, content=business))[FIRST] == (1, 1, 0, 0, 0), "noon is before the first night"
    found = await simulated(wall, content=business, hours=str(days))
    assert figures(found)[FIRST] == (1, 0, 1, 0, 0)
    assert found.worst[0].late == HOUR, "from nine to noon, for a target of two hours"


async def test_what_cannot_be_tried_is_refused_by_name(wall: Wall, services: Services) -> None:
    nobody = str(UUID(int=9))
    for name in ("Twice", "Twice"):
        await factories.policy(services, name=name, enabled=False)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"policy": "No such"}, "policy: there is no"),
        ({"policy": nobody}, "policy: there is no"),
        ({"policy": "Twice"}, "policy: there is more than one"),
        ({"hours": "No such"}, "business_hours: there is no"),
        ({"content": content(), "hours": "China, Monday to Friday"}, "business_hours: no policy that is tried"),
        ({"content": content(targets={})}, "targets: give at least one"),
        ({"content": content(targets={"first_response": "4h"})}, "targets.first_response: use a whole number"),
        ({"content": content() | {"colour": "red"}}, "colour: there is no such field"),
        ({"content": content(business_hours_id=nobody)}, "business_hours_id: there are no"),
        ({"content": content(inbox_ids=[nobody])}, "inbox_ids.0: there is no such inbox"),
    )
    for how, said in wrong:
        with pytest.raises(Invalid, match=f"^{said}") as raised:
            await simulated(wall, **how)
        assert raised.value.errors[0].field == said.partition(":")[0]


async def test_pages_come_to_the_same_as_one_and_a_page_costs_the_same_whatever_is_on_it(
    wall: Wall, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await three_mails(wall)
    whole, few = await counted(wall)
    for number in range(4):
        await wall.writes(at=MONDAY + number * HOUR)
    more, many = await counted(wall)
    assert few == many, "no statement for each row"
    assert (whole.conversations, more.conversations) == (3, 7)
    monkeypatch.setattr(simulation, "PAGE", 2)
    paged, _ = await counted(wall)
    assert (figures(paged), paged.worst, paged.compared) == (figures(more), more.worst, more.compared)


async def counted(wall: Wall) -> tuple[Simulation, int]:
    """What comes of it, and with how many statements."""
    said: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        said.append(statement)

    engine = wall.services.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        return await simulated(wall, content=content(4)), len(said)
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_old_mail_that_was_fetched_later_waits_for_nobody(wall: Wall, services: Services) -> None:
    old = await factories.conversation(services, inbox_id=wall.inbox_id, now=MONDAY)
    (message,) = await wall.rows(messages, messages.c.conversation_id == old)
    await wall.set(messages, message["id"], backfilled=True)
    assert figures(await simulated(wall, content=content(4))) == {}


async def test_progress_is_told_to_the_end(wall: Wall, services: Services) -> None:
    await wall.writes(at=MONDAY)
    told: list[tuple[int, int]] = []
    async with services.database.reading() as session:
        tried = await simulation.promised(services, session)
    how: dict[str, Any] = {"since": MONDAY - DAY, "limit": 0, "now": END}
    found = await simulation.simulate(services, tried, **how, tell=lambda *done: told.append(done))
    assert (told, found.worst) == ([(0, 1), (1, 1)], [])
