"""A network that nobody would want, on loopback: it cuts what it carries at any byte, holds it back, and splits it.

    async with TroubledProxy([port_a, port_b], random.Random(seed)) as proxy:
        ... proxy.port ...
        proxy.calm()

Each connection goes to one of the ports at random. When the client's side is cut, what he had sent still arrives a
while later in some cases, after what he says on his next connection: bytes of one connection keep their order, and
connections overtake one another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

_MOST_AT_ONCE = 700
_HELD_SECONDS = 0.03
_LATE_SECONDS = 0.4


class TroubledProxy:
    """`each` is how long a connection lives on average, in seconds; `cuts` counts those that were cut."""

    def __init__(self, ports: Sequence[int], chance: random.Random, *, each: float = 2.0) -> None:
        self._ports, self._chance, self._each = list(ports), chance, each
        self._calm = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = self.cuts = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def calm(self) -> None:
        """No more cuts, from the next connection on; the troubled ones end."""
        self._calm = True

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self._chance.choice(self._ports))
            try:
                await self._between(reader, writer, there, back)
            finally:
                back.transport.abort()
        writer.transport.abort()

    async def _between(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        up, down = (asyncio.create_task(self._pipe(*ends)) for ends in ((reader, back), (there, writer)))
        patience = None if self._calm else self._chance.expovariate(1 / self._each)
        try:
            done, _ = await asyncio.wait((up, down), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self.cuts += 1
                writer.transport.abort()
                if self._chance.random() < 0.5:
                    await asyncio.sleep(self._chance.uniform(0, _LATE_SECONDS))  # what was sent arrives, late
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Piece by piece, each held back for a moment, until one side has no more."""
        with suppress(OSError):
            while data := await reader.read(_MOST_AT_ONCE):
                cut = len(data) if self._calm else self._chance.randint(1, len(data))
                for piece in (data[:cut], data[cut:]):
                    if piece:
                        await asyncio.sleep(0 if self._calm else self._chance.uniform(0, _HELD_SECONDS))
                        writer.write(piece)
                        await writer.drain()
