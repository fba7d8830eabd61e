"""The client in Python against the real desk: by every transport, and over a network that goes away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from helpdesk import clock
from helpdesk.chat_client import ChatClient, Refused, Transport
from helpdesk.domain.values import SYSTEM, InboxStatus
from helpdesk.services import conversations, inboxes
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from tests import factories
from tests.chat.wire import SECRET, inbox
from tests.conftest import ON_ONE_DATABASE
from tests.journeys.gate import Gate
from tests.live import Served

pytestmark = ON_ONE_DATABASE
FALLBACKS = pytest.mark.parametrize("transport", [Transport.EVENTS, Transport.POLL])
PUSHED = pytest.mark.parametrize("transport", [Transport.WEBSOCKET, Transport.EVENTS])
EACH = pytest.mark.parametrize("transport", list(Transport))


class Hasty(random.Random):
    """Comes back within hundredths of a second."""

    def uniform(self, a: float, b: float) -> float:
        return super().uniform(a, b) / 100


@dataclass
class Scene:
    """A desk with a chat, behind a gate that can be shut."""

    services: Services
    served: Served
    gate: Gate
    inbox_id: UUID

    def client(self, **given: Any) -> ChatClient:
        given = {"chance": Hasty(7), "proxies": False, **given}
        return ChatClient(f"http://127.0.0.1:{self.gate.port}", str(self.inbox_id), **given)

    async def answer(self, conversation_id: Any, text: str) -> None:
        anna = await factories.agent(self.services, role="admin", name="Anna")
        url = f"http://127.0.0.1:{self.served.port}/api/v1/conversations/{conversation_id}/messages"
        async with httpx.AsyncClient(headers=anna.headers, trust_env=False) as http:
            made = await http.post(url, json={"text": text}, headers={"Idempotency-Key": text})
        assert made.status_code == 201, made.text

    async def close(self, conversation_id: str) -> None:
        async with self.services.database.transaction() as session:
            found = await get_conversation(session, SYSTEM, UUID(conversation_id), lock=True)
            await conversations.change(self.services, session, found, {"status": "closed"}, by=SYSTEM, now=clock.now())

    def vouch(self, sub: str) -> str:
        claims: dict[str, Any] = {"aud": str(self.inbox_id), "sub": sub, "jti": str(uuid4())}
        claims |= {"exp": int((clock.now() + timedelta(minutes=5)).timestamp())}
        return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


@pytest.fixture
async def scene(services: Services) -> AsyncIterator[Scene]:
    inbox_id = await inbox(services)
    async with Served(services) as served:
        with Gate(served.port) as gate:
            yield Scene(services, served, gate, inbox_id)


def texts(chat: ChatClient) -> list[str]:
    return [entry.data["text"] for entry in chat.messages]


@EACH
async def test_what_is_said_is_there_once_and_in_order_however_often_the_network_goes(
    scene: Scene, transport: Transport
) -> None:
    said = [f"{number}" for number in range(8)]
    async with scene.client(transport=transport) as chat:
        await chat.open()
        for number, text in enumerate(said):
            chat.say(text)
            if number in (2, 5):
                await asyncio.to_thread(scene.gate.shut)
                await asyncio.sleep(0.05)
                assert chat.waiting
                await asyncio.to_thread(scene.gate.open)
            await asyncio.sleep(0.01)
        await chat.until(lambda: texts(chat) == said and not chat.waiting, seconds=20)
        assert [entry.prev_seq for entry in chat.log] == [0, *(entry.seq for entry in chat.log[:-1])]
        await scene.answer(chat.conversation_id, "We look into it.")
        await chat.until(lambda: texts(chat)[-1] == "We look into it.", seconds=10)
        assert chat.messages[-1].data["author"] == {"kind": "agent", "name": "Anna"}
        assert chat.ended is None


@PUSHED
async def test_an_entry_that_was_lost_is_asked_for_when_the_next_does_not_follow(
    scene: Scene, transport: Transport
) -> None:
    async with scene.client(transport=transport) as chat:
        await chat.open()
        for text in ("one", "two", "three"):
            await chat.say(text).stored
        await chat.until(lambda: len(chat.messages) == 3, seconds=10)
        del chat.log[1:]
        await chat.say("four").stored
        await chat.until(lambda: texts(chat) == ["one", "two", "three", "four"], seconds=10)


@EACH
async def test_what_the_desk_refuses_leaves_the_outbox_and_holds_nothing_up(scene: Scene, transport: Transport) -> None:
    async with scene.client(transport=transport) as chat:
        await chat.open()
        wrong = {
            "text_empty": chat.say("   "),
            "text_too_long": chat.say("x" * 8001),
            "attachment_unknown": chat.say("See this.", attachment_ids=[str(uuid4())]),
        }
        assert (await chat.say("Hello?").stored)["seq"]
        for code, outgoing in wrong.items():
            with pytest.raises(Refused) as refused:
                await outgoing.stored
            assert (refused.value.code, refused.value.again) == (code, False)
        assert chat.waiting == 0


@EACH
async def test_what_is_not_sent_when_the_session_ends_goes_with_the_next_one(
    scene: Scene, transport: Transport
) -> None:
    async with scene.client(transport=transport) as chat:
        await chat.open()
        await chat.say("one").stored
        async with scene.client() as other:
            other._requests.token = chat.token
            await other.log_out()
        left = chat.say("two")
        with pytest.raises(Refused, match="session_refused"):
            await chat.until(lambda: not chat.waiting, seconds=10)
        assert [one["text"] for one in chat.state["outbox"]] == ["two"]
        assert not left.stored.done()
        former = chat.conversation_id
        await chat.open()
        assert (await asyncio.wait_for(left.stored, 10))["conversation_id"] != former
        await chat.until(lambda: texts(chat) == ["two"], seconds=10)


@EACH
async def test_whoever_logs_out_leaves_nothing_to_who_comes_next(scene: Scene, transport: Transport) -> None:
    async with scene.client(transport=transport) as chat:
        await chat.open()
        await chat.say("one").stored
        await asyncio.to_thread(scene.gate.shut)
        left = chat.say("Between us")
        await asyncio.sleep(0.05)
        await asyncio.to_thread(scene.gate.open)
        await chat.log_out()
        assert chat.state == {"token": "", "conversation_id": None, "visitor": {}, "outbox": []}
        assert (chat.log, chat.ended and chat.ended.code) == ([], "session_refused")
        await asyncio.gather(left.stored, return_exceptions=True)
        await chat.open()
        await chat.say("two").stored
        await chat.until(lambda: texts(chat) == ["two"], seconds=10)


@EACH
async def test_another_token_is_taken_up_without_losing_a_word(scene: Scene, transport: Transport) -> None:
    async with scene.client(transport=transport) as chat:
        await chat.open()
        await chat.say("one").stored
        former = chat.token
        for number in range(4):
            chat.say(f"meanwhile {number}")
        await chat.identify(scene.vouch("4711"))
        assert chat.token != former
        said = ["one", *(f"meanwhile {number}" for number in range(4)), "two"]
        await asyncio.wait_for(chat.say("two").stored, 10)
        await chat.until(lambda: texts(chat) == said, seconds=10)
        assert (chat.visitor["identified"], chat.ended) == (True, None)


async def test_what_was_kept_goes_on_in_another_process_under_the_same_ids(scene: Scene) -> None:
    async with scene.client() as chat:
        await chat.open()
        await chat.say("one").stored
        await asyncio.to_thread(scene.gate.shut)
        lost = chat.say("two")
        kept = chat.state
    assert lost.stored.cancelled()
    await asyncio.to_thread(scene.gate.open)
    async with scene.client(state=kept) as one, scene.client(state=kept) as two:
        await one.until(lambda: texts(one) == ["one", "two"] and not one.waiting, seconds=10)
        await two.until(lambda: texts(two) == ["one", "two"] and not two.waiting, seconds=10)


@FALLBACKS
async def test_it_ends_when_nobody_serves_it_any_more(scene: Scene, transport: Transport) -> None:
    async with scene.client(transport=transport) as chat:
        await chat.open()
        await chat.say("one").stored
        async with scene.services.database.transaction() as session:
            row = await inboxes.get_inbox(session, SYSTEM, scene.inbox_id, version=1)
            await inboxes.edit(scene.services, session, row, state=InboxStatus.PAUSED, by=SYSTEM, now=clock.now())
        chat.say("two")
        with pytest.raises(Refused):
            await chat.until(lambda: not chat.waiting, seconds=10)
        assert chat.ended is not None
        assert chat.ended.for_good


async def test_what_was_closed_is_further_up_and_the_next_message_begins_anew(scene: Scene) -> None:
    async with scene.client() as chat:
        await chat.open()
        former = (await chat.say("one").stored)["conversation_id"]
        await chat.say("two").stored
        kept = chat.state
        await scene.close(former)
    async with scene.client(state=kept) as chat:
        await chat.until(lambda: chat.connections == 1 and chat.conversation_id is None, seconds=10)
        was = await chat.earlier()
        assert [one.data.get("text") or one.data["state"] for one in was] == ["one", "two", "closed"]
        assert was[-1].seq < 0
        assert (await chat.say("three").stored)["conversation_id"] != former
        await chat.until(lambda: texts(chat) == ["three"], seconds=10)
        assert await chat.earlier(limit=1) == was[-1:]
        assert await chat.earlier(was[-1].seq) == was[:-1]
        assert await chat.earlier(was[0].seq) == []


async def test_what_is_closed_while_he_reads_along_is_there_once(scene: Scene) -> None:
    async with scene.client() as chat:
        await chat.open()
        place = (await chat.say("one").stored)["conversation_id"]
        await chat.until(lambda: texts(chat) == ["one"], seconds=10)
        await scene.close(place)
        await chat.until(lambda: bool(chat.log) and chat.log[-1].data.get("state") == "closed", seconds=10)
        was = await chat.earlier()
        assert [one.data.get("text") or one.data["state"] for one in [*was, *chat.log]] == ["one", "closed"]
        assert await chat.earlier(was[0].seq) == []


async def test_what_one_user_had_not_sent_is_not_said_by_the_next_one(scene: Scene) -> None:
    async with scene.client() as chat:
        await chat.open(identity=scene.vouch("mina"))
        assert chat._following is not None
        chat._following.cancel()  # the network is gone for a while
        unsent = chat.say("by Mina")
        await chat.identify(scene.vouch("mina"))
        assert (await unsent.stored)["seq"]
        chat._following.cancel()
        await asyncio.gather(chat._following, return_exceptions=True)
        unsent = chat.say("by Mina again")
        await chat.identify(scene.vouch("otto"))
        await chat.say("by Otto").stored
        await chat.until(lambda: texts(chat) == ["by Otto"], seconds=10)
        with pytest.raises(Refused):
            await unsent.stored


async def test_a_refusal_names_the_field_that_is_wrong(scene: Scene) -> None:
    async with scene.client() as chat:
        with pytest.raises(Refused) as refused:
            await chat.open(prechat={"favourite_colour": "blue"})
        assert (refused.value.code, refused.value.again) == ("bad_frame", False)
        assert refused.value.field
        assert not chat.token


@EACH
async def test_files_go_up_and_come_down(scene: Scene, transport: Transport) -> None:
    async with scene.client(transport=transport) as chat:
        await chat.open()
        one = await chat.upload("proof.txt", "text/plain", b"block 912345")
        await chat.say("See this.", attachment_ids=[one]).stored
        await chat.until(lambda: bool(chat.messages), seconds=10)
        (file,) = chat.messages[0].data["attachments"]
        assert await chat.download(file["id"]) == b"block 912345"
