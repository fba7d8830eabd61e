"""What the house hands to connectors: the port's `Host` and `ServiceHost`, over the services."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, select

from helpdesk import failpoints
from helpdesk.channels import ChannelError, InboxView, LeaseLost, RawInbound
from helpdesk.clock import now
from helpdesk.models.inboxes import inboxes
from helpdesk.net import Guard
from helpdesk.services import health, inbox_settings, intake, leases
from helpdesk.services.house import Services
from helpdesk.services.intake import Arrival, Claim
from helpdesk.services.keys import Keys
from helpdesk.statements import Row
from helpdesk.writes import Holding, NotHeld

log = structlog.get_logger()


class Desk(Protocol):
    """Where items go that the same worker files: `workers.process.Processor`."""

    async def at_once(self, inbox: Row, batch: Sequence[RawInbound], arrival: Arrival) -> bool: ...

    def claim(self, batch: Sequence[RawInbound]) -> Claim | None: ...

    def take(self, inbox: Row, rows: Sequence[Row], batch: Sequence[RawInbound]) -> None: ...


class InboxHost:
    """One leased inbox. Whatever is stored carries the lease's fence: a worker that was overtaken stores nothing."""

    def __init__(
        self, services: Services, guard: Guard, *, inbox: Row, lease: str, fence: int, desk: Desk | None = None
    ) -> None:
        self.inbox_id, self.guard = inbox["id"], guard
        self._services, self._desk, self._inbox = services, desk, inbox
        self._lease, self._fence = lease, fence
        self._keys = Keys(services.keyring)
        self._well_until = 0.0
        self._begun = False

    async def accept(self, batch: Sequence[RawInbound], *, cursor: Mapping[str, Any] | None = None) -> int:
        holding = leases.holding(self._lease, fence=self._fence)
        try:
            if cursor is not None and await self._at_once(batch, Arrival(cursor, holding, self._keys.fork())):
                return len(batch)
            return await self._store(batch, cursor, holding)
        except NotHeld:
            raise LeaseLost from None

    async def _at_once(self, batch: Sequence[RawInbound], arrival: Arrival) -> bool:
        """Not the first ones: what has taken the worker down before lies in front, and is stored before it is read."""
        return self._desk is not None and self._begun and await self._desk.at_once(self._inbox, batch, arrival)

    async def _store(self, batch: Sequence[RawInbound], cursor: Mapping[str, Any] | None, holding: Holding) -> int:
        staged = await intake.stage(self._services, batch)
        claim = self._desk.claim(batch) if self._desk else None
        async with self._services.database.transaction() as session:
            new = await intake.accept(
                self._services,
                session,
                self._keys,
                batch,
                inbox_id=self.inbox_id,
                staged=staged,
                cursor=cursor,
                claim=claim,
                holding=holding,
                now=now(),
            )
        if batch:
            failpoints.reached("raw.committed")
            self._begun = True
        if self._desk and claim and new:
            self._desk.take(self._inbox, new, batch)
        return len(new)

    async def cursor(self) -> Mapping[str, Any]:
        async with self._services.database.reading() as session:
            return await intake.cursor_of(session, self.inbox_id)

    async def known(self, prefix: str) -> frozenset[str]:
        async with self._services.database.reading() as session:
            return await intake.known_positions(session, self.inbox_id, prefix=prefix)

    async def digests(self, digests: Sequence[str]) -> frozenset[str]:
        async with self._services.database.reading() as session:
            return await intake.known_digests(session, self.inbox_id, digests)

    async def save_secrets(self, changed: Mapping[str, str]) -> None:
        async with self._services.database.transaction() as session:
            await inbox_settings.save_secrets(self._services, session, self.inbox_id, changed)

    async def succeeded(self) -> None:
        """Written when it changes something, and once a minute besides: an idle inbox must not keep a disk busy."""
        if time.monotonic() < self._well_until:
            return
        async with self._services.database.transaction() as session:
            await health.succeeded(session, self.inbox_id, now=now())
        self._well_until = time.monotonic() + health.NOTED_EVERY.total_seconds()

    async def failed(self, error: ChannelError) -> None:
        self._well_until = 0.0
        log.warning("inbox.attempt_failed", inbox_id=str(self.inbox_id), kind=error.kind)
        async with self._services.database.transaction() as session:
            await health.failed(session, self.inbox_id, error, now=now())


_FRESH_SECONDS = 2.0
_UNKNOWN_SECONDS = 0.2


class DoorHost:
    """A channel-wide service: it has no cursor, and finds inboxes by what the other side asks for.

    Paused inboxes are found too: what comes for them is kept until they are resumed, where refusing it would bounce it.
    The list of inboxes is read at most every two seconds; before anybody is turned away it is read again, though, so
    that an inbox that was just added never bounces its first mail. A flood of strangers costs five reads a second.
    """

    def __init__(self, services: Services, guard: Guard, *, channel: str, settings: Mapping[str, Any]) -> None:
        self.guard, self.settings = guard, settings
        self._services, self._channel = services, channel
        self._keys: dict[UUID, Keys] = {}
        self._rows: Sequence[RowMapping] = ()
        self._read_at = -_FRESH_SECONDS

    async def inboxes_by(self, key: str, value: str) -> Sequence[InboxView]:
        wanted = value.lower()
        for fresh in (_FRESH_SECONDS, _UNKNOWN_SECONDS):
            found = [row for row in await self._known(fresh) if str(row["config"].get(key, "")).lower() == wanted]
            if found:
                config = self._services.channel(self._channel).load_config()
                return [InboxView(row["id"], config.model_validate(row["config"])) for row in found]
        return ()

    async def _known(self, seconds: float) -> Sequence[RowMapping]:
        """The channel's inboxes, as they were at most `seconds` ago."""
        begun = time.monotonic()
        if begun - self._read_at >= seconds:
            async with self._services.database.reading() as session:
                found = await session.execute(
                    select(inboxes.c.id, inboxes.c.config).where(
                        inboxes.c.channel == self._channel, inboxes.c.deleted_at.is_(None)
                    )
                )
            self._rows, self._read_at = found.mappings().all(), begun
        return self._rows

    async def accept(self, inbox_id: UUID, batch: Sequence[RawInbound]) -> int:
        keys = self._keys.setdefault(inbox_id, Keys(self._services.keyring))
        return await intake.take(self._services, keys, inbox_id, batch, now=now())
