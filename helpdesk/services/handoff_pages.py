"""What the page behind a link does: it opens a session for the contact to whom the link was sent, in his conversation.

He is known by the handle that the link was sent to, and by nothing else: whom an agent takes him for opens nothing to
him. What was said before stays where it was said; he reads from here on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import Actor, AuthorKind
from helpdesk.errors import Conflict, NotFound
from helpdesk.live import Opened
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.social import handoffs
from helpdesk.services import attempts, contact_merging, visitor_sessions, visits
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services import handoffs as handing
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services

PER_ADDRESS: Final = 50
PER_LINK: Final = 20
"""Tries within `attempts.WINDOW`."""

_C: Final = conversations.c
_H: Final = handoffs.c
_I: Final = contact_identities.c


@dataclass(frozen=True, slots=True)
class Link:
    """What a page may say of a link. `used` is not `open` either; `inbox_id` is where it leads."""

    inbox_id: UUID
    channel: str
    language: str
    open: bool
    used: bool


async def find(session: AsyncSession, token: str, *, now: datetime) -> Link:
    """By the secret of a link. Raises `NotFound`."""
    query = (
        select(_H.to_inbox_id, inboxes.c.channel, _C.language, _H.state, _H.expires_at)
        .join(inboxes, inboxes.c.id == _H.to_inbox_id)
        .join(conversations, _C.id == _H.conversation_id)
        .where(_H.digest == digest_of(token))
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise NotFound("there is no such link")
    is_open = found.state == handing.OPEN and now < found.expires_at
    return Link(found.to_inbox_id, found.channel, found.language, is_open, found.state == handing.USED)


async def use(services: Services, token: str, *, address: str, language: str, now: datetime) -> Opened:
    """Open the session, once; `address` is where the request came from.

    Tries are counted first, in a transaction of their own. Raises `TooMany`, `NotFound`, and `Conflict`
    (`handoff_over`) for a link that was used, replaced, or has expired, (`handoff_away`) while the inbox is paused.
    """
    async with services.database.transaction() as session:
        await attempts.count(session, attempts.of_address(services, address, "handoff"), PER_ADDRESS, now=now)
        await attempts.count(session, attempts.of_link(services, token), PER_LINK, now=now)
    async with services.database.transaction() as session:
        return await _use(services, session, token, language=language, now=now)


async def _use(services: Services, session: AsyncSession, token: str, *, language: str, now: datetime) -> Opened:
    about = select(_H.conversation_id).where(_H.digest == digest_of(token))
    conversation_id = await session.scalar(about)
    if conversation_id is None:
        raise NotFound("there is no such link")
    # The conversation first, as everywhere; of two who open one link at once, the second finds it used.
    locked = select(conversations).where(_C.id == conversation_id).with_for_update(key_share=True)
    conversation = (await session.execute(locked)).mappings().one()
    mine = select(handoffs).where(_H.digest == digest_of(token)).with_for_update()
    link = (await session.execute(mine)).mappings().one()
    if link["state"] != handing.OPEN or link["expires_at"] <= now:
        raise Conflict("this link was used, or has expired", slug="handoff_over", status=410)
    contact_id = await _whose(session, link)
    given: dict[str, Any] = {"contact_id": contact_id, "shown": f"handoff:{link['id']}", "language": language}
    try:
        opened = await visitor_sessions.begin_as(services, session, link["to_inbox_id"], **given, now=now)
    except NotFound:
        raise Conflict("the chat is closed at the moment", slug="handoff_away", status=503) from None
    there = {"id": conversation_id, "inbox_id": link["to_inbox_id"]}
    await visits.begin(session, there, contact_id=contact_id, waits=False, now=now)
    await visits.move(session, there, contact_id=contact_id)
    used = {"state": handing.USED, "used_at": now, "session_id": opened.visitor.session_id}
    await session.execute(update(handoffs).where(_H.id == link["id"]).values(used))
    by = Actor(AuthorKind.CONTACT, id=contact_id)
    changes = {"handoff": [handing.OPEN, handing.USED]}
    await conversation_verbs.note(session, conversation, changes, by=by, now=now, versioned=False)
    # Again, now that he has a conversation there.
    return await visitor_sessions.opened(services, session, opened.token, now=now)


async def _whose(session: AsyncSession, link: RowMapping) -> UUID:
    """The contact who has shown the handle to be his. Raises `Conflict` where he was erased meanwhile."""
    said = select(messages.c.channel, messages.c.to).where(messages.c.id == link["message_id"])
    message = (await session.execute(said)).one()
    handle = message.to[0]["handle"]
    query = (
        select(_I.id, _I.contact_id)
        .join(contacts, contacts.c.id == _I.contact_id)
        .where(_I.channel == message.channel, _I.handle == handle)
        .where(func.length(contacts.c.key) > literal_column("0"))
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise Conflict("nobody is known by this handle any more", slug="handoff_over", status=410)
    return await contact_merging.whose(session, found.id, found.contact_id)
