"""Promises by hand: a conversation, and what happens to it at times that the test says.

wall = await Wall.build(services)
mail = await wall.writes(at=MONDAY)
await wall.passes(MONDAY + DAY)          sweep, relay, ladders and alerts, as the loops do it
clock = await wall.clock(mail, "first_response")
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Self
from uuid import UUID

from sqlalchemy import RowMapping, select, update

from helpdesk.apart import Apart
from helpdesk.channels import Bounce, FailedRecipient, RawInbound, Receipt
from helpdesk.db import insert_rows
from helpdesk.domain.clocks import Origin
from helpdesk.domain.sla import Ledger
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.models.alerts import alert_recipients, alerts
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.inboxes import inboxes as inbox_rows
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.models.messages import messages
from helpdesk.models.sla import escalations, sla_clocks
from helpdesk.services import alerts as alert_verbs
from helpdesk.services import bounces, climbing, clock_rows, deliveries, filing, intake, relay, replies, sweep
from helpdesk.services import (
    conversations as conversation_verbs,
)
from helpdesk.services.access import get_conversation
from helpdesk.services.filing import Entry
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.services.reading import read
from helpdesk.services.reply_writing import Draft
from tests import factories
from tests.house import mail
from workers.subscriptions import SUBSCRIPTIONS

MONDAY = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
"""Ten in the morning in Shanghai, where the default desk is open from eight to twenty."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MINA = "mina@customer.test"
ANNA = Actor(AuthorKind.AGENT, name="Anna", role=Role.ADMIN)

_serial = count(1)


