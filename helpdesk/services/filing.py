"""Filing: identify the contact, match the conversation, write the message, start the clock, tell – one transaction.

A backlog is filed in sets, one statement per table; a batch that fails is filed again one by one by its caller, so
that one bad row never holds the next mail up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Float, Select, String, Uuid, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among, epoch
from helpdesk.domain.admission import Admitted, AdmittedChange
from helpdesk.domain.values import InboxStatus, RawState
from helpdesk.models.inboxes import inboxes, raw_items
from helpdesk.services import blobs, bounces, changes, echoes, placing, replacing, social_accounts
from helpdesk.services.drafts import ClaimLost
from helpdesk.services.house import Services
from helpdesk.services.intake import Arrival
from helpdesk.services.keys import Keys
from helpdesk.services.lookups import look_up
from helpdesk.services.reader import Failure, Reading
from helpdesk.statements import Row, Statement

BATCH = 100
"""Items of one claim. They share its thirty statements or so."""

MAX_ATTEMPTS = 5
"""A message whose worker died this often is shown as unreadable instead of being tried again.

Workers die of other things, too, and whatever they had claimed is then counted: three in a row were seen to blame
mail that was sound. Parsing has a process of its own, so that a mail that takes the worker itself down is rare.
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Raw items of one inbox, and what reading and filing need of that inbox."""

    inbox: Row
    rows: Sequence[Row]
    more: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A claimed raw item, what reading made of it, and its files, staged."""

    row: Row
    reading: Reading
    staged: Sequence[blobs.Staged] = ()


def is_plain(reading: Reading) -> bool:
    """Whether it may be filed as it arrives: what belongs to a thread is placed under a lock of that."""
    return isinstance(reading, Admitted) and not reading.thread and not reading.written_by_us


