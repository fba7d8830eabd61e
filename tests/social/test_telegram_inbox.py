"""A bot's inbox in the house: what comes in by either way is filed once, what leaves is said once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from connectors.telegram.tests import fake
from connectors.telegram.tests.fake import FakeBots
from helpdesk.channels import RawInbound
from helpdesk.db import new_id
from helpdesk.errors import Conflict
from helpdesk.hosting import VendorHost
from helpdesk.models.inboxes import inbox_states, raw_items
from helpdesk.models.messages import attachments
from helpdesk.services.house import Services
from tests import factories
from tests.conftest import ON_ONE_DATABASE
from tests.house import House
from workers.connections import Connections
from workers.media import Media
from workers.receive import Receiver

SECRET = "0123456789abcdef"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


@dataclass
class Desk:
    """An inbox, the house that it is in, and the other side."""

    house: House
    bots: FakeBots
    inbox_id: UUID
    opened: list[Connections] = field(default_factory=list)

    def connections(self, **settings: Any) -> Connections:
        services = self.house.services
        changed = replace(services, settings=services.settings.model_copy(update=settings))
        self.opened.append(Connections(changed, self.house.guard))
        return self.opened[-1]

    def worker(self, name: str = "one", **settings: Any) -> Receiver:
        return Receiver(self.house.services, self.house.guard, self.connections(**settings), worker=name)

    async def held(self) -> list[str]:
        return [row["position"] for row in await self.house.rows(raw_items)]

    async def post(self, client: httpx.AsyncClient, body: Any, *, secret: str | None = SECRET) -> int:
        headers = {HEADER: secret} if secret is not None else {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/channels/telegram/{self.inbox_id}/webhook"
        return (await client.post(path, content=content, headers=headers)).status_code

    async def states(self) -> list[str]:
        return [row["delivery_status"] for row in await self.house.messages() if row["type"] == "outgoing"]


@pytest.fixture
async def desk(services: Services) -> AsyncIterator[Desk]:
    settings = services.settings.model_copy(update={"uncertain_seconds": 0})
    with FakeBots() as bots:
        given = {"bot_token": fake.TOKEN, "username": fake.USERNAME, "webhook_secret": SECRET, "api_url": bots.origin}
        inbox_id = await factories.inbox(services, channel="telegram", **given)
        async with House(replace(services, settings=settings)) as house:
            made = Desk(house, bots, inbox_id)
            yield made
            for opened in made.opened:
                await opened.close()
        assert bots.findings == []


async def until(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while True:
            found = look()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


async def test_what_is_polled_is_acknowledged_only_when_it_is_stored(desk: Desk) -> None:
    for number in range(3):
        desk.bots.say(f"Question {number}")
    desk.bots.odd({"update_id": "no number", "message": 5})

    async def stored() -> bool:
        return len(await desk.held()) == 4

    # A worker stores them, and dies before it could say so.
    desk.bots.forgets_nothing = True
    first, second = desk.worker(), desk.worker("two")
    await first.step()
    await until(stored)
    await first.close()
    assert desk.bots.waiting == 4
    desk.bots.forgets_nothing = False
    await second.step()
    await until(lambda: desk.bots.waiting == 0)
    await second.close()
    await desk.house.drain()
    assert len(await desk.held()) == 4
    assert [row["text"] for row in await desk.house.incoming()] == ["Question 0", "Question 1", "Question 2"]
    assert len(await desk.house.conversations()) == 1
    desk.bots.findings.clear()  # the odd one was handed out


async def test_a_chat_from_the_webhook_to_the_answer(desk: Desk, client: httpx.AsyncClient) -> None:
    house, bots = desk.house, desk.bots
    asked = bots.say("Where is my withdrawal?")
    photo = {"file_id": "photos/1.png", "file_unique_id": "1", "width": 9, "height": 9}
    bots.files["photos/1.png"] = b"\x89PNG\r\n\x1a\n" + bytes(40)
    proof = bots.say("", photo=[photo], caption="My receipt")
    edited = asked["message"] | {"text": "Where is my deposit?", "edit_date": fake.DATE + 9}
    changed = bots.tell(edited_message=edited)
    # Late, doubled and out of order, as it happens.
    for update in (changed, asked, proof, asked):
        assert await desk.post(client, update) == 200
    await house.drain()
    await Media(house.services, desk.connections(), worker="media").step()
    (conversation,) = await house.conversations()
    first, second = await house.incoming()
    assert {first["new_text"], second["new_text"]} == {"Where is my deposit?", "My receipt"}
    assert (first["visibility"], conversation["contact_handle"]) == ("direct", str(fake.MINA["id"]))
    (file,) = await house.rows(attachments)
    assert (file["content_type"], file["size"]) == ("image/png", 48)

    await house.reply(conversation["id"], "It is on its way.")
    await house.drain()
    (sent,) = bots.sent
    assert (sent.text, sent.fields["chat_id"]) == ("It is on its way.", fake.MINA["id"])
    assert await desk.states() == ["sent"]

    bots.accept_then_cut("sendMessage")
    await house.reply(conversation["id"], "It has arrived.")
    for _ in range(3):
        await house.drain()
    assert (await desk.states(), len(bots.sent)) == (["sent", "uncertain"], 2)


async def test_in_a_group_only_what_is_said_to_us_is_a_conversation(desk: Desk, client: httpx.AsyncClient) -> None:
    text = f"@{fake.USERNAME} my coins are gone"
    mark = {"type": "mention", "offset": 0, "length": len(fake.USERNAME) + 1}
    for update in (
        desk.bots.say("Good morning all", chat=fake.GROUP),
        desk.bots.say(text, chat=fake.GROUP, entities=[mark]),
        desk.bots.say("Privately: it was 5 BTC"),
    ):
        assert await desk.post(client, update) == 200
    await desk.house.drain()
    public, private = await desk.house.conversations()
    (heard,) = await desk.house.incoming(public["id"])
    assert (heard["text"], heard["visibility"]) == (text, "public")
    assert heard["external_url"].startswith("https://t.me/wallets/")
    with pytest.raises(Conflict) as refused:  # a bot cannot write first
        await desk.house.reply(public["id"], "Your 5 BTC are safe.", visibility="direct")
    assert refused.value.problem == "reply_window_closed"
    await desk.house.reply(public["id"], "We wrote to you.")
    await desk.house.reply(private["id"], "We look into it.")
    await desk.house.drain()
    assert {one.fields["chat_id"]: one.text for one in desk.bots.sent} == {
        fake.GROUP["id"]: "We wrote to you.",
        fake.MINA["id"]: "We look into it.",
    }


async def test_polled_and_pushed_is_one(desk: Desk, client: httpx.AsyncClient) -> None:
    update = desk.bots.say("Help!")
    worker = desk.worker()
    await worker.step()
    assert await asyncio.gather(*(desk.post(client, update) for _ in range(3))) == [200] * 3
    await until(lambda: desk.bots.waiting == 0)
    await worker.close()
    assert await desk.held() == [f"u;{fake.BOT_ID};{update['update_id']}"]


@ON_ONE_DATABASE
async def test_who_does_not_know_the_secret_brings_nothing(desk: Desk, client: httpx.AsyncClient) -> None:
    update = desk.bots.say("Help!")
    assert await desk.post(client, update, secret=None) == 401
    assert await desk.post(client, update, secret="wrong") == 403
    assert await desk.post(client, b"x" * (1024 * 1024 + 1)) == 413
    unknown = await client.post(f"/channels/telegram/{new_id()}/webhook", json=update, headers={HEADER: SECRET})
    assert unknown.status_code == 404
    assert await desk.held() == []
    # Whoever knows it brings what he likes, and it is kept.
    for odd in (b"", b"{", b"[" * 100_000):
        assert await desk.post(client, odd) == 200
    assert len(await desk.held()) == 3


@ON_ONE_DATABASE
async def test_nothing_is_said_to_be_taken_that_is_not_stored(
    desk: Desk, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: VendorHost, inbox_id: UUID, batch: list[RawInbound]) -> int:
        raise OSError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(VendorHost, "accept", away)
        assert await desk.post(client, desk.bots.say("Help!")) == 503
    assert await desk.held() == []


@ON_ONE_DATABASE
async def test_the_webhook_is_set_and_watched(desk: Desk) -> None:
    worker = desk.worker(base_url="https://desk.test")
    desk.bots.webhook_error_at = 4_000_000_000
    await worker.step()

    async def failing() -> bool:
        row = await desk.house.row(inbox_states, inbox_states.c.inbox_id == desk.inbox_id)
        return bool(row["error_kind"])

    await until(failing)
    await worker.close()
    assert desk.bots.webhook == {
        "url": f"https://desk.test/channels/telegram/{desk.inbox_id}/webhook",
        "secret_token": SECRET,
        "allowed_updates": ["message", "edited_message", "my_chat_member"],
        "max_connections": 20,
    }


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"parameters": {"retry_after": 30}}, "rate_limited"),
        (429, b"<html>slow down</html>", "rate_limited"),
        (409, {"description": "Conflict: terminated by other getUpdates request"}, "misconfigured"),
        (502, b"<html>Bad Gateway</html>", "temporary"),
        (200, b'{"ok": true, "result": [{"upda', "temporary"),
        (200, b'{"ok": true, "result": {}}', "temporary"),
        (200, b'{"ok": true, "result": [{"message": {}}]}', "temporary"),
    ],
)
async def test_a_poll_that_fails_is_told_and_does_not_spin(desk: Desk, status: int, body: Any, kind: str) -> None:
    desk.bots.fail("getUpdates", status, body, times=9)
    worker = desk.worker()
    await worker.step()

    async def failing() -> bool:
        row = await desk.house.row(inbox_states, inbox_states.c.inbox_id == desk.inbox_id)
        return bool(row["error_kind"] == kind)

    await until(failing)
    await worker.close()
    assert [method for method, _ in desk.bots.calls].count("getUpdates") == 1


@ON_ONE_DATABASE
async def test_a_revoked_token_is_told_at_once_and_disturbs_nobody(desk: Desk) -> None:
    with FakeBots() as others:
        given = {"bot_token": fake.TOKEN, "username": "another_bot", "api_url": others.origin}
        await factories.inbox(desk.house.services, channel="telegram", **given)
        desk.bots.revoked = True
        others.say("Help!")
        worker = desk.worker()
        await worker.step()

        async def done() -> bool:
            row = await desk.house.row(inbox_states, inbox_states.c.inbox_id == desk.inbox_id)
            return row["error_kind"] == "revoked" and others.waiting == 0

        await until(done)
        await worker.close()
    assert len(await desk.held()) == 1
