"""What would leave of a text, and what would keep it from leaving: asked before it is sent, and by the same rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import Length
from helpdesk.domain.values import Actor, Visibility
from helpdesk.services import inboxes, lengths, public_guard, reply_facts, reply_places
from helpdesk.services.access import get_conversation
from helpdesk.services.house import Services
from helpdesk.statements import Row


@dataclass(frozen=True, slots=True)
class Preview:
    """`parts` are what leaves, with what each weighs; `personal_data` is what nobody may say in public."""

    visibility: str
    parts: Sequence[tuple[str, Length]]
    personal_data: Sequence[dict[str, Any]]


async def preview(
    services: Services,
    session: AsyncSession,
    inbox_id: UUID,
    text: str,
    *,
    visibility: str | None,
    conversation_id: UUID | None,
    by: Actor,
    now: datetime,
) -> Preview:
    """Raises `NotFound` for what is not there for the actor, `Invalid` (`text_too_long`)."""
    inbox = await inboxes.get_inbox(session, by, inbox_id)
    channel = services.channel(inbox["channel"])
    conversation = await get_conversation(session, by, conversation_id) if conversation_id else None
    can = channel.capabilities
    if visibility is None and conversation is not None:
        heard = await reply_places.said(session, conversation["id"], [inbox_id])
        visibility = next(iter(reply_places.shown(can, heard[inbox_id], now=now)["visibilities"]), None)
    visibility = visibility or (Visibility.PUBLIC if can.public_replies else Visibility.DIRECT).value
    config = inbox["config"]
    parts = lengths.parts(channel, text, visibility, config)
    found: Sequence[dict[str, Any]] = ()
    if conversation is not None and visibility == Visibility.PUBLIC:
        found = await _personal(session, conversation, inbox_id, text)
    return Preview(visibility, [(one, lengths.measured(channel, one, visibility, config)) for one in parts], found)


async def _personal(session: AsyncSession, conversation: Row, inbox_id: UUID, text: str) -> Sequence[dict[str, Any]]:
    facts = await reply_facts.look(session, conversation, inbox_id, agent_id=None)
    return await public_guard.found(session, conversation, text, facts)
