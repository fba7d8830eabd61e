"""How long an IMAP server may keep silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SILENCE_SECONDS = 30.0
"""How long a server may say nothing while it owes an answer."""
GLANCE_SECONDS = 5.0
COMMAND_SECONDS = 600.0
"""How long an answer may take in all, however steadily it drips."""


class Watchdog:
    """Calls `bark` once the server owes an answer and is silent, or takes too long over it.

    `unsent` tells how many octets were written and have not gone yet: while a big APPEND is on its way out, there is
    nothing to hear.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, unsent: Callable[[], int], bark: Callable[[], None]) -> None:
        self._loop, self._unsent, self._bark = loop, unsent, bark
        self._owes = False
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None
        self._owed_at = self._moved_at = self._heard_at = loop.time()

    def heard(self) -> None:
        self._heard_at = self._loop.time()

    def watch(self) -> None:
        """The server owes an answer from now on."""
        self._owes = True
        self._owed_at = self._moved_at = self._loop.time()
        self._left = self._unsent()
        if self._timer is None:
            self._timer = self._loop.call_later(min(SILENCE_SECONDS, GLANCE_SECONDS), self._glance)

    def rest(self) -> None:
        """It owes none. The timer is left to run out: most commands come in a row, and want none of their own."""
        self._owes = False

    def close(self) -> None:
        self.rest()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _glance(self) -> None:
        self._timer = None
        if not self._owes:
            return
        now, unsent = self._loop.time(), self._unsent()
        if unsent < self._left:
            self._moved_at = now
        self._left = unsent
        silent = max(self._moved_at, self._heard_at) + SILENCE_SECONDS
        left = min(silent, self._owed_at + COMMAND_SECONDS) - now
        if left <= 0:
            self._bark()
        else:
            self._timer = self._loop.call_later(min(left, GLANCE_SECONDS), self._glance)
