"""Handing a conversation over: a word in public that names nobody, and a link by direct message that opens a chat.

The link is what shows that he is the one who wrote: it goes where only he reads, works once, and until it expires. Its
secret is derived from the row's id with a key of the installation and kept nowhere: the stored message shows a gap,
which is filled when it is composed (`helpdesk.services.outgoing`).
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain import handoff_texts
from helpdesk.domain.values import Actor, Visibility
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.messages import deliveries
from helpdesk.models.social import handoffs
from helpdesk.services import replies, reply_facts, reply_places
from helpdesk.services.access import get_conversation
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft, Stored, write_down
from helpdesk.statements import Row

OPEN: Final = "open"
USED: Final = "used"
VOID: Final = "void"
_H: Final = handoffs.c


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What was written: `public` is None where he had not written in public last."""

    public: Stored | None
    direct: Stored
    expires_at: datetime


def secret_of(services: Services, handoff_id: UUID) -> str:
    """The secret of a link: 256 bits that nobody can tell who has not the installation's oldest key."""
    key = services.keyring.subkey("handoff", min(services.keyring.ids))
    return base64.urlsafe_b64encode(hmac.new(key, handoff_id.bytes, sha256).digest()).decode().rstrip("=")


async def link_of(services: Services, session: AsyncSession, message_id: UUID) -> str | None:
    """The secret that belongs into a message, None for one that hands nothing over."""
    handoff_id = await session.scalar(select(_H.id).where(_H.message_id == message_id))
    return None if handoff_id is None else secret_of(services, handoff_id)


async def hand_over(
    services: Services,
    session: AsyncSession,
    conversation: Row,
    to_inbox_id: UUID,
    *,
    text: str,
    language: str | None,
    by: Actor,
    now: datetime,
) -> HandedOver:
    """Write to him in the locked conversation, and say so in public where he wrote in public: `text`, or our own words.

    An earlier link of the conversation is worth nothing from now on. Raises `Conflict` (`handoff_not_possible`) where
    he cannot be written to directly, and what `replies.reply` raises.
    """
    to = await replies.usable_inbox(session, to_inbox_id, to_inbox_id, by=by)
    if not services.channel(to["channel"]).handoff:
        raise Invalid.field("inbox_id", "name the inbox of a channel in which visitors write")
    default = await _default(services, session, conversation, now=now)
    hours = services.settings.handoff_hours
    words = language or conversation["language"]
    words = words if words in handoff_texts.TEXTS else "en"
    link = handoff_texts.direct(words, base_url=services.settings.base_url, hours=hours)
    direct = await _say(services, session, conversation, link, Visibility.DIRECT, by=by, now=now)
    public = None
    if default == Visibility.PUBLIC:
        conversation = await get_conversation(session, by, conversation["id"], lock=True)
        said = text.strip() or handoff_texts.TEXTS[words].public
        public = await _say(services, session, conversation, said, Visibility.PUBLIC, by=by, now=now)
        await _behind(session, public, direct)
    expires_at = now + timedelta(hours=hours)
    await _keep(services, session, direct.message, to["id"], expires_at=expires_at, by=by, now=now)
    return HandedOver(public, direct, expires_at)


async def _keep(
    services: Services,
    session: AsyncSession,
    message: Row,
    to_inbox_id: UUID,
    *,
    expires_at: datetime,
    by: Actor,
    now: datetime,
) -> None:
    """The link that this message carries, the only one of its conversation that is open."""
    earlier = _H.conversation_id == message["conversation_id"], _H.state == OPEN
    await session.execute(update(handoffs).where(*earlier).values(state=VOID))
    handoff_id = new_id()
    row = {
        "id": handoff_id,
        "conversation_id": message["conversation_id"],
        "message_id": message["id"],
        "by_inbox_id": message["inbox_id"],
        "to_inbox_id": to_inbox_id,
        "digest": digest_of(secret_of(services, handoff_id)),
        "state": OPEN,
        "created_by": by.id,
        "created_at": now,
        "expires_at": expires_at,
        "used_at": None,
        "session_id": None,
    }
    await insert_rows(session, handoffs, [row])


async def _default(services: Services, session: AsyncSession, conversation: Row, *, now: datetime) -> str:
    """How visible an answer would be. Raises `Conflict` where no direct message reaches him, or no link leads here."""
    inbox_id = conversation["inbox_id"]
    can = services.channel(conversation["channel"]).capabilities
    heard = (await reply_places.said(session, conversation["id"], [inbox_id]))[inbox_id]
    possible = reply_places.shown(can, heard, now=now)["visibilities"]
    if can.live or Visibility.DIRECT.value not in possible:
        detail = "he cannot be written to directly now: ask him in public to write a direct message first"
        raise Conflict(detail, slug="handoff_not_possible")
    if not services.settings.base_url:
        raise Conflict("HELPDESK_BASE_URL is not set, so that no link leads here", slug="handoff_not_possible")
    visibility: str = possible[0]
    return visibility


async def _say(
    services: Services,
    session: AsyncSession,
    conversation: Row,
    text: str,
    visibility: Visibility,
    *,
    by: Actor,
    now: datetime,
) -> Stored:
    """As an answer is written, but that what the agent has begun to write stays."""
    facts = await reply_facts.look(session, conversation, conversation["inbox_id"], agent_id=None)
    draft = Draft(text=text, visibility=visibility.value)
    written = await replies.checked(services, session, conversation, draft, facts, by=by, now=now)
    return await write_down(services, session, written)


async def _behind(session: AsyncSession, public: Stored, direct: Stored) -> None:
    """Nobody is told in public that he was written to before he was."""
    mine = update(deliveries).where(deliveries.c.message_id == public.message["id"])
    await session.execute(mine.values(after_id=direct.message["id"]))
