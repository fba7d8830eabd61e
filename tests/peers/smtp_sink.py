"""A real SMTP peer for tests, journeys and benchmarks: it takes mail, keeps it, and misbehaves on request.

    async with SmtpSink() as sink:
        sink.reply("rcpt", "550 5.1.1 unknown", match="gone@")       # every time
        sink.reply("mail", "451 4.3.0 later", times=1)
        sink.drop("dot", times=1)                                    # has the mail, never says so
        sink.wait("data", 5)
        ... sink.messages[0].body ...

Stages: connect ehlo starttls auth mail rcpt rset data body dot quit. `body` is reached with the first chunk of a mail's
bytes, `dot` when the mail is complete and before its reply. `tls` is none, starttls or implicit. `logins` maps users to
passwords, `tokens` tells whether an XOAUTH2 token is a user's; a login is demanded when one of them is given.

As a program, it writes `N.eml` and `N.json` (the envelope), and its port on the first line:

    python -m tests.peers.smtp_sink FOLDER [--port 2526] [--drop dot@1] [--reply 'rcpt=451 later@2'] [--wait dot=3]

`@n` means the first n times.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import contextlib
import json
import re
import signal
import ssl
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

Tls = Literal["none", "starttls", "implicit"]
EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "SIZE 52428800")
_PATH = re.compile(r"(?:FROM|TO):\s*<([^>]*)>\s*(.*)", re.IGNORECASE)
_SCHEMES = {"none": "smtp", "starttls": "smtp+starttls", "implicit": "smtps"}


@dataclass(frozen=True)
class Message:
    """A mail that was taken: the envelope with its parameters, and the bytes without transparency dots."""

    sender: str
    recipients: tuple[str, ...]
    body: bytes
    mail_options: str = ""
    rcpt_options: tuple[str, ...] = ()
    login: str = ""
    connection: int = 0
    tls: bool = False


@dataclass
class Rule:
    stage: str
    action: Literal["reply", "drop", "wait"]
    value: str = ""
    match: str = ""
    times: int = sys.maxsize


class Dropped(Exception):
    """The connection ends here."""


@dataclass
class Envelope:
    sender: str | None = None
    mail_options: str = ""
    recipients: list[str] = field(default_factory=list)
    rcpt_options: list[str] = field(default_factory=list)


class SmtpSink:
    """Serves in the running loop, on loopback."""

    def __init__(
        self,
        *,
        port: int = 0,
        tls: Tls = "none",
        certificate: tuple[Path, Path] | None = None,
        logins: Mapping[str, str] | None = None,
        tokens: Callable[[str, str], bool] | None = None,
        mechanisms: Sequence[str] = ("PLAIN", "LOGIN", "XOAUTH2"),
        extensions: Sequence[str] = EXTENSIONS,
        keep: Callable[[Message], None] | None = None,
    ) -> None:
        self.port = port
        self.tls = tls
        self.logins = dict(logins or {})
        self.tokens = tokens
        self.mechanisms = tuple(mechanisms)
        self.extensions = list(extensions)
        self.messages: list[Message] = []
        self.commands: list[str] = []
        self.connections = 0
        self.rules: list[Rule] = []
        self.context: ssl.SSLContext | None = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self._keep = keep
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    def url(self, host: str = "127.0.0.1") -> str:
        return f"{_SCHEMES[self.tls]}://{host}:{self.port}"

    def reply(self, stage: str, line: str, *, match: str = "", times: int = sys.maxsize) -> None:
        """Answer `line` instead of the usual; `match` is searched in the command."""
        self.rules.append(Rule(stage, "reply", line, match, times))

    def drop(self, stage: str, *, match: str = "", times: int = sys.maxsize) -> None:
        """Hang up instead of answering."""
        self.rules.append(Rule(stage, "drop", "", match, times))

    def wait(self, stage: str, seconds: float, *, match: str = "", times: int = sys.maxsize) -> None:
        """Answer late."""
        self.rules.append(Rule(stage, "wait", str(seconds), match, times))

    async def __aenter__(self) -> Self:
        implicit = self.context if self.tls == "implicit" else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=implicit, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._sessions):
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        self.connections += 1
        try:
            await _Session(self, reader, writer, self.connections).run()
        except (Dropped, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self._sessions.discard(task)
            writer.transport.abort()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    def take(self, message: Message) -> None:
        self.messages.append(message)
        if self._keep is not None:
            self._keep(message)


class _Session:
    def __init__(self, sink: SmtpSink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.sink, self.reader, self.writer, self.number = sink, reader, writer, number
        self.secure = sink.tls == "implicit"
        self.login = ""
        self.mail = Envelope()

    async def say(self, stage: str, usual: str, *, about: str = "") -> str:
        """Answer as the rules say; gives back what was answered."""
        line = usual
        for rule in self.sink.rules:
            if rule.stage == stage and rule.times > 0 and rule.match in about:
                rule.times -= 1
                if rule.action == "drop":
                    raise Dropped
                if rule.action == "wait":
                    await asyncio.sleep(float(rule.value))
                    continue
                line = rule.value
                break
        self.writer.write(line.encode() + b"\r\n")
        await self.writer.drain()
        if line.startswith("421"):
            raise Dropped
        return line

    async def run(self) -> None:
        await self.say("connect", "220 sink.test ESMTP")
        while True:
            line = (await self.reader.readuntil(b"\r\n")).decode("utf-8", "replace").rstrip("\r\n")
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            self.sink.commands.append(line if verb != "AUTH" else f"AUTH {argument.partition(' ')[0]}")
            command = self._commands().get(verb)
            if command is None:
                await self.say("unknown", "500 5.5.2 what?")
            elif await command(argument):
                return

    def _commands(self) -> dict[str, Callable[[str], Coroutine[Any, Any, bool]]]:
        return {
            "EHLO": self.ehlo,
            "HELO": self.helo,
            "STARTTLS": self.starttls,
            "AUTH": self.auth,
            "MAIL": self.mail_from,
            "RCPT": self.rcpt_to,
            "DATA": self.data,
            "RSET": self.rset,
            "NOOP": self.noop,
            "QUIT": self.quit,
        }

    @property
    def wants_login(self) -> bool:
        return bool(self.sink.logins or self.sink.tokens) and not self.login

    async def ehlo(self, argument: str) -> bool:
        offered = list(self.sink.extensions)
        if self.sink.tls == "starttls" and not self.secure:
            offered.append("STARTTLS")
        elif self.sink.logins or self.sink.tokens:
            offered.append("AUTH " + " ".join(self.sink.mechanisms))
        lines = ["sink.test", *offered]
        usual = "\r\n".join(f"250{'-' if n < len(lines) else ' '}{one}" for n, one in enumerate(lines, start=1))
        await self.say("ehlo", usual)
        self.mail = Envelope()
        return False

    async def helo(self, argument: str) -> bool:
        await self.say("helo", "250 sink.test")
        return False

    async def starttls(self, argument: str) -> bool:
        answer = await self.say("starttls", "220 2.0.0 go ahead")
        if answer.startswith("220"):
            assert self.sink.context is not None
            await self.writer.start_tls(self.sink.context)
            self.secure = True
        return False

    async def auth(self, argument: str) -> bool:
        mechanism, _, initial = argument.partition(" ")
        try:
            user, good = await self._credentials(mechanism.upper(), initial)
        except (binascii.Error, ValueError):
            await self.say("auth", "501 5.5.2 cannot decode")
            return False
        if not good and mechanism.upper() == "XOAUTH2":
            # The error comes as a challenge, and the client has to answer it with an empty line.
            self.writer.write(b"334 " + base64.b64encode(b'{"status":"401"}') + b"\r\n")
            await self.reader.readuntil(b"\r\n")
        answer = await self.say("auth", "235 2.7.0 welcome" if good else "535 5.7.8 no", about=user)
        if answer.startswith("235"):
            self.login = user
        return False

    async def _credentials(self, mechanism: str, initial: str) -> tuple[str, bool]:
        if mechanism == "PLAIN":
            _, user, password = base64.b64decode(initial or await self._challenge("")).decode().split("\0")
            return user, self.sink.logins.get(user) == password
        if mechanism == "LOGIN":
            user = base64.b64decode(initial or await self._challenge("Username:")).decode()
            password = base64.b64decode(await self._challenge("Password:")).decode()
            return user, self.sink.logins.get(user) == password
        if mechanism == "XOAUTH2":
            fields = dict(part.split("=", 1) for part in base64.b64decode(initial).decode().split("\1") if part)
            token = fields["auth"].removeprefix("Bearer ")
            return fields["user"], self.sink.tokens is not None and self.sink.tokens(fields["user"], token)
        raise ValueError(mechanism)

    async def _challenge(self, text: str) -> str:
        self.writer.write(b"334 " + base64.b64encode(text.encode()) + b"\r\n")
        return (await self.reader.readuntil(b"\r\n")).decode().strip()

    async def mail_from(self, argument: str) -> bool:
        found = _PATH.fullmatch(argument)
        usual = "250 2.1.0 ok"
        if self.wants_login:
            usual = "530 5.7.0 log in first"
        elif found is None:
            usual = "501 5.5.4 syntax"
        elif self.mail.sender is not None:
            usual = "503 5.5.1 nested MAIL"
        if (await self.say("mail", usual, about=argument)).startswith("250") and found is not None:
            self.mail = Envelope(found[1], found[2])
        return False

    async def rcpt_to(self, argument: str) -> bool:
        found = _PATH.fullmatch(argument)
        usual = "250 2.1.5 ok" if found and self.mail.sender is not None else "503 5.5.1 MAIL first"
        if (await self.say("rcpt", usual, about=argument)).startswith("25") and found is not None:
            self.mail.recipients.append(found[1])
            self.mail.rcpt_options.append(found[2])
        return False

    async def data(self, argument: str) -> bool:
        usual = "354 go on" if self.mail.recipients else "503 5.5.1 RCPT first"
        if not (await self.say("data", usual)).startswith("354"):
            return False
        body = await self._body()
        message = Message(
            self.mail.sender or "",
            tuple(self.mail.recipients),
            body,
            self.mail.mail_options,
            tuple(self.mail.rcpt_options),
            self.login,
            self.number,
            self.secure,
        )
        self.mail = Envelope()
        # Taken before the rules speak: a connection that is dropped at "dot" is one whose mail arrived.
        refused = any(r.stage == "dot" and r.action == "reply" and r.times > 0 for r in self.sink.rules)
        if not refused:
            self.sink.take(message)
        await self.say("dot", "250 2.0.0 taken")
        return False

    async def _body(self) -> bytes:
        body = bytearray()
        first = True
        while True:
            line = await self.reader.readuntil(b"\r\n")
            if first:
                first = False
                for rule in self.sink.rules:
                    if rule.stage == "body" and rule.times > 0:
                        await self.say("body", "")
            if line == b".\r\n":
                return bytes(body)
            body += line[1:] if line.startswith(b".") else line

    async def rset(self, argument: str) -> bool:
        await self.say("rset", "250 2.0.0 ok")
        self.mail = Envelope()
        return False

    async def noop(self, argument: str) -> bool:
        await self.say("noop", "250 2.0.0 ok")
        return False

    async def quit(self, argument: str) -> bool:
        await self.say("quit", "221 2.0.0 bye")
        return True


def _rule(text: str, action: Literal["reply", "drop", "wait"]) -> Rule:
    head, at, times = text.rpartition("@")
    bounded = at and times.isdigit()
    stage, _, value = (head if bounded else text).partition("=")
    return Rule(stage, action, value, "", int(times) if bounded else sys.maxsize)


async def _main(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)

    def keep(message: Message) -> None:
        stem = folder / f"{len(sink.messages):06d}"
        envelope = {name: value for name, value in asdict(message).items() if name != "body"}
        stem.with_suffix(".eml").write_bytes(message.body)
        stem.with_suffix(".json").write_text(json.dumps(envelope), encoding="utf-8")

    sink = SmtpSink(port=arguments.port, keep=keep)
    sink.rules += [_rule(text, "reply") for text in arguments.reply]
    sink.rules += [_rule(text, "drop") for text in arguments.drop]
    sink.rules += [_rule(text, "wait") for text in arguments.wait]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with sink:
        print(sink.port, flush=True)
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An SMTP server that keeps what it is given.")
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=0)
    for option in ("--reply", "--drop", "--wait"):
        parser.add_argument(option, action="append", default=[])
    asyncio.run(_main(parser.parse_args()))
