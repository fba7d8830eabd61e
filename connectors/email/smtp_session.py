"""One logged-in SMTP connection, driven step by step, so that it is always known whether a mail may have been taken.

Up to the last byte before the final dot, any failure means that the mail was not taken: `Unreachable`, safe to repeat.
From the moment when the dot is handed to the system, silence means `Uncertain`. A reply means what it says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from aiosmtplib.response import SMTPResponse

from connectors.email.smtp_replies import codes, failure
from helpdesk.channels import (
    AuthenticationFailed,
    ChannelError,
    Composed,
    PermanentFailure,
    RecipientRefused,
    Refusal,
    TemporaryFailure,
    Uncertain,
    Unreachable,
)
from helpdesk.failpoints import reached

CHUNK = 128 * 1024
_LINE_START_DOT = re.compile(rb"(?m)^\.")
_NOT_IN_PATH = re.compile(r"[\s<>\x00-\x1f\x7f\ud800-\udfff]")


AtFinal = Callable[[], Awaitable[None]]


class _HouseRefused(Exception):
    """`at_final` raised `error`."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds. RFC 5321 section 4.5.3.2 asks for more where many a server is slow: after the final dot above all,
    because giving up there is what makes duplicates."""

    connect: float = 20
    command: float = 60
    data: float = 120
    progress: float = 120
    final: float = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who was accepted, and who was refused while others were accepted."""

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]


