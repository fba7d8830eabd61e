"""IMAP on the wire (RFC 3501): framing, one command at a time, and the bell.

`Wire` is aioimaplib's protocol with its own reading of the stream replaced. The original takes one stack frame for each
line of a chunk (1,000 flag changes by another client end in a RecursionError), scans all earlier lines for each new
one (191 ms for a list of 1,000 sizes, here 15), takes every "* " out of a line, not the first alone, and formats every
byte received for a debug log, passwords and bodies included. Its commands, tags and states are kept. Not so its
waiting, which takes a queue, two events and a task or two for each command: here one future does, since never more than
one command is waited for. What is overridden is private there, hence the upper bound in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import Any, cast

from aioimaplib.aioimaplib import (
    AUTH,
    CONNECTED,
    CONTROL_CHARS,
    NONAUTH,
    Abort,
    Command,
    Commands,
    Exec,
    IMAP4ClientProtocol,
    Response,
)

from connectors.email.imap_text import LITERAL
from connectors.email.imap_watchdog import Watchdog

# aioimaplib logs commands and bodies at DEBUG and INFO; no setting of ours may turn that on.
logging.getLogger("aioimaplib").setLevel(logging.WARNING)

MAX_LINE = 16 * 1024 * 1024
"""A SEARCH answer is one line: this is room for two million UIDs."""
MAX_LITERAL = 64 * 1024 * 1024

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


class Asked:
    """A command as `Wire` keeps it: without the event and the timers of aioimaplib's own, which cost a lone mail more
    than its answer. `arguments` are as they go out; raises ValueError for such as would end the line.
    """

    def __init__(self, name: str, tag: str, *arguments: str, by_uid: bool = False) -> None:
        self.name = self.untagged_resp_name = name
        self.tag = tag
        self.line = " ".join((tag, "UID", name, *arguments) if by_uid else (tag, name, *arguments))
        if CONTROL_CHARS.search(self.line):
            raise ValueError("a command holds no line breaks")
        self.response = Response("", [])

    def __str__(self) -> str:
        return self.line

    def append_to_resp(self, line: bytes) -> None:
        self.response.lines.append(line)

    def close(self, line: bytes, result: str) -> None:
        self.response.lines.append(line)
        self.response = Response(result, self.response.lines)


@dataclass(slots=True)
class _Idle:
    """An IDLE that the server has not confirmed the end of.

    `invited`: it has said that it idles. `unwanted`: the waiting is to end then. `ended`: DONE was said.
    """

    tag: str
    invited: bool = False
    unwanted: bool = False
    ended: bool = False


class Wire(IMAP4ClientProtocol):
    """One connection. `lost` is done, with a word, once nothing more will come: closed, BYE, nonsense, silent.

    `grown` is true when the mailbox got more messages, in IDLE or in passing, until whoever looks at them makes it
    false; `exists` is how many it has. A server that owes an answer and falls silent is hung up on. `greeted=True`
    after STARTTLS, where no second greeting comes.

    IDLE lasts until the next command, which goes out with the DONE unless `along` is false. A server may not know what
    to do with both at once: `unheard` is true when the connection ended over a command that followed another so.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, greeted: bool = False) -> None:
        super().__init__(loop, self._on_lost)
        self._loop = loop
        self._line_out: asyncio.Transport | None = None
        self.lost: asyncio.Future[Any] = loop.create_future()
        self.greeting: asyncio.Future[Any] = loop.create_future()
        self.grown = False
        self.exists = 0
        self.along = True
        self.unheard = False
        self._greeted = greeted
        self._idle: _Idle | None = None
        self._sent_along = False
        self._posted: Command | Asked | None = None
        self._answer: asyncio.Future[None] | None = None
        self._watchdog = Watchdog(loop, unsent=self._unsent, bark=lambda: self.abort("silent"))
        self._buffer = bytearray()
        self._searched = 0
        self._literal: int | None = None
        self._continues = False
        self._command: Command | Asked | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._line_out = cast(asyncio.Transport, transport)
        if self._greeted:
            self.state = NONAUTH
            self.greeting.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._watchdog.heard()
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

    def _begin(self, line: bytes) -> Command | Asked | None:
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

    def _untagged(self, line: bytes) -> Command | Asked | None:
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
        idle = self._idle
        if idle is not None and not idle.invited:
            self._watchdog.rest()
            idle.invited, self._sent_along = True, False
            if idle.unwanted:
                self._resolve()
        elif getattr(self.pending_sync_command, "name", "") == "AUTHENTICATE":
            # A refused XOAUTH2 token: the reason comes first, and the NO only after an empty answer to it.
            if self._line_out is not None:
                self._line_out.write(b"\r\n")
        else:
            super()._continuation(line)

    def _done(self, tag: str, result: str, text: bytes) -> None:
        command = self.pending_sync_command
        if self._idle is not None and tag == self._idle.tag:
            self._idle = None
        elif command is not None and tag == command.tag:
            self.pending_sync_command = None
            command.close(text, result=result)
        elif self._posted is not None and tag == self._posted.tag:
            self._posted = None
            return
        elif tag == "DONE":
            return  # the server had ended IDLE by itself, and took this for a command
        else:
            raise WireError
        if self.pending_sync_command is None:
            self._sent_along = False
            self._watchdog.rest()
            self._resolve()

    def _resolve(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def send(self, line: str, scrub: str | None = None) -> None:
        """Write a line, and nothing to any log."""
        if self._line_out is not None:
            self._line_out.write(f"{line}\r\n".encode())

    async def execute(self, command: Command | Asked, scrub: str | None = None) -> Response:
        """The answer to a command, of which there may be one at a time. Raises Closed, and Abort in the wrong state.

        Whoever is cancelled meanwhile has to hang up: the next answer would be this command's.
        """
        await self._say(command)
        self.pending_sync_command = cast(Any, command)
        await self._answered()
        return cast(Response, command.response)

    async def post(self, command: Asked) -> None:
        """The same for one whose answer makes no difference: the next command does not wait for it."""
        if self._posted is not None or not self.along:
            await self.execute(command)
        else:
            await self._say(command)
            self._posted = command

    async def _say(self, command: Command | Asked) -> None:
        if self.state not in Commands[command.name].valid_states:
            raise Abort(f"{command.name} is not possible in the state {self.state}")
        if self.lost.done():
            raise Closed(self.lost.result())
        done = await self._leave_idle()
        self._sent_along = bool(done) or self._posted is not None
        self.send(f"{done}{command}")

    async def idle_until_grown(self) -> bool:
        """IDLE (RFC 2177) until the mailbox has grown, or `end_idle` is called. Answers whether it came to that.

        If not, the server has refused, or ended it by itself.
        """
        if self.lost.done():
            raise Closed(self.lost.result())
        self._idle = _Idle(self.new_tag())
        self._sent_along = self._posted is not None
        self.send(f"{self._idle.tag} IDLE")
        await self._answered()
        return self._idle is not None

    def end_idle(self) -> None:
        """Wait no longer: as soon as the server has said that it idles."""
        idle = self._idle
        if idle is not None and not idle.ended:
            idle.unwanted = True
            if idle.invited:
                self._resolve()

    async def _leave_idle(self) -> str:
        """What is to be said before the next command. Raises Closed."""
        if self._idle is not None and not self._idle.invited:
            # Whoever waited was cancelled early. DONE is understood only after the invitation.
            self._idle.unwanted = True
            await self._answered()
        if self._idle is None:
            return ""
        self._idle.ended = True
        if self.along:
            return "DONE\r\n"
        self.send("DONE")
        await self._answered()
        return ""

    async def _answered(self) -> None:
        self._answer = self._loop.create_future()
        self._watchdog.watch()
        await self._answer

    def _unsent(self) -> int:
        """Octets that were written and have not gone yet."""
        return self._line_out.get_write_buffer_size() if self._line_out is not None else 0

    def _on_lost(self, _error: Exception | None) -> None:
        self._end("closed")

    def _end(self, why: str) -> None:
        self._watchdog.close()
        if not self.lost.done():
            # A network that died has answered to the first of the two no more than to the second.
            first = self._posted is not None or (self._idle is not None and self._idle.ended)
            self.unheard = self._sent_along and not (why == "silent" and first)
            self.lost.set_result(why)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Closed(self.lost.result()))

    def abort(self, why: str = "aborted") -> None:
        self._end(why)
        if self._line_out is not None:
            self._line_out.abort()
