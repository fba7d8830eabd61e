"""What channels tell of what was sent: where the answer will come in, that it arrived, that it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows
from helpdesk.dialects import among
from helpdesk.domain.values import DeliveryStatus, MessageType, Status, Visibility
from helpdesk.models.contacts import contact_identities
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import deliveries, messages
from helpdesk.models.social import conversation_threads
from helpdesk.services import rows
from helpdesk.writes import Update, write

_LOOKED_AT: Final = 500
"""Of what was sent and is not known to be read, the newest."""

_M: Final = messages.c
_T: Final = conversation_threads.c


async def lead(session: AsyncSession, message_id: UUID, *, handle: str, thread: str, now: datetime) -> None:
    """His answer to this message will come in by `thread`: it belongs to the message's conversation.

    `dm:ID` names him as he will write there, which may be another handle than the one that he had in public: that is
    his from now on, unless somebody has it. Where the thread leads to a conversation that is not closed, it stays so.
    He is whoever has the `handle`: in merged matters that need not be the conversation's contact.
    """
    kind, _, named = thread.partition(":")
    c, i = conversations.c, contact_identities.c
    his = select(i.contact_id).where(i.channel == _M.channel, i.handle == handle.lower()).scalar_subquery()
    query = select(c.id, func.coalesce(his, c.contact_id).label("contact_id"), _M.inbox_id, _M.channel)
    query = query.join(messages, _M.conversation_id == c.id)
    about = (await session.execute(query.where(_M.id == message_id))).mappings().one()
    handle = (named if kind == "dm" and named else handle).lower()
    found = select(_T.conversation_id, c.status).join(conversations, c.id == _T.conversation_id)
    key = (_T.inbox_id == about["inbox_id"]) & (_T.handle == handle) & (_T.thread == thread)
    led = (await session.execute(found.where(key).with_for_update(of=conversation_threads, key_share=True))).first()
    if led is not None and led.status != Status.CLOSED.value:
        return
    him = {"channel": about["channel"], "handle": handle}
    identity = rows.identity(about["contact_id"], **him, display="", now=now)
    await session.execute(insert_ignoring(session, contact_identities, on=["channel", "handle"]).values(identity))
    whose = select(i.contact_id).where(i.channel == him["channel"], i.handle == him["handle"])
    if await session.scalar(whose) != about["contact_id"]:
        return
    if led is not None:
        await session.execute(update(conversation_threads).where(key).values(conversation_id=about["id"]))
        return
    row = {"inbox_id": about["inbox_id"], "handle": handle, "thread": thread, "conversation_id": about["id"]}
    await insert_rows(session, conversation_threads, [row | {"post_id": None, "created_at": now}])


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was said to him in his thread up to `at` arrived there, and with `read` he has read it."""

    handle: str
    thread: str
    at: datetime
    read: bool


async def mark(session: AsyncSession, inbox_id: UUID, seen: Sequence[Seen]) -> dict[UUID, dict[str, list[str]]]:
    """Keep it with what was sent. Answers what that changed: by conversation and message, the names of the fields."""
    asked = {name: sorted({getattr(one, name) for one in seen}) for name in ("handle", "thread")}
    led = select(_T.handle, _T.thread, _T.conversation_id).where(
        _T.inbox_id == inbox_id,
        among(_T.handle, [handle.lower() for handle in asked["handle"]], "text"),
        among(_T.thread, asked["thread"], "text"),
    )
    places = {(row.handle, row.thread): row.conversation_id for row in await session.execute(led)} if seen else {}
    marks: dict[UUID, dict[str, list[str]]] = {}
    changed: dict[UUID, dict[str, Any]] = {}
    for row in await _sent(session, inbox_id, sorted(set(places.values()))):
        here = [one for one in seen if places.get((one.handle.lower(), one.thread)) == row["conversation_id"]]
        after = _marked(row, here)
        names = [name for name in after if after[name] != row[name]]
        if names:
            changed[row["message_id"]] = {"message_id": row["message_id"], **after}
            marks.setdefault(row["conversation_id"], {})[str(row["message_id"])] = names
    await write(session, Update(deliveries, list(changed.values()), by=("message_id",)))
    return marks


def _marked(row: RowMapping, seen: Sequence[Seen]) -> dict[str, datetime | None]:
    """When it arrived and was read, as the first says who tells that. Whatever was read has arrived."""
    # Before the channel had it, and not when we heard of that: it counts by its own time.
    times = [one for one in seen if one.at >= (row["final_at"] or row["sent_at"])]
    read = row["read_at"] or min((one.at for one in times if one.read), default=None)
    return {"delivered_at": row["delivered_at"] or min((one.at for one in times), default=None), "read_at": read}


async def _sent(session: AsyncSession, inbox_id: UUID, conversation_ids: Sequence[UUID]) -> Sequence[RowMapping]:
    d = deliveries.c
    query = (
        select(d.message_id, d.delivered_at, d.read_at, d.final_at, _M.sent_at, _M.conversation_id)
        .join(messages, _M.id == d.message_id)
        .where(among(_M.conversation_id, list(conversation_ids), "uuid"), _M.inbox_id == inbox_id)
        .where(_M.type == MessageType.OUTGOING.value, _M.visibility == Visibility.DIRECT.value)
        .where(d.status == DeliveryStatus.SENT.value, d.read_at.is_(None), _M.sent_at.is_not(None))
        .order_by(d.message_id.desc())
        .limit(_LOOKED_AT)
        .with_for_update(of=deliveries, key_share=True)
    )
    return (await session.execute(query)).mappings().all() if conversation_ids else []
