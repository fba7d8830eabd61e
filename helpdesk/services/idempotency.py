"""A request that may come again: the same key and body get the same answer, for 24 hours per actor and route.

The key's row and what the request does are one transaction, so a crash leaves neither. A request that fails keeps
nothing either: it may be tried again under its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import BigInteger, Select, String, and_, bindparam, delete, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import is_postgresql, number_of
from helpdesk.domain.values import Actor
from helpdesk.errors import Invalid, StillRunning
from helpdesk.models.events import idempotency_keys
from helpdesk.statements import Statement
from helpdesk.writes import Insert, write

KEPT: Final = timedelta(hours=24)
MAX_KEY: Final = 255
_KEY: Final = ("actor", "route", "key")


@dataclass(frozen=True, slots=True)
class Request:
    """`route` names the method and the path with its ids: the same key on another conversation is another request."""

    actor: str
    route: str
    key: str
    digest: str

    @property
    def name(self) -> str:
        """What is taken while it is worked on."""
        return f"idempotency:{self.actor}:{self.route}:{self.key}"

    @classmethod
    def of(cls, actor: Actor, route: str, key: str | None, body: bytes) -> Request:
        """Raises `Invalid` (400) without a usable key."""
        if not key or len(key) > MAX_KEY or not key.isprintable():
            raise Invalid(
                f"send Idempotency-Key, 1 to {MAX_KEY} printable characters, new for each message",
                slug="idempotency_key_required",
                status=400,
            )
        return cls(f"{actor.kind.value}:{actor.id}", route, key, sha256(body).hexdigest())


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]


async def find_answer(session: AsyncSession, request: Request, *, now: datetime) -> Answer | None:
    """What was answered before, or None when this is the first time; the key is then ours until the transaction ends.

    Raises `Invalid` (422) when the key was used with another body, `StillRunning` while it is being worked on.
    """
    look = _LOOK[is_postgresql(session)]
    whose: dict[str, Any] = {"actor": request.actor, "route": request.route, "key": request.key}
    if is_postgresql(session):
        whose["number"] = number_of(request.name)
    (found,) = await look.rows(session, **whose)
    if not found["ours"]:
        raise StillRunning
    if found["created_at"] is None:
        return None
    if found["created_at"] <= now - KEPT:
        k = idempotency_keys.c
        mine = k.actor == request.actor, k.route == request.route, k.key == request.key
        await session.execute(delete(idempotency_keys).where(*mine))
        return None
    if found["request_digest"] != request.digest:
        raise Invalid("this Idempotency-Key was used with another body", slug="idempotency_key_reused")
    return Answer(found["status"], found["response"])


def _look(locked: bool) -> Select[Any]:
    """On PostgreSQL the key is taken by its number; on SQLite a writer is alone from its first word."""
    k, one = idempotency_keys.c, select(literal_column("1").label("one")).subquery()
    ours = func.pg_try_advisory_xact_lock(bindparam("number", type_=BigInteger())) if locked else literal_column("1")
    same = and_(*(k[name] == bindparam(name, type_=String()) for name in _KEY))
    columns = k.request_digest, k.status, k.response, k.created_at
    return select(ours.label("ours"), *columns).select_from(one.outerjoin(idempotency_keys, same))


_LOOK: Final = {locked: Statement(partial(_look, locked)) for locked in (True, False)}


async def keep(session: AsyncSession, request: Request, answer: Answer, *, now: datetime) -> None:
    """Remember the answer. Raises `StillRunning` where somebody else has, between our look and our taking the key."""
    (new,) = await write(session, Insert(idempotency_keys, [row(request, answer, now=now)], unless=_KEY))
    if not new:
        raise StillRunning


def kept(request: Request, answer: Answer, *, now: datetime) -> Insert:
    """For a `write` that fails where somebody else has the key."""
    return Insert(idempotency_keys, [row(request, answer, now=now)])


def row(request: Request, answer: Answer, *, now: datetime) -> dict[str, Any]:
    return {
        "actor": request.actor,
        "route": request.route,
        "key": request.key,
        "request_digest": request.digest,
        "status": answer.status,
        "response": answer.body,
        "created_at": now,
    }


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop what no repeat may ask for any more."""
    await session.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at <= now - KEPT))