class SmtpSession:
    """One message at a time: `begin`, then `deliver`."""

    def __init__(self, client: SMTP, waits: Waits) -> None:
        self._client = client
        self._waits = waits
        self.sent = 0
        self.parked_at = 0.0

    @property
    def usable(self) -> bool:
        return self._client.is_connected

    async def reset(self) -> bool:
        """Whether a connection that lay idle still works."""
        try:
            async with asyncio.timeout(min(10.0, self._waits.command)):
                return (await self._client.execute_command(b"RSET")).code == 250
        except (SMTPException, OSError):
            return False

    def abort(self) -> None:
        self._client.close()

    def farewell(self) -> None:
        """QUIT without waiting for the answer."""
        if self._client.protocol is not None and self.usable:
            self._client.protocol.write(b"QUIT\r\n")
        self._client.close()

    async def _ask(self, *words: bytes, wait: float | None = None) -> SMTPResponse:
        try:
            return await self._client.execute_command(*words, timeout=wait or self._waits.command)
        except SMTPResponseException as error:
            self.abort()
            raise failure("a command", error.code, error.message) from None
        except (SMTPException, OSError):
            self.abort()
            raise Unreachable("The connection to the mail server was lost") from None

    async def begin(self, message: Composed, *, sender: str, instead: str) -> None:
        """MAIL FROM. A null `sender` that is refused is tried once more as `instead`."""
        wide = _needs_utf8(message)
        if wide and not self._client.supports_extension("smtputf8"):
            refusals = [Refusal(one, permanent=True, code="553 5.6.7") for one in _pending(message)]
            raise RecipientRefused("The mail server takes no international addresses", refusals=refusals)
        options = self._mail_options(message, wide)
        answer = await self._ask(b"MAIL", b"FROM:" + _path(sender), *options)
        if not sender and instead and 500 <= answer.code < 600:
            await self._ask(b"RSET")
            answer = await self._ask(b"MAIL", b"FROM:" + _path(instead), *options)
        if answer.code != 250:
            raise failure("the sender", answer.code, answer.message)

    def _mail_options(self, message: Composed, wide: bool) -> list[bytes]:
        offered = self._client.esmtp_extensions
        options: list[str] = []
        if "size" in offered:
            limit = offered["size"].strip()
            if limit.isdigit() and 0 < int(limit) < len(message.body):
                raise PermanentFailure(f"The mail server takes at most {int(limit)} bytes")
            options.append(f"SIZE={len(message.body)}")
        if not message.body.isascii() and "8bitmime" in offered:
            options.append("BODY=8BITMIME")
        if wide:
            options.append("SMTPUTF8")
        if self._wants_notices(message):
            options += ["RET=HDRS", f"ENVID={_xtext(message.external_id)}"]
        return [option.encode("ascii") for option in options]

    def _wants_notices(self, message: Composed) -> bool:
        # Automatic mail has no sender that a notice could go to.
        return not message.automatic and self._client.supports_extension("dsn")

    async def deliver(self, message: Composed, at_final: AtFinal) -> Outcome:
        """RCPT for everybody who does not have the message yet, then the message.

        `at_final` is awaited when all but the final dot is out: the last moment when not sending is still possible.
        Raises a ChannelError, and whatever `at_final` raises; the mail was not sent then.
        """
        outcome = await self._recipients(message)
        reached("rcpt.accepted")
        answer = await self._ask(b"DATA", wait=self._waits.data)
        if answer.code != 354:
            raise failure("the message", answer.code, answer.message)
        answer = await self._data(message.body, at_final)
        reached("reply.received")
        if not 200 <= answer.code < 300:
            raise failure("the message", answer.code, answer.message)
        self.sent += 1
        return outcome

    async def _recipients(self, message: Composed) -> Outcome:
        options = (b"NOTIFY=FAILURE,DELAY",) if self._wants_notices(message) else ()
        accepted: list[str] = []
        refused: list[Refusal] = []
        for recipient in _pending(message):
            answer = await self._ask(b"RCPT", b"TO:" + _path(recipient), *options)
            if answer.code in (250, 251):
                accepted.append(recipient)
                continue
            if answer.code == 421 or not self.usable:
                raise failure("a recipient", answer.code, answer.message)
            meaning = failure("a recipient", answer.code, answer.message)
            if isinstance(meaning, AuthenticationFailed | Unreachable):
                raise meaning
            # RFC 5321 section 4.5.3.1.10: 552 to RCPT is an old way of saying "too many recipients".
            permanent = isinstance(meaning, PermanentFailure) and answer.code != 552
            refused.append(Refusal(recipient, permanent, codes(answer.code, answer.message)))
        if not accepted:
            if all(refusal.permanent for refusal in refused):
                raise RecipientRefused("The mail server refused every recipient", refusals=refused)
            # Some of them may be taken later; the final refusals will be told again then.
            raise TemporaryFailure(f"The mail server put the recipients off ({refused[0].code})")
        return Outcome(tuple(accepted), tuple(refused))

    async def _data(self, body: bytes, at_final: AtFinal) -> SMTPResponse:
        protocol = self._client.protocol
        transport = cast(asyncio.WriteTransport | None, self._client.transport)
        if protocol is None or transport is None:
            raise Unreachable("The connection to the mail server was lost")
        # Reading begins before writing: aiosmtplib drops what comes while nobody reads, and a server may refuse a
        # mail in its middle.
        reply = asyncio.ensure_future(protocol.read_response(timeout=None))
        await asyncio.sleep(0)
        final = False
        try:
            await self._write(transport, _stuffed(body), reply)
            if not reply.done():
                await self._ask_house(at_final)
            if not reply.done():
                protocol.write(b".\r\n")
                final = True
                await self._drained(transport, reply)
                reached("data.last_byte")
            async with asyncio.timeout(self._waits.final):
                answer = await reply
            if not final:
                # Told before it was complete; the rest of the conversation would be out of step.
                self.abort()
            return answer
        except _HouseRefused as refused:
            raise refused.error from None
        except (SMTPException, OSError, ChannelError):
            self.abort()
            if final:
                raise Uncertain("The connection was lost after the message was sent") from None
            raise Unreachable("The connection was lost before the message was complete") from None
        finally:
            if not reply.done():
                reply.cancel()
                self.abort()

    async def _ask_house(self, at_final: AtFinal) -> None:
        # Its errors may be of the same kinds as those of a connection (a database is one): kept apart here.
        try:
            await at_final()
        except Exception as error:
            raise _HouseRefused(error) from None

    async def _write(self, transport: asyncio.WriteTransport, data: bytes, reply: asyncio.Future[SMTPResponse]) -> None:
        for start in range(0, len(data), CHUNK):
            if reply.done():
                return
            transport.write(data[start : start + CHUNK])
            await self._drained(transport, reply)

    async def _drained(self, transport: asyncio.WriteTransport, reply: asyncio.Future[SMTPResponse]) -> None:
        """Return when everything was handed to the system, or when the server speaks. Raises Unreachable."""
        pause, size, since = 0.001, transport.get_write_buffer_size(), asyncio.get_running_loop().time()
        while (left := transport.get_write_buffer_size()) and not reply.done():
            if left != size:
                size, since = left, asyncio.get_running_loop().time()
            elif asyncio.get_running_loop().time() - since > self._waits.progress:
                raise Unreachable("The mail server stopped reading")
            await asyncio.wait({reply}, timeout=pause)
            pause = min(0.05, pause * 2)


def _path(address: str) -> bytes:
    """An address as MAIL and RCPT take it. What would end it early, or the line, was never composed here."""
    if _NOT_IN_PATH.search(address):
        raise PermanentFailure("An address of this message cannot be sent")
    return f"<{address}>".encode()


def _pending(message: Composed) -> list[str]:
    done = {recipient.lower() for recipient in message.accepted}
    return [recipient for recipient in message.recipients if recipient.lower() not in done]


def _needs_utf8(message: Composed) -> bool:
    """RFC 6531: an address in the envelope or anything in the headers that is not ASCII."""
    head = message.body.partition(b"\r\n\r\n")[0]
    return not (head.isascii() and message.sender.isascii() and all(one.isascii() for one in _pending(message)))


def _stuffed(body: bytes) -> bytes:
    """The body for DATA: dots doubled at line starts, ended by CRLF (RFC 5321 section 4.5.2)."""
    stuffed = _LINE_START_DOT.sub(b"..", body)
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _xtext(value: str) -> str:
    """RFC 3461 section 4, within the 100 characters that ENVID may have."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else "".join(f"+{b:02X}" for b in c.encode()) for c in value)[
        :100
    ]
