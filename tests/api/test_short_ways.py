"""The short way of an answer, held against the route itself: whoever asks cannot tell them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from helpdesk.api import messages
from helpdesk.services.house import Services
from tests import factories

Client = httpx.AsyncClient
SHORT, LONG = "application/json", "application/json; charset=utf-8"
"""The plainest request goes the short way; any other goes by the route."""


async def write(client: Client, conversation: object, kind: str, body: bytes, headers: Mapping[str, str]) -> Any:
    where = f"/api/v1/conversations/{conversation}/messages"
    given = {"Idempotency-Key": uuid4().hex, **headers, "Content-Type": kind}
    return await client.post(where, content=body, headers={name: value for name, value in given.items() if value})


async def test_an_answer_is_the_same_by_either_way(client: Client, services: Services) -> None:
    anna, desk = await factories.agent(services, name="Anna"), await factories.inbox(services)
    found = []
    for kind in (SHORT, LONG):
        identifier = await factories.conversation(services, inbox_id=desk, handle="mina@customer.test")
        answer = await write(client, identifier, kind, b'{"text": "It arrives today.", "seen_seq": 1}', anna.headers)
        shown = answer.json()
        own = {name: shown.pop(name) for name in ("id", "created_at", "in_reply_to", "external_id") if name in shown}
        assert UUID(own["id"])
        assert shown["delivery"].pop("next_attempt_at") >= own["created_at"]
        found.append((answer.status_code, sorted(answer.headers), shown))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"text": "x"}', {"Authorization": ""}, 401),
        (b'{"text": "x"}', {"Authorization": "Bearer hd_nobody"}, 401),
        (b'{"text": "x"}', {"Idempotency-Key": ""}, 400),
        (b'{"text": "x", "seen_seq": 0}', {}, 409),
        (b'{"text": ""}', {}, 422),
        (b'{"text": "x", "more": 1}', {}, 422),
        (b'{"text": 1}', {}, 422),
        (b'{"text": "\\ud800"}', {}, 422),
        (b'{"text": "x", "seen_seq": 1%s}' % (b"0" * 30), {}, 422),
        (b"{", {}, 422),
        (b"", {}, 422),
        (b"[]", {}, 422),
    ],
)
async def test_what_is_refused_is_refused_in_the_same_words(
    body: bytes, headers: Mapping[str, str], status: int, client: Client, services: Services
) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    short, long = [await write(client, identifier, kind, body, {**anna.headers, **headers}) for kind in (SHORT, LONG)]
    assert short.status_code == status, short.text
    assert (short.status_code, short.json(), sorted(short.headers)) == (
        long.status_code,
        long.json(),
        sorted(long.headers),
    )


async def test_a_conversation_out_of_sight_is_as_unknown_by_either_way(client: Client, services: Services) -> None:
    await factories.inbox(services)
    bert = await factories.agent(services)
    theirs = await factories.conversation(services, inbox_id=await factories.inbox(services, members=[bert.id]))
    stranger = await factories.agent(services)
    for identifier in (theirs, uuid4(), "7", str(theirs).upper()):
        answers = [await write(client, identifier, kind, b'{"text": "x"}', stranger.headers) for kind in (SHORT, LONG)]
        assert len({(answer.status_code, answer.text) for answer in answers}) == 1, identifier
        assert answers[0].status_code in (404, 422)


async def test_the_plainest_answer_does_go_the_short_way(
    client: Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL; the route says so where it does not."""
    if services.database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no short way")
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    monkeypatch.setattr(messages, "once", None)
    answer = await write(client, identifier, SHORT, b'{"text": "x"}', anna.headers)
    assert answer.status_code == 201
