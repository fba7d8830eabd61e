"""One process with everything and a clock that can be moved on, for journeys through the channels of vendors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.journeys.moving import Clock
from tests.journeys.stack import Stack


@dataclass
class House:
    """Set up, and not started. `inbox_id` is the one that the journey is about, once it is there."""

    stack: Stack
    clock: Clock
    inbox_id: str = ""

    def add(self, channel: str, name: str, **settings: Any) -> str:
        """An inbox; its id."""
        made = self.stack.http.post("/inboxes", json={"channel": channel, "name": name, "settings": settings})
        assert made.status_code == 201, made.text
        found: str = made.json()["id"]
        return found

    def post(self, path: str, key: str, **body: Any) -> httpx.Response:
        """What is done once under a key."""
        return self.stack.http.post(path, json=body, headers={"Idempotency-Key": key})

    def states(self, conversation_id: str) -> list[str]:
        """How far each of our messages is."""
        return [one["delivery"]["status"] for one in self.stack.messages(conversation_id) if one["delivery"]]

    def let_it_be_warned_of(self, conversation_id: str) -> None:
        """Nobody answers for a while: whoever has it is warned before the promise is broken."""
        self.stack.change(conversation_id, assignee_id=self.stack.agent_id)
        (promise,) = self._promises(conversation_id)
        self.clock.move(datetime.fromisoformat(promise["due_at"]) - timedelta(minutes=5))
        (alert,) = self.stack.until("a warning", lambda: self.stack.every("/alerts", severity="info"))
        assert alert["kind"] == "sla_warning"

    def until_the_promise_is_kept(self, conversation_id: str) -> None:
        self.stack.until("the promise is kept", lambda: self._promises(conversation_id)[0]["state"] == "met")

    def _promises(self, conversation_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stack.get(f"/conversations/{conversation_id}/sla")["clocks"]
        return found


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Stack, Clock]]:
    """For one journey."""
    clock = Clock(folder / "offset", begin=datetime.now(UTC))
    with Stack(folder, HELPDESK_CLOCK_FILE=str(clock.path)) as stack:
        stack.set_up()
        yield stack, clock
