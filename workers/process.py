"""Reads claimed raw items in the parsing process and files them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from helpdesk import failpoints
from helpdesk.channels import RawInbound
from helpdesk.clock import now
from helpdesk.crypto import CannotOpen
from helpdesk.domain.admission import Admitted
from helpdesk.logs import fault
from helpdesk.services import blobs, filing, intake
from helpdesk.services.filing import Claimed, Entry
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.reader import Failure, Reading
from helpdesk.services.reading import read
from helpdesk.statements import Row

log = structlog.get_logger()

BATCH_BYTES = 8 * 1024 * 1024
"""What a batch may weigh: its bytes, and what they are parsed into, are in memory at once."""

_POSTPONED = timedelta(seconds=10)


async def process(services: Services, *, worker: str, held: set[UUID] | None = None) -> int:
    """Claim, read and file one batch. Answers whether there may be more; `held` are the items in hand meanwhile."""
    async with services.database.transaction() as session:
        claimed = await filing.claim(
            session,
            worker=worker,
            bytes_limit=BATCH_BYTES,
            lease_seconds=services.settings.lease_seconds,
            now=now(),
        )
    if claimed is None:
        return 0
    held = set() if held is None else held
    held.update(row["id"] for row in claimed.rows)
    try:
        entries = await _read(services, claimed)
        failpoints.reached("parsed")
        await _file(services, claimed.inbox, entries)
        failpoints.reached("filed")
    finally:
        held.difference_update(row["id"] for row in claimed.rows)
    # A batch that was not full emptied the queue; whoever came since has rung.
    return len(claimed.rows) if claimed.more else 0


async def _read(services: Services, claimed: Claimed) -> list[Entry]:
    rows, bodies = claimed.rows, await _bodies(services, claimed)
    readings: list[Reading] = [Failure("erased") if body is None else Failure("limit") for body in bodies]
    # An item that has taken its worker down before is read alone, and not at all once it did so too often.
    alone = [i for i, row in enumerate(rows) if 1 < row["attempts"] <= filing.MAX_ATTEMPTS and bodies[i] is not None]
    together = [i for i, row in enumerate(rows) if row["attempts"] <= 1 and bodies[i] is not None]
    for group in ([together] if together else []) + [[i] for i in alone]:
        raws = [_raw(rows[i], bodies[i] or b"") for i in group]
        found = await read(
            services.channel(claimed.inbox["channel"]).parse,
            raws,
            claimed.inbox["config"],
            seconds=services.settings.parse_seconds,
            memory_mb=services.settings.parse_memory_mb,
        )
        for i, reading in zip(group, found, strict=True):
            readings[i] = reading
    return [Entry(row, reading, await _stage(services, reading)) for row, reading in zip(rows, readings, strict=True)]


async def _stage(services: Services, reading: Reading) -> Sequence[blobs.Staged]:
    files = reading.files if isinstance(reading, Admitted) else ()
    return await blobs.stage(services, [file.body for file in files]) if files else ()


async def _bodies(services: Services, claimed: Claimed) -> list[bytes | None]:
    """The plain bytes, or None for what was erased. Items that lie in their rows cost no query."""
    keys = Keys(services.keyring)
    owner = f"inbox:{claimed.inbox['id']}"
    keys.add(owner, claimed.inbox["key"])
    bodies: list[bytes | None] = []
    async with services.database.reading() as session:
        for row in claimed.rows:
            try:
                bodies.append(await intake.body_of(services, session, keys, row))
            except CannotOpen:
                bodies.append(None)
    return bodies


def _raw(row: Row, body: bytes) -> RawInbound:
    return RawInbound(
        position=row["position"],
        body=body,
        received_at=row["received_at"],
        hints=row["hints"],
        backfilled=row["backfilled"],
    )


async def _file(services: Services, inbox: Row, entries: Sequence[Entry]) -> None:
    """In one transaction; when that fails, each alone, so that the one at fault is the only one to wait."""
    try:
        async with services.database.transaction() as session:
            await filing.file(services, session, inbox, entries, now=now())
        return
    except Exception as error:
        if len(entries) == 1:
            await _postpone(services, entries[0], error)
            return
        log.warning("filing.batch_failed", count=len(entries), **fault(error))
    for entry in entries:
        await _file(services, inbox, [entry])


async def _postpone(services: Services, entry: Entry, error: Exception) -> None:
    """A database that is away raises here again, and the claim simply runs out."""
    log.error("filing.failed", attempt=entry.row["attempts"], **fault(error))
    async with services.database.transaction() as session:
        await filing.postpone(session, entry.row, now=now(), until=now() + _POSTPONED * entry.row["attempts"])
