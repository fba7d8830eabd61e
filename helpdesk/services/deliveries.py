"""The one way out: queueing a message, claiming what is due, recording what became of it.

    queued → sending → sent | failed | uncertain

A claim is a lease with a fence. A worker freezes the message (`freeze`), says when the final byte is next (`at_final`)
and records the end (`sent`, `retry_later`, `fail`, `doubt`); each of these is refused once the claim went to another.
A claim that ran out without `final_at` is simply repeated; with it, the message may have been taken and is `uncertain`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, RowMapping, Select, bindparam, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Composed, LeaseLost, Receipt, Refusal
from helpdesk.crypto import decrypt, encrypt, new_key
from helpdesk.db import claimable, ring
from helpdesk.dialects import epoch
from helpdesk.domain import tokens
from helpdesk.domain.events import MessageFailed, MessageSent, MessageUncertain
from helpdesk.domain.values import DeliveryStatus, InboxStatus
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import deliveries, messages
from helpdesk.services import receipts, sla
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import Row
from helpdesk.writes import insert

GIVE_UP_AFTER = timedelta(days=3)
MAX_RESENDS = 1
ABOUT_TO = timedelta(minutes=1)
_NEVER = timedelta(days=3650)
RESTING = deliveries.c.next_attempt_at > deliveries.c.give_up_at
"""On `deliveries`: nothing more is done by itself (`rest`)."""
_OPEN = (DeliveryStatus.QUEUED.value, DeliveryStatus.SENDING.value, DeliveryStatus.UNCERTAIN.value)


def token_for(services: Services, *, number: int, recipient: str) -> str:
    """The reply token of one recipient of conversation `number`."""
    keyring = services.keyring
    return tokens.issue(keyring.subkey("token", None), key_id=keyring.current, number=number, recipient=recipient)


def row(
    *,
    message_id: UUID,
    inbox_id: UUID,
    token: str,
    to: Sequence[Mapping[str, str]],
    cc: Sequence[Mapping[str, str]] = (),
    bcc: Sequence[Mapping[str, str]] = (),
    automatic: bool,
    now: datetime,
    not_before: datetime | None = None,
) -> dict[str, Any]:
    """A queued delivery. Addresses are `{"handle", "name"}`; `not_before` defers it (undo)."""
    due = not_before or now
    return {
        "message_id": message_id,
        "inbox_id": inbox_id,
        "status": DeliveryStatus.QUEUED.value,
        "automatic": automatic,
        "token": token,
        "to": list(to),
        "cc": list(cc),
        "bcc": list(bcc),
        "external_id": "",
        "sender": "",
        "recipients": [],
        "accepted": [],
        "refused": [],
        "body": None,
        "data_key": b"",
        "attempts": 0,
        "resends": 0,
        "error": "",
        "created_at": now,
        "next_attempt_at": due,
        "give_up_at": due + GIVE_UP_AFTER,
        "final_at": None,
        "claimed_by": "",
        "claimed_until": 0.0,
        "claim": 0,
        "copied": False,
        "after_id": None,
        "delivered_at": None,
        "read_at": None,
    }


async def queue(session: AsyncSession, given: Sequence[dict[str, Any]]) -> None:
    """Store queued deliveries; the senders are rung after the commit."""
    await insert(session, deliveries, given)
    ring(session, "deliver")


def due() -> Select[tuple[UUID]]:
    """Deliveries of which `claim` would take some at the time `:now`."""
    return _due(bindparam("now", type_=deliveries.c.next_attempt_at.type))


def _due(now: Any) -> Select[tuple[UUID]]:
    active = select(inboxes.c.id).where(inboxes.c.state == InboxStatus.ACTIVE.value, inboxes.c.deleted_at.is_(None))
    return select(deliveries.c.message_id).where(
        _may_leave(deliveries),
        deliveries.c.status.in_([literal_column(f"'{status}'") for status in _OPEN]),
        deliveries.c.next_attempt_at <= now,
        deliveries.c.claimed_until < epoch(),
        deliveries.c.inbox_id.in_(active),
    )


def _may_leave(one: FromClause) -> ColumnElement[bool]:
    """It waits for no other, or that was taken."""
    before = deliveries.alias()
    arrived: ColumnElement[str] = literal_column(f"'{DeliveryStatus.SENT.value}'")
    taken = select(before.c.message_id).where(before.c.message_id == one.c.after_id, before.c.status == arrived)
    return or_(one.c.after_id.is_(None), taken.exists())


def _follows(now: datetime) -> ColumnElement[bool]:
    """Another of the same conversation has to leave first.

    Only one that is on its way or about to be: what a server keeps putting off, somebody wrote for tomorrow, or waits
    for a part that failed, must not silence its conversation. Nobody's answer waits for an acknowledgement.
    """
    earlier = deliveries.alias("earlier")
    its, mine = messages.alias("its"), messages.alias("mine")
    return (
        select(earlier.c.message_id)
        .join(its, its.c.id == earlier.c.message_id)
        .join(mine, mine.c.conversation_id == its.c.conversation_id)
        .where(
            mine.c.id == deliveries.c.message_id,
            its.c.seq < mine.c.seq,
            earlier.c.automatic == deliveries.c.automatic,
            earlier.c.status.in_([DeliveryStatus.QUEUED.value, DeliveryStatus.SENDING.value]),
            earlier.c.next_attempt_at <= now + ABOUT_TO,
            _may_leave(earlier),
        )
        .exists()
    )


async def claim(
    session: AsyncSession,
    *,
    worker: str,
    limit: int,
    busy: Sequence[UUID] = (),
    lease_seconds: float,
    now: datetime,
) -> list[RowMapping]:
    """Take due deliveries of active inboxes that are not `busy`: people's before automatic ones, then the oldest.

    Of one conversation they leave in the order in which they were written.
    """
    chosen = claimable(
        _due(now)
        .where(deliveries.c.inbox_id.not_in(busy), ~_follows(now))
        .order_by(deliveries.c.automatic, deliveries.c.next_attempt_at)
        .limit(limit)
    )
    found = await session.execute(
        update(deliveries)
        .where(deliveries.c.message_id.in_(chosen.scalar_subquery()))
        .values(claimed_by=worker, claimed_until=epoch() + lease_seconds, claim=deliveries.c.claim + 1)
        .returning(*deliveries.c)
    )
    return list(found.mappings().all())


async def renew(session: AsyncSession, held: Collection[UUID], *, worker: str, lease_seconds: float) -> None:
    """Keep what a living worker has in hand. What it has let go of, because the database was away, is not renewed."""
    await session.execute(
        update(deliveries)
        .where(
            deliveries.c.message_id.in_(held),
            deliveries.c.claimed_by == worker,
            deliveries.c.status.in_(_OPEN),
            deliveries.c.claimed_until > 0.0,
        )
        .values(claimed_until=epoch() + lease_seconds)
    )


async def release(session: AsyncSession, *, worker: str) -> None:
    """Free the claims of a worker that is known to be gone."""
    await session.execute(
        update(deliveries)
        .where(deliveries.c.claimed_by == worker, deliveries.c.status.in_(_OPEN))
        .values(claimed_until=0.0)
    )


async def freeze(
    services: Services, session: AsyncSession, delivery: RowMapping, composed: Composed, *, now: datetime
) -> None:
    """Write the final bytes and envelope, once, and enter `sending`. The body is encrypted with the inbox's key."""
    owner = f"inbox:{delivery['inbox_id']}"
    keys = Keys(services.keyring)
    await keys.load(session, owner)
    data_key, place = new_key(), f"delivery:{delivery['message_id']}"
    await _update(
        session,
        delivery,
        external_id=composed.external_id,
        sender=composed.sender,
        recipients=list(composed.recipients),
        body=encrypt(data_key, composed.body, row=place),
        data_key=keys.wrap(data_key, owner=owner, row=place),
    )
    # The id is on the message before anything leaves, so that even the fastest answer finds it.
    await session.execute(
        update(messages).where(messages.c.id == delivery["message_id"]).values(external_id=composed.external_id)
    )


