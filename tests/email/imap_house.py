"""The house as an IMAP connector sees it, in memory: `accept` is one commit, and idempotent as the real one is."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

from connectors.email.config import EmailConfig
from connectors.email.imap import receive
from connectors.email.oauth import TokenSource
from helpdesk.channels import ChannelError, RawInbound
from helpdesk.net import AllowList, Guard

LOOPBACK = Guard(AllowList.parse(["127.0.0.0/8", "::1/128"]))


class FakeHost:
    """What was told is kept to be looked at. Let `obstacle` raise to make the next commits fail."""

    def __init__(self) -> None:
        self.inbox_id: UUID = uuid4()
        self.guard = LOOPBACK
        self.items: dict[str, RawInbound] = {}
        self.place: dict[str, Any] = {}
        self.batches: list[int] = []
        self.errors: list[ChannelError] = []
        self.wells = 0
        self.secrets: dict[str, str] = {}
        self.obstacle: Callable[[], None] = lambda: None
        self._changed = asyncio.Condition()

    async def accept(self, batch: Sequence[RawInbound], *, cursor: Mapping[str, Any] | None = None) -> int:
        self.obstacle()
        new = {item.position: item for item in batch if item.position not in self.items}
        self.items |= new
        if cursor is not None:
            self.place = dict(cursor)
        if batch:
            self.batches.append(len(batch))
        await self._tell()
        return len(new)

    async def cursor(self) -> Mapping[str, Any]:
        return dict(self.place)

    async def known(self, prefix: str) -> frozenset[str]:
        return frozenset(position for position in self.items if position.startswith(prefix))

    async def digests(self, digests: Sequence[str]) -> frozenset[str]:
        held = {hashlib.sha256(item.body).hexdigest() for item in self.items.values()}
        return frozenset(digests) & held

    async def save_secrets(self, changed: Mapping[str, str]) -> None:
        self.secrets |= changed

    async def succeeded(self) -> None:
        self.wells += 1
        await self._tell()

    async def failed(self, error: ChannelError) -> None:
        self.errors.append(error)
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, true: Callable[[], bool], seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(true)

    @property
    def subjects(self) -> list[str]:
        return [subject(item.body) for item in self.items.values()]


def subject(body: bytes) -> str:
    line = next((line for line in body.split(b"\r\n") if line.startswith(b"Subject: ")), b"")
    return line.removeprefix(b"Subject: ").decode()


def mail(title: str, *, size: int = 0, message_id: str = "") -> bytes:
    """A small mail, or one of about `size` octets."""
    filler = (b'All work and no play makes (a) dull "mailbox" {1}\r\n' * (size // 50 + 1)) if size else b"Hello.\r\n"
    head = f"From: Lin <lin@example.net>\r\nTo: support@example.com\r\nSubject: {title}\r\n"
    head += f"Message-ID: <{message_id or title.replace(' ', '-')}@example.net>\r\n\r\n"
    return head.encode() + filler


def config(url: str, **more: Any) -> EmailConfig:
    return EmailConfig.model_validate({"address": "support@example.com", "receive": "imap", "imap_url": url, **more})


@asynccontextmanager
async def reading(
    settings: EmailConfig, host: FakeHost | None = None, tokens: TokenSource | None = None, *, ready: bool = True
) -> AsyncIterator[FakeHost]:
    """`receive` runs inside the block; with `ready`, it has read the mailbox to its end when the block begins."""
    host = host or FakeHost()
    task = asyncio.create_task(receive(settings, host, tokens))
    try:
        if ready:
            wells = host.wells
            await host.until(lambda: host.wells > wells or task.done())
        yield host
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
