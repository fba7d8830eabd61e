"""A comment on a Page, through real processes: promised, warned of, answered once, and gone on with in private."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.facebook.tests import signed
from connectors.facebook.tests.fake import PAGE, SECRET, TOKEN, VERIFY, FakeGraph
from tests.journeys.house import House, opened

MINA = "3383290475046708"


@dataclass(kw_only=True)
class Page(House):
    """With a Page's inbox and a chat, and the other side."""

    graph: FakeGraph
    chat_id: str = ""

    def open(self) -> None:
        secrets = {"page_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY}
        self.inbox_id = self.add("facebook", "Page", page_id=PAGE, api_url=self.graph.origin, **secrets)
        self.chat_id = self.add("chat", "Website")

    def webhook(self, *, path: str = "facebook", **lists: list[Any]) -> int:
        body = signed.written(signed.webhook("page", PAGE, time=1_795_000_000_000, **lists))
        headers = {"X-Hub-Signature-256": signed.signature(SECRET, body)}
        url = f"{self.stack.url}/channels/{path}/{self.inbox_id}/webhook"
        return httpx.post(url, content=body, headers=headers, trust_env=False).status_code


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Page]:
    with FakeGraph() as graph, opened(tmp_path) as (stack, clock):
        graph.names = {MINA: "Mina Bäcker"}
        stack.start()
        found = Page(stack, clock, graph=graph)
        found.open()
        yield found


def test_a_comment_is_promised_warned_of_answered_and_gone_on_with_in_private(house: Page) -> None:
    stack, graph = house.stack, house.graph
    post = graph.posts("We have a new version")
    comment = graph.comments(post, MINA, "Where is my withdrawal? 三天了")
    # It comes twice, as the vendor repeats what it was not answered in time.
    assert [house.webhook(changes=[comment]) for _ in range(2)] == [200, 200]
    (conversation,) = stack.until("a conversation", stack.conversations)
    place = conversation["id"]
    (asked,) = stack.messages(place)
    assert (asked["visibility"], asked["text"]) == ("public", "Where is my withdrawal? 三天了")
    house.let_it_be_warned_of(place)

    # The line dies after the answer was taken: it is found again by reading back, and stands there once.
    graph.accept_then_cut("POST", "/comments")
    path = f"/conversations/{place}/messages"
    assert house.post(path, "first", text="We are sorry, we look into it now.").status_code == 201
    stack.until("it was found again", lambda: house.states(place) == ["sent"])
    assert graph.answers == ["We are sorry, we look into it now."]
    house.until_the_promise_is_kept(place)

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
