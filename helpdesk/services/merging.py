"""Two conversations about one matter: one goes into the other, and can come back out of it.

Nothing is moved. The messages stay where they are, the source is closed, and a pointer says where the matter goes on:
later mail follows it (`services.lookups`). It is never a pointer to one that was merged itself, so that following it is
one step: what was in the source points to the target as well, and each has a link to all that it is in by now, by which
an unmerged source gets back what it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, lock_name
from helpdesk.domain.events import ConversationMerged, ConversationStatusChanged, DomainEvent
from helpdesk.domain.values import Actor, LinkKind, Status
from helpdesk.errors import Conflict, Invalid, NotFound
from helpdesk.models.conversations import conversation_links, conversations
from helpdesk.services import audit, former, sla, uniting, visits
from helpdesk.services.access import scoped
from helpdesk.services.conversations import Conversation, check_version, word_for
from helpdesk.services.events import record
from helpdesk.services.house import Services

MAX_MERGED: Final = 100
"""Conversations in one other."""

_C: Final = conversations.c
_L: Final = conversation_links.c
_MERGED: Final = LinkKind.MERGED.value


async def merge(
    services: Services,
    session: AsyncSession,
    source_id: UUID,
    *,
    into: UUID,
    version: int,
    other_contact: bool = False,
    by: Actor,
    now: datetime,
) -> Conversation:
    """Let the source go into another conversation; answers its row as it is now.

    Raises `NotFound` unless the actor sees both, `Stale` where the source's version is not `version`, and `Conflict`:
    `other_contact` where they are two contacts' and the caller has not said that he means it, `conversation_merged`
    and `target_merged` for one that is merged already, `conversation_spam`, `conversation_closed` for a closed target,
    `too_many_merged`.
    """
    if into == source_id:
        raise Invalid.field("into", "a conversation cannot go into itself")
    await _alone(session)
    found = await _locked(session, [source_id, into], _C.merged_into_id == source_id, by=by)
    source, target = found.pop(source_id), found.pop(into)
    carried = list(found.values())
    check_version(source, version)
    await _check(session, source, target, carried, other_contact=other_contact)
    noted = {"into": str(into), **former.state_of(source)}
    target, tags = await uniting.unite(services, session, source, target, by=by, now=now)
    await visits.follow(session, source_id, into, now=now)
    await _link(session, [source, *carried], into, now=now)
    for one in carried:
        await _point(session, one, into, by=by, now=now)
    closed = await _point(session, source, into, status=Status.CLOSED, by=by, now=now)
    await audit.record(
        session,
        "conversation.merged",
        subject="conversation",
        subject_id=source_id,
        by=by,
        now=now,
        data={**noted, "tags": tags},
    )
    await sla.merged(services, session, source, target, now=now)
    return closed


async def unmerge(
    services: Services, session: AsyncSession, source_id: UUID, *, version: int, by: Actor, now: datetime
) -> Conversation:
    """Let it come back out, with its former status and with what had been in it; answers its row as it is now.

    Of the target's tags, watchers and participants those go again that came with it alone. What was written to the
    target meanwhile stays there. Raises `NotFound` unless the actor sees both, `Stale`, `Conflict` (`not_merged`).
    """
    await _alone(session)
    into = await session.scalar(select(_C.merged_into_id).where(_C.id == source_id))
    inside = select(_L.conversation_id).where(_L.related_id == source_id, _L.kind == _MERGED)
    found = await _locked(session, [source_id, *([into] if into else [])], _C.id.in_(inside), by=by)
    source = found.pop(source_id)
    check_version(source, version)
    if into is None:
        raise Conflict("it was not merged", slug="not_merged")
    target = found.pop(into)
    before = await former.find_noted(session, source_id, action="conversation.merged")
    assert before is not None
    places = await _unlink(session, source_id, list(found))
    for one in found.values():
        await _point(session, one, source_id, by=by, now=now)
    status, until = former.status_in(before, now)
    opened = await _point(session, source, None, status=status, until=until, by=by, now=now)
    for place, since in places:
        await uniting.take_back(session, source_id, place, since=since, now=now)
        await visits.part(session, source_id, place, since=since)
    tags = before["tags"] if before["into"] == str(into) else []
    await uniting.part(services, session, source_id, target, tags=tags, by=by, now=now)
    await audit.record(
        session,
        "conversation.unmerged",
        subject="conversation",
        subject_id=source_id,
        by=by,
        now=now,
        data={"out_of": str(into)},
    )
    await sla.unmerged(services, session, opened, target, since=places[0][1], now=now)
    return opened


async def _alone(session: AsyncSession) -> None:
    """One merge at a time: what has been merged into what cannot change while it is looked at."""
    await lock_name(session, "merging")


async def _locked(session: AsyncSession, asked: Sequence[UUID], others: Any, *, by: Actor) -> dict[UUID, Conversation]:
    """The rows, locked in the order of their ids, as filing locks them. Raises `NotFound` unless `asked` are seen."""
    query = select(conversations).where(or_(_C.id.in_(asked), others)).order_by(_C.id)
    found = (await session.execute(query.with_for_update(key_share=True))).mappings().all()
    seen = await session.execute(scoped(select(_C.id).where(_C.id.in_(asked)), by))
    if set(seen.scalars()) != set(asked):
        raise NotFound("there is no such conversation")
    return {row["id"]: dict(row) for row in found}


async def _check(
    session: AsyncSession,
    source: Conversation,
    target: Conversation,
    carried: Sequence[Conversation],
    *,
    other_contact: bool,
) -> None:
    if source["merged_into_id"] is not None:
        raise Conflict("it was merged already", slug="conversation_merged")
    if target["merged_into_id"] is not None:
        raise Conflict("the other one was merged itself; take the one that it is in", slug="target_merged")
    if source["spam"] or target["spam"]:
        raise Conflict("one of them is spam; say first that it is none", slug="conversation_spam")
    if target["status"] == Status.CLOSED:
        raise Conflict("nothing goes on in a closed conversation", slug="conversation_closed")
    if source["contact_id"] != target["contact_id"] and not other_contact:
        raise Conflict("they are two contacts'; say other_contact if you mean it", slug="other_contact")
    inside = await session.scalar(select(func.count()).where(_C.merged_into_id == target["id"])) or 0
    if inside + len(carried) + 1 > MAX_MERGED:
        raise Conflict(f"at most {MAX_MERGED} conversations go into one", slug="too_many_merged")


async def _point(
    session: AsyncSession,
    conversation: Conversation,
    into: UUID | None,
    *,
    status: Status | None = None,
    until: datetime | None = None,
    by: Actor,
    now: datetime,
) -> Conversation:
    """Set the pointer, and the status with it; tell of both."""
    after = status.value if status else conversation["status"]
    seq, word = conversation["seq"] + 1, word_for(by)
    happened: list[DomainEvent] = [
        ConversationMerged(conversation_id=conversation["id"], seq=seq, into_id=into, by=word)
    ]
    if after != conversation["status"]:
        seq += 1
        how = {"before": conversation["status"], "after": after, "by": word}
        happened.append(ConversationStatusChanged(conversation_id=conversation["id"], seq=seq, **how))
    values: dict[str, Any] = {"merged_into_id": into, "status": after, "seq": seq, "updated_at": now}
    values["version"] = conversation["version"] + 1
    if status is not None:
        values["snoozed_until"] = until
    if after != conversation["status"]:
        values["status_changed_at"] = now
    await session.execute(update(conversations).where(_C.id == conversation["id"]).values(values))
    await record(session, *happened, now=now)
    return {**conversation, **values}


async def _link(session: AsyncSession, going: Sequence[Conversation], into: UUID, *, now: datetime) -> None:
    link = {"related_id": into, "kind": _MERGED, "created_at": now}
    await insert_rows(session, conversation_links, [{"conversation_id": one["id"], **link} for one in going])


async def _unlink(session: AsyncSession, source_id: UUID, inside: Sequence[UUID]) -> list[tuple[UUID, datetime]]:
    """Take the source, and what is in it, out of all that the source is in; answers these, with the time of each.

    The oldest comes first: it is where the source itself was merged, the others are where that one went.
    """
    mine = select(_L.related_id, _L.created_at).where(_L.conversation_id == source_id, _L.kind == _MERGED)
    places = [(row[0], row[1]) for row in await session.execute(mine.order_by(_L.created_at, _L.related_id))]
    gone = _L.conversation_id.in_([source_id, *inside]), _L.related_id.in_([place for place, _ in places])
    await session.execute(delete(conversation_links).where(*gone, _L.kind == _MERGED))
    return places
