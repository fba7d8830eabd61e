"""A delivery that failed after it was accepted: the bounce goes back to the very message that bounced."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Bounce
from helpdesk.domain.events import MessageFailed
from helpdesk.domain.values import DeliveryStatus
from helpdesk.models.contacts import contact_identities
from helpdesk.models.messages import deliveries, messages
from helpdesk.services import sla
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.statements import Row


async def apply(services: Services, session: AsyncSession, bounce: Bounce, *, original: Row, now: datetime) -> None:
    """Mark the message failed when every one of its recipients failed for good, and hold automatic mail to those.

    A delay changes nothing: the other side is still trying. Recipients that we never sent to are ignored, so that a
    forged bounce can at most fail a message whose Message-ID its author was sent. What is on its way again, or has
    failed already, is left alone: a bounce may come late, or a hundred times.
    """
    delivery = (
        (
            await session.execute(
                select(deliveries).where(deliveries.c.message_id == original["id"]).with_for_update(key_share=True)
            )
        )
        .mappings()
        .one_or_none()
    )
    if delivery is None:
        return
    sent_to = {recipient.lower() for recipient in delivery["recipients"]}
    failed = {one.address.lower() for one in bounce.recipients if one.permanent} & sent_to
    if not failed:
        return
    channel = await session.scalar(select(messages.c.channel).where(messages.c.id == original["id"]))
    await hold_automatic(session, failed, channel=channel or "", now=now)
    before = DeliveryStatus(delivery["status"])
    if before not in (DeliveryStatus.SENT, DeliveryStatus.UNCERTAIN):
        return
    gone = {entry["recipient"].lower() for entry in delivery["refused"] if entry["permanent"]}
    fresh = ({"recipient": one, "permanent": True, "code": "bounced"} for one in sorted(failed - gone))
    refused = [*delivery["refused"], *fresh]
    status = DeliveryStatus.FAILED if sent_to <= gone | failed else before
    await session.execute(
        update(deliveries)
        .where(deliveries.c.message_id == original["id"])
        .values(refused=refused, error="bounced", status=status.value)
    )
    if status is not DeliveryStatus.FAILED:
        return
    shown = update(messages).where(messages.c.id == original["id"]).values(delivery_status=status.value)
    seq = await session.scalar(shown.returning(messages.c.seq))
    await record(
        session,
        MessageFailed(
            conversation_id=original["conversation_id"],
            seq=seq,
            message_id=original["id"],
            inbox_id=original["inbox_id"],
            error="bounced",
        ),
        now=now,
    )
    if not delivery["automatic"]:
        await sla.undelivered(services, session, original["conversation_id"], original["id"], now=now)


async def hold_automatic(session: AsyncSession, handles: set[str], *, channel: str, now: datetime) -> None:
    """No automatic mail to these for a while."""
    await session.execute(
        update(contact_identities)
        .where(contact_identities.c.channel == channel, contact_identities.c.handle.in_(handles))
        .values(automatic_held_at=now)
    )
