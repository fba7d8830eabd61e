"""A way to a server that can be shut, in a thread of its own: whoever is on it is cut off, and finds no other one.

with Gate(port) as gate:
    ... gate.port ...
    gate.shut(); gate.open()
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Gate:
    """Keeps its port through `shut` and `open`."""

    def __init__(self, there: int) -> None:
        self._there, self.port = there, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._shut = True

    def __enter__(self) -> Self:
        self._thread.start()
        self.open()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def open(self) -> None:
        async def listen() -> None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]
            self._shut = False

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)

    def shut(self) -> None:
        async def end() -> None:
            self._shut = True
            self._server.close()
            for task in self._tasks:
                task.cancel()
            while begun := asyncio.all_tasks() - {asyncio.current_task()}:  # also who was let in and has not gone on
                await asyncio.wait(begun)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shut:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._there)
            try:
                both = asyncio.gather(_pipe(reader, back), _pipe(there, writer))
                await both
            finally:
                back.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
