"""Two agents do something to one conversation at the same moment: one of them wins, and the other one is told.

`benchmarks/races.py` does the same a thousand times.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from helpdesk import clock
from helpdesk.channels import LeaseLost
from helpdesk.db import Database
from helpdesk.domain.values import SYSTEM
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.models.messages import messages
from helpdesk.services import deliveries, redelivery
from helpdesk.services.house import Services
from helpdesk.services.promises import Promises
from tests import factories
from tests.contests import KINDS
from tests.house import House
from tests.racing import open_track, sent_once

ROUNDS = 2
URL = "/api/v1/conversations"


@pytest.fixture
async def elsewhere(services: Services, database_url: str) -> AsyncIterator[Services]:
    """The house as another process has it."""
    opened = Database(database_url)
    yield replace(services, database=opened, promises=Promises())
    await opened.close()


async def test_whatever_two_do_at_once_nothing_is_lost_or_done_twice(services: Services, elsewhere: Services) -> None:
    async with open_track(services, elsewhere, seed=1) as track:
        for name, race in KINDS.items():
            for _ in range(ROUNDS):
                await race.run(track, name)
        assert await sent_once(track)


async def test_an_answer_that_is_taken_back_does_not_leave_though_a_sender_has_claimed_it(services: Services) -> None:
    desk, now = await factories.inbox(services), clock.now()
    async with House(services) as house:
        made = await factories.conversation(services, inbox_id=desk)
        message = await house.row(messages, messages.c.id == await house.reply(made, undo_seconds=5))
        later = now + timedelta(seconds=10)
        async with services.database.transaction() as session:
            how: dict[str, Any] = {"worker": "sender", "limit": 1, "lease_seconds": 60.0, "now": later}
            (claimed,) = await deliveries.claim(session, **how)
        # Whoever takes it back asked before it was due, and had to wait for the conversation.
        async with services.database.transaction() as session:
            await redelivery.cancel(services, session, message, by=SYSTEM, now=now)
        with pytest.raises(LeaseLost):
            async with services.database.transaction() as session:
                await deliveries.start(session, claimed)
        assert (await house.row(delivery_rows))["status"] == "cancelled"


async def _ask(
    client: httpx.AsyncClient, who: factories.Someone, method: str, path: str, body: dict[str, Any]
) -> httpx.Response:
    headers = {**who.headers, "If-Match": '"1"', "Idempotency-Key": uuid4().hex}
    return await client.request(method, f"{URL}/{path}", headers=headers, json=body)


def _one_won(answers: Sequence[httpx.Response], *lost: int) -> httpx.Response:
    """The loser's answer, when there was one of each."""
    won, other = sorted(answers, key=lambda answer: answer.status_code)
    assert won.is_success, won.text
    assert other.status_code in lost, other.text
    assert other.json()["type"].startswith("urn:helpdesk:problem:")
    return other


async def _sent(services: Services) -> int | None:
    async with services.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(delivery_rows))


async def test_of_two_answers_at_once_one_is_sent_and_the_other_learns_what_it_said(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, ben, desk = await factories.agent(services), await factories.agent(services), await factories.inbox(services)
    for _ in range(ROUNDS):
        made = await factories.conversation(services, inbox_id=desk)
        bodies = ((anna, {"text": "By Anna.", "seen_seq": 1}), (ben, {"text": "By Ben.", "seen_seq": 1}))
        answers = await asyncio.gather(*(_ask(client, who, "POST", f"{made}/messages", body) for who, body in bodies))
        lost = _one_won(answers, 409).json()
        said = next(answer.json()["text"] for answer in answers if answer.is_success)
        assert lost["type"].endswith(":conversation_moved")
        assert [one["text"] for one in lost["messages"]] == [said]
    assert await _sent(services) == ROUNDS
