"""IMAP on the wire (RFC 3501): framing, one command at a time, and the bell.

`Wire` is aioimaplib's protocol with its own reading of the stream replaced. The original takes one stack frame for each
line of a chunk (1,000 flag changes by another client end in a RecursionError), scans all earlier lines for each new
one (191 ms for a list of 1,000 sizes, here 15), takes every "* " out of a line, not the first alone, and formats every
byte received for a debug log, passwords and bodies included. Its commands, tags and states are kept. Not so its
waiting, which takes a queue, two events and a task or two for each command: here one future does, since there is never
more than one command. What is overridden is private there, hence the upper bound in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, cast

from aioimaplib.aioimaplib import (
    AUTH,
    CONNECTED,
    NONAUTH,
    Abort,
    Command,
    Commands,
    Exec,
    IMAP4ClientProtocol,
    Response,
)

from connectors.email.imap_text import LITERAL

# aioimaplib logs commands and bodies at DEBUG and INFO; no setting of ours may turn that on.
logging.getLogger("aioimaplib").setLevel(logging.WARNING)

MAX_LINE = 16 * 1024 * 1024
"""A SEARCH answer is one line: this is room for two million UIDs."""
MAX_LITERAL = 64 * 1024 * 1024
SILENCE_SECONDS = 30.0
"""How long a server may say nothing while it owes an answer."""
GLANCE_SECONDS = 5.0
COMMAND_SECONDS = 600.0
"""How long an answer may take in all, however steadily it drips."""

_EXISTS = re.compile(rb"\* (\d+) EXISTS\Z", re.IGNORECASE)
_EXPUNGE = re.compile(rb"\* \d+ EXPUNGE\Z", re.IGNORECASE)
_BYE = re.compile(rb"\* BYE(?: |\Z)", re.IGNORECASE)
_TAGGED = re.compile(rb"([A-Z0-9]+) (OK|NO|BAD)(?: |\Z)")
_GREETING = re.compile(rb"\* (OK|PREAUTH)(?: |\Z)", re.IGNORECASE)


class WireError(Exception):
    """The peer does not speak IMAP, or more of it than fits. Says nothing of what it did say."""


class Closed(Exception):
    """The connection ended before a command was answered. `why` is a stable word, `silent` among others."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Idle(Command):
    """What the server tells meanwhile is noted by the wire, and kept by nobody."""

    def __init__(self, tag: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__("IDLE", tag, loop=loop)
        self.invited = self.unwanted = self.ended = False

    def append_to_resp(self, line: bytes, result: str = "Pending") -> None:
        if result != "Pending":
            super().append_to_resp(line, result)


class Wire(IMAP4ClientProtocol):
    """One connection. `lost` is done, with a word, once nothing more will come: closed, BYE, nonsense, silent.

    `grown` is true when the mailbox got more messages, in IDLE or in passing, until whoever looks at them makes it
    false; `exists` is how many it has. A server that owes an answer and falls silent is hung up on. `greeted=True`
    after STARTTLS, where no second greeting comes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, greeted: bool = False) -> None:
        super().__init__(loop, self._on_lost)
        self._loop = loop
        self._line_out: asyncio.Transport | None = None
        self.lost: asyncio.Future[Any] = loop.create_future()
        self.greeting: asyncio.Future[Any] = loop.create_future()
        self.grown = False
        self.exists = 0
        self._greeted = greeted
        self._answer: asyncio.Future[None] | None = None
        self._owes = False
        self._watch: asyncio.TimerHandle | None = None
        self._owed_at = self._moved_at = self._heard_at = loop.time()
        self._unsent = 0
        self._buffer = bytearray()
        self._searched = 0
        self._literal: int | None = None
        self._continues = False
        self._command: Command | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._line_out = cast(asyncio.Transport, transport)
        if self._greeted:
            self.state = NONAUTH
            self.greeting.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._buffer += data
        try:
            self._consume()
        except Exception:  # aioimaplib's own errors quote the pending command, and that may be a LOGIN
            self.abort("nonsense")

    def _consume(self) -> None:
        """Take whole lines and literals off the buffer. Only a literal makes a response go on after a CRLF."""
        buffer, at = self._buffer, 0
        try:
            while True:
                if self._literal is not None:
                    if len(buffer) - at < self._literal:
                        return
                    with memoryview(buffer) as view:
                        literal = bytes(view[at : at + self._literal])
                    at += self._literal
                    self._literal, self._searched = None, at
                    if self._command is not None:
                        self._command.append_to_resp(literal)
                    continue
                end = buffer.find(b"\r\n", max(at, self._searched))
                if end < 0:
                    self._searched = max(at, len(buffer) - 1)
                    if len(buffer) - at > MAX_LINE:
                        raise WireError
                    return
                line = bytes(buffer[at:end])
                at = self._searched = end + 2
                self._line(line)
        finally:
            del buffer[:at]
            self._searched = max(0, self._searched - at)

    def _line(self, line: bytes) -> None:
        if self._continues:
            if self._command is not None:
                self._command.append_to_resp(line)
        else:
            self._command = self._begin(line)
        literal = LITERAL.search(line, max(0, len(line) - 16)) if line.endswith(b"}") else None
        self._continues = literal is not None
        if literal is not None:
            self._literal = int(literal[1])
            if self._literal > MAX_LITERAL:
                raise WireError

    def _begin(self, line: bytes) -> Command | None:
        """The first line of a response; answers the command that it belongs to."""
        if self.state == CONNECTED:
            self._greet(line)
            return None
        if line.startswith(b"* "):
            return self._untagged(line)
        if line.startswith(b"+"):
            self._continuation(line)
        elif match := _TAGGED.match(line):
            self._done(match[1].decode(), match[2].decode(), line[match.end() :])
        return None

    def _greet(self, line: bytes) -> None:
        match = _GREETING.match(line)
        if match is None:
            self._end("bye" if _BYE.match(line) else "nonsense")
        elif not self.greeting.done():
            self.state = AUTH if match[1].upper() == b"PREAUTH" else NONAUTH
            self.greeting.set_result(None)

    def _untagged(self, line: bytes) -> Command | None:
        """Keep what the command asked for; of one that changes the state of things, all that is said meanwhile."""
        command = self.pending_sync_command
        if match := _EXISTS.match(line):
            count = int(match[1])
            if count != self.exists:  # some servers repeat it at every IDLE
                self.grown = True
                self.end_idle()
            self.exists = count
        elif _EXPUNGE.match(line):
            self.exists -= 1
        elif _BYE.match(line) and getattr(command, "name", "") != "LOGOUT":
            self._end("bye")
        if command is None:
            return None
        text = line[2:]
        if Commands[command.name].exec != Exec.is_sync:
            first, _, rest = text.partition(b" ")
            numbered = first.isdigit()
            if (rest.partition(b" ")[0] if numbered else first).upper() != command.untagged_resp_name.encode():
                return None
            text = text if numbered else rest
        command.append_to_resp(text)
        return command

    def _continuation(self, line: bytes) -> None:
        command = self.pending_sync_command
        if isinstance(command, Idle):
            self._stop_watching()
            command.invited = True
            if command.unwanted:
                self.end_idle()
        elif getattr(command, "name", "") == "AUTHENTICATE":
            # A refused XOAUTH2 token: the reason comes first, and the NO only after an empty answer to it.
            if self._line_out is not None:
                self._line_out.write(b"\r\n")
        else:
            super()._continuation(line)

    def _done(self, tag: str, result: str, text: bytes) -> None:
        command, self.pending_sync_command = self.pending_sync_command, None
        if command is None or command.tag != tag:
            raise WireError
        self._stop_watching()
        command.close(text, result=result)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def send(self, line: str, scrub: str | None = None) -> None:
        """Write a line, and nothing to any log."""
        if self._line_out is not None:
            self._line_out.write(f"{line}\r\n".encode())

    async def execute(self, command: Command, scrub: str | None = None) -> Response:
        """The answer to a command, of which there may be one at a time. Raises Closed, and Abort in the wrong state.

        Whoever is cancelled meanwhile has to hang up: the next answer would be this command's. Only IDLE can be left.
        """
        if self.state not in Commands[command.name].valid_states:
            raise Abort(f"{command.name} is not possible in the state {self.state}")
        if self.lost.done():
            raise Closed(self.lost.result())
        self.pending_sync_command = cast(Any, command)
        self.send(str(command))
        await self._answered()
        return cast(Response, command.response)

    async def idle_until_grown(self) -> bool:
        """IDLE (RFC 2177) until the mailbox has grown, or `end_idle` is called. Answers whether it came to that.

        If not, the server has refused, or ended it by itself.
        """
        command = Idle(self.new_tag(), self._loop)
        response = await self.execute(command)
        return command.ended and response.result == "OK"

    def end_idle(self) -> None:
        """Say DONE, if the server idles: as soon as it has said that it does."""
        command: Command | None = self.pending_sync_command
        if isinstance(command, Idle) and not command.ended:
            command.unwanted, command.ended = True, command.invited
            if command.ended:
                self.send("DONE")
                self._begin_watching()

    async def leave_idle(self) -> None:
        """Bring an IDLE that was cancelled to its end, so that something else may be said. Raises Closed."""
        if isinstance(self.pending_sync_command, Idle) and not self.lost.done():
            self.end_idle()
            await self._answered()

    async def _answered(self) -> None:
        self._answer = self._loop.create_future()
        self._begin_watching()
        await self._answer

    def _begin_watching(self) -> None:
        """The server owes an answer from now on."""
        self._owes = True
        self._owed_at = self._moved_at = self._loop.time()
        self._unsent = self._left()
        if self._watch is None:
            self._watch = self._loop.call_later(min(SILENCE_SECONDS, GLANCE_SECONDS), self._glance)

    def _stop_watching(self) -> None:
        """It owes none. The timer is left to run out: most commands come in a row, and want none of their own."""
        self._owes = False

    def _glance(self) -> None:
        self._watch = None
        if not self._owes:
            return
        now, unsent = self._loop.time(), self._left()
        if unsent < self._unsent:  # nothing to hear while a big APPEND is on its way out
            self._moved_at = now
        self._unsent = unsent
        silent = max(self._moved_at, self._heard_at) + SILENCE_SECONDS
        left = min(silent, self._owed_at + COMMAND_SECONDS) - now
        if left <= 0:
            self.abort("silent")
        else:
            self._watch = self._loop.call_later(min(left, GLANCE_SECONDS), self._glance)

    def _left(self) -> int:
        """Octets that were written and have not gone yet."""
        return self._line_out.get_write_buffer_size() if self._line_out is not None else 0

    def _on_lost(self, _error: Exception | None) -> None:
        self._end("closed")

    def _end(self, why: str) -> None:
        self._stop_watching()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if not self.lost.done():
            self.lost.set_result(why)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Closed(self.lost.result()))

    def abort(self, why: str = "aborted") -> None:
        self._end(why)
        if self._line_out is not None:
            self._line_out.abort()
