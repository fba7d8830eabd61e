"""A whole house in one test: raw mail by the real intake, all loops run until nothing is due, what left read back.

    async with House(services) as house:
        desk = await house.inbox()
        await house.post(desk, mail("mina@customer.test", "Where is my withdrawal?", dmarc="pass"))
        await house.drain()
        (acknowledgement,) = house.outgoing()

Mail that leaves is written to files unless the inbox names an `smtp_url`. Nothing here needs pytest.
"""

from __future__ import annotations

import atexit
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from uuid import UUID

from sqlalchemy import RowMapping, Table, select

from helpdesk import clock
from helpdesk.apart import Apart
from helpdesk.channels import RawInbound
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Role
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.services import inboxes, intake, replies
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.reply_writing import Draft
from helpdesk.wiring import open_guard
from workers.connections import Connections
from workers.deliver import Deliverer
from workers.process import Processor
from workers.relaying import Relaying

MX = "mx.wallet.test"
"""The id under which the inboxes' own mail server judges senders."""

_STEPS = 500


@dataclass(frozen=True, slots=True)
class Desk:
    """An e-mail inbox."""

    id: UUID
    address: str


class HandedOn(Apart):
    """A parsing process that outlives its house: starting one takes longer than what most tests do with it.

    It is handed on as long as nothing killed it. `cold`: start a fresh one, which takes its time to answer first.
    """

    _spare: ClassVar[tuple[subprocess.Popen[bytes], socket.socket] | None] = None

    def __init__(self, *, cold: bool = False) -> None:
        super().__init__()
        self._cold = cold
        self._kept: socket.socket | None = None

    def _start(self) -> socket.socket:
        if self._cold or HandedOn._spare is None:
            ours = super()._start()
        else:
            (self._process, ours), HandedOn._spare = HandedOn._spare, None
        # This end stays open when a test's event loop closes the other one.
        self._kept = ours.dup()
        return ours

    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
        await super().close()

    async def hand_on(self) -> None:
        """`close`, but leave the process to the next house."""
        if self._process is not None and self._kept is not None and not self.busy and HandedOn._spare is None:
            HandedOn._spare, self._process, self._kept = (self._process, self._kept), None, None
        await self.close()

    @classmethod
    def end(cls) -> None:
        spare, cls._spare = cls._spare, None
        if spare is not None:
            spare[1].close()
            spare[0].kill()
            spare[0].wait()


atexit.register(HandedOn.end)


class House:
    """One worker's steps over made services, run by hand.

    After its first `relay` it relays what it files in the transaction that files it, unless `alongside` is off.
    `cold`: the process that parses has to be started first.
    """

    def __init__(
        self, services: Services, *, worker: str = "house", alongside: bool = True, cold: bool = False
    ) -> None:
        self.services, self.alongside, self._worker = services, alongside, worker
        self.apart = HandedOn(cold=cold)
        self.guard = open_guard(services.settings)
        self._connections = Connections(services, self.guard)
        self._relaying = Relaying(services, worker=worker)
        never = Relaying(services, worker=worker)
        self._processor = Processor(services, self._relaying if alongside else never, self.apart, worker=worker)
        self._deliverer = Deliverer(services, self._connections, worker=worker)
        self._keys: dict[UUID, Keys] = {}
        self._serial = count(1)
        self._seen: set[Path] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.apart.hand_on()
        await self._relaying.close()
        await self._connections.close()

    async def inbox(self, address: str = "support@wallet.test", **settings: Any) -> Desk:
        """An inbox with reply addresses and a trusted mail server; `settings` override both."""
        local, _, domain = address.rpartition("@")
        given = {"address": address, "reply_address": f"{local}+{{token}}@{domain}", "authserv_id": MX} | settings
        async with self.services.database.transaction() as session:
            inbox_id = await inboxes.add(
                self.services,
                session,
                channel="email",
                name=address,
                settings=given,
                members=(),
                by=SYSTEM,
                now=clock.now(),
            )
        return Desk(inbox_id, address)

    # -- in --------------------------------------------------------------------------------------------------

    async def post(
        self,
        desk: Desk,
        *mails: bytes,
        mail_from: str | None = None,
        recipients: Sequence[str] = (),
        trusted_peer: bool = True,
        backfilled: bool = False,
        positions: Sequence[str] = (),
        at: datetime | None = None,
        cursor: Mapping[str, Any] | None = None,
    ) -> int:
        """Raw mails into the intake, as a transport hands them over, in one commit. Answers how many were new."""
        hints: dict[str, Any] = {"recipients": list(recipients) or [desk.address], "trusted_peer": trusted_peer}
        if mail_from is not None:
            hints["mail_from"] = mail_from
        places = list(positions) or [f"house;{next(self._serial)}" for _ in mails]
        batch = [
            RawInbound(place, body, at or clock.now(), hints, backfilled)
            for place, body in zip(places, mails, strict=True)
        ]
        staged = await intake.stage(self.services, batch)
        keys = self._keys.setdefault(desk.id, Keys(self.services.keyring))
        async with self.services.database.transaction() as session:
            new = await intake.accept(
                self.services,
                session,
                keys,
                batch,
                inbox_id=desk.id,
                staged=staged,
                cursor=cursor,
                now=clock.now(),
            )
        return len(new)

    async def process(self) -> int:
        """Read and file one batch."""
        return await self._processor.step()

    async def relay(self) -> int:
        return await self._relaying.step()

    async def deliver(self) -> int:
        count = await self._deliverer.step()
        await self._deliverer.idle()
        return count

    async def drain(self) -> None:
        """Run every loop until nothing is due. Raises when that does not come to an end."""
        for _ in range(_STEPS):
            if not (await self.process() + await self.relay() + await self.deliver()):
                return
        raise AssertionError("there is always something due")

    async def receive(self, desk: Desk, *mails: bytes, **how: Any) -> None:
        """`post` and `drain`."""
        await self.post(desk, *mails, **how)
        await self.drain()

    # -- out -------------------------------------------------------------------------------------------------

    def outgoing(self) -> list[EmailMessage]:
        """What was written to files since the last call, the oldest first."""
        folder = self.services.settings.data / "outgoing"
        fresh = sorted(set(folder.glob("*.eml")) - self._seen, key=lambda path: path.stat().st_mtime_ns)
        self._seen.update(fresh)
        return [read(path.read_bytes()) for path in fresh]

    async def reply(self, conversation_id: UUID, text: str = "We are looking into it.", **draft: Any) -> UUID:
        """An agent's answer, queued; `drain` sends it."""
        now = clock.now()
        actor = Actor(AuthorKind.AGENT, name="Anna", role=Role.ADMIN)
        async with self.services.database.transaction() as session:
            conversation = await get_conversation(session, actor, conversation_id, lock=True)
            wanted = Draft(text=text, **draft)
            stored = await replies.reply(self.services, session, conversation, wanted, by=actor, now=now)
        return stored.message["id"]

    # -- what came of it -------------------------------------------------------------------------------------

    async def rows(self, table: Table, *where: Any) -> list[RowMapping]:
        """Rows in the order of their ids, or of what else is their key."""
        async with self.services.database.reading() as session:
            found = await session.execute(select(table).where(*where).order_by(*table.primary_key.columns))
            return list(found.mappings().all())

    async def row(self, table: Table, *where: Any) -> RowMapping:
        """The only one."""
        (found,) = await self.rows(table, *where)
        return found

    async def conversations(self) -> list[RowMapping]:
        return sorted(await self.rows(conversations), key=lambda row: row["number"])

    async def messages(self, conversation_id: UUID | None = None) -> list[RowMapping]:
        """In the order of their conversations' numbers, and of their places there."""
        numbers = {row["id"]: row["number"] for row in await self.conversations()}
        found = await self.rows(messages)
        return sorted(
            (row for row in found if conversation_id in (None, row["conversation_id"])),
            key=lambda row: (numbers[row["conversation_id"]], row["seq"]),
        )

    async def incoming(self, conversation_id: UUID | None = None) -> list[RowMapping]:
        return [row for row in await self.messages(conversation_id) if row["type"] == "incoming"]