def parted(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """What is filed together: messages to us first, then what tells of messages, which may be those."""
    for told in (False, True):
        if some := [entry for entry in entries if _tells(entry.reading) == told]:
            yield some


def _tells(reading: Reading) -> bool:
    return isinstance(reading, AdmittedChange) or (isinstance(reading, Admitted) and reading.written_by_us)


def due() -> Select[Any]:
    """Raw items that `claim` would take at the time `:now`."""
    active = select(inboxes.c.id).where(inboxes.c.state == literal_column(f"'{InboxStatus.ACTIVE.value}'"))
    return select(raw_items.c.id).where(
        raw_items.c.state == literal_column(f"'{RawState.RECEIVED.value}'"),
        raw_items.c.next_attempt_at <= bindparam("now", type_=raw_items.c.next_attempt_at.type),
        raw_items.c.claimed_until < epoch(),
        raw_items.c.inbox_id.in_(active),
    )


def _claim() -> Executable:
    """The literal LIMIT keeps PostgreSQL's plan: it plans a bound one anew each time."""
    items = (
        due()
        .order_by(raw_items.c.id)
        .limit(literal_column(str(BATCH)))
        .with_for_update(key_share=True, skip_locked=True)
    )
    return (
        update(raw_items)
        .where(raw_items.c.id.in_(items.scalar_subquery()))
        .values(
            claimed_by=bindparam("worker", type_=String()),
            claimed_until=epoch() + bindparam("seconds", type_=Float()),
            claim=raw_items.c.claim + literal_column("1"),
            attempts=raw_items.c.attempts + literal_column("1"),
        )
        .returning(*raw_items.c)
    )


_CLAIM = Statement(_claim)


INBOX = ("id", "channel", "config", "key", "team_id", "handle", "sla_policy_id", "business_hours_id")
"""What reading and filing need of an inbox."""

_INBOX = Statement(
    lambda: select(*(inboxes.c[name] for name in INBOX)).where(inboxes.c.id == bindparam("inbox", type_=Uuid()))
)

_UNCLAIM = Statement(
    lambda: (
        update(raw_items)
        .where(among(raw_items.c.id, "chosen", "uuid"))
        .values(claimed_until=literal_column("0.0"), attempts=raw_items.c.attempts - literal_column("1"))
    )
)


async def claim(
    session: AsyncSession, *, worker: str, bytes_limit: int, lease_seconds: float, now: datetime
) -> Claimed | None:
    """Take up to `BATCH` raw items of one active inbox, the oldest first, and at most about `bytes_limit` of them.

    A claim that is not renewed runs out. What came in while an inbox is paused waits for it.
    """
    found = await _CLAIM.rows(session, worker=worker, seconds=lease_seconds, now=now)
    if not found:
        return None
    found.sort(key=lambda row: row["id"])
    first = found[0]["inbox_id"]
    chosen: list[Row] = []
    rest: list[Row] = []
    for row in found:
        bytes_limit -= row["size"]
        fits = row["inbox_id"] == first and (bytes_limit >= 0 or not chosen)
        (chosen if fits else rest).append(row)
    if rest:
        await _UNCLAIM.rows(session, chosen=[row["id"] for row in rest])
    inbox = (await _INBOX.rows(session, inbox=first))[0]
    return Claimed(inbox, chosen, more=bool(rest) or len(found) == BATCH)


async def file(
    services: Services,
    session: AsyncSession,
    inbox: Row,
    entries: Sequence[Entry],
    *,
    arrival: Arrival | None = None,
    now: datetime,
) -> int:
    """File a batch of one inbox, one of those that `parted` gives. Answers how many messages came of it.

    With an `arrival` the items are not stored yet, and are with what is filed. Raises `ClaimLost` when another worker
    has one of the items by now, and `NotHeld` when it has the inbox, or somebody has changed a conversation that an
    arrival joins; what this transaction did must not be kept.
    """
    keys = arrival.keys if arrival else Keys(services.keyring)
    keys.add(f"inbox:{inbox['id']}", inbox["key"])
    echoed: list[echoes.Echo] = []
    changed: list[changes.Change] = []
    said = []
    for entry in entries:
        match entry.reading:
            case AdmittedChange() as change:
                changed.append((entry.row, change))
            case Admitted(written_by_us=True) as echo:
                echoed.append((entry.row, echo))
            case Admitted() | Failure() as message:
                said.append((entry, message))
    # Deliveries are locked before conversations, as by who sends them.
    written = await echoes.settle(services, session, keys, inbox, echoed, now=now) if echoed else 0
    if changed:
        await changes.apply(session, keys, inbox, changed, now=now)
    if said:
        written += await _file_messages(services, session, keys, inbox, said, arrival=arrival, now=now)
    return written


async def _file_messages(
    services: Services,
    session: AsyncSession,
    keys: Keys,
    inbox: Row,
    said: Sequence[tuple[Entry, Admitted | Failure]],
    *,
    arrival: Arrival | None,
    now: datetime,
) -> int:
    again = [(entry, reading) for entry, reading in said if entry.row["message_id"] is not None]
    held = await _still_claimed(session, [entry for entry, _ in again]) if again else set()
    for entry, reading in again:
        if entry.row["id"] not in held:
            raise ClaimLost
        await replacing.replace(services, session, keys, inbox, entry.row, reading, entry.staged, now=now)
    fresh = [(entry, reading) for entry, reading in said if entry.row["message_id"] is None]
    if not fresh:
        return 0
    admitted = [reading for _, reading in fresh if isinstance(reading, Admitted)]
    known = await look_up(
        services,
        session,
        keys,
        admitted,
        channel=inbox["channel"],
        inbox_id=inbox["id"],
        digests=[entry.row["digest"] for entry, _ in fresh],
        lock=arrival is None,
        now=now,
    )
    earliest = min(entry.row["received_at"] for entry, _ in fresh)
    batch = await placing.begin(services, session, keys, inbox, known, earliest=earliest, arrival=arrival, now=now)
    for entry, reading in fresh:
        if isinstance(reading, Failure):
            batch.add_unreadable(entry.row, reading)
        else:
            batch.add(entry.row, reading, entry.staged)
    threaded = [one for one in admitted if one.thread]
    profiles = [
        (reading.profile, entry.row["received_at"])
        for entry, reading in fresh
        if isinstance(reading, Admitted) and reading.profile is not None
    ]
    await social_accounts.upsert(session, inbox["channel"], profiles, now=now)
    written = await batch.write(last=not threaded)
    if threaded:
        await changes.catch_up(session, inbox["id"], {one.external_id for one in threaded}, now=now)
    for notice in batch.bounces:
        await bounces.apply(services, session, notice.bounce, original=notice.original, now=now)
    return written


_HELD = Statement(
    lambda: (
        select(raw_items.c.id, raw_items.c.claim)
        .where(
            among(raw_items.c.id, "claimed", "uuid"),
            raw_items.c.state == literal_column(f"'{RawState.RECEIVED.value}'"),
        )
        .order_by(raw_items.c.id)
        .with_for_update(key_share=True)
    )
)


async def _still_claimed(session: AsyncSession, entries: Sequence[Entry]) -> set[UUID]:
    claims = {entry.row["id"]: entry.row["claim"] for entry in entries}
    found = await _HELD.rows(session, claimed=list(claims))
    return {row["id"] for row in found if claims[row["id"]] == row["claim"]}


async def postpone(session: AsyncSession, row: Row, *, now: datetime, until: datetime) -> None:
    """Filing failed for a reason that is not the message's (a conflict, a lost database): try it again later."""
    await session.execute(
        update(raw_items)
        .where(raw_items.c.id == row["id"], raw_items.c.claim == row["claim"])
        .values(claimed_until=0.0, next_attempt_at=until)
    )


async def release(session: AsyncSession, *, worker: str) -> None:
    """Free the claims of a worker that is known to be gone."""
    await session.execute(
        update(raw_items)
        .where(raw_items.c.claimed_by == worker, raw_items.c.state == RawState.RECEIVED.value)
        .values(claimed_until=0.0)
    )


async def renew(session: AsyncSession, held: Collection[UUID], *, worker: str, lease_seconds: float) -> None:
    """Keep what a living worker has in hand. What it has let go of, because the database was away, is not renewed."""
    await session.execute(
        update(raw_items)
        .where(
            raw_items.c.id.in_(held),
            raw_items.c.claimed_by == worker,
            raw_items.c.state == RawState.RECEIVED.value,
            raw_items.c.claimed_until > 0.0,
        )
        .values(claimed_until=epoch() + lease_seconds)
    )
