"""The WebSocket: a hello, then frames both ways until either side has enough.

Two tasks serve a connection: one reads and answers, one carries what happens. Neither queues anything: a client that
does not read holds up its own writer, and is closed when that has waited too long. The database has what he missed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from connectors.chat import frames
from connectors.chat.door import Door, OriginRefused, QueryRefused, origin_of
from connectors.chat.following import (
    FAST,
    FAULT,
    GOING,
    LATER,
    NOT_OURS,
    NOT_TEXT,
    ORIGIN,
    SLOW,
    SLOW_SECONDS,
    TOKEN,
    Follower,
    close_code,
)
from connectors.chat.frames import BadFrame, Frame, Hello, MessageSend, Out, Ping, Read, Typing
from connectors.chat.problem import problem
from connectors.chat.rates import RateLimited, network
from helpdesk.errors import HelpdeskError
from helpdesk.live import SessionRefused, Subscription, Visitor
from helpdesk.logs import fault

log = structlog.get_logger()

HELLO_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 60.0
_GOODBYE_SECONDS: Final = 5.0
_MOST_WRONG: Final = 5
_MOST_TOLD: Final = 3


class _Over(Exception):
    """The connection is to be closed with this code; None: it is gone already."""

    def __init__(self, code: int | None) -> None:
        super().__init__()
        self.code = code


async def serve(door: Door, ws: WebSocket) -> None:
    """One connection, from its handshake to its end. Raises nothing."""
    refusal = _refusal(ws)
    address = network(ws.client.host if ws.client else "")
    if refusal is None and not door.strangers.sit(address):
        refusal = RateLimited(extra={"retry_after": 10})
    if refusal is not None:
        await ws.send_denial_response(problem(refusal))
        return
    connection = Connection(door, ws)
    try:
        try:
            await ws.accept(subprotocol=frames.SUBPROTOCOL)
            async with asyncio.timeout(HELLO_SECONDS):
                visitor, hello = await connection.meet()
        finally:
            door.strangers.rise(address)
        code = await connection.attend(address, visitor, hello)
    except _Over as over:
        code = over.code
    except TimeoutError:
        code = NOT_OURS
    except (WebSocketDisconnect, OSError):
        code = None
    except Exception as error:
        log.error("chat_socket_failed", **fault(error))
        code = FAULT
    if code is not None:
        with suppress(WebSocketDisconnect, OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await ws.close(code)


def _refusal(ws: WebSocket) -> HelpdeskError | None:
    """What is wrong with a handshake by itself. A query has no use here, and someone may have put a token there."""
    if ws.scope["query_string"]:
        return QueryRefused()
    if frames.SUBPROTOCOL not in ws.scope["subprotocols"]:
        return BadFrame("Sec-WebSocket-Protocol")
    return None


class Connection:
    """One of them: who it is, and how often it was wrong."""

    __slots__ = ("_busy", "_door", "_follower", "_host", "_over", "_told", "_wrong", "_ws")

    _follower: Follower

    def __init__(self, door: Door, ws: WebSocket) -> None:
        self._door, self._host, self._ws = door, door.host, ws
        self._wrong = self._told = 0
        self._busy = self._over = False

    async def meet(self) -> tuple[Visitor, Hello]:
        """The first frame, and whose it is. Raises `_Over`."""
        try:
            hello = frames.parse(await self._text())
            if not isinstance(hello, Hello):
                raise _Over(NOT_OURS)
            visitor = await self._door.visitor(hello.token)
            await self._door.check_origin(origin_of(self._ws.scope["headers"]), visitor.inbox_id)
            self._door.take(visitor, "listen")
        except BadFrame:
            raise _Over(NOT_OURS) from None
        except SessionRefused as refused:
            await self._send(frames.error(refused))
            raise _Over(TOKEN) from None
        except OriginRefused:
            raise _Over(ORIGIN) from None
        except RateLimited as refused:
            await self._send(frames.error(refused))
            raise _Over(FAST) from None
        return visitor, hello

    async def attend(self, address: str, visitor: Visitor, hello: Hello) -> int | None:
        """Both directions until one ends; answers the code to close with, None where the client is gone."""
        resume = hello.resume
        try:
            log = await self._host.log_after(visitor, resume.last_seq if resume else 0, limit=1)
            follower = self._follower = Follower(self._door, hello.token, visitor, log)
            after = resume.last_seq if resume else log.head_seq
            known = resume.conversation_id if resume else log.conversation_id
            async with self._door.subscribe(address, visitor, after=after, conversation_id=known) as line:
                await self._send(follower.welcome)
                return await self._both(line)
        except SessionRefused as refused:
            await self._send(frames.error(refused))
            return TOKEN
        except HelpdeskError:
            return LATER

    async def _both(self, line: Subscription) -> int | None:
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write(line))
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            first = reading if reading.done() else writing
        finally:
            # What is being written into the log is written to its end: only then does the client know that it was.
            self._over = True
            writing.cancel()
            if not self._busy:
                reading.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
        return first.result()

    # -- what he reads --

    async def _write(self, line: Subscription) -> int | None:
        """Carry what happens, and a sign of life where nothing does."""
        try:
            while True:
                try:
                    async with asyncio.timeout(frames.HEARTBEAT_SECONDS):
                        heard = await line.take()
                except TimeoutError:
                    await self._send(self._follower.sign_of_life("ping"))
                    continue
                if not heard:
                    return close_code(line)
                for frame in await self._follower.told(heard):
                    await self._send(frame)
        except _Over as over:
            return over.code
        except SessionRefused:
            return TOKEN

    async def _send(self, frame: Out) -> None:
        """Raises `_Over` where the client does not read, or is gone."""
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                await self._ws.send_text(frames.encode(frame))
        except TimeoutError:
            raise _Over(SLOW) from None
        except (WebSocketDisconnect, OSError, RuntimeError):
            raise _Over(None) from None

    # -- what he writes --

    async def _read(self) -> int | None:
        try:
            while not self._over:
                async with asyncio.timeout(IDLE_SECONDS):
                    text = await self._text()
                self._busy = True
                await self._take(text)
                self._busy = False
        except _Over as over:
            return over.code
        except TimeoutError:
            return GOING
        return None

    async def _text(self) -> str:
        """The next frame. Raises `_Over` for one of bytes, and at the end."""
        message = await self._ws.receive()
        if message["type"] == "websocket.disconnect":
            raise _Over(None)
        text: str | None = message.get("text")
        if text is None:
            raise _Over(NOT_TEXT)
        return text

    async def _take(self, text: str) -> None:
        """One frame, answered. Raises `_Over` for one too many that is wrong, or too fast."""
        try:
            frame = frames.parse(text)
            if isinstance(frame, Hello):
                raise BadFrame("type")
            self._door.take(self._follower.visitor, frame.type)
        except BadFrame as bad:
            self._wrong += 1
            await self._send(frames.error(bad))
            if self._wrong >= _MOST_WRONG:
                raise _Over(NOT_OURS) from None
            return
        except RateLimited as fast:
            self._told += 1
            if self._told > _MOST_TOLD:
                raise _Over(FAST) from None
            await self._send(frames.error(fast, client_id=_client_id(frame)))
            return
        self._wrong = self._told = 0
        try:
            await self._do(frame)
        except SessionRefused as refused:
            await self._send(frames.error(refused))
            raise _Over(TOKEN) from None
        except HelpdeskError as refused:
            await self._send(frames.error(frames.of_saying(refused), client_id=_client_id(frame)))
        except _Over:
            raise
        except Exception as error:
            log.error("chat_frame_failed", kind=frame.type, **fault(error))
            await self._send(frames.error(HelpdeskError(), client_id=_client_id(frame)))

    async def _do(self, frame: Frame) -> None:
        visitor = self._follower.visitor
        if isinstance(frame, MessageSend):
            frames.judge_text(frame.text, frame.attachment_ids)
            said = await self._host.say(
                visitor, client_id=frame.client_id, text=frame.text, attachment_ids=frame.attachment_ids
            )
            if visitor.conversation_id is None:
                self._follower.is_in(said.conversation_id)
            await self._send(frames.ack(frame.client_id, said))
        elif isinstance(frame, Read):
            await self._host.read(visitor, frame.seq)
        elif isinstance(frame, Typing):
            await self._host.typing(visitor, ttl=frame.ttl)
        elif isinstance(frame, Ping):
            await self._send(self._follower.sign_of_life("pong"))


def _client_id(frame: Frame) -> str | None:
    return frame.client_id if isinstance(frame, MessageSend) else None
