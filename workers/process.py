"""Reads raw items in the parsing process and files them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from helpdesk import failpoints
from helpdesk.apart import Apart
from helpdesk.channels import RawInbound
from helpdesk.clock import now
from helpdesk.crypto import CannotOpen
from helpdesk.domain.admission import Admitted, here
from helpdesk.logs import fault
from helpdesk.services import blobs, filing, intake
from helpdesk.services.drafts import ClaimLost
from helpdesk.services.filing import Claimed, Entry
from helpdesk.services.house import Services
from helpdesk.services.intake import Arrival, Claim
from helpdesk.services.keys import Keys
from helpdesk.services.reader import Failure, Reading
from helpdesk.services.reading import read
from helpdesk.statements import Row
from helpdesk.writes import NotHeld
from workers.relaying import Relaying, Telling

log = structlog.get_logger()

BATCH_BYTES = 8 * 1024 * 1024
"""What a batch may weigh: its bytes, and what they are parsed into, are in memory at once."""

DESK_ITEMS = 100
"""How many items the desk has to hold before no more are laid on it."""

AT_ONCE_ITEMS = 4
AT_ONCE_SECONDS = 1.0
"""What is filed as it arrives: mails that come alone, and need no longer than this to be read."""

_POSTPONED = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class _Handed:
    """Items that this worker's own connectors took in, with their bytes, claimed in the commit that stored them."""

    inbox: Row
    rows: Sequence[Row]
    bodies: Sequence[bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.bodies))


