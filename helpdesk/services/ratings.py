"""Ratings: what a contact says by the link that he was sent, and what the desk is shown of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, and_, false, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.ratings import LONGEST_COMMENT, SCORES, counts_until
from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.errors import Conflict, FieldError, Invalid, NotFound
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.rules import ratings
from helpdesk.services import attempts
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services.access import scoped
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services

PER_ADDRESS: Final = 50
PER_LINK: Final = 20
"""Ratings that count within `attempts.WINDOW`: a link is clicked by people, and by few of them."""

_C: Final = conversations.c
_R: Final = ratings.c


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link is about, and all that its page may say. `score` is what was given before."""

    id: UUID
    conversation_id: UUID
    number: int
    name: str
    language: str
    score: int | None
    comment: str
    open: bool


async def find(session: AsyncSession, token: str, *, now: datetime) -> Asked:
    """By the secret of a link. Raises `NotFound`, also for one that was never sent."""
    query = (
        select(
            _R.id,
            _R.conversation_id,
            _C.number,
            inboxes.c.handle,
            inboxes.c.name,
            _C.language,
            _R.score,
            _R.comment,
            _R.expires_at,
            _C.status,
            _C.status_changed_at,
        )
        .join(conversations, _C.id == _R.conversation_id)
        .join(inboxes, inboxes.c.id == _R.inbox_id)
        .where(_R.digest == digest_of(token), _R.asked_at.is_not(None))
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise NotFound("there is no such link")
    until = counts_until(expires_at=found.expires_at, status=found.status, changed_at=found.status_changed_at)
    return Asked(
        id=found.id,
        conversation_id=found.conversation_id,
        number=found.number,
        name=found.handle or found.name,
        language=found.language,
        score=found.score,
        comment=found.comment,
        open=now < until,
    )


async def give(
    services: Services, token: str, *, score: int | None, comment: str, address: str, now: datetime
) -> Asked:
    """Take or change a rating by the secret of a link; `address` is where the request came from.

    Tries are counted first, in a transaction of their own. Raises `TooMany`, and what `rate` raises.
    """
    async with services.database.transaction() as session:
        await attempts.count(session, attempts.of_address(services, address, "rating"), PER_ADDRESS, now=now)
        await attempts.count(session, attempts.of_link(services, token), PER_LINK, now=now)
    async with services.database.transaction() as session:
        return await rate(session, token, score=score, comment=comment, now=now)


async def rate(session: AsyncSession, token: str, *, score: int | None, comment: str, now: datetime) -> Asked:
    """Take or change a rating; the conversation notes the scores, and never the comment.

    Raises `NotFound`, `Conflict` (`rating_over`) when it is too late, `Invalid` naming `score` or `comment`.
    """
    asked = await find(session, token, now=now)
    if not asked.open:
        raise Conflict("it is too late to rate this", slug="rating_over", status=410)
    comment = await note(session, asked.id, score=score, comment=comment, now=now)
    return replace(asked, score=score, comment=comment)


async def note(session: AsyncSession, rating_id: UUID, *, score: int | None, comment: str, now: datetime) -> str:
    """Take or change what is said of one resolution; answers the comment as it is kept. Raises `Invalid`."""
    comment = comment.replace("\r\n", "\n").strip()
    _check(score, comment)
    about = (await session.execute(select(_R.conversation_id).where(_R.id == rating_id))).scalar_one()
    conversation = await _noted_in(session, about)
    mine = select(_R.score, _R.comment, _R.contact_id).where(_R.id == rating_id).with_for_update(key_share=True)
    before = (await session.execute(mine)).one()
    if (before.score, before.comment) != (score, comment):
        values = {"score": score, "comment": comment, "rated_at": now}
        await session.execute(update(ratings).where(_R.id == rating_id).values(values))
        by, changes = Actor(AuthorKind.CONTACT, id=before.contact_id), {"rating": [before.score, score]}
        await conversation_verbs.note(session, conversation, changes, by=by, now=now, versioned=False)
    return comment


def _check(score: int | None, comment: str) -> None:
    wrong = []
    if score not in SCORES:
        wrong.append(FieldError("score", f"use a whole number from {SCORES[0]} to {SCORES[-1]}"))
    if len(comment) > LONGEST_COMMENT or "\x00" in comment:
        wrong.append(FieldError("comment", f"use at most {LONGEST_COMMENT} characters"))
    if wrong:
        raise Invalid("; ".join(f"{one.field}: {one.message}" for one in wrong), errors=wrong)


async def _noted_in(session: AsyncSession, conversation_id: UUID) -> RowMapping:
    """The conversation, or the one that it went into since: there people look. Both are locked."""
    into = select(_C.merged_into_id).where(_C.id == conversation_id).scalar_subquery()
    query = select(conversations).where(or_(_C.id == conversation_id, _C.id == into)).order_by(_C.id)
    found = {row["id"]: row for row in (await session.execute(query.with_for_update(key_share=True))).mappings()}
    mine = found[conversation_id]
    return found.get(mine["merged_into_id"], mine)


# -- what the desk is shown -------------------------------------------------------------------------------------------

_SHOWN: Final = [
    *(_R[name] for name in ("id", "conversation_id", "contact_id", "inbox_id", "channel", "agent_id", "team_id")),
    *(_R[name] for name in ("asked_at", "expires_at", "rated_at", "score", "comment")),
    _C.number,
]


async def list_ratings(
    session: AsyncSession,
    actor: Actor,
    *,
    filters: Mapping[str, Sequence[Any]],
    asked_after: datetime | None = None,
    asked_before: datetime | None = None,
    categories: Sequence[str] = (),
    commented: bool | None = None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Given ones of conversations that the actor may see, the latest first; `filters` by column, any of the values.

    `categories` are of the conversation as it is now; `commented`: with, or without, words. Reports count what was
    asked in a time, hence `asked_after` (at or after) and `asked_before`.
    """
    query: Select[Any] = select(*_SHOWN).join(conversations, _C.id == _R.conversation_id)
    query = query.where(_R.rated_at.is_not(None)).order_by(_R.rated_at.desc(), _R.id.desc()).limit(limit)
    for name, values in filters.items():
        given = [value for value in values if value is not None]
        nothing = _R[name].is_(None) if None in values else false()
        query = query.where(or_(_R[name].in_(given) if given else false(), nothing))
    if asked_after is not None:
        query = query.where(_R.asked_at >= asked_after)
    if asked_before is not None:
        query = query.where(_R.asked_at < asked_before)
    if categories:
        query = query.where(_C.category.in_(categories))
    if commented is not None:
        query = query.where(_R.comment != "" if commented else _R.comment == "")
    if after is not None:
        at, rating_id = after
        query = query.where(_R.rated_at <= at, or_(_R.rated_at < at, and_(_R.rated_at == at, _R.id < rating_id)))
    found: Sequence[RowMapping] = (await session.execute(scoped(query, actor))).mappings().all()
    return found


async def latest_of(session: AsyncSession, conversation_id: UUID) -> RowMapping | None:
    """What was asked last about a conversation that the caller may see, and what was said."""
    query = select(_R.asked_at, _R.expires_at, _R.rated_at, _R.score, _R.comment).where(
        _R.conversation_id == conversation_id, _R.asked_at.is_not(None)
    )
    return (await session.execute(query.order_by(_R.id.desc()).limit(1))).mappings().one_or_none()