async def thaw(services: Services, session: AsyncSession, delivery: RowMapping) -> Composed | None:
    """The frozen message, or None when it was not frozen yet."""
    if delivery["body"] is None:
        return None
    owner, place = f"inbox:{delivery['inbox_id']}", f"delivery:{delivery['message_id']}"
    keys = Keys(services.keyring)
    await keys.load(session, owner)
    data_key = keys.unwrap(delivery["data_key"], owner=owner, row=place)
    return Composed(
        external_id=delivery["external_id"],
        body=decrypt(data_key, delivery["body"], row=place),
        sender=delivery["sender"],
        recipients=tuple(delivery["recipients"]),
        accepted=tuple(delivery["accepted"]),
        automatic=delivery["automatic"],
    )


async def is_of_another(session: AsyncSession, delivery: RowMapping, external_id: str) -> bool:
    """Whether another message of ours was sent under this id: two that say the same are told apart by nothing else."""
    query = select(messages.c.id).join(deliveries, deliveries.c.message_id == messages.c.id)
    query = query.where(messages.c.external_id == external_id, messages.c.inbox_id == delivery["inbox_id"])
    return await session.scalar(query.where(messages.c.id != delivery["message_id"]).limit(1)) is not None


async def start(session: AsyncSession, delivery: RowMapping) -> None:
    """Enter `sending`; the attempt counts, and an earlier attempt's final mark is forgotten."""
    await _update(
        session, delivery, status=DeliveryStatus.SENDING.value, attempts=deliveries.c.attempts + 1, final_at=None
    )
    await _show(session, delivery, DeliveryStatus.SENDING)


