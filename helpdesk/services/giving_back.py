"""What a message that was taken back leaves behind: its words to whoever wrote it, its status to the conversation.

Both only where nothing newer stands in their place: what somebody has done since is not undone with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.events import ConversationStatusChanged, ConversationUpdated
from helpdesk.domain.values import Actor, AuthorKind, Status
from helpdesk.errors import Stale
from helpdesk.models.events import events
from helpdesk.models.messages import attachments, messages
from helpdesk.services import conversations, unsent
from helpdesk.services.conversations import Conversation
from helpdesk.services.house import Services

_SOON: Final = 100
"""Changes of a conversation while a message waits: of more, its status is not looked for."""


async def status(
    services: Services,
    session: AsyncSession,
    conversation: Conversation,
    message: RowMapping,
    *,
    by: Actor,
    now: datetime,
) -> str | None:
    """Give the conversation the status that it had before the message changed it; answers the one that it got by it.

    None where the message changed none, or the conversation has gone on, closed for good or been put away since.
    """
    e = events.c
    kinds = ConversationStatusChanged.type, ConversationUpdated.type
    since = select(e.type, e.occurred_at, e.data).where(
        e.conversation_id == conversation["id"], e.seq > message["seq"], e.type.in_(kinds)
    )
    found = (await session.execute(since.order_by(e.id).limit(_SOON))).mappings().all()
    changes = [one for one in found if one["type"] == ConversationStatusChanged.type]
    if len(found) == _SOON or len(changes) != 1 or changes[0]["occurred_at"] != message["created_at"]:
        return None
    before, after = str(changes[0]["data"]["before"]), str(changes[0]["data"]["after"])
    put_away = conversation["merged_into_id"] is not None or conversation["spam"] or after == Status.CLOSED
    if put_away or conversation["status"] != after:
        return None
    wanted: dict[str, Any] = {"status": before}
    if before == Status.SNOOZED:
        together = [one["data"] for one in found if one["occurred_at"] == message["created_at"]]
        wanted = _asleep([data["changes"] for data in together if "changes" in data], now=now)
    await conversations.change(services, session, conversation, wanted, by=by, now=now)
    return after


def _asleep(changes: list[Mapping[str, Any]], *, now: datetime) -> dict[str, Any]:
    """Snoozed as long as before, or open where that time has come."""
    pairs = [pair["snoozed_until"] for pair in changes if "snoozed_until" in pair]
    until = datetime.fromisoformat(pairs[0][0]) if pairs and pairs[0][0] else now
    return {"status": Status.SNOOZED, "snoozed_until": until} if until > now else {"status": Status.OPEN}


async def draft(
    session: AsyncSession, conversation: Conversation, message: RowMapping, *, status: str | None, now: datetime
) -> None:
    """Give what was written back to its writer, with its files; not where he has begun something else since.

    Nor what went as several messages: nobody knows any more what it was before it was cut.
    """
    if message["author_kind"] != AuthorKind.AGENT or message["author_id"] is None or await _is_cut(session, message):
        return
    mine = attachments.c.message_id == message["id"], attachments.c.uploaded_by == message["author_id"]
    files = (await session.execute(select(attachments.c.id).where(*mine).order_by(attachments.c.id))).scalars().all()
    content = _content(conversation, message) | {"attachment_ids": [str(one) for one in files]}
    if status is not None:
        content["status"] = status
    place = {"agent_id": message["author_id"], "version": None, "now": now}
    try:
        await unsent.keep(session, conversation["id"], content=content, **place)
    except Stale:
        return
    await session.execute(update(attachments).where(*mine).values(message_id=None))
    left = messages.c.attachment_count - len(files)
    await session.execute(update(messages).where(messages.c.id == message["id"]).values(attachment_count=left))


def _content(conversation: Conversation, message: RowMapping) -> dict[str, Any]:
    content: dict[str, Any] = {"text": message["text"], "inbox_id": str(message["inbox_id"])}
    content |= {"visibility": message["visibility"]}
    if message["html"] is not None:
        content["html"] = message["html"]
    # Whom nobody named is the contact: some channels take no names.
    if [one["handle"] for one in message["to"]] != [conversation["contact_handle"]]:
        content["to"] = message["to"]
    return content | ({"cc": message["cc"]} if message["cc"] else {})


async def _is_cut(session: AsyncSession, message: RowMapping) -> bool:
    more = select(messages.c.id).where(
        messages.c.conversation_id == message["conversation_id"], messages.c.part_of == message["id"]
    )
    return message["part_of"] is not None or await session.scalar(more.limit(1)) is not None
