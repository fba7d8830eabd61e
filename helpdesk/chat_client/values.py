"""What a client of the chat is given and gives: entries of the log, what waits to be sent, and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

import httpx
from websockets.exceptions import WebSocketException

LOST: Final = (OSError, httpx.HTTPError, WebSocketException, TimeoutError)
"""What is raised where the network took it: the same is worth another try."""

FOR_GOOD: Final = frozenset({"session_refused", "origin_refused", "replaced", "forbidden", "not_found"})
"""Refusals of whoever comes, not of what he says: this client does not come back by itself."""


class Transport(StrEnum):
    """How the log is followed. The fallbacks are for networks that let no WebSocket through."""

    WEBSOCKET = "websocket"
    EVENTS = "events"
    POLL = "poll"


class Refused(Exception):
    """The desk said no: `code` is one of docs/chat.md, `field` what is wrong, `retry_after` seconds to try it again."""

    def __init__(self, code: str, *, field: str = "", retry_after: float | None = None) -> None:
        super().__init__(code)
        self.code, self.field, self.retry_after = code, field, retry_after

    @property
    def again(self) -> bool:
        return self.retry_after is not None or self.code in ("internal", "rate_limited", "unavailable")

    @property
    def for_good(self) -> bool:
        return self.code in FOR_GOOD


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log; `data` is the message, the state or the name, as docs/chat.md has it."""

    type: str
    seq: int
    prev_seq: int
    data: Mapping[str, Any]

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Frames of the socket and items of a page are the same things."""
        known = ("type", "conversation_id", "seq", "prev_seq")
        beside = {name: value for name, value in item.items() if name not in known}
        return cls(item["type"], item["seq"], item["prev_seq"], beside.get("message", beside))


@dataclass(slots=True)
class Outgoing:
    """What waits in the outbox. `stored` is the desk's answer (id, conversation and seq) or `Refused`.

    Where the session has ended it waits for the next one.
    """

    client_id: str
    text: str
    attachment_ids: Sequence[str]
    stored: asyncio.Future[Mapping[str, Any]]

    @property
    def body(self) -> dict[str, Any]:
        files = {"attachment_ids": list(self.attachment_ids)} if self.attachment_ids else {}
        return {"client_id": self.client_id, "text": self.text, **files}


@dataclass(slots=True)
class Told:
    """What is only true for a moment, as it was last told: each of them empty until then."""

    typing: Mapping[str, Any] = field(default_factory=dict)
    presence: Mapping[str, Any] = field(default_factory=dict)
    queue: Mapping[str, Any] = field(default_factory=dict)


class Changes:
    """Whoever waits for something looks again whenever anything has changed. `ended` is why nothing will any more."""

    def __init__(self) -> None:
        self.ended: Refused | None = None
        self._next: asyncio.Future[None] | None = None

    def tell(self) -> None:
        change, self._next = self._next, None
        if change is not None:
            change.set_result(None)

    def end(self, error: Refused) -> None:
        self.ended = error
        self.tell()

    async def another(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next)

    async def until(self, done: Callable[[], bool]) -> None:
        """Raises why it has ended."""
        while not done():
            if self.ended is not None:
                raise self.ended
            await self.another()


def seen(future: asyncio.Future[Any]) -> None:
    """Nobody has to wait for it: an exception that nobody asked for is no fault."""
    if not future.cancelled():
        future.exception()
