"""From where all read it into a chat that only he can open: a link by direct message, which works once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from helpdesk import clock
from helpdesk.channels import PermanentFailure
from helpdesk.domain.handoff_texts import TEXTS, direct
from helpdesk.domain.personal_data import found_in
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import raw_items
from helpdesk.models.messages import messages
from helpdesk.models.social import handoffs
from helpdesk.models.visitors import visits
from helpdesk.services import contact_merging
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.factories import Someone
from tests.house import Desk
from tests.social.vendor import WALL
from tests.social.wall_story import MINA, POST, Wall, wall


@dataclass
class Story:
    told: Wall
    anna: Someone
    chat: UUID

    async def hand_over(self, *, key: str = "", **given: Any) -> Any:
        body = {"inbox_id": str(self.chat), **given}
        path = f"conversations/{self.told.conversation_id}/handoff"
        return await self.told.post(path, body, key=key, by=self.anna)

    async def link(self) -> str:
        """Hand over, and take the link out of what the vendor was sent."""
        answer = await self.hand_over()
        assert answer.status_code == 201, answer.text
        await self.told.house.drain()
        await self.told.due_now()
        await self.told.house.drain()
        body = next(body for _, body in WALL.sent if body["kind"] == "direct")
        found = re.search(r"/h/([\w-]{43})", body["text"])
        assert found
        return f"/h/{found[1]}"

    async def open(self, link: str) -> dict[str, Any] | None:
        page = await self.told.client.post(link)
        found = re.search(r'id="handoff">(.*?)</script>', page.text)
        session: dict[str, Any] | None = json.loads(found[1])["session"] if found else None
        return session

    async def say(self, session: dict[str, Any], text: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {session['token']}"}
        body = {"client_id": str(uuid4()), "text": text}
        answer = await self.told.client.post("/channels/chat/messages", json=body, headers=headers)
        shown: dict[str, Any] = answer.json()
        assert answer.status_code == 201, shown
        return shown

    async def log(self, session: dict[str, Any]) -> list[str]:
        headers = {"Authorization": f"Bearer {session['token']}"}
        answer = await self.told.client.get("/channels/chat/messages", headers=headers)
        return [one["message"]["text"] for one in answer.json()["items"] if one["type"] == "message.new"]


@pytest.fixture
async def story(services: Services) -> AsyncIterator[Story]:
    async with wall(services) as told:
        anna = await factories.agent(told.services, role="admin", name="Anna")
        chat = await factories.inbox(told.services, channel="chat", name="Chat")
        yield Story(told, anna, chat)


async def test_a_public_complaint_goes_on_in_a_chat_of_his_own(story: Story) -> None:
    told = story.told
    answer = await story.hand_over()
    shown = answer.json()
    assert answer.status_code == 201, shown
    assert (shown["public_message"]["visibility"], shown["direct_message"]["visibility"]) == ("public", "direct")
    assert shown["public_message"]["text"] == TEXTS["en"].public
    # What is kept has a gap where the link has its secret.
    assert "/h/…" in shown["direct_message"]["text"]
    await told.house.drain()
    await told.due_now()
    await told.house.drain()
    first, second = (body for _, body in WALL.sent)
    assert (first["kind"], first["target"]) == ("direct", told.asked)
    assert (second["kind"], second["target"], second["text"]) == ("public", told.asked, TEXTS["en"].public)
    (secret,) = re.findall(r"/h/([\w-]{43})\n", first["text"])
    kept = [str(dict(row)) for table in (handoffs, messages) for row in [*await told.house.rows(table)]]
    assert not any(secret in row for row in kept)

    page = await told.client.get(f"/h/{secret}")
    assert (page.status_code, "post" in page.text, page.headers["cache-control"]) == (200, True, "no-store")
    assert "script" not in page.text
    session = await story.open(f"/h/{secret}")
    assert session is not None
    assert session["visitor"]["identified"]
    # He has only come: nobody is called, and nothing goes on by mail because nobody came.
    assert (await told.house.row(visits))["queued_at"] is None
    said = await story.say(session, "My address is secret")
    assert said["conversation_id"] == str(told.conversation_id)
    row = await told.house.row(messages, messages.c.id == UUID(said["id"]))
    assert (row["sender_verified"], row["inbox_id"]) == (True, story.chat)
    conversation = await told.conversation()
    assert (conversation["inbox_id"], conversation["channel"]) == (story.chat, "chat")
    await told.house.drain()
    assert (await told.house.row(visits))["queued_at"] is not None
    body = {"text": "Thank you, Mina. Done.", "status": "resolved"}
    answer = await told.post(f"conversations/{told.conversation_id}/messages", body, by=story.anna)
    assert (answer.status_code, answer.json()["inbox_id"]) == (201, str(story.chat))
    # He reads from here on, and nothing of what others may have written before.
    assert await story.log(session) == ["My address is secret", "Thank you, Mina. Done."]


async def test_a_link_works_once_whoever_comes_second(story: Story) -> None:
    link = await story.link()
    pages = await asyncio.gather(*(story.told.client.post(link) for _ in range(2)))
    assert sorted(page.status_code for page in pages) == [200, 410]
    assert (await story.told.client.get(link)).status_code == 410
    assert await story.open(link) is None
    assert [row["state"] for row in await story.told.house.rows(handoffs)] == ["used"]


@ON_ONE_DATABASE
async def test_what_is_late_replaced_or_made_up_opens_nothing(story: Story) -> None:
    told, link = story.told, await story.link()
    assert (await told.client.post("/h/" + "x" * 43)).status_code == 404
    await factories.incoming(told.services, told.conversation_id, visibility="public", now=clock.now())
    assert (await story.hand_over()).status_code == 201
    assert (await told.client.get(link)).status_code == 410
    assert (await told.client.post(link)).status_code == 410
    async with told.services.database.transaction() as session:
        late = update(handoffs).where(handoffs.c.state == "void")
        await session.execute(late.values(state="open", expires_at=clock.now() - timedelta(seconds=1)))
    assert (await told.client.post(link)).status_code == 410


@ON_ONE_DATABASE
async def test_a_chat_that_is_paused_leaves_the_link_good(story: Story) -> None:
    told, link = story.told, await story.link()
    pause = {"state": "paused"}
    path = f"/api/v1/inboxes/{story.chat}"
    shown = await told.client.get(path, headers=story.anna.headers)
    headers = {**story.anna.headers, "If-Match": shown.headers["etag"]}
    answer = await told.client.patch(path, json=pause, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (await told.client.post(link)).status_code == 503
    headers["If-Match"] = answer.headers["etag"]
    await told.client.patch(path, json={"state": "active"}, headers=headers)
    assert (await told.client.post(link)).status_code == 200


async def test_whom_an_agent_takes_him_for_opens_nothing_to_him(story: Story) -> None:
    """The link went to a handle: its contact is who comes, also when an agent has merged him into somebody else."""
    told = story.told
    other = await factories.conversation(told.services, inbox_id=story.told.inbox_id, handle="victim", text="Secret")
    link = await story.link()
    async with told.services.database.transaction() as session:
        find = select(conversations.c.id, conversations.c.contact_id)
        whose = {row.id: row.contact_id for row in await session.execute(find)}
        mine, his = whose[told.conversation_id], whose[other]
        by = await factories.accounts.identify_token(told.services.database, story.anna.token, now=clock.now())
        await contact_merging.merge(session, mine, into=his, version=None, by=by.actor, now=clock.now())
    session_of_mina = await story.open(link)
    assert session_of_mina is not None
    assert await story.log(session_of_mina) == []
    said = await story.say(session_of_mina, "It is me")
    assert said["conversation_id"] == str(told.conversation_id)
    assert await story.log(session_of_mina) == ["It is me"]


@ON_ONE_DATABASE
async def test_a_later_link_leads_to_the_chat_that_it_was_made_for(story: Story) -> None:
    told = story.told
    assert await story.open(await story.link()) is not None
    story.chat = await factories.inbox(told.services, channel="chat", name="Another chat")
    await factories.incoming(told.services, told.conversation_id, visibility="public", now=clock.now())
    WALL.sent.clear()
    session = await story.open(await story.link())
    assert session is not None
    said = await story.say(session, "Here I am")
    assert said["conversation_id"] == str(told.conversation_id)
    assert (await told.conversation())["inbox_id"] == story.chat


@ON_ONE_DATABASE
async def test_nobody_is_told_in_public_that_he_was_written_to_before_he_was(story: Story) -> None:
    WALL.refuse(PermanentFailure("he takes no messages of strangers"))
    assert (await story.hand_over()).status_code == 201
    await story.told.house.drain()
    await story.told.due_now()
    await story.told.house.drain()
    WALL.refuse(None)
    await story.told.due_now()
    await story.told.house.drain()
    assert WALL.sent == []
    assert await story.told.states() == ["failed", "queued"]


@ON_ONE_DATABASE
async def test_where_he_cannot_be_written_to_nothing_is_said(story: Story) -> None:
    told = story.told
    refused = await story.hand_over(text="Dear Mina, look into your messages")
    assert refused.json()["type"].endswith(":personal_data_in_public")
    assert await told.outgoing() == await told.house.rows(handoffs) == []
    wrong = await told.post(
        f"conversations/{told.conversation_id}/handoff", {"inbox_id": str(told.inbox_id)}, by=story.anna
    )
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "inbox_id")
    first = await story.hand_over(key="one", text="We wrote to you.", language="zh-TW")
    again = await story.hand_over(key="one", text="We wrote to you.", language="zh-TW")
    assert first.json() == again.json()
    assert first.json()["public_message"]["text"] == "We wrote to you."
    # The one direct answer that his public message has is used by that.
    second = await story.hand_over()
    assert (second.status_code, second.json()["type"].rpartition(":")[2]) == (409, "handoff_not_possible")
    # He wrote directly: then there is nothing to be said in public.
    await factories.incoming(told.services, told.conversation_id, now=clock.now())
    third = await story.hand_over()
    assert (third.status_code, third.json()["public_message"]) == (201, None)


@ON_ONE_DATABASE
async def test_no_name_is_one_that_keeps_us_from_our_own_words(story: Story) -> None:
    async with story.told.services.database.transaction() as session:
        await session.execute(update(contacts).values(name="感谢 Telling Thank"))
        await session.execute(update(contact_identities).values(display="感谢 Telling Thank"))
    assert (await story.hand_over(language="zh-TW")).status_code == 201


@pytest.mark.parametrize("language", list(TEXTS))
def test_what_is_said_in_public_names_nobody_and_fits(language: str) -> None:
    words = TEXTS[language]
    assert found_in(words.public, names=["Mina"], handles=[MINA]) == []
    assert "http" not in words.public
    assert len(words.public) <= (280 if language == "en" else 140)
    # A thousand bytes are the least that a channel takes directly.
    text = direct(language, base_url="https://support.wallet-with-a-long-name.example", hours=72)
    assert len(text.encode()) + 43 < 1000


async def _echo(story: Story, *, text: str) -> None:
    """What the vendor tells back of the letter that was sent."""
    external_id = next(key for key, body in WALL.sent if body["kind"] == "direct")
    about = {"external_id": external_id, "sender": {"handle": "1", "name": "Us"}, "text": text, "written_by_us": True}
    about |= {"recipient": {"handle": MINA}, "in_reply_to": story.told.asked, "thread": POST}
    await story.told.house.receive(Desk(story.told.inbox_id, "us"), json.dumps(about).encode())


@ON_ONE_DATABASE
async def test_nobody_here_reads_the_link_in_what_the_vendor_tells_back(story: Story) -> None:
    """Whoever works here could otherwise come as the customer, who is believed to be who he is."""
    told, link = story.told, await story.link()
    text = next(body["text"] for _, body in WALL.sent if body["kind"] == "direct")
    await _echo(story, text=text)
    letter = await told.house.row(messages, messages.c.visibility == "direct", messages.c.type == "outgoing")
    assert (await told.house.rows(raw_items))[-1]["message_id"] == letter["id"]
    source = await told.client.get(f"/api/v1/messages/{letter['id']}/raw", headers=story.anna.headers)
    assert source.status_code == 404
    # Nor where it was not known again as what was written here.
    async with told.services.database.transaction() as session:
        await session.execute(update(messages).where(messages.c.id == letter["id"]).values(external_id="another"))
    await _echo(story, text=text + " ")
    elsewhere = (await told.outgoing())[-1]
    assert "sent_elsewhere" in elsewhere["notes"]
    kept = [str(dict(row)) for row in await told.house.rows(messages)]
    assert not any(link in row for row in kept)
    change = {"kind": "edited", "external_id": elsewhere["external_id"], "text": f"Changed: {text}"}
    await told.house.receive(Desk(told.inbox_id, "us"), json.dumps(change).encode())
    changed = (await told.outgoing())[-1]
    assert changed["text"].startswith("Changed")
    assert link not in str(dict(changed))
    shown = await told.client.get(f"/api/v1/messages/{elsewhere['id']}/raw", headers=story.anna.headers)
    assert link not in shown.text
