"""A chat by mail: what its visitor may see, to the address that he has proved, and not too often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.errors import Conflict, TooMany
from helpdesk.models.events import audit
from helpdesk.models.inboxes import inboxes
from helpdesk.services import transcripts
from helpdesk.services.house import Services
from tests import factories
from tests.continued import MINA, Chat, words
from tests.house import Desk, House, mail


@pytest.fixture
async def house(services: Services) -> AsyncIterator[House]:
    async with House(services) as opened:
        yield opened


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.inbox()


async def test_a_visitor_gets_what_he_may_see_and_can_answer_it(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house, language="zh-CN")
    await chat.answer("We have found it.")
    await chat.answer("Watch out, he is new.", private=True)
    await transcripts.ask(house.services, chat.visitor, now=clock.now())
    await house.drain()
    (letter,) = house.outgoing()
    assert str(letter["To"]) == MINA
    assert letter["Subject"] == f"您与我们的对话记录 [#{(await chat.row())['number']}]"
    text = words(letter)
    assert text.index("您，2") < text.index("    Where is my withdrawal?") < text.index("Anna，2")
    assert "    We have found it." in text
    assert "he is new" not in letter.as_string()
    reply_to = letter["Reply-To"].addresses[0].addr_spec
    await house.receive(desk, mail(MINA, "Thanks.", dmarc="pass", to=reply_to), recipients=[reply_to])
    assert len(await house.incoming(chat.id)) == 2
    (noted,) = await house.rows(audit, audit.c.action == "conversation.transcript_sent")
    assert (noted["actor_kind"], noted["actor_id"]) == ("contact", chat.contact_id)


async def test_it_is_mailed_three_times_a_day_whoever_asks(house: House, desk: Desk) -> None:
    chat = await Chat.begin(house)
    now = clock.now()
    await transcripts.ask(house.services, chat.visitor, now=now)
    for _ in range(2):
        await transcripts.send(house.services, chat.id, by=SYSTEM, now=now)
    for late in (timedelta(0), timedelta(hours=23)):
        with pytest.raises(TooMany) as refused:
            await transcripts.ask(house.services, chat.visitor, now=now + late)
        assert 0 < refused.value.extra["retry_after"] <= 86_401 - late.total_seconds()
    await transcripts.ask(house.services, chat.visitor, now=now + timedelta(hours=24, seconds=1))
    # What was mailed before is in no transcript, nor in what the visitor reads.
    await house.drain()
    assert all("this is what was said" not in words(letter)[100:] for letter in house.outgoing())


async def test_an_address_that_was_only_claimed_gets_none(house: House, desk: Desk, client: httpx.AsyncClient) -> None:
    chat = await Chat.begin(house, proved=False)
    with pytest.raises(Conflict) as refused:
        await transcripts.ask(house.services, chat.visitor, now=clock.now())
    assert refused.value.problem == "no_address"
    boss = await factories.agent(house.services, role="supervisor")
    answered = await client.post(f"/api/v1/conversations/{chat.id}/transcript", headers=boss.headers)
    assert (answered.status_code, answered.json()["type"]) == (409, "urn:helpdesk:problem:no_address")
    # Who answers him can see that before he does.
    proved = await Chat.begin(house)
    for one, mailed in ((chat, False), (proved, True)):
        shown = await client.get(f"/api/v1/conversations/{one.id}", headers=boss.headers)
        assert shown.json()["contact_presence"]["mailed"] is mailed
    assert desk.address


async def test_an_agent_mails_it_through_an_inbox_that_he_may_answer_by(
    house: House, desk: Desk, client: httpx.AsyncClient
) -> None:
    chat = await Chat.begin(house)
    await chat.answer("We have found it.")
    anna = await factories.agent(house.services)
    url = f"/api/v1/conversations/{chat.id}/transcript"
    answered = await client.post(url, headers=anna.headers)
    assert answered.status_code == 202
    shown = await client.get(f"/api/v1/conversations/{chat.id}/messages", headers=anna.headers)
    letter = next(one for one in shown.json()["items"] if one["id"] == answered.json()["message_id"])
    assert (letter["author"]["kind"], letter["channel"], letter["auto_submitted"]) == (
        "system",
        "email",
        "auto-generated",
    )
    await house.drain()
    (mailed,) = house.outgoing()
    assert "We have found it." in words(mailed)
    team = await factories.team(house.services)
    await closed(house, desk.id, team)
    assert (await client.post(url, headers=anna.headers)).status_code == 403
    await closed(house, chat.inbox_id, team)
    assert (await client.post(url, headers=anna.headers)).status_code == 404


async def closed(house: House, inbox_id: UUID, team_id: UUID) -> None:
    """To all but a team that nobody is in."""
    async with house.services.database.transaction() as session:
        await session.execute(update(inboxes).where(inboxes.c.id == inbox_id).values(team_id=team_id))
