"""Whose turn it is: nobody gets more than he can take, nothing waits that somebody could take, and turns are fair."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpdesk.domain import assignment
from helpdesk.domain.assignment import Idle, Member, Method, Queued, Routing, Skills, SkillUse, Team
from helpdesk.domain.contents import Wrong

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
AGENTS = [UUID(int=number) for number in range(1, 7)]
TEAMS = [UUID(int=number) for number in range(11, 13)]
INBOXES = [UUID(int=number) for number in range(21, 23)]
STORED = {"method": "least_busy", "capacity": 8, "skills": "prefer", "take_back_minutes": 30, "only_on_duty": True}
KINDS = st.tuples(st.sampled_from(AGENTS), st.booleans())


def member(agent_id: UUID, **given: Any) -> Member:
    """Somebody who is there and can take anything, one conversation after the other."""
    usual: dict[str, Any] = {"active": True, "on_duty": True, "seen_at": NOW, "capacity": 100, "live_capacity": 5}
    can = {"inbox_ids": None, "skills": Skills(), "last_assigned_at": None}
    return Member(agent_id=agent_id, **usual | can | given)


def queued(number: int, **given: Any) -> Queued:
    usual: dict[str, Any] = {"team_id": TEAMS[0], "inbox_id": INBOXES[0], "priority": 1, "waiting_since": NOW}
    return Queued(id=UUID(int=100 + number), **usual | given)


def team(*members: Member, method: Method = Method.ROUND_ROBIN, **given: Any) -> dict[UUID, Team]:
    return {TEAMS[0]: Team(Routing(method=method, **given), members)}


def given_to(
    queue: Sequence[Queued], teams: Mapping[UUID, Team], loads: Mapping[UUID, int] | None = None, live: bool = False
) -> dict[int, int]:
    """By the number of the conversation, that of the agent."""
    mine = {(agent_id, live): load for agent_id, load in (loads or {}).items()}
    found = assignment.assign(queue, teams, mine, now=NOW)
    return {one.id.int - 100: agent.int for one, agent in found}


times = st.none() | st.integers(0, 90).map(lambda minutes: NOW - timedelta(minutes=minutes))
skills = st.builds(
    Skills, st.frozensets(st.sampled_from(["en", "zh-CN"])), st.frozensets(st.sampled_from(["security", "how-to"]))
)
inbox_sets = st.none() | st.frozensets(st.sampled_from(INBOXES))
members = st.builds(
    Member,
    *(st.sampled_from(AGENTS), st.booleans(), st.booleans(), times),
    *(st.integers(0, 4), st.integers(0, 3), inbox_sets, skills, times),
)
routings = st.builds(
    Routing,
    method=st.sampled_from(Method),
    skills=st.sampled_from(SkillUse),
    take_back=st.none() | st.just(timedelta(minutes=30)),
    only_on_duty=st.booleans(),
    live_take_back=st.none() | st.just(timedelta(minutes=2)),
)
teams_of_all = st.fixed_dictionaries(
    {
        team_id: st.builds(Team, routings, st.lists(members, max_size=6, unique_by=lambda one: one.agent_id))
        for team_id in TEAMS
    }
)
queues = st.lists(
    st.builds(
        Queued,
        id=st.uuids(),
        team_id=st.sampled_from(TEAMS),
        inbox_id=st.sampled_from(INBOXES),
        priority=st.integers(0, 3),
        waiting_since=times,
        language=st.sampled_from(["", "en", "zh-CN"]),
        category=st.sampled_from([None, "security", "how-to"]),
        taken_from=st.none() | st.sampled_from(AGENTS),
        live=st.booleans(),
    ),
    max_size=25,
    unique_by=lambda one: one.id,
)
loads_of_all = st.dictionaries(KINDS, st.integers(0, 4))


def able(routing: Routing, one: Member, wanted: Queued, load: int) -> bool:
    """Written out anew, as the documentation says it."""
    here = one.active and (one.on_duty or not routing.only_on_duty)
    patience = routing.live_take_back if wanted.live else routing.take_back
    if patience is not None:
        here = here and one.seen_at is not None and NOW - one.seen_at <= patience
    skilled = routing.skills is not SkillUse.REQUIRE or one.skills.cover(wanted.language, wanted.category)
    allowed = one.inbox_ids is None or wanted.inbox_id in one.inbox_ids
    mine = routing.method is not Method.MANUAL and wanted.taken_from != one.agent_id
    return here and skilled and allowed and mine and load < (one.live_capacity if wanted.live else one.capacity)


@settings(max_examples=60, deadline=None)
@given(queues, teams_of_all, loads_of_all)
def test_each_goes_to_one_who_can_take_it_and_nothing_waits_that_somebody_could_take(
    queue: list[Queued], teams: dict[UUID, Team], before: dict[tuple[UUID, bool], int]
) -> None:
    found = assignment.assign(queue, teams, before, now=NOW)
    assert len({one.id for one, _ in found}) == len(found)
    load = Counter(before)
    for wanted, agent_id in found:
        (chosen,) = (one for one in teams[wanted.team_id].members if one.agent_id == agent_id)
        assert able(teams[wanted.team_id].routing, chosen, wanted, load[agent_id, wanted.live])
        load[agent_id, wanted.live] += 1
    given_out = {one.id for one, _ in found}
    for wanted in queue:
        routing, people = teams[wanted.team_id].routing, teams[wanted.team_id].members
        if wanted.id not in given_out:
            assert not any(able(routing, one, wanted, load[one.agent_id, wanted.live]) for one in people)


@settings(max_examples=30, deadline=None)
@given(queues, teams_of_all, loads_of_all, st.randoms(use_true_random=False))
def test_the_same_rows_in_another_order_are_the_same_answer(
    queue: list[Queued], teams: dict[UUID, Team], before: dict[tuple[UUID, bool], int], chance: random.Random
) -> None:
    found = assignment.assign(queue, teams, before, now=NOW)
    shuffled = {
        key: Team(one.routing, chance.sample(list(one.members), len(one.members))) for key, one in teams.items()
    }
    assert assignment.assign(chance.sample(queue, len(queue)), shuffled, before, now=NOW) == found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 25))
def test_turns_are_fair_and_go_on_where_they_ended(people: int, count: int) -> None:
    last = {agent: NOW - timedelta(minutes=agent.int) for agent in AGENTS[:people]}
    crew = [member(agent, last_assigned_at=at) for agent, at in last.items()]
    found = given_to([queued(number) for number in range(count)], team(*crew))
    order = [one.agent_id.int for one in sorted(crew, key=lambda one: last[one.agent_id])]
    assert [found[number] for number in range(count)] == [order[number % people] for number in range(count)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 30))
def test_least_busy_fills_everybody_to_the_same_share(capacities: list[int], count: int) -> None:
    crew = [member(agent, capacity=most) for agent, most in zip(AGENTS, capacities, strict=False)]
    found = given_to([queued(number) for number in range(count)], team(*crew, method=Method.LEAST_BUSY))
    load = Counter(found.values())
    assert sum(load.values()) == min(count, sum(capacities))
    for one in crew:
        for other in crew:
            taken_last = (load[one.agent_id.int] - 1) / one.capacity
            assert taken_last <= load[other.agent_id.int] / other.capacity


def test_who_has_less_of_his_share_comes_first_and_among_equals_who_waited_longest() -> None:
    long_ago, lately = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    half, also_half = member(AGENTS[0], capacity=4, last_assigned_at=lately), member(AGENTS[1], capacity=2)
    quarter = member(AGENTS[2], capacity=4, last_assigned_at=lately)
    loads = {AGENTS[0]: 2, AGENTS[1]: 1, AGENTS[2]: 1}
    equal = replace(also_half, last_assigned_at=long_ago)
    for crew, first in (((half, equal, quarter), 3), ((half, equal), 2), ((half, also_half), 2)):
        assert given_to([queued(0)], team(*crew, method=Method.LEAST_BUSY), loads) == {0: first}


def test_the_urgent_come_first_then_who_has_waited_longest_then_who_does_not_wait() -> None:
    queue = [
        queued(0, waiting_since=None),
        queued(1, waiting_since=NOW - timedelta(hours=1)),
        queued(2, waiting_since=NOW - timedelta(hours=2)),
        queued(3, priority=3, waiting_since=NOW),
        queued(4, priority=3, waiting_since=None),
    ]
    found = assignment.assign(queue, team(member(AGENTS[0])), {}, now=NOW)
    assert [one.id.int - 100 for one, _ in found] == [3, 4, 2, 1, 0]


@pytest.mark.parametrize(
    ("use", "first", "second"),
    [(SkillUse.IGNORE, {0: 1}, {0: 1}), (SkillUse.PREFER, {0: 2}, {0: 1}), (SkillUse.REQUIRE, {0: 2}, {})],
)
def test_skills_are_ignored_preferred_or_required(use: SkillUse, first: dict[int, int], second: dict[int, int]) -> None:
    chinese = member(AGENTS[1], skills=Skills(frozenset({"zh-CN"})), last_assigned_at=NOW)
    crew = team(member(AGENTS[0], skills=Skills(frozenset({"en"}))), chinese, skills=use)
    wanted = [queued(0, language="zh-CN")]
    assert given_to(wanted, crew) == first
    assert given_to(wanted, crew, {AGENTS[1]: 100}) == second


def test_what_nobody_knows_of_a_conversation_is_no_skill_that_anybody_lacks() -> None:
    narrow = Skills(frozenset({"en"}), frozenset({"security"}))
    assert narrow.cover("", None)
    assert not narrow.cover("zh-TW", None)
    assert not narrow.cover("", "how-to")
    assert Skills().cover("zh-TW", "how-to")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"active": False, "on_duty": False}, Idle.LEFT),
        ({"on_duty": False, "seen_at": None}, Idle.OFF_DUTY),
        ({"seen_at": NOW - timedelta(minutes=31)}, Idle.AWAY),
        ({"seen_at": None}, Idle.AWAY),
        ({"capacity": 5}, Idle.FULL),
        ({"capacity": 0}, Idle.FULL),
        ({}, None),
        ({"seen_at": NOW - timedelta(minutes=30), "capacity": 6}, None),
    ],
)
def test_it_is_said_why_somebody_is_given_nothing(given: dict[str, Any], why: Idle | None) -> None:
    routing = Routing(Method.ROUND_ROBIN, take_back=timedelta(minutes=30))
    him = member(AGENTS[0], **given)
    assert assignment.idle(routing, him, live=False, load=5, now=NOW) is why
    by_hand = replace(routing, method=Method.MANUAL)
    assert assignment.idle(by_hand, member(AGENTS[0]), live=False, load=0, now=NOW) is Idle.MANUAL


def test_what_is_live_has_room_and_patience_of_its_own() -> None:
    crew = team(member(AGENTS[0], capacity=1, live_capacity=2), live_take_back=timedelta(minutes=2))
    chats, mails = [queued(number, live=True) for number in range(3)], [queued(number) for number in range(3, 6)]
    assert given_to([*mails, *chats], crew) == {3: 1, 0: 1, 1: 1}
    assert given_to([*mails, *chats], crew, {AGENTS[0]: 2}, live=True) == {3: 1}
    quiet = team(member(AGENTS[0], seen_at=NOW - timedelta(minutes=3)), take_back=timedelta(minutes=30))
    assert given_to([*mails[:1], *chats[:1]], quiet) == {3: 1}
    shares = member(AGENTS[0], live_capacity=4), member(AGENTS[1], live_capacity=2, last_assigned_at=NOW)
    busy = {AGENTS[0]: 1, AGENTS[1]: 1}
    assert given_to(chats[:1], team(*shares, method=Method.LEAST_BUSY), busy, live=True) == {0: 1}


def test_only_a_team_that_says_so_takes_from_who_is_not_there_but_every_one_from_who_left() -> None:
    without, within = Routing(Method.ROUND_ROBIN), Routing(Method.ROUND_ROBIN, take_back=timedelta(minutes=30))
    some, absent = (Idle.LEFT, Idle.OFF_DUTY, None), [True] * 3 + [False] * 5
    assert [assignment.loses(without, why, live=False) for why in some] == [True, False, False]
    assert [assignment.loses(within, why, live=False) for why in (*Idle, None)] == absent
    assert [assignment.loses(without, why, live=True) for why in (*Idle, None)] == absent
    never = replace(within, live_take_back=None)
    assert [assignment.loses(never, why, live=True) for why in some] == [True, False, False]


def test_it_is_said_when_nothing_in_the_queue_is_for_somebody() -> None:
    routing = Routing(Method.ROUND_ROBIN, skills=SkillUse.REQUIRE)
    english = member(AGENTS[0], skills=Skills(frozenset({"en"})), inbox_ids=frozenset(INBOXES[:1]))
    assert assignment.unsuited(routing, english, [(INBOXES[1], "en", None)]) is Idle.NO_INBOX
    chinese = [(INBOXES[1], "en", None), (INBOXES[0], "zh-CN", None)]
    assert assignment.unsuited(routing, english, chinese) is Idle.NO_SKILL
    assert assignment.unsuited(replace(routing, skills=SkillUse.PREFER), english, chinese) is None
    assert assignment.unsuited(routing, english, [*chinese, (INBOXES[0], "", "security")]) is None


def test_a_routing_is_read_as_it_was_checked() -> None:
    assignment.check(STORED)
    found = assignment.read(STORED)
    assert found == Routing(Method.LEAST_BUSY, 8, SkillUse.PREFER, timedelta(minutes=30), True)
    assert assignment.read(STORED | {"take_back_minutes": None}).take_back is None
    assert assignment.read(None).method is Method.MANUAL
    live = assignment.read(STORED | {"live_capacity": 5, "live_take_back_minutes": None})
    assert (live.live_capacity, live.live_take_back) == (5, None)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"method": "random"}, "method"),
        ({"capacity": 0}, "capacity"),
        ({"capacity": True}, "capacity"),
        ({"capacity": 501}, "capacity"),
        ({"skills": "both"}, "skills"),
        ({"take_back_minutes": 4}, "take_back_minutes"),
        ({"take_back_minutes": 10_081}, "take_back_minutes"),
        ({"only_on_duty": 1}, "only_on_duty"),
        ({"color": "red"}, "color"),
        ({"live_capacity": 0}, "live_capacity"),
        ({"live_capacity": 51}, "live_capacity"),
        ({"live_take_back_minutes": 1}, "live_take_back_minutes"),
    ],
)
def test_a_routing_that_makes_no_sense_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as refused:
        assignment.check(STORED | given)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"languages": ["de"], "categories": []}, "languages.0"),
        ({"languages": ["en", "en"], "categories": []}, "languages.1"),
        ({"languages": [], "categories": [" security"]}, "categories.0"),
        ({"languages": [], "categories": ["x" * 61]}, "categories.0"),
        ({"languages": []}, "categories"),
    ],
)
def test_skills_that_make_no_sense_are_refused_by_their_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as refused:
        assignment.check_skills(given)
    assert refused.value.field == field