@dataclass
class Wall:
    """Services, an inbox, and the time that a test tells."""

    services: Services
    inbox_id: UUID
    apart: Apart = field(default_factory=Apart)

    @classmethod
    async def build(cls, services: Services, **inbox: Any) -> Self:
        return cls(services, await factories.inbox(services, **inbox))

    # -- what happens ---------------------------------------------------------------------------------------------

    async def writes(self, *, at: datetime, into: UUID | None = None, now: datetime | None = None, **how: Any) -> UUID:
        """The contact writes, by the real reading and filing; `into` continues a conversation by its token."""
        number = next(_serial)
        if into is not None:
            conversation = await self.conversation(into)
            handle = conversation["contact_handle"]
            token = deliveries.token_for(self.services, number=conversation["number"], recipient=handle)
            how = {"answers": f"{token}.abcdefghijklmnop@helpdesk.test", "sender": handle} | how
        sender = how.pop("sender", f"mina{number}@customer.test")
        body = mail(sender, f"Where is my transfer {number}?", message_id=f"m{number}@customer.test", **how)
        raw = RawInbound(f"wall;{number}", body, at, {"recipients": [], "trusted_peer": True})
        now = now or at
        async with self.services.database.transaction() as session:
            inbox = (await session.execute(select(inbox_rows).where(inbox_rows.c.id == self.inbox_id))).mappings().one()
            keys = Keys(self.services.keyring)
            keys.add(f"inbox:{inbox['id']}", inbox["key"])
            row = intake.row(raw, inbox_id=inbox["id"], keys=keys, now=now)
            await insert_rows(session, intake.raw_items, [row])
        parser = self.services.channel("email").parse
        (reading,) = await read(self.apart, parser, [raw], inbox["config"], seconds=20, memory_mb=1024)
        async with self.services.database.transaction() as session:
            await filing.file(self.services, session, dict(inbox), [Entry(row, reading)], now=now)
        (found,) = await self.rows(messages, messages.c.external_id.like(f"%m{number}@customer.test%"))
        conversation_id: UUID = found["conversation_id"]
        return conversation_id

    async def waits(self, *, at: datetime, **given: Any) -> UUID:
        """A conversation as `writes` leaves it, without a mail to be read: that takes longer than most tests."""
        conversation_id = await factories.conversation(self.services, inbox_id=self.inbox_id, now=at, **given)
        about = await self.conversation(conversation_id)
        async with self.services.database.transaction() as session:
            inbox = (await session.execute(select(inbox_rows).where(inbox_rows.c.id == self.inbox_id))).mappings().one()
            book = await self.services.promises.refresh(session)
            how = {"priority": about["priority"], "category": about["category"]}
            terms = book.terms(channel=about["channel"], inbox=inbox, **how)
            assert terms is not None
            ledger = Ledger(now=at)
            ledger.opened(Origin(at, 1, about["channel"], self.inbox_id), terms)
            await insert_rows(session, sla_clocks, [clock_rows.row(conversation_id, clock) for clock in ledger.clocks])
        return conversation_id

    async def answers(self, conversation_id: UUID, *, at: datetime, accepted: datetime | None = None) -> UUID:
        """An agent answers, and the channel accepts it at once, or `accepted` later; never, with `queued`."""
        message_id = await self.queues(conversation_id, at=at)
        await self.accepts(message_id, at=accepted or at)
        return message_id

    async def queues(self, conversation_id: UUID, *, at: datetime, by: Actor = ANNA, **draft: Any) -> UUID:
        """An answer that waits to be sent."""
        async with self.services.database.transaction() as session:
            conversation = await get_conversation(session, ANNA, conversation_id, lock=True)
            wanted = Draft(**{"text": "We are looking into it.", **draft})
            return (await replies.reply(self.services, session, conversation, wanted, by=by, now=at)).message["id"]

    async def accepts(self, message_id: UUID, *, at: datetime, now: datetime | None = None) -> None:
        """The channel took it at that time; we hear of it `now`."""
        async with self.services.database.transaction() as session:
            query = select(delivery_rows).where(delivery_rows.c.message_id == message_id)
            delivery = (await session.execute(query)).mappings().one()
            frozen = update(delivery_rows).where(delivery_rows.c.message_id == message_id)
            await session.execute(frozen.values(recipients=[MINA]))
            receipt = Receipt(f"<{message_id}@helpdesk.test>", at, accepted=(MINA,))
            await deliveries.sent(self.services, session, delivery, receipt=receipt, now=now or at)

    async def bounces(self, message_id: UUID, *, at: datetime) -> None:
        """The other side took it, and sends it back."""
        report = Bounce((FailedRecipient(MINA, permanent=True),))
        async with self.services.database.transaction() as session:
            query = select(messages).where(messages.c.id == message_id)
            original = (await session.execute(query)).mappings().one()
            await bounces.apply(self.services, session, report, original=original, now=at)

    async def changes(self, conversation_id: UUID, *, at: datetime, **wanted: Any) -> None:
        """An agent sets the status, the priority, ..."""
        async with self.services.database.transaction() as session:
            conversation = await get_conversation(session, ANNA, conversation_id, lock=True)
            await conversation_verbs.change(self.services, session, conversation, wanted, by=ANNA, now=at)

    async def passes(self, now: datetime) -> None:
        """It is `now`: everything that is due is done, as the loops do it."""
        for _ in range(50):
            async with self.services.database.transaction() as session:
                swept = await sweep.settle(self.services, session, now=now)
            told = await self.relays(now)
            async with self.services.database.transaction() as session:
                climbed = await climbing.climb(self.services, session, now=now)
            async with self.services.database.transaction() as session:
                called = await alert_verbs.climb(self.services, session, now=now)
            if not swept + told + climbed + called:
                return
        raise AssertionError("there is always something due")

    async def relays(self, now: datetime) -> int:
        async with self.services.database.transaction() as session:
            fence = await relay.acquire(session, "relay", owner="wall", seconds=60)
        assert fence is not None
        async with self.services.database.transaction() as session:
            how: dict[str, Any] = {"lease": "relay", "fence": fence, "careful": False, "now": now}
            return len(await relay.relay(self.services, session, SUBSCRIPTIONS, **how))

    # -- what came of it ------------------------------------------------------------------------------------------

    async def clock(self, conversation_id: UUID, kind: str, cycle: int = 1) -> RowMapping:
        c = sla_clocks.c
        (found,) = await self.rows(sla_clocks, c.conversation_id == conversation_id, c.kind == kind, c.cycle == cycle)
        return found

    async def clocks(self, conversation_id: UUID) -> dict[tuple[str, int], str]:
        """The states, by kind and cycle."""
        found = await self.rows(sla_clocks, sla_clocks.c.conversation_id == conversation_id)
        return {(one["kind"], one["cycle"]): one["state"] for one in found}

    async def conversation(self, conversation_id: UUID) -> RowMapping:
        (found,) = await self.rows(conversations, conversations.c.id == conversation_id)
        return found

    async def told(self, *types: str) -> list[RowMapping]:
        """Events, in the order in which they were told."""
        found = await self.rows(events, events.c.type.in_(types) if types else True)
        return sorted(found, key=lambda event: event["position"] or 0)

    async def alerts(self) -> list[RowMapping]:
        return sorted(await self.rows(alerts), key=lambda alert: alert["id"])

    async def called(self, alert_id: UUID) -> dict[UUID, str]:
        """Whom an alert has called, and why."""
        found = await self.rows(alert_recipients, alert_recipients.c.alert_id == alert_id)
        return {one["agent_id"]: one["reason"] for one in found}

    async def ladders(self, conversation_id: UUID) -> list[RowMapping]:
        return await self.rows(escalations, escalations.c.conversation_id == conversation_id)

    async def rows(self, table: Any, *where: Any) -> list[RowMapping]:
        async with self.services.database.reading() as session:
            return list((await session.execute(select(table).where(*where))).mappings().all())

    async def set(self, table: Any, row_id: UUID, **values: Any) -> None:
        """What no verb does: for the beginning of a test."""
        async with self.services.database.transaction() as session:
            await session.execute(update(table).where(table.c.id == row_id).values(values))

    async def close(self) -> None:
        await self.apart.close()
