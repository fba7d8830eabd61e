"""A complaint in public, through real processes: promised, warned of, answered once, and gone on with in private."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.x.tests.fake import FakeX
from tests.journeys.house import House, opened

WALLET = "0x52908400098527886E0F7030069857D2E4169EE7"


@dataclass(kw_only=True)
class Account(House):
    """With an account's inbox and a chat, and the other side."""

    x: FakeX
    chat_id: str = ""

    def open(self) -> None:
        settings = {**self.x.tokens.oauth1, "api_url": self.x.origin, "username": "desk", "poll_seconds": 1}
        self.inbox_id = self.add("x", "Wallet on X", **settings)
        self.chat_id = self.add("chat", "Website")

    def said(self) -> list[str]:
        return [post["text"] for post in self.x.sent]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Account]:
    with FakeX() as x, opened(tmp_path) as (stack, clock):
        stack.start()
        found = Account(stack, clock, x=x)
        found.open()
        yield found


def test_a_mention_is_promised_warned_of_answered_and_gone_on_with_in_private(house: Account) -> None:
    stack, x = house.stack, house.x
    x.mention("ann", "@desk where is my withdrawal? It has been three days!")
    (conversation,) = stack.until("a conversation", stack.conversations)
    place = conversation["id"]
    (asked,) = stack.messages(place)
    assert (conversation["channel"], asked["visibility"]) == ("x", "public")
    house.let_it_be_warned_of(place)

    # In public nothing of hers, and then the answer, once.
    path = f"/conversations/{place}/messages"
    refused = house.post(path, "leak", text=f"We sent it to {WALLET}.")
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (422, "personal_data_in_public")
    answered = house.post(path, "first", text="We are sorry, we look into it now.")
    assert (answered.status_code, answered.json()["visibility"]) == (201, "public")
    stack.delivered(place)
    assert house.said() == ["We are sorry, we look into it now."]
    house.until_the_promise_is_kept(place)

    # Handed over: a link for one use, which nobody else gets.
    handed = house.post(f"/conversations/{place}/handoff", "hand", inbox_id=house.chat_id)
    assert handed.status_code == 201, handed.text
    (letter,) = stack.until("a direct message", lambda: x.dms_sent)
    (link,) = re.findall(r"https?://\S+/h/\S+", letter["text"])
    assert link not in json.dumps(stack.messages(place)) + json.dumps(house.said())
    stack.until("it is told in public", lambda: len(house.said()) == 2)
    with httpx.Client(trust_env=False) as browser:
        at = stack.url + link[link.index("/h/") :]
        assert browser.get(at).status_code == 200
        opened = browser.post(at)
        assert opened.status_code == 200, opened.text
        assert browser.post(at).status_code == 410
        (told,) = re.findall(r'id="handoff">(.*?)</script>', opened.text)
        session = json.loads(unescape(told))["session"]
        whose = {"Authorization": f"Bearer {session['token']}"}
        said = browser.post(
            f"{stack.url}/channels/chat/messages", json={"client_id": "1", "text": f"It is {WALLET}"}, headers=whose
        )
        assert (said.status_code, said.json()["conversation_id"]) == (201, place), said.text
        stack.until("it is the same conversation", lambda: stack.messages(place)[-1]["channel"] == "chat")
        private = house.post(path, "private", text=f"Found: it arrives at {WALLET} today.", inbox_id=house.chat_id)
        assert private.status_code == 201, private.text
        log = browser.get(f"{stack.url}/channels/chat/messages", params={"after_seq": 0}, headers=whose).json()
    texts = [item["message"]["text"] for item in log["items"] if item["type"] == "message.new"]
    assert texts == [f"It is {WALLET}", f"Found: it arrives at {WALLET} today."], "what was said in public stays there"
    stack.change(place, status="resolved")
    assert len(stack.conversations()) == 1
    assert WALLET not in json.dumps(house.said())


def test_an_integrations_reply_is_one_post_though_the_line_died_after_it_was_taken(house: Account) -> None:
    stack, x = house.stack, house.x
    post_id = x.mention("ann", "@desk is the network down?")
    (conversation,) = stack.until("a conversation", stack.conversations)
    x.accept_then_cut("POST /2/tweets")
    body = {"inbox_id": house.inbox_id, "in_reply_to": post_id, "text": "It is back.", "visibility": "public"}
    first = house.post("/social/replies", "once", **body)
    assert first.status_code == 201, first.text
    reply_id = first.json()["id"]

    def sent() -> dict[str, Any] | None:
        state: dict[str, Any] = stack.get(f"/social/replies/{reply_id}")
        return state if state["status"] == "sent" else None

    state = stack.until("it was found again", sent)
    assert house.post("/social/replies", "once", **body).json()["id"] == reply_id
    stack.kill("up")
    stack.start_one("up")
    x.mention("ann", "@desk thank you", answers=x.sent[0]["id"])
    stack.until("the answer is filed", lambda: len(stack.messages(conversation["id"])) == 3)
    assert house.said() == ["It is back."]
    assert state["external_id"] == x.sent[0]["id"]
    assert state["external_url"].endswith(x.sent[0]["id"])
    assert len(stack.conversations()) == 1
