"""Sends what is due: claim, freeze, send with no transaction open, record."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from helpdesk import failpoints
from helpdesk.channels import (
    AuthenticationFailed,
    BudgetSpent,
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
from helpdesk.services import deliveries, health, outgoing
from helpdesk.services.house import Services
from workers.connections import Connections

log = structlog.get_logger()

AT_ONCE = 8
"""Messages on their way at the same time in one worker."""

PER_INBOX = 3
"""Of these, of one inbox: a server that keeps us waiting must not keep the other inboxes waiting."""

SPENT_SECONDS = 3600.0
"""How long a message waits at most before it is seen whether somebody has paid for more."""


@dataclass(slots=True)
class _Attempt:
    """One try at one delivery. After `final`, this try's or an earlier one's, nothing but the other side's answer says
    that it may be tried again."""

    delivery: RowMapping
    final: bool = False

    @classmethod
    def at(cls, delivery: RowMapping) -> _Attempt:
        died_late = delivery["status"] == DeliveryStatus.SENDING and delivery["final_at"] is not None
        return cls(delivery, final=died_late or delivery["status"] == DeliveryStatus.UNCERTAIN)


class Deliverer:
    """One worker's senders."""

    def __init__(self, services: Services, connections: Connections, *, worker: str) -> None:
        self._services, self._connections, self._worker = services, connections, worker
        self._running: dict[asyncio.Task[None], RowMapping] = {}
        self.on_free: Callable[[], None] = _nothing
        """Called when a place has become free, so that whoever waits for one is claimed at once."""

    @property
    def held(self) -> set[UUID]:
        """What is in hand: claims that have to be renewed for as long as they are."""
        return {delivery["message_id"] for delivery in self._running.values()}

    async def step(self) -> int:
        """Claim what there is room for and start on it. Answers whether there may be more to claim."""
        room = AT_ONCE - len(self._running)
        if room <= 0:
            return 0
        inboxes = Counter(delivery["inbox_id"] for delivery in self._running.values())
        async with self._services.database.transaction() as session:
            claimed = await deliveries.claim(
                session,
                worker=self._worker,
                limit=min(room, PER_INBOX),
                busy=[inbox_id for inbox_id, count in inboxes.items() if count >= PER_INBOX],
                lease_seconds=self._services.settings.lease_seconds,
                now=now(),
            )
        if claimed:
            failpoints.reached("claimed")
        for delivery in claimed:
            task = asyncio.create_task(self._one(_Attempt.at(delivery)), name=f"delivery {delivery['message_id']}")
            self._running[task] = delivery
            task.add_done_callback(self._done)
        return len(claimed)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The database would not take the end. The claim is renewed no more, and whoever takes it knows what to do.
            log.error("delivery.not_recorded", **fault(error))
        self.on_free()

    async def idle(self) -> None:
        """Wait until nothing is on its way."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def _one(self, attempt: _Attempt) -> None:
        delivery = attempt.delivery
        try:
            if attempt.final and await self._settle_doubt(attempt):
                return
            connector = await self._connections.get(delivery["inbox_id"])
            message = await self._freeze(delivery, connector)
            await self._send(attempt, connector, message)
        except LeaseLost:
            log.warning("delivery.taken_over", message_id=str(delivery["message_id"]))
        except PermanentFailure as error:
            refused = error.refusals if isinstance(error, RecipientRefused) else ()
            await self._record(deliveries.fail, delivery, error=error.kind, refused=refused)
        except Uncertain:
            await self._doubt(delivery)
        except (TemporaryFailure, AuthenticationFailed, Misconfigured) as error:
            await self._record(deliveries.retry_later, delivery, error=error.kind, retry_after=_patience(error))
            await self._tell(delivery, error)
        except Exception as error:
            log.error("delivery.failed", message_id=str(delivery["message_id"]), **fault(error))
            if attempt.final:
                await self._doubt(delivery)
            else:
                await self._record(deliveries.retry_later, delivery, error="internal", retry_after=None)

    async def _settle_doubt(self, attempt: _Attempt) -> bool:
        """Deal with what an earlier attempt left unknown. Answers whether there is nothing left to send now."""
        delivery = attempt.delivery
        if delivery["status"] == DeliveryStatus.SENDING:
            await self._doubt(delivery)
            return True
        try:
            found = await self._found(delivery)
        except Uncertain:  # nobody can tell: a person decides
            return await self._rest(delivery)
        except ChannelError:  # asked again later, and nothing is sent before
            await self._doubt(delivery)
            return True
        if found is not None:
            await self._accepted(delivery, found)
            return True
        if delivery["resends"] >= deliveries.MAX_RESENDS:
            return await self._rest(delivery)
        async with self._services.database.transaction() as session:
            await deliveries.resend(session, delivery)
        attempt.final = False
        return False

    async def _found(self, delivery: RowMapping) -> Receipt | None:
        """Whether it is there. Raises `Uncertain` where that cannot be told, and a second one could do harm."""
        connector = await self._connections.get(delivery["inbox_id"])
        async with self._services.database.reading() as session:
            composed = await deliveries.thaw(self._services, session, delivery)
        if composed is not None and isinstance(connector, FindsSent):
            found = await connector.find_sent(composed)
            if found is None:
                return None
            async with self._services.database.reading() as session:
                if await deliveries.is_of_another(session, delivery, found.external_id):
                    raise Uncertain("what was found is another message of ours")
            return found
        if not (await self._connections.channel(delivery["inbox_id"])).capabilities.looks_up:
            raise Uncertain("it cannot be looked up")
        return None

    async def _rest(self, delivery: RowMapping) -> bool:
        """Leave it to a person. Answers that there is nothing left to send."""
        async with self._services.database.transaction() as session:
            await deliveries.rest(session, delivery)
        return True

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

    async def _send(self, attempt: _Attempt, connector: Connector, message: OutboundMessage | Composed) -> None:
        delivery = attempt.delivery

        async def at_final() -> None:
            async with self._services.database.transaction() as session:
                await deliveries.at_final(session, delivery, now=now())
            attempt.final = True

        receipt = await connector.send(message, at_final=at_final)
        await self._accepted(delivery, receipt)
        if isinstance(message, Composed) and not delivery["automatic"] and isinstance(connector, FilesSent):
            await self._copy(delivery, connector, message)

    async def _accepted(self, delivery: RowMapping, receipt: Receipt) -> None:
        """Record it, however long that takes: only this task knows that there is no doubt."""
        pause = 0.2
        while True:
            try:
                await self._record(deliveries.sent, delivery, receipt=receipt)
                break
            except LeaseLost:
                raise
            except Exception as error:  # the database is away: it may come back
                log.warning("delivery.not_recorded", message_id=str(delivery["message_id"]), **fault(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10.0)
        failpoints.reached("receipt.recorded")

    async def _doubt(self, delivery: RowMapping) -> None:
        async with self._services.database.transaction() as session:
            await deliveries.doubt(
                session, delivery, look_up_after=timedelta(seconds=self._services.settings.uncertain_seconds), now=now()
            )

    async def _tell(self, delivery: RowMapping, error: ChannelError) -> None:
        """That the inbox cannot send until a person does something: with a message's first try, as the rest only wait.

        What is receiving meanwhile may be well, and says so.
        """
        if delivery["attempts"] == 0 and (error.urgent or isinstance(error, BudgetSpent)):
            async with self._services.database.transaction() as session:
                await health.failed(session, delivery["inbox_id"], error, now=now())

    async def _copy(self, delivery: RowMapping, connector: FilesSent, message: Composed) -> None:
        """Best effort: the customer has the message, whether or not the mailbox takes a copy."""
        try:
            await connector.file_sent(message)
            async with self._services.database.transaction() as session:
                await deliveries.copied(session, delivery)
        except ChannelError as error:
            log.warning("delivery.not_copied", message_id=str(delivery["message_id"]), kind=error.kind)
        except Exception as error:  # whatever it is, the message was sent and that is recorded
            log.warning("delivery.not_copied", message_id=str(delivery["message_id"]), **fault(error))

    async def _record(self, verb: Callable[..., Awaitable[None]], delivery: RowMapping, **what: Any) -> None:
        async with self._services.database.transaction() as session:
            await verb(self._services, session, delivery, now=now(), **what)


def _patience(error: ChannelError) -> float | None:
    """Seconds before it is tried again, where the other side names them."""
    asked = error.retry_after if isinstance(error, TemporaryFailure) else None
    # A budget may be spent until next month, when nothing waits any more; somebody may pay for more at any time.
    return min(asked, SPENT_SECONDS) if asked is not None and isinstance(error, BudgetSpent) else asked


def _nothing() -> None:
    """Until a loop asks to be told."""
