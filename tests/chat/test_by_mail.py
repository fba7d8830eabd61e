"""A chat that goes on by mail, as its visitor and his agent see it: by HTTP, with a mail server that is there."""

from __future__ import annotations

import re
from typing import Any

import httpx
from sqlalchemy import update

from helpdesk import clock
from helpdesk.models.messages import deliveries
from helpdesk.services import continuing
from helpdesk.services.house import Services
from helpdesk.services.visits import MAILED_AFTER
from tests import factories
from tests.chat.wire import inbox
from tests.continued import MINA, words
from tests.house import House, mail
from tests.journeys.sink import read
from tests.peers.smtp_sink import SmtpSink
from workers.connections import Connections
from workers.visitor_letters import VisitorLetters

CHAT = "/channels/chat"


async def test_whoever_leaves_gets_the_rest_by_mail_and_finds_it_all_on_another_device(
    services: Services, client: httpx.AsyncClient
) -> None:
    async with SmtpSink() as sink, House(services) as house:
        desk = await house.inbox(smtp_url=sink.url())
        inbox_id, anna = await inbox(services), await factories.agent(services, name="Anna")
        connections = Connections(services, house.guard)

        async def call(method: str, path: str, token: str, expected: int, **given: Any) -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            answered = await client.request(method, f"{CHAT}{path}", headers=headers, **given)
            assert answered.status_code == expected, answered.text
            return answered.json() if answered.content else None

        async def enter() -> str:
            return str((await client.post(f"{CHAT}/{inbox_id}/sessions", json={})).json()["token"])

        async def prove(token: str) -> Any:
            """Type the code that the letter names; answers what he is told then."""
            before = len(sink.messages)
            await call("POST", "/email", token, 202, json={"email": MINA})
            assert await VisitorLetters(services, connections).step() == 1
            (letter,) = sink.messages[before:]
            code = re.search(r"\b\d{6}\b", words(read(letter.body)))
            assert code
            wrong = await call("POST", "/email/verify", token, 403, json={"code": f"{(int(code[0]) + 1) % 10**6:06d}"})
            assert wrong["type"].endswith(":proof_refused")
            return await call("POST", "/email/verify", token, 201, json={"code": code[0]})

        def texts(log: Any) -> list[str]:
            return [one["message"]["text"].strip() for one in log["items"] if one["type"] == "message.new"]

        token = (await prove(await enter()))["token"]
        said = await call("POST", "/messages", token, 201, json={"client_id": "a", "text": "Where is my money?"})
        answer = await client.post(
            f"/api/v1/conversations/{said['conversation_id']}/messages",
            headers={**anna.headers, "Idempotency-Key": "1"},
            json={"text": "It arrives today."},
        )
        assert answer.status_code == 201, answer.text
        async with services.database.transaction() as session:
            assert await continuing.go_on(services, session, now=clock.now() + MAILED_AFTER) == 1
            await session.execute(update(deliveries).values(next_attempt_at=clock.now()))
        await house.drain()
        letter = read(sink.messages[-1].body)
        assert (str(letter["To"]), sink.messages[-1].sender) == (MINA, desk.address)
        assert "It arrives today." in words(letter)
        reply_to = letter["Reply-To"].addresses[0].addr_spec
        history = "\n".join(f"> {line}" for line in words(letter).splitlines())
        quoted = f"Thank you!\n\nOn Mon, 5 Oct 2026 at 09:00, {desk.address} wrote:\n{history}\n"
        await house.receive(
            desk, mail(MINA, quoted, dmarc="pass", to=reply_to, answers=letter["Message-ID"]), recipients=[reply_to]
        )
        story = ["Where is my money?", "It arrives today.", "Thank you!"]
        assert texts(await call("GET", "/messages?after_seq=0", token, 200)) == story
        # Somewhere else there is nothing of it before the code, and all of it after that.
        phone = await enter()
        assert texts(await call("GET", "/messages?after_seq=0", phone, 200)) == []
        proved = await prove(phone)
        assert (proved["visitor"]["email"], proved["conversation_id"]) == (MINA, said["conversation_id"])
        assert texts(await call("GET", "/messages?after_seq=0", proved["token"], 200)) == story
        await call("GET", "/messages?after_seq=0", phone, 401)
        await call("POST", "/transcript", proved["token"], 202)
        await house.drain()
        assert all(one in words(read(sink.messages[-1].body)) for one in story)
        await connections.close()