class Processor:
    """The loop's step, and the desk on which connectors of the same worker lay what they have just stored.

    What lies there needs no claim, is not read back and not decrypted: a mail that comes alone is filed for half the
    work. The desk is small. What does not fit is stored without a claim, for whoever comes; and what lay there when the
    worker died is taken up when the claim runs out. `held` are the items in hand, to be renewed meanwhile.

    Of `at_once` they need not even be stored before: the source has them until the cursor has passed them.
    """

    def __init__(
        self,
        services: Services,
        relaying: Relaying,
        apart: Apart,
        *,
        worker: str,
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        self._services, self._relaying, self._apart = services, relaying, apart
        self._worker, self._ring = worker, ring
        self._desk: deque[_Handed] = deque()
        self.held: set[UUID] = set()

    async def at_once(self, inbox: Row, batch: Sequence[RawInbound], arrival: Arrival) -> bool:
        """Read a few small items, and store and file them in one go. Answers whether that was done.

        If not, nothing was: whatever is not plain sailing is stored first, and read with patience.
        """
        small = 0 < len(batch) <= AT_ONCE_ITEMS and all(len(raw.body) <= intake.IN_ROW for raw in batch)
        if not small or self._desk or self.held or self._apart.busy or not self._relaying.ready:
            return False
        rows = [intake.row(raw, inbox_id=inbox["id"], keys=arrival.keys, now=now()) for raw in batch]
        try:
            readings = await self._readings(inbox, batch, seconds=AT_ONCE_SECONDS)
            if not all(filing.is_plain(reading) for reading in readings):
                return False
            staged = [await _stage(self._services, reading) for reading in readings]
            entries = [Entry(*one) for one in zip(rows, readings, staged, strict=True)]
            failpoints.reached("parsed")
            async with self._relaying.alongside() as telling:
                if telling is None:
                    return False
                await self._write(inbox, entries, telling, arrival)
        except NotHeld:  # somebody changed a conversation meanwhile, or has the inbox, as storing will show
            return False
        except Exception as error:  # whatever it was is met again on the long way
            log.warning("filing.at_once_failed", count=len(batch), **fault(error))
            return False
        failpoints.reached("raw.committed")
        failpoints.reached("filed")
        return True

    def claim(self, batch: Sequence[RawInbound]) -> Claim | None:
        """The claim under which `batch` is to be stored, if it then fits on the desk."""
        weight = sum(handed.size for handed in self._desk) + sum(len(raw.body) for raw in batch)
        if weight > BATCH_BYTES or sum(len(handed.rows) for handed in self._desk) >= DESK_ITEMS:
            return None
        return Claim(self._worker, self._services.settings.lease_seconds)

    def take(self, inbox: Row, rows: Sequence[Row], batch: Sequence[RawInbound]) -> None:
        """Lay stored items on the desk: `rows` are those of `batch` that were new, under the claim given before."""
        bodies = {raw.position: raw.body for raw in batch}
        self._desk.append(_Handed(inbox, rows, [bodies[row["position"]] for row in rows]))
        self.held.update(row["id"] for row in rows)
        self._ring()

    async def step(self) -> int:
        """Read and file one batch, of the desk or claimed for it now. Answers whether there may be more."""
        handed = self._desk.popleft() if self._desk else None
        claimed = Claimed(handed.inbox, handed.rows, more=True) if handed else await self._claimed()
        if claimed is None:
            return 0
        self.held.update(row["id"] for row in claimed.rows)
        try:
            bodies = handed.bodies if handed else await _bodies(self._services, claimed)
            entries = await self._read(claimed, bodies)
            failpoints.reached("parsed")
            await self._file(claimed.inbox, entries)
            failpoints.reached("filed")
        finally:
            self.held.difference_update(row["id"] for row in claimed.rows)
        # A batch that was not full emptied the queue; whoever came since has rung.
        return len(self._desk) if handed else len(claimed.rows) if claimed.more else 0

    async def _claimed(self) -> Claimed | None:
        async with self._services.database.transaction() as session:
            return await filing.claim(
                session,
                worker=self._worker,
                bytes_limit=BATCH_BYTES,
                lease_seconds=self._services.settings.lease_seconds,
                now=now(),
            )

    async def _read(self, claimed: Claimed, bodies: Sequence[bytes | None]) -> list[Entry]:
        rows = claimed.rows
        readings: list[Reading] = [Failure("erased") if body is None else Failure("limit") for body in bodies]
        there = [i for i, body in enumerate(bodies) if body is not None]
        # An item that has taken its worker down before is read alone, and not at all once it did so too often.
        together = [i for i in there if rows[i]["attempts"] <= 1]
        alone = [i for i in there if 1 < rows[i]["attempts"] <= filing.MAX_ATTEMPTS]
        for group in ([together] if together else []) + [[i] for i in alone]:
            raws = [_raw(rows[i], bodies[i] or b"") for i in group]
            found = await self._readings(claimed.inbox, raws, seconds=self._services.settings.parse_seconds)
            for i, reading in zip(group, found, strict=True):
                readings[i] = reading
        staged = [await _stage(self._services, reading) for reading in readings]
        return [Entry(*one) for one in zip(rows, readings, staged, strict=True)]

    async def _readings(self, inbox: Row, raws: Sequence[RawInbound], *, seconds: float) -> list[Reading]:
        parser, memory_mb = self._services.channel(inbox["channel"]).parse, self._services.settings.parse_memory_mb
        return await read(self._apart, parser, raws, inbox["config"], seconds=seconds, memory_mb=memory_mb)

    async def _file(self, inbox: Row, entries: Sequence[Entry]) -> None:
        """Messages first, and what tells of others after them: it may be about the very same batch."""
        for part in filing.parted(entries):
            await self._file_together(inbox, part)

    async def _file_together(self, inbox: Row, entries: Sequence[Entry]) -> None:
        """In one transaction; when that fails, each alone, so that the one at fault is the only one to wait.

        What filing tells is relayed in it too, where this worker is the one that relays. Should that be what fails,
        it is left to the relay's own loop, which knows what to do then.
        """
        try:
            async with self._relaying.alongside() as telling:
                if telling is not None:
                    await self._write(inbox, entries, telling)
                    return
        except ClaimLost:
            pass
        except Exception as error:  # whatever it was is met again below, or was the relay's
            log.warning("filing.alongside_failed", count=len(entries), **fault(error))
        await self._file_carefully(inbox, entries)

    async def _file_carefully(self, inbox: Row, entries: Sequence[Entry]) -> None:
        try:
            await self._write(inbox, entries)
            return
        except ClaimLost:
            if len(entries) == 1:
                return
        except Exception as error:
            if len(entries) == 1:
                await _postpone(self._services, entries[0], error)
                return
            log.warning("filing.batch_failed", count=len(entries), **fault(error))
        for entry in entries:
            await self._file_carefully(inbox, [entry])

    async def _write(
        self, inbox: Row, entries: Sequence[Entry], telling: Telling | None = None, arrival: Arrival | None = None
    ) -> None:
        async with self._services.database.transaction() as session, telling(session) if telling else nullcontext():
            await filing.file(self._services, session, inbox, entries, arrival=arrival, now=now())

    async def close(self) -> None:
        """Let other workers have what still lies on the desk."""
        if self._desk:
            async with self._services.database.transaction() as session:
                await filing.release(session, worker=self._worker)


async def _stage(services: Services, reading: Reading) -> Sequence[blobs.Staged]:
    files = here(reading.files) if isinstance(reading, Admitted) else ()
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


async def _postpone(services: Services, entry: Entry, error: Exception) -> None:
    """A database that is away raises here again, and the claim simply runs out."""
    log.error("filing.failed", attempt=entry.row["attempts"], **fault(error))
    async with services.database.transaction() as session:
        await filing.postpone(session, entry.row, now=now(), until=now() + _POSTPONED * entry.row["attempts"])
