"""`helpdesk import`: old mail from files, filed as `backfilled`."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path

from helpdesk.channels import RawInbound
from helpdesk.clock import now
from helpdesk.commands.inboxes import find, progress
from helpdesk.commands.opened import opened
from helpdesk.config import Settings
from helpdesk.services import intake
from helpdesk.services.keys import Keys

_BATCH = 50


async def mbox(settings: Settings, path: Path, *, inbox: str) -> list[str]:
    return await _file(settings, mailbox.mbox(path, create=False), inbox=inbox)


async def maildir(settings: Settings, path: Path, *, inbox: str) -> list[str]:
    return await _file(settings, mailbox.Maildir(path, create=False), inbox=inbox)


async def _file(settings: Settings, box: mailbox.Mailbox[mailbox.Message], *, inbox: str) -> list[str]:
    """The position is the digest of the bytes: importing the same file again files nothing twice."""
    new = 0
    async with opened(settings) as services:
        row = await find(services, inbox)
        total, done, keys = len(box), 0, Keys(services.keyring)
        with progress("mails") as tell:
            for batch in _batches(box):
                staged = await intake.stage(services, batch)
                async with services.database.transaction() as session:
                    stored = await intake.accept(
                        services, session, keys, batch, inbox_id=row["id"], staged=staged, cursor=None, now=now()
                    )
                new += len(stored)
                done += len(batch)
                tell(done, total)
    box.close()
    return [f"{new} of {total} mails received; the workers file them"]


def _batches(box: mailbox.Mailbox[mailbox.Message]) -> Iterator[list[RawInbound]]:
    batch: list[RawInbound] = []
    for key in box.keys():  # noqa: SIM118 - a mailbox iterates over messages, parsed
        body = box.get_bytes(key)
        batch.append(
            RawInbound(
                position=f"import;{sha256(body).hexdigest()}", body=body, received_at=_date(body), backfilled=True
            )
        )
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _date(body: bytes) -> datetime:
    """The Date header, for want of anything that a server had noted."""
    for line in body.splitlines()[:200]:
        if line[:5].lower() == b"date:":
            try:
                found = parsedate_to_datetime(line[5:].decode("ascii", "replace").strip())
            except ValueError:
                break
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return now()
