"""What a subscription gives, as frames: the same for a WebSocket and for an event stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from connectors.chat import frames
from connectors.chat.door import Door
from connectors.chat.frames import Out
from helpdesk.live import Anew, Ended, Heard, Item, Log, Subscription, Visitor

GOING, NOT_TEXT, FAULT, LATER = 1001, 1003, 1011, 1013
NOT_OURS, TOKEN, ORIGIN, SLOW, REPLACED, FAST = 4000, 4001, 4003, 4008, 4009, 4029
_OF_END: Final = {Ended.TOKEN: TOKEN, Ended.SLOW: SLOW, Ended.REPLACED: REPLACED, Ended.CLOSING: GOING}

SLOW_SECONDS: Final = 10.0
"""So long one piece may wait for a client to read."""


def close_code(line: Subscription) -> int:
    """Of a subscription that has ended."""
    return _OF_END[line.ended or Ended.CLOSING]


class Follower:
    """Somebody who reads along: in which conversation he is by now, and up to where he was told of it."""

    __slots__ = ("_door", "_token", "head", "visitor")

    def __init__(self, door: Door, token: str, visitor: Visitor, log: Log) -> None:
        self._door, self._token = door, token
        self.visitor, self.head = replace(visitor, conversation_id=log.conversation_id), log.head_seq

    @property
    def welcome(self) -> Out:
        return {
            "type": "welcome",
            "conversation_id": self.visitor.conversation_id,
            "head_seq": self.head,
            "heartbeat_s": frames.HEARTBEAT_SECONDS,
            "visitor": frames.visitor(self.visitor),
        }

    def sign_of_life(self, kind: str) -> Out:
        return {"type": kind, "head_seq": self.head}

    def is_in(self, conversation_id: UUID | None) -> None:
        if conversation_id != self.visitor.conversation_id:
            self.visitor = replace(self.visitor, conversation_id=conversation_id)

    async def told(self, heard: Sequence[Heard]) -> list[Out]:
        """The frames for what happened. Raises `SessionRefused`."""
        found = []
        for one in heard:
            if isinstance(one, Anew):
                self.is_in(one.conversation_id)
                self.head = one.head_seq
            elif isinstance(one, Item):
                if self.visitor.conversation_id is None:
                    # He came before there was any. The first entry does not say where it is; who he is does.
                    self.visitor = await self._door.visitor(self._token)
                self.head = max(self.head, one.seq)
            found.append(frames.heard(one, self.visitor.conversation_id))
        return found
