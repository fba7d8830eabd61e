"""A comment on a Page, through real processes: promised, warned of, answered once, and gone on with in private."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.facebook.tests import signed
from connectors.facebook.tests.fake import PAGE, SECRET, TOKEN, VERIFY, FakeGraph
from tests.journeys.moving import Clock
from tests.journeys.stack import Stack

MINA = "3383290475046708"


@dataclass
class House:
    """One process with everything, a Page's inbox and a chat, and the other side."""

    stack: Stack
    graph: FakeGraph
    clock: Clock
    inbox_id: str = ""
    chat_id: str = ""

    def open(self) -> None:
        secrets = {"page_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY}
        self.inbox_id = self._inbox("facebook", "Page", {"page_id": PAGE, "api_url": self.graph.origin, **secrets})
        self.chat_id = self._inbox("chat", "Website", {})

    def _inbox(self, channel: str, name: str, settings: dict[str, Any]) -> str:
        made = self.stack.http.post("/inboxes", json={"channel": channel, "name": name, "settings": settings})
        assert made.status_code == 201, made.text
        found: str = made.json()["id"]
        return found

    def webhook(self, *, path: str = "facebook", **lists: list[Any]) -> int:
        body = signed.written(signed.webhook("page", PAGE, time=1_795_000_000_000, **lists))
        headers = {"X-Hub-Signature-256": signed.signature(SECRET, body)}
        url = f"{self.stack.url}/channels/{path}/{self.inbox_id}/webhook"
        return httpx.post(url, content=body, headers=headers, trust_env=False).status_code

    def post(self, path: str, key: str, **body: Any) -> httpx.Response:
        return self.stack.http.post(path, json=body, headers={"Idempotency-Key": key})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = Clock(tmp_path / "offset", begin=datetime.now(UTC))
    with FakeGraph() as graph, Stack(tmp_path, HELPDESK_CLOCK_FILE=str(clock.path)) as stack:
        graph.names = {MINA: "Mina Bäcker"}
        stack.set_up()
        stack.start()
        found = House(stack, graph, clock)
        found.open()
        yield found


def test_a_comment_is_promised_warned_of_answered_and_gone_on_with_in_private(house: House) -> None:
    stack, graph = house.stack, house.graph
    post = graph.posts("We have a new version")
    comment = graph.comments(post, MINA, "Where is my withdrawal? 三天了")
    # It comes twice, as the vendor repeats what it was not answered in time.
    assert [house.webhook(changes=[comment]) for _ in range(2)] == [200, 200]
    (conversation,) = stack.until("a conversation", stack.conversations)
    place = conversation["id"]
    (asked,) = stack.messages(place)
    assert (asked["visibility"], asked["text"]) == ("public", "Where is my withdrawal? 三天了")
    stack.change(place, assignee_id=stack.agent_id)
    (clock,) = stack.get(f"/conversations/{place}/sla")["clocks"]
    house.clock.move(datetime.fromisoformat(clock["due_at"]) - timedelta(minutes=5))
    (alert,) = stack.until("a warning", lambda: stack.every("/alerts", severity="info"))
    assert alert["kind"] == "sla_warning"

    # The line dies after the answer was taken: it is found again by reading back, and stands there once.
    graph.accept_then_cut("POST", "/comments")
    path = f"/conversations/{place}/messages"
    assert house.post(path, "first", text="We are sorry, we look into it now.").status_code == 201
    stack.until("it was found again", lambda: _states(stack, place) == ["sent"])
    assert graph.answers == ["We are sorry, we look into it now."]
    stack.until("the promise is kept", lambda: _clock(stack, place)["state"] == "met")

    # A private answer to the comment, once, and then he writes himself.
    handed = house.post(f"/conversations/{place}/handoff", "hand", inbox_id=house.chat_id)
    assert handed.status_code == 201, handed.text
    stack.until("he was written to", lambda: graph.said)
    assert "/h/" in graph.said[0]
    assert not any("/h/" in text for text in graph.answers)
    again = house.post(path, "second", text="And one more thing", visibility="direct")
    assert (again.status_code, again.json()["type"].rpartition(":")[2]) == (409, "private_reply_used")
    assert house.webhook(messaging=[graph.writes(graph.messages[0].person, "Thank you, it has arrived")]) == 200
    stack.until("it is the same conversation", lambda: stack.messages(place)[-1]["text"] == "Thank you, it has arrived")
    assert stack.messages(place)[-1]["visibility"] == "direct"
    stack.change(place, status="resolved")
    assert len(stack.conversations()) == 1


def _states(stack: Stack, conversation_id: str) -> list[str]:
    return [one["delivery"]["status"] for one in stack.messages(conversation_id) if one["delivery"]]


def _clock(stack: Stack, conversation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.get(f"/conversations/{conversation_id}/sla")["clocks"][0]
    return found
