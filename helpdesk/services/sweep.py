"""The sweep: what falls due by itself, warnings and breaches, is noticed and told. True times, however late it comes.

It reads the clocks that are due and nothing else, by `next_due_at`, in batches that any number of workers may take at
once. It holds the clocks' own locks and never waits for one: whoever changes clocks under the conversation's lock waits
for the sweep, not the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import ring
from helpdesk.dialects import among
from helpdesk.domain.clocks import UNTOLD, Clock
from helpdesk.domain.events import DomainEvent, SlaWarning
from helpdesk.domain.values import AuthorKind, DeliveryStatus, MessageType
from helpdesk.models.messages import messages
from helpdesk.models.sla import sla_clocks
from helpdesk.services import clock_rows, troubles
from helpdesk.services.events import outbox, row, told
from helpdesk.services.house import Services
from helpdesk.statements import Row, Statement
from helpdesk.writes import Update, write

BATCH = 500


def due() -> Select[Any]:
    """Clocks that `settle` would take at the time `:now`."""
    c = sla_clocks.c
    return select(c.conversation_id).where(c.next_due_at < bindparam("now", type_=c.next_due_at.type))


def claim() -> Select[Any]:
    """The statement of the sweep: the earliest first, and none that another sweep has."""
    c = sla_clocks.c
    return (
        select(sla_clocks)
        .where(c.next_due_at < bindparam("now", type_=c.next_due_at.type))
        .order_by(c.next_due_at)
        .limit(literal_column(str(BATCH)))
        .with_for_update(key_share=True, skip_locked=True)
    )


_CLAIM = Statement(claim)


async def settle(services: Services, session: AsyncSession, *, now: datetime) -> int:
    """Settle a batch of what is due; answers how many clocks that were, fewer than `BATCH` when that was all.

    What it cannot tell of at once, since somebody has the conversation in hand, it leaves for the next time.
    """
    rows = await _CLAIM.rows(session, now=now)
    if not rows:
        return 0
    count, terms = len(rows), await services.promises.terms(session, rows)
    clocks = [
        (found["conversation_id"], clock_rows.clock(found, term)) for found, term in zip(rows, terms, strict=True)
    ]
    untold = [(conversation_id, clock) for conversation_id, clock in clocks if clock.warned == UNTOLD]
    in_hand = await troubles.tell(services, session, untold, now=now) if untold else set()
    waits = await pending(session, [found["conversation_id"] for found in rows])
    changes: list[dict[str, Any]] = []
    events: list[DomainEvent] = []
    for conversation_id, before in clocks:
        if conversation_id in in_hand:
            count -= 1
            continue
        after, happened = _look(conversation_id, before, waits.get(conversation_id, -1), now=now)
        changes.append(_change(conversation_id, after))
        events += happened
    part = outbox(session, [row(event, now=now) for event in events])
    _, numbered = await write(session, Update(sla_clocks, changes, by=clock_rows.KEY), part)
    if events:
        told(session, part, numbered)
    if count == BATCH:
        ring(session, "sla")
    return count


def _look(
    conversation_id: UUID, clock: Clock, pending_seq: int, *, now: datetime
) -> tuple[Clock, Sequence[DomainEvent]]:
    """The clock as it is now, and what became of it. A breach overtakes the warnings that were slept through."""
    clock = replace(clock, warned=max(clock.warned, 0))
    settled = clock.settled(now, now=now)
    if settled.breached_at is not None and clock.breached_at is None:
        pending = pending_seq > clock.origin.seq
        return settled, [clock_rows.breached(conversation_id, settled, reply_pending=pending)]
    if clock.due is None or clock.breached_at is not None:
        return clock, []
    passed = clock.overdue_warnings(now)
    if passed <= clock.warned:
        return clock, []
    at = clock.after(clock.terms.warnings[clock.kind][passed - 1])
    warning = SlaWarning(
        conversation_id=conversation_id,
        **clock_rows.about(clock),
        threshold=passed,
        warned_at=clock_rows.rfc3339(at),
    )
    return replace(clock, warned=passed), [warning]


def _change(conversation_id: UUID, clock: Clock) -> dict[str, Any]:
    return {
        "conversation_id": conversation_id,
        "kind": clock.kind.value,
        "cycle": clock.cycle,
        "state": clock.state.value,
        "warned": clock.warned,
        "breached_at": clock.breached_at,
        "detected_at": clock.detected_at,
        "next_due_at": clock.schedule().next_at,
    }


_UNDER_WAY = (DeliveryStatus.QUEUED.value, DeliveryStatus.SENDING.value, DeliveryStatus.UNCERTAIN.value)


def _under_way() -> Select[Any]:
    m = messages.c
    return (
        select(m.conversation_id, func.max(m.seq).label("seq"))
        .where(
            among(m.conversation_id, "conversations", "uuid"),
            m.type == literal_column(f"'{MessageType.OUTGOING.value}'"),
            or_(m.author_kind == literal_column(f"'{AuthorKind.AGENT.value}'"), m.answers),
            m.private.is_(False),
            m.auto_submitted.is_(None),
            m.delivery_status.in_([literal_column(f"'{word}'") for word in _UNDER_WAY]),
        )
        .group_by(m.conversation_id)
    )


_PENDING = Statement(_under_way)


async def pending(session: AsyncSession, conversation_ids: Sequence[UUID]) -> dict[UUID, int]:
    """By conversation, the place of the last answer that the channel has not taken yet."""
    found: Sequence[Row] = await _PENDING.rows(session, conversations=list(set(conversation_ids)))
    return {one["conversation_id"]: one["seq"] for one in found}
