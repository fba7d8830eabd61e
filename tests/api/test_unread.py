"""What each agent has read, of each conversation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from helpdesk import clock
from helpdesk.db import insert_rows
from helpdesk.models.conversations import conversation_reads, conversations, mentions
from helpdesk.services.house import Services
from tests import factories

URL = "/api/v1/conversations"


async def unread(client: httpx.AsyncClient, who: factories.Someone, conversation_id: UUID) -> tuple[bool, bool]:
    """As the list and the single one say it."""
    items = (await client.get(URL, headers=who.headers)).json()["items"]
    (listed,) = (item["unread"] for item in items if item["id"] == str(conversation_id))
    return listed, (await client.get(f"{URL}/{conversation_id}", headers=who.headers)).json()["unread"]


async def test_each_agent_reads_for_himself(client: httpx.AsyncClient, services: Services) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=await factories.inbox(services), messages=2)
    assert await unread(client, anna, mail) == (True, True)
    read = await client.put(f"{URL}/{mail}/read", headers=anna.headers)
    assert (read.status_code, read.json()) == (200, {"seq": 2, "unread": False})
    assert await unread(client, anna, mail) == (False, False)
    assert await unread(client, bert, mail) == (True, True)
    await factories.incoming(services, mail)
    assert await unread(client, anna, mail) == (True, True)
    assert (await client.delete(f"{URL}/{mail}/read", headers=anna.headers)).status_code == 204
    async with services.database.reading() as session:
        assert (await session.execute(select(conversation_reads))).all() == []


async def test_reading_never_goes_back_nor_beyond_the_end(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=await factories.inbox(services), messages=3)

    async def read(seq: int) -> httpx.Response:
        return await client.put(f"{URL}/{mail}/read", headers=anna.headers, json={"seq": seq})

    assert (await read(2)).json() == {"seq": 2, "unread": True}
    assert (await read(1)).json() == {"seq": 2, "unread": True}
    assert (await read(3)).json() == {"seq": 3, "unread": False}
    beyond = await read(4)
    assert (beyond.status_code, beyond.json()["errors"][0]["field"]) == (422, "seq")


async def test_whoever_answers_has_read(client: httpx.AsyncClient, services: Services) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=await factories.inbox(services))
    headers = {**anna.headers, "Idempotency-Key": "one"}
    answered = await client.post(f"{URL}/{mail}/messages", headers=headers, json={"text": "We look into it."})
    assert answered.status_code == 201
    assert await unread(client, anna, mail) == (False, False)
    assert await unread(client, bert, mail) == (True, True)


async def test_reading_as_far_as_a_mention_is_knowing_it(client: httpx.AsyncClient, services: Services) -> None:
    anna = await factories.agent(services)
    mail = await factories.conversation(services, inbox_id=await factories.inbox(services), messages=0)
    made = [await factories.incoming(services, mail) for _ in range(2)]
    row: dict[str, Any] = {"agent_id": anna.id, "conversation_id": mail, "created_at": clock.now(), "read_at": None}
    async with services.database.transaction() as session:
        await insert_rows(session, mentions, [{"message_id": one, **row} for one in made])
        before = (await session.execute(select(conversations.c.version))).scalar_one()
    await client.put(f"{URL}/{mail}/read", headers=anna.headers, json={"seq": 1})
    async with services.database.reading() as session:
        query = select(mentions.c.read_at).order_by(mentions.c.message_id)
        assert [at is not None for at in (await session.execute(query)).scalars()] == [True, False]
        assert (await session.execute(select(conversations.c.version))).scalar_one() == before


async def test_many_are_read_or_unread_at_once_where_one_may_look(
    client: httpx.AsyncClient, services: Services
) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    hers, his = [await factories.inbox(services, members=[one.id]) for one in (anna, bert)]
    first, second = [await factories.conversation(services, inbox_id=hers, messages=2) for _ in range(2)]
    foreign = await factories.conversation(services, inbox_id=his)
    message_id = await factories.incoming(services, first)
    about = {"agent_id": anna.id, "conversation_id": first, "created_at": clock.now(), "read_at": None}
    async with services.database.transaction() as session:
        await insert_rows(session, mentions, [{"message_id": message_id, **about}])
    await client.put(f"{URL}/{second}/read", headers=anna.headers, json={"seq": 1})
    ids = [str(one) for one in (second, first, foreign, first)]

    async def mark(read: bool) -> list[tuple[str, int, bool]]:
        answer = await client.post(f"{URL}/read", headers=anna.headers, json={"ids": ids, "read": read})
        assert answer.status_code == 200, answer.text
        return [(one["conversation_id"], one["seq"], one["unread"]) for one in answer.json()["items"]]

    for _ in range(2):
        assert await mark(True) == [(str(first), 3, False), (str(second), 2, False)]
    async with services.database.reading() as session:
        kept = (await session.execute(select(conversation_reads.c.agent_id, conversation_reads.c.seq))).all()
        assert sorted(kept) == [(anna.id, 2), (anna.id, 3)]
        assert await session.scalar(select(mentions.c.read_at)) is not None
    assert await mark(False) == [(str(first), 0, True), (str(second), 0, True)]
    assert await unread(client, anna, first) == (True, True)
