"""Reading a mailbox: the receive loop of an e-mail inbox.

The key of a mail is (mailbox, UIDVALIDITY, UID), told as the position `INBOX;1700000000;42`. The cursor, advanced in
the commit that stores the mails, is

    mailbox, uidvalidity   the epoch that the numbers belong to
    uid                    everything up to here was stored, skipped at the start, or found to be held already
    start                  above it, every mail on the server must be one of ours: what reconciliation checks
    newest                 the latest INTERNALDATE that was stored, at first the time when the inbox began: tells old
                           from new after a renumbering
    rescan_to              up to here, mails are compared by digest first, since they may be old ones renumbered
    turn                   how often numbers came back that had been used already

A new inbox starts at UIDNEXT. When UIDVALIDITY changes, everything is read again. What is held (by SHA-256 of the raw
bytes) is passed over. Of the rest, what came in later than `newest` (less an hour, since deliveries overtake each
other) is mail like any other, and what is older is `backfilled`: it was there before the inbox was, or lost its digest
when somebody migrated it, and its sender must not get an acknowledgement today.

A mailbox that was restored from a backup may count on from an earlier number under the same UIDVALIDITY, or go back to
an earlier one. The same positions would then mean other mails, so from there on they carry the turn:
`INBOX;1700000000.1;42`.

Flags are set, never read. Nothing is ever searched by flag or date, and nothing is deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from connectors.email.config import EmailConfig
from connectors.email.imap_fetch import Fetcher
from connectors.email.imap_login import logged_in
from connectors.email.imap_session import Selected, Session
from connectors.email.imap_text import Described
from connectors.email.oauth import TokenSource
from helpdesk import clock, failpoints
from helpdesk.channels import AuthenticationFailed, ChannelError, Host, Misconfigured, RawInbound

RECONCILE_SECONDS = 86_400.0
DESCRIBE_AT_ONCE = 500
MAX_BACKOFF = 60.0
_OVERTAKING = timedelta(hours=1)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """The cursor; see the module's docstring."""

    mailbox: str
    uidvalidity: int
    uid: int
    start: int
    newest: str
    rescan_to: int = 0
    turn: int = 0

    @classmethod
    def read(cls, cursor: Mapping[str, Any], mailbox: str) -> Place | None:
        """The place in this mailbox, or None for a new inbox and for one that was pointed at another mailbox."""
        if cursor.get("mailbox") != mailbox:
            return None
        uid = int(cursor["uid"])
        return cls(
            mailbox=mailbox,
            uidvalidity=int(cursor["uidvalidity"]),
            uid=uid,
            start=int(cursor.get("start", uid)),
            newest=str(cursor.get("newest", "")),
            rescan_to=int(cursor.get("rescan_to", 0)),
            turn=int(cursor.get("turn", 0)),
        )

    def cursor(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def prefix(self) -> str:
        turn = f".{self.turn}" if self.turn else ""
        return f"{self.mailbox};{self.uidvalidity}{turn};"

    def holds(self, box: Selected) -> bool:
        """Whether numbers still mean what they meant."""
        return self.uidvalidity == box.uidvalidity and (self.uid < box.uidnext or not box.uidnext_told)

    def is_old(self, received_at: datetime) -> bool:
        """Whether an unknown mail with this INTERNALDATE lay here before the numbers changed."""
        return not self.newest or received_at < datetime.fromisoformat(self.newest) - _OVERTAKING

    def renumbered(self, box: Selected) -> Place:
        """The beginning of a new epoch. Reconciliation leaves out what is compared by digest: most has no position."""
        fresh = box.uidvalidity > self.uidvalidity and not self.turn
        last = box.uidnext - 1
        return replace(
            self,
            uidvalidity=box.uidvalidity,
            uid=0,
            start=last,
            rescan_to=last,
            turn=0 if fresh else self.turn + 1,
        )

    def after(self, uid: int, received: Sequence[datetime]) -> Place:
        """The place once everything up to `uid` is stored. `newest` stands still while old and new are told apart."""
        newest = self.newest
        if uid > self.rescan_to and received:
            # A date in the future, which APPEND may set, would make everything that follows look old.
            newest = max(newest, _iso(min(max(received), clock.now())))
        return replace(self, uid=uid, newest=newest)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def mailbox_name(config: EmailConfig) -> str:
    """The mailbox as positions name it. INBOX is the one name without case (RFC 3501 section 5.1)."""
    name = config.imap.mailbox if config.imap else "INBOX"
    return "INBOX" if name.upper() == "INBOX" else name


def first_place(box: Selected, mailbox: str) -> Place:
    """Where a new inbox begins: after what is there already."""
    return Place(mailbox, box.uidvalidity, box.uidnext - 1, box.uidnext - 1, _iso(clock.now()))


async def receive(config: EmailConfig, host: Host, tokens: TokenSource | None = None) -> None:
    """Read the mailbox until cancelled. Whatever goes wrong with the server is told to `host.failed` and tried again.

    Raises LeaseLost, and what `host` raises when nothing can be stored; the connection is ended properly then too.
    """
    reader = _Reader(config, host)
    failures = 0
    while True:
        reader.well = False
        error: ChannelError
        try:
            async with logged_in(config, host.guard, tokens) as session:
                await reader.follow(session)
        except ChannelError as raised:
            error = raised
        failures = 1 if reader.well else failures + 1
        _log.info("imap.failed", inbox_id=str(host.inbox_id), kind=error.kind, failures=failures)
        await host.failed(error)
        await asyncio.sleep(_backoff(error, failures))


def _backoff(error: ChannelError, failures: int) -> float:
    """Seconds until the next attempt: exponential with full jitter.

    What only a person can mend starts at the cap: providers lock accounts that are knocked at with a wrong password.
    """
    hopeless = isinstance(error, AuthenticationFailed | Misconfigured)
    ceiling = MAX_BACKOFF if hopeless else min(MAX_BACKOFF, 0.5 * 2.0 ** min(failures, 10))
    asked = getattr(error, "retry_after", None) or 0.0
    return max(min(float(asked), MAX_BACKOFF), random.uniform(0, ceiling))  # noqa: S311 - spread, not secrecy


class _Reader:
    """What is remembered from one connection to the next. `well`: the mailbox was read to its end on this one."""

    def __init__(self, config: EmailConfig, host: Host) -> None:
        self._config = config
        self._host = host
        self._mailbox = mailbox_name(config)
        self._refused: dict[int, float] = {}
        self._reconciled_at: float | None = None
        self._one_at_a_time = False
        self.well = False

    async def follow(self, session: Session) -> None:
        """Read to the end, wait, and read on, for as long as the connection lives. Only ever ends by raising."""
        if self._one_at_a_time:
            session.send_nothing_along()
        try:
            await self._follow(session)
        finally:
            if session.unheard and not self._one_at_a_time:
                self._one_at_a_time = True
                _log.info("imap.one_at_a_time", inbox_id=str(self._host.inbox_id))

    async def _follow(self, session: Session) -> None:
        place = await self._begin(session)
        fetcher = Fetcher(session, self._refused)
        while True:
            if self._reconciled_at is None or time.monotonic() - self._reconciled_at >= RECONCILE_SECONDS:
                await self._reconcile(session, fetcher, place)
                self._reconciled_at = time.monotonic()
            place = await self._read(session, fetcher, place)
            self.well = True
            await self._host.succeeded()
            await session.wait(self._config.poll_seconds)

    async def _begin(self, session: Session) -> Place:
        box = await session.select(self._mailbox)
        place = Place.read(await self._host.cursor(), self._mailbox)
        if place is None:
            place = first_place(box, self._mailbox)
            await self._host.accept([], cursor=place.cursor())
            _log.info("imap.started", inbox_id=str(self._host.inbox_id), left_out=box.exists)
        elif not place.holds(box):
            _log.warning("imap.renumbered", inbox_id=str(self._host.inbox_id), count=box.exists)
            self._refused.clear()
            place = place.renumbered(box)
        return place

    async def _read(self, session: Session, fetcher: Fetcher, place: Place) -> Place:
        uids = await fetcher.uids(place.uid + 1)
        for at in range(0, len(uids), DESCRIBE_AT_ONCE):
            described = await fetcher.describe(uids[at : at + DESCRIBE_AT_ONCE])
            for batch in fetcher.batches(_split(described, place.rescan_to)):
                items = await fetcher.fetch(batch, place.prefix)
                uid, dates = batch[-1].uid, [d.received_at for d in batch]
                if uid <= place.rescan_to:
                    items = [
                        replace(item, backfilled=place.is_old(item.received_at))
                        for item in await unknown(self._host, items)
                    ]
                place = place.after(uid, dates)
                await self._store(session, items, place)
        return place

    async def _store(self, session: Session, items: Sequence[RawInbound], place: Place | None) -> None:
        failpoints.reached("imap.fetched")
        await self._host.accept(items, cursor=place.cursor() if place else None)
        seen = [uid_of(item) for item in items if not item.backfilled]
        if self._config.mark_seen and seen:
            await session.mark_seen(seen)
            failpoints.reached("flag.set")

    async def _reconcile(self, session: Session, fetcher: Fetcher, place: Place) -> None:
        """Compare the server's list with ours. A hole is a mail that became visible late, and it is filed now."""
        there = [uid for uid in await session.uids(place.start + 1) if uid <= place.uid]
        if not there:
            return
        known = await self._host.known(place.prefix)
        holes = [uid for uid in there if f"{place.prefix}{uid}" not in known]
        if not holes:
            return
        _log.warning("imap.hole", inbox_id=str(self._host.inbox_id), count=len(holes), checked=len(there))
        for at in range(0, len(holes), DESCRIBE_AT_ONCE):
            for batch in fetcher.batches(await fetcher.describe(holes[at : at + DESCRIBE_AT_ONCE])):
                await self._store(session, await fetcher.fetch(batch, place.prefix), None)


def _split(described: Sequence[Described], rescan_to: int) -> Iterator[Described | None]:
    """The same, with a None where a batch has to end because the rescan does."""
    for one in described:
        yield one
        if one.uid == rescan_to:
            yield None


def uid_of(item: RawInbound) -> int:
    return int(item.position.rpartition(";")[2])


async def unknown(host: Host, items: Sequence[RawInbound]) -> list[RawInbound]:
    """Those whose bytes the inbox does not hold yet, under whatever position."""
    digests = [await _digest(item.body) for item in items]
    held = await host.digests(digests)
    return [item for item, digest in zip(items, digests, strict=True) if digest not in held]


async def _digest(body: bytes) -> str:
    if len(body) < 1_048_576:
        return hashlib.sha256(body).hexdigest()
    # Some tenths of a second for the largest; hashlib lets go of the interpreter meanwhile.
    return (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()
