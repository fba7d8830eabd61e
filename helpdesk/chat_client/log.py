"""The log: what the desk has said in one conversation, each entry after the one before it, and none missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from helpdesk.chat_client.values import Entry

_PAGE: Final = 100


class Log:
    """`ask` answers a page of `GET /messages`; `heard` is called with every entry that came by one."""

    def __init__(
        self,
        ask: Callable[[Mapping[str, int]], Awaitable[Mapping[str, Any]]],
        heard: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.conversation_id: str | None = None
        self.entries: list[Entry] = []
        self._ask, self._heard = ask, heard

    @property
    def last_seq(self) -> int:
        return self.entries[-1].seq if self.entries else 0

    async def append(self, frame: Mapping[str, Any]) -> None:
        """Take an entry that came by itself. One that does not follow the last makes it ask for what is between."""
        if frame["conversation_id"] != self.conversation_id:
            await self.read_anew(frame["conversation_id"])
        elif frame["seq"] > self.last_seq and frame["prev_seq"] != self.last_seq:
            await self.catch_up()
        elif frame["seq"] > self.last_seq:
            self.entries.append(Entry.of(frame))

    async def is_in(self, conversation_id: str | None) -> None:
        if conversation_id != self.conversation_id:
            await self.read_anew(conversation_id)

    async def reaches(self, head_seq: int) -> None:
        if head_seq > self.last_seq:
            await self.catch_up()

    async def read_anew(self, conversation_id: str | None) -> None:
        self.forget(conversation_id)
        if conversation_id is not None:
            await self.catch_up()

    async def catch_up(self) -> None:
        more = True
        while more:
            more = self.merge(await self._ask({"after_seq": self.last_seq, "limit": _PAGE}))

    def merge(self, page: Mapping[str, Any]) -> bool:
        """Take a page; whether there is another one."""
        if page["conversation_id"] != self.conversation_id:
            stale = bool(self.entries)
            self.forget(page["conversation_id"])
            if stale:
                return True
        fresh = [item for item in page["items"] if item["seq"] > self.last_seq]
        self.entries += [Entry.of(item) for item in fresh]
        for item in fresh:
            self._heard(item)
        return bool(page["more"] and fresh)

    def forget(self, conversation_id: str | None) -> None:
        self.conversation_id = conversation_id
        self.entries.clear()
