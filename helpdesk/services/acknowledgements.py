"""Acknowledging: one row of outcome per new conversation, and a queued message where the outcome says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows, new_id
from helpdesk.domain import acknowledgement
from helpdesk.domain.acknowledgement import Case, Outcome
from helpdesk.domain.events import MessageCreated
from helpdesk.domain.values import AuthorKind, DeliveryStatus, MessageType
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import acknowledgements, messages
from helpdesk.services import deliveries, rows
from helpdesk.services.events import record
from helpdesk.services.house import Services


async def acknowledge(
    services: Services, session: AsyncSession, happened: Sequence[RowMapping], *, now: datetime
) -> None:
    """Subscriber of `message.received`. Idempotent: a conversation has one outcome for ever."""
    first = {UUID(event["data"]["message_id"]): event["data"] for event in happened if event["data"]["first"]}
    if not first:
        return
    found = (await session.execute(_facts(list(first)))).mappings().all()
    own = frozenset((await session.execute(select(inboxes.c.handle).where(inboxes.c.deleted_at.is_(None)))).scalars())
    lately = await _acknowledged_lately(session, {row["contact_handle"] for row in found}, now=now)
    sent = await _sent_this_minute(session, now=now)
    outcomes: list[tuple[RowMapping, Outcome]] = []
    for row in found:
        case = Case(
            offered=services.channel(row["channel"]).capabilities.acknowledge,
            silent=bool(first[row["message_id"]]["silent"]),
            sender_verified=row["sender_verified"],
            handle=row["contact_handle"],
            own_handles=own,
            held_since=row["automatic_held_at"],
            acknowledged_lately=row["contact_handle"] in lately,
            inbox_room=services.settings.ack_per_minute - sent[row["inbox_id"]],
        )
        outcome = acknowledgement.decide(case, now=now)
        if outcome is Outcome.QUEUED:
            lately.add(row["contact_handle"])
            sent[row["inbox_id"]] += 1
        outcomes.append((row, outcome))
    await _write(services, session, outcomes, now=now)


def _facts(message_ids: Sequence[UUID]) -> Any:
    c, m = conversations.c, messages.c
    return (
        select(
            c.id,
            c.number,
            c.contact_handle,
            c.language,
            m.id.label("message_id"),
            m.channel,
            m.inbox_id,
            m.author_name,
            m.external_id,
            m.sender_verified,
            inboxes.c.config,
            inboxes.c.handle,
            contact_identities.c.automatic_held_at,
        )
        .join(messages, m.conversation_id == c.id)
        .join(inboxes, inboxes.c.id == m.inbox_id)
        .outerjoin(
            contact_identities,
            (contact_identities.c.channel == m.channel) & (contact_identities.c.handle == c.contact_handle),
        )
        .outerjoin(acknowledgements, acknowledgements.c.conversation_id == c.id)
        .where(m.id.in_(message_ids), acknowledgements.c.conversation_id.is_(None))
        .order_by(m.id)
    )


async def _acknowledged_lately(session: AsyncSession, handles: set[str], *, now: datetime) -> set[str]:
    found = await session.execute(
        select(acknowledgements.c.handle).where(
            acknowledgements.c.handle.in_(handles),
            acknowledgements.c.created_at > now - acknowledgement.WINDOW,
            acknowledgements.c.outcome == Outcome.QUEUED.value,
        )
    )
    return set(found.scalars())


async def _sent_this_minute(session: AsyncSession, *, now: datetime) -> Counter[UUID]:
    found = await session.execute(
        select(acknowledgements.c.inbox_id, func.count())
        .where(
            acknowledgements.c.created_at > now - timedelta(minutes=1),
            acknowledgements.c.outcome == Outcome.QUEUED.value,
        )
        .group_by(acknowledgements.c.inbox_id)
    )
    return Counter({row[0]: row[1] for row in found})


async def _write(
    services: Services, session: AsyncSession, outcomes: Sequence[tuple[RowMapping, Outcome]], *, now: datetime
) -> None:
    queued = {row["id"]: row for row, outcome in outcomes if outcome is Outcome.QUEUED}
    seqs = await _take_seqs(session, list(queued))
    message_ids = {conversation_id: new_id() for conversation_id in queued}
    await insert_rows(
        session,
        messages,
        [
            _message(services, row, message_ids[conversation_id], seq=seqs[conversation_id], now=now)
            for conversation_id, row in queued.items()
        ],
    )
    await deliveries.queue(
        session,
        [
            deliveries.row(
                message_id=message_ids[row["id"]],
                inbox_id=row["inbox_id"],
                token=deliveries.token_for(services, number=row["number"], recipient=row["contact_handle"]),
                to=[{"handle": row["contact_handle"], "name": ""}],
                automatic=True,
                now=now,
            )
            for row in queued.values()
        ],
    )
    if outcomes:
        await (await session.connection()).execute(
            insert_ignoring(session, acknowledgements, on=["conversation_id"]),
            [
                {
                    "conversation_id": row["id"],
                    "inbox_id": row["inbox_id"],
                    "handle": row["contact_handle"],
                    "outcome": outcome.value,
                    "message_id": message_ids.get(row["id"]),
                    "created_at": now,
                }
                for row, outcome in outcomes
            ],
        )
    await record(
        session,
        *(
            MessageCreated(
                conversation_id=row["id"],
                seq=seqs[row["id"]],
                message_id=message_ids[row["id"]],
                inbox_id=row["inbox_id"],
                private=False,
                by="system",
            )
            for row in queued.values()
        ),
        now=now,
    )


async def _take_seqs(session: AsyncSession, conversation_ids: Sequence[UUID]) -> dict[UUID, int]:
    if not conversation_ids:
        return {}
    found = await session.execute(
        update(conversations)
        .where(conversations.c.id.in_(conversation_ids))
        .values(seq=conversations.c.seq + 1, message_count=conversations.c.message_count + 1)
        .returning(conversations.c.id, conversations.c.seq)
    )
    return {row[0]: row[1] for row in found}


def _message(services: Services, row: RowMapping, message_id: UUID, *, seq: int, now: datetime) -> dict[str, Any]:
    subject, text = acknowledgement.text(
        row["language"],
        number=row["number"],
        promise=services.channel(row["channel"]).capabilities.promise or timedelta(hours=24),
        address=row["handle"],
    )
    return rows.message(
        message_id,
        conversation_id=row["id"],
        seq=seq,
        type=MessageType.OUTGOING.value,
        channel=row["channel"],
        inbox_id=row["inbox_id"],
        author_kind=AuthorKind.SYSTEM.value,
        created_at=now,
        subject=subject,
        text=text,
        new_text=text,
        to=[{"handle": row["contact_handle"], "name": ""}],
        in_reply_to=row["external_id"],
        auto_submitted="auto-replied",
        delivery_status=DeliveryStatus.QUEUED.value,
        language=row["language"] or "en",
    )
