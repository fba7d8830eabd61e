"""Who watches a conversation."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select

from helpdesk.models.conversations import conversation_watchers
from helpdesk.models.events import events
from helpdesk.services import watchers
from helpdesk.services.house import Services
from tests import factories

URL = "/api/v1/conversations"


async def _rows(services: Services, conversation_id: UUID) -> dict[UUID, UUID | None]:
    w = conversation_watchers.c
    async with services.database.reading() as session:
        found = await session.execute(select(w.agent_id, w.added_by).where(w.conversation_id == conversation_id))
        return {row.agent_id: row.added_by for row in found}


async def _changes(services: Services, conversation_id: UUID) -> list[Any]:
    async with services.database.reading() as session:
        query = select(events.c.data).where(
            events.c.conversation_id == conversation_id, events.c.type == "conversation.updated"
        )
        return [data["changes"] for data in (await session.execute(query.order_by(events.c.seq))).scalars()]


async def test_one_watches_and_stops_and_twice_is_once(client: httpx.AsyncClient, services: Services) -> None:
    anna, desk = await factories.agent(services), await factories.inbox(services)
    identifier = await factories.conversation(services, inbox_id=desk)
    url = f"{URL}/{identifier}/watchers"
    for _ in range(2):
        answer = await client.post(url, headers=anna.headers)
        assert answer.json()["watchers"] == [{"id": str(anna.id), "name": anna.name}]
        assert (answer.json()["version"], answer.headers["etag"]) == (1, '"1"')
    assert await _rows(services, identifier) == {anna.id: anna.id}
    headers = {**anna.headers, "If-Match": '"1"'}
    for _ in range(2):
        assert (await client.delete(url, headers=headers)).json()["watchers"] == []
    assert await _rows(services, identifier) == {}
    assert await _changes(services, identifier) == [
        {"watchers": [[], [str(anna.id)]]},
        {"watchers": [[str(anna.id)], []]},
    ]


async def test_a_colleague_watches_only_what_he_may_see(client: httpx.AsyncClient, services: Services) -> None:
    anna, bert = await factories.agent(services), await factories.agent(services)
    boss = await factories.agent(services, role="supervisor")
    hers = await factories.inbox(services, members=[anna.id])
    identifier = await factories.conversation(services, inbox_id=hers)
    url = f"{URL}/{identifier}/watchers"
    refused = await client.post(url, headers=anna.headers, json={"agent_id": str(bert.id)})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "agent_id")
    unknown = await client.post(url, headers=anna.headers, json={"agent_id": str(uuid4())})
    assert unknown.status_code == 404
    assert (await client.post(url, headers=bert.headers)).status_code == 404
    added = await client.post(url, headers=anna.headers, json={"agent_id": str(boss.id)})
    assert added.json()["watchers"] == [{"id": str(boss.id), "name": boss.name}]
    assert await _rows(services, identifier) == {boss.id: anna.id}
    gone = await client.delete(f"{url}?agent_id={boss.id}", headers={**anna.headers, "If-Match": '"1"'})
    assert gone.json()["watchers"] == []


async def test_there_are_not_too_many(client: httpx.AsyncClient, services: Services, monkeypatch: Any) -> None:
    monkeypatch.setattr(watchers, "MAX_WATCHERS", 1)
    anna, bert = await factories.agent(services), await factories.agent(services)
    identifier = await factories.conversation(services, inbox_id=await factories.inbox(services))
    await client.post(f"{URL}/{identifier}/watchers", headers=anna.headers)
    refused = await client.post(f"{URL}/{identifier}/watchers", headers=bert.headers)
    assert refused.json()["errors"][0]["field"] == "agent_id"
