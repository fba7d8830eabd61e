"""A chat with a bot, through real processes: promised, warned of, answered once, and nothing lost when they die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.telegram.tests import fake
from connectors.telegram.tests.fake import FakeBots
from tests.conftest import needed
from tests.journeys.house import House, opened
from tests.journeys.stack import Stack, free_port
from tests.peers import telemelya
from tests.peers.redis import Redis
from tests.peers.telemelya import Gateway, Telemelya

SECRET = "0123456789abcdef"


@dataclass(kw_only=True)
class Chat(House):
    """With the bots of the other side."""

    bots: FakeBots

    def say(self, text: str, **fields: Any) -> dict[str, Any]:
        return self.bots.say(text, date=int(self.clock.now.timestamp()), **fields)

    def push(self, update: dict[str, Any]) -> int:
        path = f"{self.stack.url}/channels/telegram/{self.inbox_id}/webhook"
        return self.stack.http.post(path, json=update, headers={"X-Telegram-Bot-Api-Secret-Token": SECRET}).status_code


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Chat]:
    with FakeBots() as bots, opened(tmp_path) as (stack, clock):
        yield Chat(stack, clock, bots=bots)
        assert bots.findings == []


def test_a_chat_is_answered_in_time_and_once_whatever_dies(house: Chat) -> None:
    stack, bots = house.stack, house.bots
    # It dies between the commit and the acknowledgement, and comes back.
    stack.start(HELPDESK_FAILPOINTS="raw.committed:exit")
    settings = {"bot_token": fake.TOKEN, "username": fake.USERNAME, "webhook_secret": SECRET, "api_url": bots.origin}
    house.inbox_id = house.add("telegram", "Bot", **settings)
    asked = house.say("Where is my withdrawal?")
    stack.crashed("up")
    assert bots.waiting == 1
    stack.start_one("up")
    stack.until("the update is acknowledged", lambda: bots.waiting == 0)
    assert house.push(asked) == 200
    (conversation,) = stack.until("a conversation", stack.conversations)
    assert (conversation["contact"]["name"], conversation["channel"]) == ("Mina Ito", "telegram")

    house.let_it_be_warned_of(conversation["id"])
    stack.reply(conversation["id"], "It left at noon.", key="first")
    stack.delivered(conversation["id"])
    assert [one.text for one in bots.sent] == ["It left at noon."]
    house.until_the_promise_is_kept(conversation["id"])

    # The line goes dead after the answer was taken. Nobody can look it up, so nobody says it twice.
    thanks = house.say("And the second one?")
    assert house.push(thanks) == 200
    stack.until("it is filed", lambda: len(stack.messages(conversation["id"])) == 3)
    bots.accept_then_cut("sendMessage")
    stack.reply(conversation["id"], "Tomorrow.", key="second")
    stack.until("it is uncertain", lambda: house.states(conversation["id"]) == ["sent", "uncertain"])
    stack.kill("up")
    stack.start_one("up")
    house.push(house.say("Thank you"))
    stack.until("it is filed", lambda: len(stack.messages(conversation["id"])) == 5)
    assert [one.text for one in bots.sent] == ["It left at noon.", "Tomorrow."]
    assert house.states(conversation["id"]) == ["sent", "uncertain"]
    stack.change(conversation["id"], status="resolved")
    assert len(stack.conversations()) == 1


def test_a_bot_api_server_of_somebody_else_gets_along_with_us(redis: Redis, tmp_path: Path) -> None:
    if not telemelya.FOUND:
        needed("telemelya")
    token = f"123456789:{'A' * 35}"
    with ExitStack() as opened:
        theirs = opened.enter_context(Telemelya(tmp_path, port=free_port(), redis_url=redis.url))
        gateway = opened.enter_context(Gateway("X-Telegram-Bot-Api-Secret-Token", SECRET))
        stack = opened.enter_context(Stack(tmp_path / "house"))
        stack.environment["HELPDESK_BASE_URL"] = stack.url
        stack.set_up()
        stack.start()
        settings = {"bot_token": token, "username": "telemelya_bot", "webhook_secret": SECRET, "receive": "webhook"}
        given = {"channel": "telegram", "name": "Bot", "settings": settings | {"api_url": theirs.url}}
        inbox_id = stack.http.post("/inboxes", json=given).json()["id"]
        gateway.there = f"{stack.url}/channels/telegram/{inbox_id}/webhook"
        stack.until("we have set the webhook", lambda: theirs.webhook(token) == gateway.there)
        assert theirs.say(token, "I bear no secret", chat_id=17, name="Mallory") == 401
        theirs.redirect(token, gateway.origin)
        assert theirs.say(token, "Where is my withdrawal?", chat_id=17, name="Mina") == 200
        (conversation,) = stack.until("a conversation", stack.conversations)
        stack.reply(conversation["id"], "It left at noon.", key="first")
        asked, answered = stack.delivered(conversation["id"])
        (sent,) = theirs.sent()
    assert (sent["method"], sent["chat_id"], sent["text"]) == ("sendMessage", 17, "It left at noon.")
    assert asked["external_id"] == f"17:{sent['raw']['reply_parameters']['message_id']}"
    assert answered["external_id"] == f"17:{sent['message_id']}"
