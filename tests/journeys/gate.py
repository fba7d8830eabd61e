"""A way to a server that can be shut, in a thread of its own: whoever is on it is cut off, and finds no other one.

with Gate(port) as gate:
    ... gate.port ...
    gate.shut(); gate.open()
"""

from __future__ import annotations

import asyncio
import socket
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
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._let_in)

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)

    def shut(self) -> None:
        async def end() -> None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)

    def _let_in(self) -> None:
        """Not by `start_server`, which leaves the socket of somebody who comes while it closes open."""
        with suppress(BlockingIOError):
            came, _ = self._listener.accept()
            task = self._loop.create_task(self._carry(came))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _task: came.close())

    async def _carry(self, came: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=came)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._there)
            try:
                await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
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
