"""The outbox: what was said and is not confirmed, sent one at a time so that its order stays, until the desk has it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from helpdesk.chat_client.values import LOST, Changes, Outgoing, Refused, seen

_LONGEST: Final = 30.0


class Outbox:
    """`send` brings one to the desk and answers what became of it; `ready` says whether it can."""

    def __init__(
        self,
        send: Callable[[Outgoing], Awaitable[Mapping[str, Any]]],
        ready: Callable[[], bool],
        changes: Changes,
        chance: random.Random,
    ) -> None:
        self._waiting: dict[str, Outgoing] = {}
        self._send, self._ready, self._changes, self._chance = send, ready, changes, chance

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [outgoing.body for outgoing in self._waiting.values()]

    def put(self, client_id: str, text: str, attachment_ids: Sequence[str]) -> Outgoing:
        outgoing = Outgoing(client_id, text, attachment_ids, asyncio.get_running_loop().create_future())
        outgoing.stored.add_done_callback(seen)
        self._waiting[client_id] = outgoing
        self._changes.tell()
        return outgoing

    async def empty(self) -> None:
        """For ever. What is refused leaves it, unless it is he who is refused: then it waits for another session."""
        tries = 0
        while True:
            with suppress(Refused):
                await self._changes.until(lambda: bool(self._waiting) and self._ready())
            if self._changes.ended is not None:
                await self._changes.another()
                continue
            outgoing = next(iter(self._waiting.values()))
            try:
                stored = await self._send(outgoing)
            except Refused as error:
                if error.for_good:
                    self._changes.end(error)
                elif not error.again:
                    self._done(outgoing, error)
                else:
                    await asyncio.sleep(error.retry_after or self._later(tries))
                    tries += 1
            except LOST:
                await asyncio.sleep(self._later(tries))
                tries += 1
            else:
                tries = 0
                self._done(outgoing, stored)

    def drop(self, error: Refused) -> None:
        """Nobody sends any of it any more."""
        for outgoing in list(self._waiting.values()):
            self._done(outgoing, error)

    def cancel(self) -> None:
        for outgoing in self._waiting.values():
            outgoing.stored.cancel()

    def _later(self, tries: int) -> float:
        return self._chance.uniform(0, min(_LONGEST, 2.0**tries))

    def _done(self, outgoing: Outgoing, result: Mapping[str, Any] | Refused) -> None:
        self._waiting.pop(outgoing.client_id, None)
        if outgoing.stored.done():  # it was dropped meanwhile, or whoever waited was cancelled
            pass
        elif isinstance(result, Refused):
            outgoing.stored.set_exception(result)
        else:
            outgoing.stored.set_result(result)
        self._changes.tell()