async def at_final(session: AsyncSession, delivery: RowMapping, *, now: datetime) -> None:
    """Say that the final byte is about to leave. Raises `LeaseLost` when another worker took over: do not send it."""
    await _update(session, delivery, final_at=now)


async def sent(
    services: Services, session: AsyncSession, delivery: RowMapping, *, receipt: Receipt, now: datetime
) -> None:
    """The channel accepted it. Recipients that were refused for the moment are queued again, for them alone."""
    accepted = sorted({*delivery["accepted"], *receipt.accepted})
    refused = [*delivery["refused"], *map(_refusal, receipt.refused)]
    again = [one for one in receipt.refused if not one.permanent]
    if again and now < delivery["give_up_at"]:
        delay = backoff(delivery["attempts"] + 1)
        await _update(
            session,
            delivery,
            status=DeliveryStatus.QUEUED.value,
            accepted=accepted,
            error="some_deferred",
            next_attempt_at=now + delay,
            claimed_until=0.0,
        )
        await _show(session, delivery, DeliveryStatus.QUEUED)
        return
    await _update(
        session,
        delivery,
        status=DeliveryStatus.SENT.value,
        accepted=accepted,
        refused=refused,
        error="some_refused" if refused else "",
        claimed_until=0.0,
    )
    place = await _show(
        session,
        delivery,
        DeliveryStatus.SENT,
        sent_at=receipt.sent_at,
        external_id=receipt.external_id,
        external_url=receipt.external_url,
    )
    if receipt.thread:
        handle = delivery["to"][0]["handle"] if delivery["to"] else ""
        await receipts.lead(session, delivery["message_id"], handle=handle, thread=receipt.thread, now=now)
    await record(
        session,
        MessageSent(**place, message_id=delivery["message_id"], inbox_id=delivery["inbox_id"]),
        now=now,
    )
    if not delivery["automatic"]:
        await sla.replied(services, session, delivery["message_id"], now=now)


async def retry_later(
    services: Services,
    session: AsyncSession,
    delivery: RowMapping,
    *,
    error: str,
    retry_after: float | None,
    now: datetime,
) -> None:
    """A temporary failure: try again with exponential backoff, until `give_up_at`."""
    delay = max(backoff(delivery["attempts"] + 1), timedelta(seconds=retry_after or 0))
    if now + delay > delivery["give_up_at"]:
        await fail(services, session, delivery, error=error, refused=(), now=now)
        return
    await _update(
        session,
        delivery,
        status=DeliveryStatus.QUEUED.value,
        error=error,
        next_attempt_at=now + delay,
        final_at=None,
        claimed_until=0.0,
    )
    await _show(session, delivery, DeliveryStatus.QUEUED)


