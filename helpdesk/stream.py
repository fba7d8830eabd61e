"""What waits to be sent to one live client: a short queue, which ends rather than grows.

A client that reads more slowly than things happen would otherwise cost memory without bound. It is cut off instead, and
resumes from the last position that it has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Line(Generic[_Item]):
    """A queue with one reader. `most` is how many items may wait; one more ends it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[_Item] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.ended = False

    def put(self, item: _Item) -> bool:
        """Answers whether the line still holds; what is put on one that has ended is dropped."""
        if self.ended:
            return False
        if len(self._items) >= self._most:
            self.end()
            return False
        self._items.append(item)
        self._wake()
        return True

    def end(self) -> None:
        """Nothing more comes out, what waits included: whoever may no longer read must not be sent the rest."""
        self.ended = True
        self._items.clear()
        self._wake()

    async def take(self, most: int) -> list[_Item]:
        """What waits, in order, at most so many; waits for the first one. Empty once the line has ended."""
        while not self._items and not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return [self._items.popleft() for _ in range(min(most, len(self._items)))]

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
