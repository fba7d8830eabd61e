"""An IMAP server that does what real ones do on a bad day. Enough of RFC 3501 for a reader, and hooks for the rest.

    class Silent(ScriptedImap):
        async def idle(self, peer, tag): ...

Everything happens in the loop of the caller.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Peer:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.told = 0

    async def line(self) -> str:
        data = await self.reader.readline()
        if not data:
            raise EOFError
        return data.decode().rstrip("\r\n")

    async def say(self, *lines: str | bytes) -> None:
        for line in lines:
            self.writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        await self.writer.drain()


class ScriptedImap:
    greeting = "* OK ready"
    capabilities = "IMAP4rev1 IDLE ID AUTH=XOAUTH2 SASL-IR"

    def __init__(self) -> None:
        self.messages: dict[int, bytes] = {}
        self.uidvalidity = 7
        self.said: list[str] = []
        self.seen: set[int] = set()
        self.peers: set[Peer] = set()
        self.changed = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> ScriptedImap:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for peer in list(self.peers):
            peer.writer.close()
        await asyncio.sleep(0.01)
        await self._server.wait_closed()

    def url(self, scheme: str = "imap") -> str:
        return f"{scheme}://support:secret@127.0.0.1:{self.port}/INBOX"

    def deliver(self, body: bytes) -> int:
        uid = max(self.messages, default=0) + 1
        self.messages[uid] = body
        self.changed.set()
        return uid

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.add(peer)
        try:
            await peer.say(self.greeting)
            while True:
                line = await peer.line()
                self.said.append(line)
                tag, _, rest = line.partition(" ")
                await self.command(peer, tag, rest)
        except (EOFError, OSError):
            pass
        finally:
            self.peers.discard(peer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def command(self, peer: Peer, tag: str, rest: str) -> None:
        word = rest.upper()
        if word == "CAPABILITY":
            await peer.say(f"* CAPABILITY {self.capabilities}", f"{tag} OK done")
        elif word.startswith("SELECT"):
            await self.select(peer, tag)
        elif word == "IDLE":
            await self.idle(peer, tag)
        elif word.startswith("UID SEARCH"):
            await self.search(peer, tag, rest[11:])
        elif word.startswith("UID FETCH"):
            uids, _, what = rest[10:].partition(" ")
            await self.fetch(peer, tag, self._set(uids), what)
        elif word.startswith("UID STORE"):
            self.seen |= set(self._set(rest.split()[2]))
            await peer.say(f"{tag} OK stored")
        elif word == "LOGOUT":
            await peer.say("* BYE see you", f"{tag} OK bye")
        elif word.startswith("LOGIN"):
            await self.login(peer, tag)
        else:
            await peer.say(f"{tag} OK done")

    def _set(self, text: str) -> list[int]:
        found: set[int] = set()
        for part in text.split(","):
            low, _, high = part.partition(":")
            last = max(self.messages, default=0)
            ends = sorted(last if end == "*" else int(end) for end in (low, high or low))
            found |= {uid for uid in self.messages if ends[0] <= uid <= ends[1]}
        return sorted(found)

    async def login(self, peer: Peer, tag: str) -> None:
        await peer.say(f"{tag} OK logged in")

    async def select(self, peer: Peer, tag: str) -> None:
        peer.told = len(self.messages)
        await peer.say(
            f"* {len(self.messages)} EXISTS",
            f"* OK [UIDVALIDITY {self.uidvalidity}] valid",
            f"* OK [UIDNEXT {max(self.messages, default=0) + 1}] next",
            f"{tag} OK [READ-WRITE] selected",
        )

    async def search(self, peer: Peer, tag: str, criteria: str) -> None:
        match = re.search(r"UID (\S+)", criteria)
        uids = self._set(match[1]) if match else sorted(self.messages)
        await peer.say(" ".join(["* SEARCH", *map(str, uids)]), f"{tag} OK found")

    async def fetch(self, peer: Peer, tag: str, uids: list[int], what: str) -> None:
        for number, uid in enumerate(uids, start=1):
            await peer.say(self.fetched(number, uid, what))
        await peer.say(f"{tag} OK fetched")

    def fetched(self, number: int, uid: int, what: str) -> bytes:
        """One FETCH response with the items that were asked for."""
        body = self.messages[uid]
        items = [f"UID {uid}"]
        if "RFC822.SIZE" in what:
            items.append(f"RFC822.SIZE {len(body)}")
        if "INTERNALDATE" in what:
            now = datetime.now(UTC)
            items.append(f'INTERNALDATE "{now.day:2d}-{MONTHS[now.month - 1]}-{now:%Y %H:%M:%S} +0000"')
        if "BODY.PEEK" not in what:
            return f"* {number} FETCH ({' '.join(items)})".encode()
        section = "HEADER" if "HEADER" in what else ""
        if section:
            body = body.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        mark = ""
        if piece := re.search(r"<(\d+)\.(\d+)>", what):
            start, length = int(piece[1]), int(piece[2])
            body, mark = body[start : start + length], f"<{start}>"
        items.append(f"BODY[{section}]{mark} {{{len(body)}}}")
        return f"* {number} FETCH ({' '.join(items)}\r\n".encode() + body + b")"

    async def idle(self, peer: Peer, tag: str) -> None:
        await peer.say("+ idling")
        done = asyncio.ensure_future(peer.line())
        while not done.done():
            if len(self.messages) != peer.told:
                peer.told = len(self.messages)
                await peer.say(f"* {peer.told} EXISTS")
            self.changed.clear()
            changed = asyncio.ensure_future(self.changed.wait())
            await asyncio.wait({done, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
        await done
        await peer.say(f"{tag} OK idled")
