"""What an agent does to a delivery that exists: send it again after it failed, or take it back before it left."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import ring
from helpdesk.domain.values import Actor, DeliveryStatus
from helpdesk.errors import Conflict
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import deliveries as delivery_rows
from helpdesk.models.messages import messages
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services import deliveries, giving_back
from helpdesk.services.conversations import Conversation
from helpdesk.services.house import Services


async def retry(session: AsyncSession, message: RowMapping, *, by: Actor, now: datetime) -> None:
    """Send a failed message again, the identical bytes, to those who have not got it. Raises `Conflict`.

    So is one of which nobody could tell whether it arrived, once it is left to a person: he may know, or bear it twice.
    """
    wanted = {
        "status": DeliveryStatus.QUEUED.value,
        "attempts": 0,
        "error": "",
        "refused": [],
        "next_attempt_at": now,
        "give_up_at": now + deliveries.GIVE_UP_AFTER,
        "final_at": None,
        "claimed_by": "",
        "claimed_until": 0.0,
    }
    why = "only a failed message is sent again, or an uncertain one that is looked up no more"
    await _turn(session, message, _ENDED, wanted, why, by=by, now=now)
    ring(session, "deliver")


async def cancel(services: Services, session: AsyncSession, message: RowMapping, *, by: Actor, now: datetime) -> None:
    """Take back a deferred message that nobody has begun to send. Raises `Conflict` when it is too late.

    A sender that has claimed it meanwhile loses it: its claim is another one's by then. Its writer has it as a draft
    again, and the conversation the status that it had, unless there is something newer in either place.
    """
    wanted = {"status": DeliveryStatus.CANCELLED.value, "claim": delivery_rows.c.claim + 1}
    waiting = and_(_D.status == DeliveryStatus.QUEUED.value, _D.next_attempt_at > now, _D.attempts == 0)
    why = "it is too late to take it back"
    conversation = await _turn(session, message, waiting, wanted, why, by=by, now=now)
    if conversation["id"] == message["conversation_id"]:
        changed = await giving_back.status(services, session, conversation, message, by=by, now=now)
        await giving_back.draft(session, conversation, message, status=changed, now=now)


_D: Final = delivery_rows.c
_ENDED: Final = or_(
    _D.status == DeliveryStatus.FAILED.value,
    and_(_D.status == DeliveryStatus.UNCERTAIN.value, deliveries.RESTING),
)


async def _turn(
    session: AsyncSession,
    message: RowMapping,
    which: ColumnElement[bool],
    values: dict[str, Any],
    why: str,
    *,
    by: Actor,
    now: datetime,
) -> Conversation:
    """Move a delivery on from where it has to be, if it is still there: the sender may be faster.

    Answers its conversation, locked.

    The delivery comes before its message, and that before its conversation, as for the sender and for a split, which
    may have moved it: otherwise each could wait for the other.
    """
    mine = update(delivery_rows).where(_D.message_id == message["id"], which)
    done = await session.execute(mine.values(values).returning(_D.message_id))
    if done.first() is None:
        raise Conflict(why, slug="delivery_state")
    shown = update(messages).where(messages.c.id == message["id"]).values(delivery_status=values["status"])
    place = await session.scalar(shown.returning(messages.c.conversation_id))
    locked = select(conversations).where(conversations.c.id == place).with_for_update(key_share=True)
    conversation = (await session.execute(locked)).mappings().one()
    changes = {"delivery": [message["delivery_status"], values["status"]], "message_id": str(message["id"])}
    return await conversation_verbs.note(session, conversation, changes, by=by, now=now, versioned=False)
