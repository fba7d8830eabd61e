"""SMTP and LMTP as the door speaks them: aiosmtpd's sessions, with what RFC 2033 and a hostile network ask for besides.

What differs from aiosmtpd 1.4.6, and why:

- DATA is read here. Lines may be of any length (a customer's newsletter-like mail with one line of 20 kB is still a
  mail), only the sum is bounded; and the end is exactly CRLF . CRLF. A CR or LF that stands alone never ends a line of
  the protocol and is written down as CRLF, so that nothing that reads the mail later can see another structure in it.
- LMTP answers the end of DATA once for each accepted recipient (RFC 2033 section 4.2).
- The idle timer also bounds a whole DATA phase, the number of connections is bounded, unknown recipients end a session.
- Replies carry enhanced status codes (RFC 2034), which LMTP demands.
"""

# ruff: noqa: N802 - aiosmtpd finds commands and hooks by these names

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, syntax

if TYPE_CHECKING:
    from connectors.email.door import Door

LINE_BUFFER = 64 * 1024
"""Bytes that the stream reader holds back of one connection (twice that, before it stops reading)."""

_STANDALONE = re.compile(rb"\r\n|\r|\n")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3} ")
_ENHANCED_FOR = {
    "221": "2.0.0",
    "250": "2.0.0",
    "421": "4.7.0",
    "451": "4.3.0",
    "452": "4.3.1",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "504": "5.5.4",
    "552": "5.3.4",
    "553": "5.1.3",
    "554": "5.5.0",
    "555": "5.5.4",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the door: sizes in bytes, times in seconds."""

    size: int = 50 * 1024 * 1024
    buffered: int = 256 * 1024 * 1024
    idle: float = 300
    data: float = 900
    accept: float = 120
    shutdown: float = 10
    connections: int = 200
    connections_per_peer: int = 50
    recipients: int = 100
    unknown_recipients: int = 20
    commands: int = 1000


class Mail(Envelope):
    """One transaction: where each accepted recipient leads."""

    def __init__(self) -> None:
        super().__init__()
        self.routes: dict[str, tuple[UUID, ...]] = {}


@dataclass(slots=True)
class Sessions:
    """The open connections of all doors of this process, and what they hold in memory."""

    limits: Limits
    open: set[DoorProtocol] = field(default_factory=set)
    peers: Counter[str] = field(default_factory=Counter)
    buffered: int = 0
    delivering: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.quiet.set()

    def begin(self) -> None:
        """A mail is complete, and its peer waits for the answer."""
        self.delivering += 1
        self.quiet.clear()

    def end(self) -> None:
        self.delivering -= 1
        if not self.delivering:
            self.quiet.set()

    def admit(self, protocol: DoorProtocol, peer: str) -> bool:
        full = len(self.open) >= self.limits.connections
        if full or (peer and self.peers[peer] >= self.limits.connections_per_peer):
            return False
        self.open.add(protocol)
        self.peers[peer] += 1
        return True

    def leave(self, protocol: DoorProtocol, peer: str) -> None:
        self.open.discard(protocol)
        self.peers[peer] -= 1
        if self.peers[peer] <= 0:
            del self.peers[peer]


class DoorProtocol(SMTP):
    """One SMTP connection."""

    line_length_limit = LINE_BUFFER

    def __init__(self, door: Door, sessions: Sessions, *, hostname: str, protocol: str = "ESMTP") -> None:
        limits = sessions.limits
        super().__init__(
            door,
            data_size_limit=limits.size,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident=f"{protocol} Helpdesk",
            timeout=limits.idle,
            command_call_limit={"*": limits.commands, "NOOP": 50, "RCPT": limits.commands * 10},
            loop=asyncio.get_running_loop(),
        )
        # aiosmtpd keeps these on the class and lets every EHLO of every session raise them.
        self.command_size_limits = defaultdict(lambda: 2048)
        self.door = door
        self.sessions = sessions
        self.limits = limits
        self.admitted = False
        self.unknown_recipients = 0

    @property
    def peer(self) -> str:
        """The peer's address, or "unix"."""
        name = self.session.peer if self.session is not None else None
        return str(name[0]) if isinstance(name, tuple) else "unix"

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        name = transport.get_extra_info("peername")
        self.admitted = self.sessions.admit(self, str(name[0]) if isinstance(name, tuple) else "unix")
        if self.admitted:
            super().connection_made(transport)
        else:
            _hang_up(transport, b"421 4.3.2 Too many connections, try again later\r\n")

    def connection_lost(self, error: Exception | None) -> None:
        if self.admitted:
            self.sessions.leave(self, self.peer)
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return super().eof_received() if self.admitted else False

    def dismiss(self) -> None:
        """Close an idle connection politely: the process is shutting down."""
        if self.transport is not None and not self.transport.is_closing():
            _hang_up(self.transport, b"421 4.3.2 Shutting down, try again later\r\n")

    def _create_envelope(self) -> Envelope:
        return Mail()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        # The standard library's address parser fails on some malformed input with whatever comes first.
        try:
            address, rest = super()._getaddr(arg)
        except Exception:
            return None, None
        # Lone surrogates stand for bytes that are no UTF-8, and a NUL is no text for PostgreSQL.
        if address and (not address.isprintable() or any("\ud800" <= c <= "\udfff" for c in address)):
            return None, None
        return address, rest

    async def push(self, status: Any) -> None:
        if isinstance(status, str) and self.session is not None and self.session.extended_smtp:
            code, space, rest = status[:3], status[3:4], status[4:]
            enhanced = _ENHANCED_FOR.get(code)
            # RFC 2034: not in the answer to EHLO, whose last line is the extension's own name.
            if enhanced and space == " " and rest != "ENHANCEDSTATUSCODES" and not _ENHANCED.match(rest):
                status = f"{code} {enhanced} {rest}"
        await super().push(status)

    # -- commands

    @syntax("RCPT TO: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_RCPT(self, arg: str | None) -> None:
        await super().smtp_RCPT(arg)
        if self.unknown_recipients >= self.limits.unknown_recipients:
            await self.push("421 4.7.0 Too many unknown recipients, goodbye")
            if self.transport is not None:
                self.transport.close()

    async def smtp_VRFY(self, arg: str | None) -> None:
        await self.push("502 5.5.1 VRFY is not offered")

    async def smtp_EXPN(self, arg: str | None) -> None:
        await self.push("502 5.5.1 EXPN is not offered")

    async def smtp_AUTH(self, arg: str | None) -> None:
        await self.push("502 5.5.1 AUTH is not offered")

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:
        mail = self.envelope
        if not isinstance(mail, Mail) or not mail.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        self._reset_timeout(self.limits.data)
        reader = _DataReader(self._reader, self.sessions)
        try:
            refusal = await reader.read()
            self._reset_timeout()
            if refusal:
                await self._answer(mail, lambda _: refusal)
                if reader.hopeless and self.transport is not None:
                    self.transport.close()
            else:
                await self._deliver(mail, reader)
        finally:
            reader.release()
            self.envelope = self._create_envelope()

    async def _deliver(self, mail: Mail, reader: _DataReader) -> None:
        self.sessions.begin()
        try:
            replies = await self.door.deliver(self.peer, mail, await reader.content())
            await self._answer(mail, lambda recipient: replies[recipient])
        finally:
            self.sessions.end()

    async def _answer(self, mail: Mail, reply: Callable[[str], str]) -> None:
        """Answer the end of DATA. SMTP knows one answer: it is good only when every recipient's is."""
        replies = [reply(recipient) for recipient in mail.rcpt_tos]
        await self.push(next((line for line in replies if not line.startswith("250")), replies[0]))


def _hang_up(transport: asyncio.BaseTransport, line: bytes) -> None:
    # A cast, no isinstance: uvloop's transports write, but descend from nothing of asyncio's.
    cast(asyncio.WriteTransport, transport).write(line)
    transport.close()


class LmtpProtocol(DoorProtocol, LMTP):
    """One LMTP connection."""

    def __init__(self, door: Door, sessions: Sessions, *, hostname: str) -> None:
        super().__init__(door, sessions, hostname=hostname, protocol="LMTP")

    async def _answer(self, mail: Mail, reply: Callable[[str], str]) -> None:
        for recipient in mail.rcpt_tos:
            await self.push(reply(recipient))


class _DataReader:
    """Reads up to the lone dot, taking the transparency dots out (RFC 5321 section 4.5.2)."""

    def __init__(self, stream: asyncio.StreamReader, sessions: Sessions) -> None:
        self._stream = stream
        self._sessions = sessions
        self._body = bytearray()
        self._standalone = False
        self._held = 0
        self.hopeless = False

    async def read(self) -> str:
        """Read to the end; answers the refusal, or nothing. What is too much is read on, but not kept."""
        limits = self._sessions.limits
        refusal, total, line_start = "", 0, True
        while True:
            try:
                line = await self._stream.readuntil(b"\r\n")
                complete = True
            except asyncio.LimitOverrunError as overrun:
                line = await self._stream.readexactly(overrun.consumed)
                complete = False
            if line_start and line.startswith(b"."):
                if line == b".\r\n":
                    return refusal
                line = line[1:]
            line_start = complete
            total += len(line)
            if total > limits.size:
                refusal = f"552 5.3.4 The message is larger than {limits.size} bytes"
            elif self._sessions.buffered + len(line) > limits.buffered:
                refusal = refusal or "452 4.3.1 Too much mail at once, try again later"
            if refusal:
                self.release()
                if total > 2 * limits.size:
                    self.hopeless = True
                    return refusal
                continue
            text = line[:-2] if complete else line
            self._standalone = self._standalone or b"\n" in text or b"\r" in text
            self._body += line
            self._held += len(line)
            self._sessions.buffered += len(line)

    async def content(self) -> bytes:
        """The mail, with every line ended by CRLF."""
        if self._standalone:
            return await asyncio.to_thread(_STANDALONE.sub, b"\r\n", bytes(self._body))
        return bytes(self._body)

    def release(self) -> None:
        """Let go of the memory and of its share of the budget. May be called twice."""
        self._sessions.buffered -= self._held
        self._held = 0
        self._body = bytearray()
