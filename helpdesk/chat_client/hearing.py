"""What the desk's frames mean, by whichever way they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from helpdesk.chat_client.log import Log
from helpdesk.chat_client.values import Refused, Told, seen

_CLOSES: Final = {4001: "session_refused", 4003: "origin_refused", 4009: "replaced"}
"""Close codes after which a client does not come back by itself, and what they are called here."""

_AT_ONCE: Final = frozenset({1000, 1001, 1012})
_TOO_FAST: Final = 4029
_PENALTY: Final = 60.0
_PASSING: Final = frozenset({"typing", "presence", "queue"})
_LASTING: Final = frozenset({"message.new", "conversation.state", "agent.joined"})


class Stopped(ConnectionResetError):
    """The server stops: one may come back at once."""


def closed(code: int) -> Exception:
    """What a close code means, to be raised."""
    if code in _CLOSES:
        return Refused(_CLOSES[code])
    if code == _TOO_FAST:
        return Refused("rate_limited", retry_after=_PENALTY)
    return Stopped() if code in _AT_ONCE else ConnectionResetError()


class Hearing:
    """`heard` is called with every frame that was taken. `connections` counts the welcomes."""

    def __init__(self, log: Log, heard: Callable[[Mapping[str, Any]], None]) -> None:
        self.told, self.visitor, self.connections = Told(), dict[str, Any](), 0
        self._log, self._heard = log, heard
        self._awaited: dict[str, asyncio.Future[Mapping[str, Any]]] = {}

    async def take(self, frame: Mapping[str, Any]) -> None:
        """Raises what ends the connection."""
        kind = frame["type"]
        if kind == "welcome":
            self.connections += 1
            self.visitor = frame["visitor"]
            await self._log.is_in(frame["conversation_id"])
        elif kind == "resync":
            await self._log.read_anew(frame["conversation_id"])
        elif kind in _LASTING:
            await self._log.append(frame)
        elif kind in _PASSING:
            setattr(self.told, kind, frame)
        elif kind in ("ping", "pong"):
            await self._log.reaches(frame["head_seq"])
        elif kind in ("message.ack", "error"):
            self._answer(frame)
        elif kind == "closed":
            raise closed(frame["code"])
        self._heard(frame)

    def awaited(self, client_id: str) -> asyncio.Future[Mapping[str, Any]]:
        """What will be answered to the message that is on its way under this id."""
        answered = self._awaited[client_id] = asyncio.get_running_loop().create_future()
        answered.add_done_callback(seen)
        return answered

    def lost(self) -> None:
        """The connection is gone: nothing that is on its way is answered any more."""
        for answered in self._awaited.values():
            if not answered.done():
                answered.set_exception(ConnectionResetError())
        self._awaited.clear()

    def _answer(self, frame: Mapping[str, Any]) -> None:
        answered = self._awaited.pop(frame.get("client_id", ""), None)
        waits = answered is not None and not answered.done()
        if frame["type"] == "error":
            error = Refused(frame["code"], field=frame.get("field", ""), retry_after=frame.get("retry_after"))
            if answered is not None and waits:
                answered.set_exception(error)
            elif error.for_good:
                raise error
        elif answered is not None and waits:
            answered.set_result({name: value for name, value in frame.items() if name != "type"})