async def fail(
    services: Services,
    session: AsyncSession,
    delivery: RowMapping,
    *,
    error: str,
    refused: Sequence[Refusal],
    now: datetime,
) -> None:
    """Final: the channel will not take it. The contact waits on, whatever the conversation's status said."""
    partly = bool(delivery["accepted"])
    await _update(
        session,
        delivery,
        status=DeliveryStatus.SENT.value if partly else DeliveryStatus.FAILED.value,
        error="some_refused" if partly else error,
        refused=[*delivery["refused"], *map(_refusal, refused)],
        claimed_until=0.0,
    )
    status = DeliveryStatus.SENT if partly else DeliveryStatus.FAILED
    place = await _show(session, delivery, status, **({"sent_at": now} if partly else {}))
    happened = (
        MessageSent(**place, message_id=delivery["message_id"], inbox_id=delivery["inbox_id"])
        if partly
        else MessageFailed(**place, message_id=delivery["message_id"], inbox_id=delivery["inbox_id"], error=error)
    )
    await record(session, happened, now=now)
    if delivery["automatic"]:
        return
    if partly:
        await sla.replied(services, session, delivery["message_id"], now=now)
    else:
        await sla.undelivered(services, session, place["conversation_id"], delivery["message_id"], now=now)


async def doubt(session: AsyncSession, delivery: RowMapping, *, look_up_after: timedelta, now: datetime) -> None:
    """The final byte left and no answer came. Told once.

    It rests for `look_up_after` before it is looked up: the other side may still be filing it.
    """
    first = delivery["error"] != "uncertain"
    await _update(
        session,
        delivery,
        status=DeliveryStatus.UNCERTAIN.value,
        error="uncertain",
        next_attempt_at=now + look_up_after,
        claimed_until=0.0,
    )
    place = await _show(session, delivery, DeliveryStatus.UNCERTAIN)
    if first:
        happened = MessageUncertain(**place, message_id=delivery["message_id"], inbox_id=delivery["inbox_id"])
        await record(session, happened, now=now)


async def resend(session: AsyncSession, delivery: RowMapping) -> None:
    """Send the identical bytes once more, and remember that."""
    await _update(session, delivery, resends=deliveries.c.resends + 1)


async def rest(session: AsyncSession, delivery: RowMapping) -> None:
    """Nothing more can be done by itself: it stays `uncertain` until a person decides."""
    await _update(session, delivery, next_attempt_at=delivery["give_up_at"] + _NEVER, claimed_until=0.0)


async def copied(session: AsyncSession, delivery: RowMapping) -> None:
    """A copy lies in the sent mailbox."""
    await session.execute(
        update(deliveries).where(deliveries.c.message_id == delivery["message_id"]).values(copied=True)
    )


def backoff(attempt: int) -> timedelta:
    """30 s doubling to an hour, with full jitter from half of it on, so that a fleet does not knock in step."""
    ceiling = min(30.0 * 2 ** min(attempt - 1, 10), 3600.0)
    return timedelta(seconds=random.uniform(ceiling / 2, ceiling))  # noqa: S311 - spreads load, guards nothing


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {"recipient": refusal.recipient, "permanent": refusal.permanent, "code": refusal.code}


async def _update(session: AsyncSession, delivery: RowMapping, **values: Any) -> None:
    """Change a claimed delivery. Raises `LeaseLost` when the claim went to another worker."""
    done = await session.execute(
        update(deliveries)
        .where(deliveries.c.message_id == delivery["message_id"], deliveries.c.claim == delivery["claim"])
        .values(values)
        .returning(deliveries.c.message_id)
    )
    if done.scalar_one_or_none() is None:
        raise LeaseLost("another worker has taken this message over")


async def _show(session: AsyncSession, delivery: RowMapping, status: DeliveryStatus, **values: Any) -> Row:
    """Repeat the status on the message, where lists read it; answers its place: its conversation and `seq`."""
    found = await session.execute(
        update(messages)
        .where(messages.c.id == delivery["message_id"])
        .values(delivery_status=status.value, **values)
        .returning(messages.c.conversation_id, messages.c.seq)
    )
    return found.mappings().one()
