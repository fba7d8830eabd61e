"""The replay of what is in force against the clocks that really ran, over stories that nobody thought of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any
from uuid import UUID

import pytest

from helpdesk.domain.clocks import Clock
from helpdesk.domain.replay import replay
from helpdesk.models.sla import sla_clocks
from helpdesk.services import simulation, stories
from helpdesk.services.house import Services
from tests import factories
from tests.promised import DAY, HOUR, MONDAY, Wall

END = MONDAY + 6 * DAY


@pytest.fixture
async def wall(services: Services) -> AsyncIterator[Wall]:
    built = await Wall.build(services)
    yield built
    await built.close()


async def live(wall: Wall, random: Random) -> UUID:
    """A conversation that all sorts of things happen to, each some hours after the other."""
    at = MONDAY + random.randint(0, 12) * HOUR
    mail = await wall.writes(at=at)
    for _ in range(random.randint(2, 9)):
        at += random.choice((1, 2, 5, 13, 25)) * HOUR
        if at >= END - HOUR:
            break
        await wall.passes(at)
        match random.randint(0, 6):
            case 0 | 1:
                if (await wall.conversation(mail))["status"] != "closed":
                    await wall.writes(at=at, into=mail, now=at + random.randint(0, 30) * HOUR / 60)
            case 2 | 3:
                if (await wall.conversation(mail))["status"] != "closed":
                    await wall.answers(mail, at=at, accepted=at + random.randint(0, 30) * HOUR / 60)
            case 4:
                await wall.changes(mail, at=at, status=random.choice(("open", "pending", "resolved")))
            case 5:
                await wall.changes(mail, at=at, category=random.choice((None, "security", "complaint")))
            case 6:
                await wall.changes(mail, at=at, priority=random.randint(0, 3))
        at += HOUR
    return mail


def told(clock: Clock) -> tuple[Any, ...]:
    state = clock.state.value
    ended = None if clock.cancelled else clock.ended_at
    return clock.kind.value, clock.cycle, clock.terms.policy[0], state, clock.origin.at, ended, clock.breached_at


@pytest.mark.parametrize("seed", range(3))
async def test_a_replay_of_what_is_in_force_comes_to_the_clocks_that_ran(wall: Wall, seed: int) -> None:
    random = Random(seed)
    business = {"clock": "business", "targets": {"first_response": 6 * 3600, "resolution": 20 * 3600}}
    await factories.policy(wall.services, position=1, priorities=["urgent"], **business)
    lived = [await live(wall, random) for _ in range(4)]
    await wall.passes(END)
    async with wall.services.database.reading() as session:
        tried = await simulation.promised(wall.services, session)
        rows = [await wall.conversation(one) for one in lived]
        read = await stories.read(session, rows)
    for one in lived:
        found = sorted(told(clock) for clock in replay(read[one], tried.judge, until=END))
        ran = [
            (
                row["kind"],
                row["cycle"],
                row["policy_id"],
                row["state"],
                row["started_at"],
                None if row["state"] == "cancelled" else row["ended_at"],
                row["breached_at"],
            )
            for row in await wall.rows(sla_clocks, sla_clocks.c.conversation_id == one)
        ]
        assert found == sorted(ran, key=lambda row: row[:2])
