"""Hiding what others wrote below our posts, at the vendor: our own copy stays as it is, and says so."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.channels import ChannelError, Closes, Moderates, PermanentFailure, TemporaryFailure
from helpdesk.domain.values import Actor, MessageType, Visibility
from helpdesk.errors import Conflict, Forbidden, Unavailable
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes as inbox_rows
from helpdesk.models.messages import messages
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services import inbox_connecting
from helpdesk.services.access import get_message, may_use
from helpdesk.services.house import Services


async def hide(services: Services, message_id: UUID, *, hidden: bool, by: Actor, now: datetime) -> None:
    """Hide it from the others, or show it again. The vendor is asked with no transaction open; it is idempotent there.

    Raises `NotFound`, `Forbidden`, `Conflict` (`cannot_moderate`) where there is nothing to hide or the vendor will
    not, `Unavailable` while it cannot be reached.
    """
    async with services.database.reading() as session:
        message = await get_message(session, by, message_id)
        inbox = await _moderated(services, session, message, by=by)
    connector = inbox_connecting.connect(services, services.guard(), inbox)
    if not isinstance(connector, Moderates):
        raise _impossible("this channel hides nothing")
    try:
        await connector.hide(message["external_id"], hidden=hidden)
    except PermanentFailure:
        raise _impossible("the channel will not: it may be gone there, or stand below what is not yours") from None
    except TemporaryFailure as error:
        after = {} if error.retry_after is None else {"retry_after": max(1, round(error.retry_after))}
        raise Unavailable("the channel cannot be reached at the moment; try again", extra=after) from None
    except ChannelError as error:
        raise _impossible(f"the channel refuses ({error.kind}): an administrator sees why with inbox check") from None
    finally:
        if isinstance(connector, Closes):
            await connector.close()
    async with services.database.transaction() as session:
        await _keep(session, message_id, hidden=hidden, by=by, now=now)


async def _moderated(services: Services, session: AsyncSession, message: RowMapping, *, by: Actor) -> RowMapping:
    if not may_use(by, message["inbox_id"]):
        raise Forbidden("hiding needs access to the inbox")
    can = services.channel(message["channel"]).capabilities
    if message["type"] != MessageType.INCOMING or message["visibility"] != Visibility.PUBLIC or not can.hide:
        raise _impossible("only what others wrote in public can be hidden, where the channel does that")
    query = select(inbox_rows).where(inbox_rows.c.id == message["inbox_id"], inbox_rows.c.deleted_at.is_(None))
    inbox = (await session.execute(query)).mappings().one_or_none()
    if inbox is None:
        raise _impossible("its inbox was removed")
    return inbox


async def _keep(session: AsyncSession, message_id: UUID, *, hidden: bool, by: Actor, now: datetime) -> None:
    """And tell of it, unless it was so already: the vendor may have told of it faster."""
    changed = update(messages).where(messages.c.id == message_id, messages.c.hidden.is_not(hidden))
    done = await session.scalar(changed.values(hidden=hidden).returning(messages.c.conversation_id))
    if done is None:
        return
    locked = select(conversations).where(conversations.c.id == done).with_for_update(key_share=True)
    conversation = (await session.execute(locked)).mappings().one()
    changes = {"messages": {str(message_id): ["hidden"]}}
    await conversation_verbs.note(session, conversation, changes, by=by, now=now, versioned=False)


def _impossible(why: str) -> Conflict:
    return Conflict(why, slug="cannot_moderate")
