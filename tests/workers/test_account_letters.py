"""Invitations and resets on their way: the link is made by whoever sends it, and is nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import RowMapping, select, update
from structlog.testing import capture_logs

from helpdesk import clock
from helpdesk.domain.account_texts import Purpose
from helpdesk.domain.values import SYSTEM
from helpdesk.models.agents import account_links, agents
from helpdesk.services import account_links as links
from helpdesk.services.house import Services
from helpdesk.wiring import open_guard
from tests import factories
from tests.conftest import BASE_URL
from tests.house import read
from tests.peers.smtp_sink import SmtpSink
from workers.account_letters import AccountLetters
from workers.connections import Connections


@pytest.fixture
async def letters(quick: Services) -> AsyncIterator[AccountLetters]:
    connections = Connections(quick, open_guard(quick.settings))
    yield AccountLetters(quick, connections)
    await connections.close()


async def _queue(services: Services, agent_id: UUID, purpose: Purpose = Purpose.INVITATION) -> None:
    async with services.database.transaction() as session:
        await links.issue(session, agent_id, purpose, by=SYSTEM, letter=True, now=clock.now())


async def _row(services: Services) -> RowMapping:
    async with services.database.reading() as session:
        return (await session.execute(select(account_links))).mappings().one()


async def _change(services: Services, **values: Any) -> None:
    async with services.database.transaction() as session:
        await session.execute(update(account_links).values(values))


def _link(body: bytes) -> tuple[str, str]:
    """The letter's subject and the token of its link."""
    letter = read(body)
    part = letter.get_body(("plain",))
    assert part is not None
    (line,) = [line for line in str(part.get_content()).splitlines() if line.startswith(BASE_URL)]
    return str(letter["Subject"]), line.rpartition("=")[2]


async def test_an_invitation_arrives_in_the_agents_language_and_its_link_is_kept_nowhere(
    quick: Services, letters: AccountLetters, sink: SmtpSink, client: httpx.AsyncClient
) -> None:
    boss, anna = await factories.agent(quick, role="admin"), await factories.agent(quick)
    async with quick.database.transaction() as session:
        await session.execute(update(agents).where(agents.c.id == anna.id).values(locale="zh-TW"))
    await factories.inbox(quick, smtp_url=sink.url())
    url = f"/api/v1/agents/{anna.id}/invitation"
    asked = await client.post(url, headers=boss.headers)
    assert asked.json()["status"] == "queued"
    with capture_logs() as logs:
        assert [await letters.step(), await letters.step()] == [1, 0]
    (sent,) = sink.messages
    assert sent.recipients == (anna.email,)
    subject, token = _link(sent.body)
    assert subject == "您的客服系統帳號"
    row = await _row(quick)
    assert (row["status"], row["attempts"]) == ("sent", 1)
    assert token not in str(dict(row)) + str(logs)
    assert (await client.get(url, headers=boss.headers)).json()["status"] == "sent"
    body = {"token": token, "password": "a better horse battery"}
    assert (await client.post("/api/v1/auth/accept-invitation", json=body)).status_code == 204


async def test_what_is_tried_again_has_another_link_and_the_first_is_worth_nothing(
    quick: Services, letters: AccountLetters, sink: SmtpSink, client: httpx.AsyncClient
) -> None:
    anna = await factories.agent(quick, password=True)
    await factories.inbox(quick, smtp_url=sink.url())
    await _queue(quick, anna.id, Purpose.PASSWORD_RESET)
    sink.drop("dot", times=1)
    await letters.step()
    row = await _row(quick)
    assert (row["status"], row["error"]) == ("queued", "uncertain")
    assert await letters.step() == 0, "after a pause"
    await _change(quick, next_attempt_at=clock.now())
    await letters.step()
    first, second = (_link(sent.body)[1] for sent in sink.messages)
    assert first != second
    for token, status in ((first, 404), (second, 204)):
        body = {"token": token, "password": "a better horse battery"}
        assert (await client.post("/api/v1/auth/reset-password", json=body)).status_code == status


async def test_a_letter_that_nobody_takes_is_given_up_with_its_time(quick: Services, letters: AccountLetters) -> None:
    anna = await factories.agent(quick)
    await _queue(quick, anna.id)
    with capture_logs() as logs:
        await letters.step()
        assert (await _row(quick))["error"] == "no_inbox"
        old = clock.now() - links.LIFE[Purpose.INVITATION] - timedelta(minutes=1)
        await _change(quick, next_attempt_at=clock.now(), created_at=old)
        await letters.step()
    assert (await _row(quick))["status"] == "failed"
    assert anna.email not in str(logs)
    assert await letters.step() == 0


async def test_a_worker_that_was_overtaken_says_nothing_of_the_letter(quick: Services, sink: SmtpSink) -> None:
    anna = await factories.agent(quick)
    await _queue(quick, anna.id)
    async with quick.database.transaction() as session:
        lost = await links.claim(session, now=clock.now())
        assert await links.claim(session, now=clock.now()) is None, "it is in hand"
        taken = await links.claim(session, now=clock.now() + timedelta(minutes=6))
        assert lost is not None
        assert taken is not None
        await links.failed(session, lost, error="late", permanent=True, now=clock.now())
        await links.sent(session, taken)
    row = await _row(quick)
    assert (row["status"], row["error"], row["attempts"]) == ("sent", "", 2)
