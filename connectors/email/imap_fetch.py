"""Fetching messages in batches that neither starve nor stall, and what becomes of those that cannot be fetched."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import structlog

from connectors.email.imap_session import Refused, Session
from connectors.email.imap_text import Described
from helpdesk import clock
from helpdesk.channels import RawInbound, TemporaryFailure

BATCH_MESSAGES = 50
BATCH_BYTES = 4 * 1024 * 1024
PIECE = 1024 * 1024
ALONG = 4
"""So many new messages are fetched without being asked for by number."""
MAX_MESSAGE = 50 * 1024 * 1024
MAX_HEADER = PIECE
PATIENCE_SECONDS = 300.0
"""For how long a server may refuse one message before an entry without its text takes its place.

The others wait behind it meanwhile, and the entry is final: long enough for a server that is only out of sorts, short
enough for a promise of 24 hours.
"""

_log = structlog.get_logger(__name__)


class _LeftOut(TemporaryFailure):
    def __init__(self, uids: Iterable[int]) -> None:
        super().__init__("The server leaves out messages that it has")
        self.uids = tuple(uids)


class Fetcher:
    """Bodies of one selected mailbox. `refused` outlives connections: UID → monotonic time of the first refusal."""

    def __init__(self, session: Session, refused: dict[int, float]) -> None:
        self._session = session
        self._refused = refused
        self._along: dict[int, tuple[Described, bytes]] = {}

    async def uids(self, low: int) -> list[int]:
        """What the mailbox holds from `low` on, ascending.

        Where the server has told of a few, they are fetched at once, and as many have to come as it told of. Whatever
        else it answers is left to SEARCH, which is asked in all other cases.
        """
        self._along, told = {}, self._session.grown_by
        if 0 < told <= ALONG and not self._refused:
            try:
                found = await self._session.newest(low, PIECE)
            except Refused as error:
                if error.passing:
                    raise
                found = []
            if len(found) == told:
                self._along = {described.uid: (described, body) for described, body in found if len(body) < PIECE}
                return [described.uid for described, _ in found]
        return await self._session.uids(low)

    async def describe(self, uids: Sequence[int]) -> list[Described]:
        """What `uids` found, described. Only what is gone is left out, not what the server forgot to describe."""
        if all(uid in self._along for uid in uids):
            return [self._along[uid][0] for uid in uids]
        described = await self._session.describe(uids)
        missing = sorted(set(uids) - {one.uid for one in described})
        if missing and (kept := await self._session.present(missing)):
            described += [Described(uid, 0, clock.now()) for uid in kept]
            described.sort(key=lambda one: one.uid)
        return described

    def batches(self, described: Iterable[Described | None]) -> Iterator[list[Described]]:
        """Ascending, at most BATCH_MESSAGES and BATCH_BYTES each, big and refused ones alone. None ends a batch."""
        batch: list[Described] = []
        total = 0
        for one in described:
            alone = one is not None and (one.size > PIECE or one.uid in self._refused)
            full = one is None or alone or len(batch) >= BATCH_MESSAGES or total + one.size > BATCH_BYTES
            if full and batch:
                yield batch
                batch, total = [], 0
            if one is None:
                continue
            if alone:
                yield [one]
                continue
            batch.append(one)
            total += one.size
        if batch:
            yield batch

    async def fetch(self, batch: Sequence[Described], prefix: str) -> list[RawInbound]:
        """The messages of one batch; those that another client expunged meanwhile are left out.

        Raises TemporaryFailure when the server refuses, and Unreachable. Refused messages come alone the next time, so
        that one that the server itself cannot read does not hold up the others, and after PATIENCE_SECONDS an entry
        with the header, or with nothing, stands for it (`hints["unfetchable"]`).
        """
        uids = [one.uid for one in batch]
        hints: dict[str, Any] = {}
        try:
            if all(uid in self._along for uid in uids):
                bodies = {uid: self._along.pop(uid)[1] for uid in uids}
            elif batch[0].size > PIECE:
                bodies, hints = await self._big(batch[0])
            else:
                bodies = await self._session.bodies(uids)
            missing = [uid for uid in uids if uid not in bodies]
            if missing and (kept := await self._session.present(missing)):
                # Not expunged, and yet not sent: only some servers say NO to that.
                raise _LeftOut(kept)
        except (Refused, _LeftOut) as error:
            if isinstance(error, Refused) and error.passing:
                raise
            self._remember(error.uids if isinstance(error, _LeftOut) else uids)
            if len(uids) > 1 or time.monotonic() < self._refused[uids[0]] + PATIENCE_SECONDS:
                raise
            bodies, hints = await self._placeholder(uids[0])
        for uid in uids:
            self._refused.pop(uid, None)
        now = clock.now()
        return [
            RawInbound(f"{prefix}{one.uid}", bodies[one.uid], min(one.received_at, now), hints)
            for one in batch
            if one.uid in bodies
        ]

    def _remember(self, uids: Iterable[int]) -> None:
        now = time.monotonic()
        for uid in uids:
            self._refused.setdefault(uid, now)

    async def _big(self, one: Described) -> tuple[dict[int, bytes], dict[str, Any]]:
        """A message in pieces: whole ones keep the event loop for as long as they take to be put together.

        RFC822.SIZE is a guess on some servers: the end is where a piece is short, and the limit holds for what comes.
        """
        pieces: list[bytes] = []
        while one.size <= MAX_MESSAGE and len(pieces) * PIECE <= MAX_MESSAGE:
            piece = await self._session.piece(one.uid, len(pieces) * PIECE, PIECE)
            if piece is None:
                return {}, {}
            pieces.append(piece)
            if len(piece) < PIECE:
                return {one.uid: b"".join(pieces)}, {}
        header = await self._session.piece(one.uid, 0, MAX_HEADER, "HEADER")
        if header is None:
            return {}, {}
        _log.warning("imap.too_large", size=one.size)
        return {one.uid: header}, {"truncated": one.size}

    async def _placeholder(self, uid: int) -> tuple[dict[int, bytes], dict[str, Any]]:
        _log.warning("imap.unfetchable", uid=uid)
        try:
            header = await self._session.piece(uid, 0, MAX_HEADER, "HEADER")
        except Refused:
            header = None
        return {uid: header or b""}, {"unfetchable": True}
