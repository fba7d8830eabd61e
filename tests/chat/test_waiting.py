"""A visitor waits, is handed on and is asked how it was, as he is told it over the wire."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import update

from helpdesk import clock
from helpdesk.models.agents import api_tokens
from helpdesk.services.house import Services
from tests import factories
from tests.chat.wire import SITE, Wire, begin, url
from tests.conftest import ON_ONE_DATABASE
from tests.house import House
from tests.live import Served


@ON_ONE_DATABASE
async def test_he_is_told_his_place_who_comes_and_when_he_is_asked(services: Services) -> None:
    anna = await factories.agent(services, name="Anna")
    await factories.hours(services, default=True, weekly=[[["00:00", "24:00"]]] * 7)
    async with services.database.transaction() as session:
        await session.execute(update(api_tokens).values(last_used_at=clock.now()))
    team = await factories.team(services, members=[anna.id])
    inbox_id = await factories.inbox(services, channel="chat", origins=SITE, rating="on", team_id=team)
    async with Served(services) as served, House(services) as house:
        token = await begin(served.port, inbox_id)
        async with Wire(served.port) as wire, httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:

            async def does(method: str, path: str, version: int = 0, **body: Any) -> None:
                headers = {**anna.headers, "If-Match": f'"{version}"', "Idempotency-Key": uuid4().hex}
                answer = await client.request(method, f"{path_of}{path}", headers=headers, json=body)
                assert answer.is_success, answer.text
                await house.relay()

            await wire.hello(token)
            assert (await wire.until("presence"))["attended"] is True
            wire.send({"type": "message.send", "client_id": "a", "text": "Hello?"})
            conversation_id = (await wire.until("message.ack"))["conversation_id"]
            path_of = f"/api/v1/conversations/{conversation_id}"
            await house.relay()
            assert await wire.until("queue") == {"type": "queue", "position": 1, "eta": None}
            await does("POST", "/transfer", version=1, assignee_id=str(anna.id), note="I know him.")
            assert (await wire.until("agent.joined"))["name"] == "Anna"
            await does("POST", "/messages", text="Hello!")
            assert (await wire.until("message.new"))["message"]["text"] == "Hello!"
            await does("PATCH", "", version=2, status="resolved")
            state = await wire.until("conversation.state")
            assert (state["state"], state["rating"]) == ("resolved", True)
            bearer = {"Authorization": f"Bearer {token}"}
            rated = await client.post(f"{url(served.port)}/rating", headers=bearer, json={"score": 5})
            assert rated.status_code == 204, rated.text
            assert (await client.get(path_of, headers=anna.headers)).json()["rating"]["score"] == 5
            wire.send({"type": "message.send", "client_id": "b", "text": "One more thing."})
            await wire.until("message.ack")
            early = await client.post(f"{url(served.port)}/rating", headers=bearer, json={"score": 1})
            assert (early.status_code, early.json()["type"]) == (409, "urn:helpdesk:problem:conflict")
            for _ in range(2):
                assert (await client.post(f"{url(served.port)}/leave", headers=bearer)).status_code == 204
            await house.relay()
            while (state := await wire.until("conversation.state"))["state"] != "resolved":
                pass
            assert state["rating"] is True
