"""Two agents do something to one conversation at the same moment: one of them wins, and the other one is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from helpdesk.models.conversations import conversations
from helpdesk.models.messages import deliveries
from helpdesk.services.house import Services
from tests import factories

ROUNDS = 10
URL = "/api/v1/conversations"


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


async def _row(services: Services, identifier: UUID) -> Any:
    async with services.database.reading() as session:
        return (await session.execute(select(conversations).where(conversations.c.id == identifier))).mappings().one()


async def _sent(services: Services) -> int | None:
    async with services.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(deliveries))


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


@pytest.mark.parametrize("first", ["assignee_id", "status"])
async def test_of_two_changes_at_once_one_is_made(client: httpx.AsyncClient, services: Services, first: str) -> None:
    anna, ben, desk = await factories.agent(services), await factories.agent(services), await factories.inbox(services)
    bodies = {"assignee_id": (str(anna.id), str(ben.id)), "status": ("pending", "resolved")}[first]
    for _ in range(ROUNDS):
        made = await factories.conversation(services, inbox_id=desk)
        asked = (
            _ask(client, who, "PATCH", f"{made}", {first: to}) for who, to in zip((anna, ben), bodies, strict=True)
        )
        answers = await asyncio.gather(*asked)
        _one_won(answers, 412)
        to = next(one for one, answer in zip(bodies, answers, strict=True) if answer.is_success)
        row = await _row(services, made)
        assert (row["version"], str(row[first])) == (2, to)


async def test_of_two_merges_into_each_other_one_is_made(client: httpx.AsyncClient, services: Services) -> None:
    anna, ben, desk = await factories.agent(services), await factories.agent(services), await factories.inbox(services)
    for _ in range(ROUNDS):
        one, two = [
            await factories.conversation(services, inbox_id=desk, handle="mina@customer.test") for _ in range(2)
        ]
        answers = await asyncio.gather(
            _ask(client, anna, "POST", f"{one}/merge", {"into": str(two)}),
            _ask(client, ben, "POST", f"{two}/merge", {"into": str(one)}),
        )
        _one_won(answers, 409, 412)
        into = [(await _row(services, made))["merged_into_id"] for made in (one, two)]
        assert into == ([two, None] if answers[0].is_success else [None, one])