def read(body: bytes) -> EmailMessage:
    """A mail as Python's own parser sees it: a second opinion on what we wrote."""
    found = message_from_bytes(body, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def bare(message_id: str) -> str:
    return message_id.strip().strip("<>")


def mail(
    sender: str,
    text: str = "Hello, where is my withdrawal?",
    *,
    to: str = "support@wallet.test",
    subject: str = "Withdrawal",
    message_id: str | None = None,
    answers: str = "",
    dmarc: str = "",
    html: str | None = None,
    files: Sequence[tuple[str, str, bytes]] = (),
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A mail as it arrives. `sender` is the whole From value; without `message_id` one is made of the content.

    `answers` is a Message-ID for In-Reply-To and References. `dmarc` is the verdict of our own server. `files` are
    (disposition and name as one header value, content type, bytes). `headers` come last and are taken as they are.
    """
    if message_id is None:
        made = sha256(repr((sender, text, to, subject, answers, html)).encode()).hexdigest()[:20]
        message_id = f"{made}@customer.test"
    domain = sender.rpartition("@")[2].strip("<> ")
    lines = []
    if dmarc:
        lines.append(("Authentication-Results", f"{MX}; dmarc={dmarc} header.from={domain}"))
    lines += [
        (
            "Received",
            f"from out.{domain} (out.{domain} [192.0.2.7]) by {MX} with ESMTPS; Mon, 5 Oct 2026 09:00:00 +0000",
        ),
        ("From", sender),
        ("To", to),
        ("Subject", subject),
        ("Date", "Mon, 5 Oct 2026 09:00:00 +0000"),
    ]
    if message_id:
        lines.append(("Message-ID", f"<{message_id}>"))
    if answers:
        lines += [("In-Reply-To", f"<{bare(answers)}>"), ("References", f"<{bare(answers)}>")]
    head = "".join(f"{name}: {value}\r\n" for name, value in [*lines, *headers]).encode("utf-8", "surrogateescape")
    return head + b"MIME-Version: 1.0\r\n" + _content(text, html, files)


def _content(text: str, html: str | None, files: Sequence[tuple[str, str, bytes]]) -> bytes:
    plain = _part("text/plain; charset=utf-8", text.encode("utf-8", "surrogateescape"))
    if html is None and not files:
        return plain
    parts = [plain] if html is None else [plain, _part("text/html; charset=utf-8", html.encode("utf-8", "replace"))]
    if html is not None:
        parts = [_multipart("alternative", parts)]
    parts += [_part(kind, body, ("Content-Disposition", disposition)) for disposition, kind, body in files]
    return parts[0] if len(parts) == 1 else _multipart("mixed", parts)


def _part(kind: str, body: bytes, *headers: tuple[str, str]) -> bytes:
    lines = [("Content-Type", kind), ("Content-Transfer-Encoding", "8bit"), *headers]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines).encode("utf-8", "surrogateescape")
    return head + b"\r\n" + body + b"\r\n"


def _multipart(kind: str, parts: Sequence[bytes]) -> bytes:
    mark = f"=_{sha256(b''.join(parts)).hexdigest()[:24]}"
    head = f'Content-Type: multipart/{kind}; boundary="{mark}"\r\n\r\n'.encode()
    return head + b"".join(b"--%s\r\n%s\r\n" % (mark.encode(), part) for part in parts) + f"--{mark}--\r\n".encode()
