"""Handing a conversation to a colleague or a team, with a word on why: both or neither, in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import Actor, Role, Status
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.agents import agents
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.services import conversations as verbs
from helpdesk.services import replies
from helpdesk.services.access import get_conversation, workable
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft


async def transfer(
    services: Services,
    session: AsyncSession,
    conversation_id: UUID,
    *,
    team_id: UUID | None,
    assignee_id: UUID | None,
    note: str,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """To a team's queue, to an agent, or to an agent of a team. Whom it goes to is mentioned in the note, if there is
    one, which comes after the change: he would not see it otherwise.

    Raises `NotFound` for what is not there, `Stale`, `Conflict` (`conversation_closed`, `conversation_merged`), and
    `Invalid` where nobody is named, or somebody who may not answer in the conversation's inbox.
    """
    if team_id is None and assignee_id is None:
        raise Invalid.field("assignee_id", "say to whom: a team_id, an assignee_id, or both")
    conversation = await get_conversation(session, by, conversation_id, lock=True)
    verbs.check_version(conversation, version)
    if conversation["merged_into_id"] is not None:
        raise Conflict("it went into another conversation", slug="conversation_merged")
    if conversation["status"] == Status.CLOSED:
        raise Conflict("a closed conversation is handed to nobody", slug="conversation_closed")
    wanted: dict[str, Any] = {"assignee_id": assignee_id}
    if team_id is not None:
        wanted["team_id"] = team_id
    await verbs.change(services, session, conversation, wanted, by=by, now=now)
    if assignee_id is not None and not await _may_answer(session, assignee_id, conversation["inbox_id"]):
        raise Invalid.field("assignee_id", "he may not answer in this inbox")
    if note.strip():
        latest = select(conversations).where(conversations.c.id == conversation_id)
        after = (await session.execute(latest)).mappings().one()
        mentions = [assignee_id] if assignee_id not in (None, by.id) else []
        draft = Draft(text=note, private=True, mentions=[one for one in mentions if one is not None])
        await replies.reply(services, session, after, draft, by=by, now=now)


async def _may_answer(session: AsyncSession, agent_id: UUID, inbox_id: UUID) -> bool:
    """Whether `access.may_use` would let him."""
    his = select(inboxes.c.id).where(inboxes.c.id == inbox_id, workable(agents.c.id)).correlate(agents)
    query = select(agents.c.id).where(agents.c.id == agent_id, or_(agents.c.role != Role.AGENT.value, exists(his)))
    return await session.scalar(query) is not None
