"""How the server speaks WebSocket (RFC 6455): what every process that serves gives to uvicorn."""

from __future__ import annotations

import logging
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.server import ServerProtocol

MOST_UNREAD: Final = 256 * 1024
"""Bytes that may wait for a peer who does not read, when what fills them is not up to the application."""

ABORT_SECONDS: Final = 15.0

# uvicorn writes the whole address of a handshake, the text of exceptions, and each frame that is no UTF-8. What is
# worth knowing the application logs itself.
_SILENT: Final = logging.getLogger("helpdesk.sockets")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_SILENT.setLevel(logging.CRITICAL)


class _Terse(ServerProtocol):
    def fail(self, code: int, reason: str = "") -> None:
        """By the code alone: the reason is a sentence of the library."""
        super().fail(code)


class Socket(WebSocketsSansIOProtocol):
    """A connection that ends when it is over, whether the peer likes it or not.

    A peer who never reads keeps what was written to him, and with it the connection, for as long as he stays: closing
    waits for him. So he is cut off some time after the close, and when he has pings answered that he does not read.
    """

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], *given: Any) -> None:
        super().__init__(config, server_state, app_state, *given)
        self.logger = _SILENT
        self.conn = _Terse(max_size=config.ws_max_size, logger=_SILENT)

    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.transport.abort()
        else:
            super().handle_ping()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if not self.disconnected:
            self.loop.call_later(ABORT_SECONDS, self.transport.abort)


SETTINGS: Final[dict[str, Any]] = {
    "ws": Socket,
    "ws_max_size": 64 * 1024,
    # Compressing what others wrote beside what is secret gives it away (CRIME), and costs each connection 100 kB.
    # `Socket` agrees to no extension; this is for whoever reads the settings.
    "ws_per_message_deflate": False,
    # The protocol has its own signs of life, both ways, which say how far the log is as well.
    "ws_ping_interval": None,
}
