"""The customers' side of outgoing mail: `SmtpSink` in a thread of its own, so that plain tests may use it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType

from tests.peers.smtp_sink import Message, SmtpSink


class Sink:
    """`messages` is what was taken. The port stays the same through `close` and `open`."""

    def __init__(self) -> None:
        self._sink: SmtpSink | None = None
        self._port = 0
        self._kept: list[Message] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Sink:
        self._thread.start()
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def open(self) -> None:
        async def begin() -> SmtpSink:
            return await SmtpSink(port=self._port, keep=self._kept.append).__aenter__()

        self._sink = asyncio.run_coroutine_threadsafe(begin(), self._loop).result(10)
        self._port = self._sink.port

    def close(self) -> None:
        """Nobody listens any more; what was taken is kept."""
        if self._sink is not None:
            asyncio.run_coroutine_threadsafe(self._sink.__aexit__(None, None, None), self._loop).result(10)
            self._sink = None

    @property
    def server(self) -> SmtpSink:
        """For rules: `sink.server.wait("dot", 3)`."""
        assert self._sink is not None
        return self._sink

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}"

    @property
    def messages(self) -> list[Message]:
        return list(self._kept)

    def forget(self) -> None:
        """As if nothing had come so far."""
        self._kept.clear()

    def to(self, address: str) -> list[Message]:
        return [message for message in self.messages if address in message.recipients]

    def copies(self) -> Counter[str]:
        """How often each Message-ID came."""
        return Counter(str(read(message.body)["Message-ID"]) for message in self.messages)


def read(body: bytes) -> EmailMessage:
    found = message_from_bytes(body, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found
