"""`helpdesk import`: old mail from files, filed as `backfilled`: nothing of it is acknowledged, timed or acted upon.

The position of a mail is the digest of its bytes, so importing it again is a no-op: an import that was killed is begun
again, and passes over what is there as fast as it can read.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, literal_column, select

from helpdesk.channels import RawInbound
from helpdesk.clock import now
from helpdesk.commands import archives
from helpdesk.commands.archives import Archived
from helpdesk.commands.inboxes import find, only_inbox, progress
from helpdesk.commands.opened import opened
from helpdesk.config import Settings
from helpdesk.errors import Invalid
from helpdesk.models.inboxes import raw_items
from helpdesk.services import intake
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys

BATCH: Final = 50
BATCH_BYTES: Final = 8 * 1024 * 1024
"""That are held at once, and one mail more at most."""

_AHEAD: Final = 1000
"""Mails that may wait to be filed: what comes meanwhile is filed behind them."""

_PATIENCE: Final = 10.0
_PAUSE: Final = 0.5
_NAMED: Final = 20
_KB: Final = 1000

Batch = tuple[Sequence[RawInbound], int]


@dataclass(slots=True)
class Count:
    """What became of the mails so far. `skipped`: those that cannot be taken, by reason; `named`: some of these."""

    received: int = 0
    known: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def skip(self, mail: Archived) -> None:
        self.skipped[mail.reason] += 1
        if len(self.named) < _NAMED and mail.reason not in ("deleted", "draft"):
            self.named.append(f"skipped: {mail.place}: {mail.reason}")


async def mbox(settings: Settings, path: Path, *, inbox: str | None, resolved: bool = False) -> list[str]:
    """`resolved`: so are the conversations that it begins. Raises `Invalid` where the file is no mbox."""
    total = archives.size(path) // _KB
    mails = archives.mbox(path)
    return await _file(settings, mails, inbox=inbox, resolved=resolved, what="kB", total=total, unit=_KB)


async def maildir(
    settings: Settings, path: Path, *, inbox: str | None, folders: Sequence[str] = (), resolved: bool = False
) -> list[str]:
    """Raises `Invalid` where the folder is no Maildir, or has no such folders."""
    left, total = archives.left_out(path, only=folders), archives.count(path, only=folders)
    if left and not folders:
        sys.stderr.write(f"left out, name them with --folder: {', '.join(left)}\n")
    mails = archives.maildir(path, only=folders)
    return await _file(settings, mails, inbox=inbox, resolved=resolved, what="mails", total=total)


async def _file(
    settings: Settings,
    mails: Iterator[Archived],
    *,
    inbox: str | None,
    resolved: bool,
    what: str,
    total: int,
    unit: int = 1,
) -> list[str]:
    count = Count()
    async with opened(settings) as services:
        row = await (only_inbox(services) if inbox is None else find(services, inbox))
        if not services.channel(row["channel"]).parse:
            raise Invalid.field("inbox", "name one that takes mail")
        with progress(what) as tell:
            batches = read(mails, count, resolved=resolved)
            await take(services, row["id"], batches, count, tell=lambda done: tell(done // unit, total))
    lines = [f"{count.received} mails received; the workers file them"]
    lines += [f"{count.known} were there already"] if count.known else []
    lines += [f"{number} skipped: {reason}" for reason, number in sorted(count.skipped.items())]
    return [*count.named, *lines]


async def take(
    services: Services, inbox_id: UUID, batches: Iterator[Batch], count: Count, *, tell: Callable[[int], Any]
) -> None:
    """Store each batch in one commit; `tell` hears how far that is."""
    keys, line = Keys(services.keyring), _Line(services, inbox_id)
    while (found := await asyncio.to_thread(next, batches, None)) is not None:
        batch, done = found
        digests = [raw.position.rpartition(";")[2] for raw in batch]
        async with services.database.reading() as session:
            known = await intake.known_digests(session, inbox_id, digests)
        fresh = [raw for raw, digest in zip(batch, digests, strict=True) if digest not in known]
        stored = await _accept(services, inbox_id, keys, fresh) if fresh else 0
        count.received += stored
        count.known += len(batch) - stored
        tell(done)
        if stored:
            await line.wait()


async def _accept(services: Services, inbox_id: UUID, keys: Keys, fresh: Sequence[RawInbound]) -> int:
    staged = await intake.stage(services, fresh)
    async with services.database.transaction() as session:
        how: dict[str, Any] = {"inbox_id": inbox_id, "staged": staged, "cursor": None, "now": now()}
        return len(await intake.accept(services, session, keys, fresh, **how))


def read(mails: Iterator[Archived], count: Count, *, resolved: bool = False) -> Iterator[Batch]:
    """The mails as they are taken in, some at a time, and how far into all of them that is."""
    hints = {"over": True} if resolved else {}
    batch: dict[str, RawInbound] = {}
    done = size = 0
    for mail in mails:
        done = mail.done
        if mail.reason:
            count.skip(mail)
            continue
        position = f"import;{sha256(mail.body).hexdigest()}"
        count.known += position in batch
        at = archives.received_at(mail.body, mail.at) or now()
        batch[position] = RawInbound(position=position, body=mail.body, received_at=at, hints=hints, backfilled=True)
        size += len(mail.body)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield list(batch.values()), done
            batch, size = {}, 0
    yield list(batch.values()), done


class _Line:
    """Imported mails that wait to be filed: kept short while somebody files them, so that new mail is soon its turn."""

    def __init__(self, services: Services, inbox_id: UUID) -> None:
        r = raw_items.c
        mine = select(r.id).where(r.inbox_id == inbox_id, r.state == literal_column("'received'"), r.backfilled)
        self._query = select(func.count()).select_from(mine.limit(2 * _AHEAD).subquery())
        self._database = services.database
        self._patience = _PATIENCE

    async def wait(self) -> None:
        """Until it is short, or for as long as it has not moved for `_PATIENCE` seconds: then nobody files, for now."""
        before = 0
        while self._patience > 0:
            async with self._database.reading() as session:
                waiting = int(await session.scalar(self._query) or 0)
            if waiting <= _AHEAD:
                return
            self._patience = _PATIENCE if waiting < before else self._patience - _PAUSE
            before = waiting
            await asyncio.sleep(_PAUSE)
