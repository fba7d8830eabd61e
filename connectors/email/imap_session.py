"""The commands of one IMAP connection, with a bound on every wait.

Errors are those of the port. A server's own words are not repeated in them: only its response code (RFC 5530) is read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from aioimaplib import AioImapException
from aioimaplib.aioimaplib import AUTH, Response

from connectors.email.imap_text import (
    Described,
    mailbox_argument,
    parse_bodies,
    parse_descriptions,
    quoted,
    sequence_set,
)
from connectors.email.imap_wire import Asked, Closed, Wire
from helpdesk import clock
from helpdesk.channels import AuthenticationFailed, ChannelError, Misconfigured, TemporaryFailure, Unreachable

T = TypeVar("T")

FAREWELL_SECONDS = 1.5

_CODE = re.compile(rb"\[([A-Z-]+)[ \]]")
_PASSING = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "OVERQUOTA"})
_TOO_MANY = re.compile(rb"too many (?:simultaneous )?connections|maximum number of connections", re.IGNORECASE)


class Refused(TemporaryFailure):
    """A command that the server answered with NO or BAD. `word` is its response code, or empty."""

    kind = "refused_command"

    def __init__(self, command: str, word: str) -> None:
        super().__init__(f"The server refused {command}" + (f" ({word})" if word else ""))
        self.word = word

    @property
    def passing(self) -> bool:
        """The server says itself that this will not last."""
        return self.word in _PASSING


@dataclass(frozen=True, slots=True)
class Selected:
    """A mailbox as SELECT shows it. `uidnext_told`: the server said so; else it is one after the last that is there."""

    uidvalidity: int
    uidnext: int
    exists: int
    uidnext_told: bool = True


class Session:
    """Commands one after another, never two at once. Any failure to get an answer ends the connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self.capabilities: frozenset[str] = frozenset()
        self._idles = True
        self._counted: int | None = None

    @property
    def unheard(self) -> bool:
        """Whether the connection ended over a command that had not waited for the answer to the one before."""
        return self._wire.unheard

    def send_nothing_along(self) -> None:
        """Wait for every answer before the next command, for that to IDLE and to flags too."""
        self._wire.along = False

    async def _ask(self, command: Awaitable[T]) -> T:
        try:
            return await command
        except Closed as error:
            raise _unreachable(error) from None
        except (AioImapException, IndexError, ValueError, UnicodeError):
            raise Unreachable("The server's answer could not be understood") from None
        except BaseException:
            # Half a conversation cannot be picked up again: the next answer would be this command's.
            self._wire.abort()
            raise

    async def _do(self, name: str, command: Coroutine[Any, Any, Any]) -> list[bytes]:
        """The untagged lines of a command that succeeded. Raises Refused, Unreachable."""
        response: Response = await self._ask(command)
        if response.result != "OK":
            raise Refused(name, _code(response))
        return list(response.lines[:-1])

    async def login(self, user: str, password: str) -> None:
        """LOGIN. Raises AuthenticationFailed, Misconfigured where passwords are not taken, TemporaryFailure."""
        if self._wire.state == AUTH:
            return
        if "LOGINDISABLED" in self.capabilities:
            raise Misconfigured("The server takes no password on this connection: use imaps:// or imap+starttls://")
        try:
            name, _ = quoted(user), quoted(password)
        except ValueError:
            raise AuthenticationFailed("The login holds characters that cannot be sent") from None
        # `login` quotes the password itself, but not the name.
        await self._enter(await self._ask(self._wire.login(name, password)))

    async def login_with_token(self, user: str, token: str) -> None:
        """XOAUTH2. Raises as `login`."""
        if self._wire.state == AUTH:
            return
        if "AUTH=XOAUTH2" not in self.capabilities:
            raise Misconfigured("The server does not offer XOAUTH2")
        if not user.isascii() or "\1" in user:
            raise Misconfigured("imap_user: XOAUTH2 takes plain ASCII names")
        await self._enter(await self._ask(self._wire.xoauth2(user, token)))

    async def _enter(self, response: Response) -> None:
        if response.result != "OK":
            code = _code(response)
            if code in _PASSING or any(_TOO_MANY.search(line) for line in response.lines):
                raise TemporaryFailure("The server takes no more logins at the moment")
            raise AuthenticationFailed("The server refused the login")
        # What is offered before and after the login differs (IDLE, most of all).
        await self.read_capabilities()
        if "ID" in self.capabilities:
            # NetEase (163.com, 126.com) refuses SELECT to clients that did not introduce themselves (RFC 2971).
            with suppress(Refused):
                await self._do("ID", self._execute("ID", '("name" "helpdesk")'))

    async def _execute(self, name: str, *arguments: str, by_uid: bool = False) -> Response:
        return await self._wire.execute(Asked(name, self._wire.new_tag(), *arguments, by_uid=by_uid))

    async def _fetched(self, which: str, what: str) -> list[bytes]:
        return await self._do("FETCH", self._execute("FETCH", which, what, by_uid=True))

    async def read_capabilities(self) -> None:
        """Ask what the server can do: what is offered before and after STARTTLS and the login differs."""
        await self._ask(self._wire.capability())
        self.capabilities = frozenset(word.upper() for word in self._wire.capabilities)

    async def select(self, mailbox: str) -> Selected:
        """SELECT. Raises Misconfigured when there is no such mailbox, or one without lasting UIDs."""
        try:
            lines = await self._do("SELECT", self._wire.select(mailbox_argument(mailbox)))
        except Refused as error:
            if error.passing:
                raise
            raise Misconfigured("The mailbox does not exist, or this login may not open it") from None
        text = b"\n".join(lines)
        validity = re.search(rb"\[UIDVALIDITY (\d+)", text)
        exists = re.search(rb"^(\d+) EXISTS", text, re.MULTILINE | re.IGNORECASE)
        following = re.search(rb"\[UIDNEXT (\d+)", text)
        if validity is None or int(validity[1]) == 0 or b"[UIDNOTSTICKY" in text:
            raise Misconfigured("The server gives messages no lasting numbers (UIDVALIDITY)")
        uidnext = int(following[1]) if following else max(await self.uids(1), default=0) + 1
        return Selected(int(validity[1]), uidnext, int(exists[1]) if exists else 0, following is not None)

    async def uids(self, low: int, *criteria: str) -> list[int]:
        """Ascending UIDs from `low` on. `n:*` names the last message even when it lies below n: it is left out.

        Some servers show new messages only after a NOOP, unless they have told of them.
        """
        if not self._wire.grown:
            await self._do("NOOP", self._wire.simple_command("NOOP"))
        self._wire.grown = False
        self._counted = self._wire.exists
        return [uid for uid in await self._search(f"UID {low}:*", *criteria) if uid >= low]

    @property
    def grown_by(self) -> int:
        """How many messages the server has told of since the last look; zero before the first."""
        return 0 if self._counted is None else self._wire.exists - self._counted

    async def newest(self, low: int, length: int) -> list[tuple[Described, bytes]]:
        """All from `low` on with the first `length` octets of each, in one command: for the few that were told of."""
        self._wire.grown = False
        self._counted = self._wire.exists
        what = f"(UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.{length}>)"
        lines = await self._fetched(f"{low}:*", what)
        bodies = dict(parse_bodies(lines))
        found = {one.uid: one for one in parse_descriptions(lines, clock.now())}
        return [(found[uid], bodies[uid]) for uid in sorted(found.keys() & bodies.keys()) if uid >= low]

    async def _search(self, *criteria: str) -> list[int]:
        lines = await self._do("SEARCH", self._wire.search(*criteria, charset=None, by_uid=True))
        return sorted({int(word) for line in lines for word in line.split() if word.isdigit()})

    async def with_message_id(self, message_id: str) -> list[int]:
        return await self._search(f"HEADER Message-ID {quoted(message_id)}")

    async def present(self, uids: Sequence[int]) -> set[int]:
        """Which of `uids` the mailbox still holds."""
        return set(await self._search(f"UID {sequence_set(uids)}")) & set(uids)

    async def describe(self, uids: Sequence[int]) -> list[Described]:
        """Size and INTERNALDATE, ascending. Messages that are gone by now are not in it."""
        lines = await self._fetched(sequence_set(uids), "(UID RFC822.SIZE INTERNALDATE)")
        wanted = set(uids)
        found = {
            described.uid: described for described in parse_descriptions(lines, clock.now()) if described.uid in wanted
        }
        return [found[uid] for uid in sorted(found)]

    async def bodies(self, uids: Sequence[int], section: str = "") -> dict[int, bytes]:
        """Whole messages, unflagged (BODY.PEEK). `section` may be `HEADER`."""
        return dict(parse_bodies(await self._fetched(sequence_set(uids), f"(UID BODY.PEEK[{section}])")))

    async def piece(self, uid: int, offset: int, length: int, section: str = "") -> bytes | None:
        """`length` octets of a message from `offset`, fewer at its end; None when it is gone."""
        lines = await self._fetched(sequence_set([uid]), f"(UID BODY.PEEK[{section}]<{offset}.{length}>)")
        return dict(parse_bodies(lines)).get(uid)

    async def mark_seen(self, uids: Sequence[int]) -> None:
        """A mailbox that may only be read is no reason not to read it: what the server says to this is passed over."""
        wire = self._wire
        arguments = sequence_set(uids), r"+FLAGS.SILENT (\Seen)"
        await self._ask(wire.post(Asked("STORE", wire.new_tag(), *arguments, by_uid=True)))

    async def append(self, mailbox: str, body: bytes, *, at: datetime | None = None) -> None:
        """APPEND with \\Seen. Raises Misconfigured when there is no such mailbox."""
        try:
            await self._do("APPEND", self._wire.append(body, mailbox_argument(mailbox), r"\Seen", at))
        except Refused as error:
            if error.passing:
                raise
            raise Misconfigured("The mailbox for sent mail does not exist, or takes no copies") from None

    async def wait(self, seconds: float) -> None:
        """Return when the mailbox grew, or after `seconds`; always after `seconds` where IDLE is not to be had."""
        wire = self._wire
        if wire.grown:
            return
        until = self._loop.time() + seconds
        if self._idles and "IDLE" in self.capabilities:
            # Offered and then refused, or ended by the server: do without it, rather than ask in a circle.
            self._idles = await self._idle(seconds)
        if not wire.grown and (left := until - self._loop.time()) > 0:
            await asyncio.wait({wire.lost}, timeout=left)
        if wire.lost.done():
            raise _unreachable(Closed(wire.lost.result()))

    async def _idle(self, seconds: float) -> bool:
        wire = self._wire
        timer = self._loop.call_later(seconds, wire.end_idle)
        try:
            return await wire.idle_until_grown()
        except Closed as error:
            raise _unreachable(error) from None
        finally:
            timer.cancel()

    async def close(self) -> None:
        """LOGOUT if the server still listens, and hang up. Never raises, never takes long."""
        wire = self._wire
        if not wire.lost.done():
            with suppress(ChannelError, TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._ask(wire.logout())
        wire.abort()
        # One turn of the loop, so that the transport's own farewell is over before the loop may be closed.
        await asyncio.sleep(0)


def _unreachable(closed: Closed) -> Unreachable:
    silent = closed.why == "silent"
    return Unreachable("The server stopped answering" if silent else "The server closed the connection")


def _code(response: Response) -> str:
    match = _CODE.match(response.lines[-1]) if response.lines else None
    return match[1].decode("ascii") if match else ""
