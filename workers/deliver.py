"""Sends what is due: claim, freeze, send with no transaction open, record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from helpdesk import failpoints
from helpdesk.channels import (
    AuthenticationFailed,
    ChannelError,
    Composed,
    Composer,
    Connector,
    FilesSent,
    FindsSent,
    LeaseLost,
    Misconfigured,
    OutboundMessage,
    PermanentFailure,
    Receipt,
    RecipientRefused,
    TemporaryFailure,
    Uncertain,
)
from helpdesk.clock import now
from helpdesk.domain.values import DeliveryStatus
from helpdesk.logs import fault
from helpdesk.services import deliveries, outgoing
from helpdesk.services.house import Services
from workers.connections import Connections

log = structlog.get_logger()

AT_ONCE = 4
"""Messages on their way at the same time in one worker."""


class Deliverer:
    """One worker's senders."""

    def __init__(self, services: Services, connections: Connections, *, worker: str) -> None:
        self._services, self._connections, self._worker = services, connections, worker
        self.held: set[UUID] = set()
        """What is in hand: claims that have to be renewed for as long as they are."""

    async def step(self) -> int:
        """Claim a handful and see each of them to its end."""
        settings = self._services.settings
        async with self._services.database.transaction() as session:
            claimed = await deliveries.claim(
                session, worker=self._worker, limit=AT_ONCE, lease_seconds=settings.lease_seconds, now=now()
            )
        if claimed:
            failpoints.reached("claimed")
            # Each to its end, whatever becomes of the others: what is in hand is in this step.
            ends = await asyncio.gather(*map(self._one, claimed), return_exceptions=True)
            for error in ends:
                if error is not None:
                    raise error
        return len(claimed)

    async def _one(self, delivery: RowMapping) -> None:
        self.held.add(delivery["message_id"])
        try:
            await self._attempt(delivery)
        finally:
            self.held.discard(delivery["message_id"])

    async def _attempt(self, delivery: RowMapping) -> None:
        try:
            connector = await self._connections.get(delivery["inbox_id"])
            if await self._settle_doubt(delivery, connector):
                return
            composed = await self._freeze(delivery, connector)
            await self._send(delivery, connector, composed)
        except LeaseLost:
            log.warning("delivery.taken_over", message_id=str(delivery["message_id"]))
        except PermanentFailure as error:
            refused = error.refusals if isinstance(error, RecipientRefused) else ()
            await self._record(deliveries.fail, delivery, error=error.kind, refused=refused)
        except (TemporaryFailure, AuthenticationFailed, Misconfigured) as error:
            retry_after = error.retry_after if isinstance(error, TemporaryFailure) else None
            await self._record(deliveries.retry_later, delivery, error=error.kind, retry_after=retry_after)
        except Exception as error:
            # Before the final mark nothing has left, whatever went wrong; the claim runs out and it is tried again.
            log.error("delivery.failed", message_id=str(delivery["message_id"]), **fault(error))
            await self._record(deliveries.retry_later, delivery, error="internal", retry_after=None)

    async def _settle_doubt(self, delivery: RowMapping, connector: Connector) -> bool:
        """Deal with what an earlier attempt left unknown. Answers whether there is nothing left to send now."""
        died_late = delivery["status"] == DeliveryStatus.SENDING and delivery["final_at"] is not None
        if delivery["status"] != DeliveryStatus.UNCERTAIN and not died_late:
            return False
        async with self._services.database.reading() as session:
            composed = await deliveries.thaw(self._services, session, delivery)
        if died_late:
            await self._doubt(delivery)
            return True
        found = await connector.find_sent(composed) if composed and isinstance(connector, FindsSent) else None
        if found is not None:
            await self._accepted(delivery, found)
            return True
        if delivery["resends"] >= deliveries.MAX_RESENDS:
            async with self._services.database.transaction() as session:
                await deliveries.rest(session, delivery)
            return True
        async with self._services.database.transaction() as session:
            await deliveries.resend(session, delivery)
        return False

    async def _freeze(self, delivery: RowMapping, connector: Connector) -> OutboundMessage | Composed:
        """The message as it will leave, committed before anything leaves. Composing is pure and may take a while."""
        async with self._services.database.reading() as session:
            composed = await deliveries.thaw(self._services, session, delivery)
            message = None if composed else await outgoing.load(self._services, session, delivery)
        if message is not None and isinstance(connector, Composer):
            composed = await asyncio.to_thread(connector.compose, message)
            async with self._services.database.transaction() as session:
                await deliveries.freeze(self._services, session, delivery, composed, now=now())
                await deliveries.start(session, delivery)
        else:
            async with self._services.database.transaction() as session:
                await deliveries.start(session, delivery)
        failpoints.reached("sending.committed")
        frozen = composed or message
        assert frozen is not None
        return frozen

    async def _send(self, delivery: RowMapping, connector: Connector, message: OutboundMessage | Composed) -> None:
        async def at_final() -> None:
            async with self._services.database.transaction() as session:
                await deliveries.at_final(session, delivery, now=now())

        try:
            receipt = await connector.send(message, at_final=at_final)
        except Uncertain:
            await self._doubt(delivery)
            return
        await self._accepted(delivery, receipt)
        if isinstance(message, Composed) and not delivery["automatic"] and isinstance(connector, FilesSent):
            await self._copy(delivery, connector, message)

    async def _accepted(self, delivery: RowMapping, receipt: Receipt) -> None:
        await self._record(deliveries.sent, delivery, receipt=receipt)
        failpoints.reached("receipt.recorded")

    async def _doubt(self, delivery: RowMapping) -> None:
        async with self._services.database.transaction() as session:
            await deliveries.doubt(
                session, delivery, look_up_after=timedelta(seconds=self._services.settings.uncertain_seconds), now=now()
            )

    async def _copy(self, delivery: RowMapping, connector: FilesSent, message: Composed) -> None:
        """Best effort: the customer has the message, whether or not the mailbox takes a copy."""
        try:
            await connector.file_sent(message)
        except ChannelError as error:
            log.warning("delivery.not_copied", message_id=str(delivery["message_id"]), kind=error.kind)
            return
        async with self._services.database.transaction() as session:
            await deliveries.copied(session, delivery)

    async def _record(self, verb: Callable[..., Awaitable[None]], delivery: RowMapping, **what: Any) -> None:
        async with self._services.database.transaction() as session:
            await verb(self._services, session, delivery, now=now(), **what)
