"""Functions that run in a process apart, which may be killed at any moment without harm to this one.

The ways that libraries offer cost a mail that comes alone 0.4 ms more (`docs/decisions/0005`): they pass every call
through threads or several pipes. Here it is one message each way over a pair of sockets: eight octets of length, and a
pickle.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

T = TypeVar("T")

_HEADER = 8
_PIECE = 64 * 1024
"""Messages up to this size are sent and received at once."""
_SETTINGS = "HELPDESK_"
_START = "import sys; sys.path[:] = sys.argv[2:]; from helpdesk.apart import serve; serve(int(sys.argv[1]))"


class Died(Exception):
    """The process ended before it had answered."""


class Apart:
    """One process that runs one function at a time. It is started when it is first needed, and again after it died.

    It gets this one's environment without our settings, some of which are secrets, and what its functions are called
    with. It ends when this process does, however that may be.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: _Line | None = None

    @property
    def busy(self) -> bool:
        """Whether a call would have to wait for another one."""
        return self._turn.locked()

    async def run(self, function: Callable[..., T], *arguments: Any, seconds: float) -> T:
        """What `function`, which has to be importable by its name, answers to these arguments within `seconds`.

        Raises what it raises, `Died`, TimeoutError, and OSError when there is no room for another process. Whoever runs
        out of time, or is cancelled, ends the process.
        """
        request = pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)
        async with self._turn:
            try:
                answer = await self._ask(request, seconds)
            except BaseException as error:
                await asyncio.shield(asyncio.ensure_future(self.close()))
                if isinstance(error, ConnectionError):
                    raise Died from None
                raise
        returned, found = pickle.loads(answer)  # noqa: S301 - our own child's, made by our own code
        if returned:
            return found  # type: ignore[no-any-return]
        raise found

    async def close(self) -> None:
        """End the process, whatever it is at. It may be used again."""
        process, self._process = self._process, None
        line, self._line = self._line, None
        if line is not None:
            line.close()
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def _ask(self, request: bytes, seconds: float) -> memoryview:
        if self._line is not None and self._line.lost:
            await self.close()
        line = self._line
        if line is None:
            loop = asyncio.get_running_loop()
            _, line = await loop.create_unix_connection(lambda: _Line(loop), sock=self._start())
            self._line = line
        return await line.ask(request, seconds)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own words only
                    [sys.executable, "-c", _START, str(theirs.fileno()), *sys.path],
                    pass_fds=[theirs.fileno()],
                    env={name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            except BaseException:
                ours.close()
                raise
        return ours


class _Line(asyncio.Protocol):
    """Our end of the pair. It stays registered with the loop: to begin anew for each answer costs six system calls."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[memoryview] | None = None

    @property
    def lost(self) -> bool:
        return self._transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, no isinstance: uvloop's transports write, but descend from nothing of asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._fail(ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is not None and not self._answer.done() and not _is_short(self._received):
            received, self._received = self._received, bytearray()
            self._answer.set_result(memoryview(received)[_HEADER:])

    async def ask(self, request: bytes, seconds: float) -> memoryview:
        """The answer to a request. Raises ConnectionResetError when none can come any more, and TimeoutError."""
        if self._transport is None:
            raise ConnectionResetError
        self._answer = self._loop.create_future()
        self._transport.writelines(_message(request))
        timer = self._loop.call_later(seconds, self._fail, TimeoutError())
        try:
            return await self._answer
        finally:
            timer.cancel()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def serve(descriptor: int) -> None:
    """What the process does all its life: answer what comes by this socket. It leaves signals to its parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as peer, peer.makefile("rb") as requests:
        while header := requests.read(_HEADER):
            for piece in _message(_answer(requests.read(int.from_bytes(header, "big")))):
                peer.sendall(piece)


def _answer(request: bytes) -> bytes:
    try:
        function, arguments = pickle.loads(request)  # noqa: S301 - our own parent's
        return pickle.dumps((True, function(*arguments)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((False, error), pickle.HIGHEST_PROTOCOL)


def _message(body: bytes) -> Sequence[bytes]:
    """The pieces in which to send it: one, unless copying costs more than another call."""
    header = len(body).to_bytes(_HEADER, "big")
    return (header + body,) if len(body) < _PIECE else (header, body)


def _is_short(received: bytearray) -> bool:
    return len(received) < _HEADER or len(received) < _HEADER + int.from_bytes(received[:_HEADER], "big")
