"""What an agent has begun to write in a conversation: his alone, the same in each of his windows, gone once it is sent.

Each change names the version that it was made from, so that no window overwrites what another one has kept since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from secrets import randbelow
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, delete, func, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring
from helpdesk.dialects import among, kept
from helpdesk.domain.values import Actor
from helpdesk.errors import NotFound, Stale
from helpdesk.models.conversations import conversations, drafts
from helpdesk.models.messages import attachments
from helpdesk.services.access import scoped

_D: Final = drafts.c
_FIRST: Final = 2**30


async def find_draft(
    session: AsyncSession, conversation_id: UUID, *, agent_id: UUID, lock: bool = False
) -> RowMapping | None:
    query = select(drafts).where(*_of(conversation_id, agent_id))
    return (await session.execute(query.with_for_update(key_share=True) if lock else query)).mappings().one_or_none()


async def keep(
    session: AsyncSession,
    conversation_id: UUID,
    *,
    agent_id: UUID,
    content: Mapping[str, Any],
    version: int | None,
    now: datetime,
) -> RowMapping:
    """Keep it in place of `version`, or as a new one where that is None; answers it as it is now.

    Raises `Stale` with the `draft` that is there instead, if any. A new one starts from a version of its own: a window
    that knows one which was sent meanwhile does not take it for that.
    """
    if version is None:
        row = {"conversation_id": conversation_id, "agent_id": agent_id, "content": dict(content), "updated_at": now}
        made = insert_ignoring(session, drafts, on=["conversation_id", "agent_id"])
        made = made.values(**row, version=1 + randbelow(_FIRST)).returning(*_D)
    else:
        same = *_of(conversation_id, agent_id), _D.version == version
        made = update(drafts).where(*same).values(content=dict(content), version=version + 1, updated_at=now)
        made = made.returning(*_D)
    kept = (await session.execute(made)).mappings().one_or_none()
    if kept is None:
        raise Stale(extra={"draft": await find_draft(session, conversation_id, agent_id=agent_id)})
    return kept


async def discard(session: AsyncSession, conversation_id: UUID, *, agent_id: UUID, version: int) -> None:
    """Raises `NotFound`, and `Stale` with the `draft` that is there instead."""
    found = await find_draft(session, conversation_id, agent_id=agent_id, lock=True)
    if found is None:
        raise NotFound("there is no draft")
    if found["version"] != version:
        raise Stale(extra={"draft": found})
    await session.execute(delete(drafts).where(*_of(conversation_id, agent_id)))


def is_note(conversation_id: Any, agent_id: Any) -> ColumnElement[bool]:
    """Whether what he has begun is a note; NULL where he has begun nothing."""
    note = func.coalesce(kept(_D.content, "private", bool), literal_column("false"))
    return select(note).where(*_of(conversation_id, agent_id)).scalar_subquery()


async def sent(session: AsyncSession, conversation_id: UUID, *, agent_id: UUID) -> None:
    """What he had begun is done: he has written. A note leaves the answer that he has begun, and an answer the note."""
    await session.execute(delete(drafts).where(*_of(conversation_id, agent_id)))


async def list_drafts(
    session: AsyncSession, actor: Actor, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[RowMapping]:
    """The actor's own in conversations that he may see, with their number, subject and status; the newest first."""
    c = conversations.c
    query = (
        select(drafts, c.number, c.subject, c.status)
        .join(conversations, c.id == _D.conversation_id)
        .where(_D.agent_id == actor.id)
        .order_by(_D.updated_at.desc(), _D.conversation_id.desc())
    )
    if after is not None:
        at, last = after
        query = query.where(or_(_D.updated_at < at, (_D.updated_at == at) & (_D.conversation_id < last)))
    return (await session.execute(scoped(query, actor).limit(limit))).mappings().all()


async def files_of(session: AsyncSession, found: Sequence[RowMapping], *, by: Actor) -> dict[UUID, RowMapping]:
    """The actor's uploads that these drafts name, by id. What was sent or forgotten meanwhile is not among them."""
    wanted = {UUID(str(one)) for draft in found for one in draft["content"].get("attachment_ids", ())}
    if not wanted:
        return {}
    a = attachments.c
    free = among(a.id, sorted(wanted), "uuid"), a.message_id.is_(None), a.uploaded_by == by.id
    rows = (await session.execute(select(attachments).where(*free))).mappings()
    return {row["id"]: row for row in rows}


def _of(conversation_id: Any, agent_id: Any) -> tuple[Any, Any]:
    return _D.conversation_id == conversation_id, _D.agent_id == agent_id
