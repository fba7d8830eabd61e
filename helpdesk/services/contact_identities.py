"""Identities that somebody types: by what else a contact can be reached, or is not.

Nothing is proved by it: what is typed is unverified until its owner shows that it is his, who is somebody else for all
that is known (`visitor_identities.give`). What is filed stays where it is, whatever is added or taken away.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring
from helpdesk.domain.events import ContactUpdated
from helpdesk.domain.mail_addresses import handle_of
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, Invalid, NotFound
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.services import audit, rows
from helpdesk.services.events import record
from helpdesk.services.house import Services

MOST: Final = 50
"""Of one contact, for whom more are added."""

_I: Final = contact_identities.c


async def add(
    services: Services,
    session: AsyncSession,
    contact: RowMapping,
    *,
    channel: str,
    handle: str,
    by: Actor,
    now: datetime,
) -> None:
    """Let what comes from this handle be his. What he has already is no error.

    Raises `Invalid`, and `Conflict`: `handle_taken` with the `contact_id` of who has it, `contact_merged`,
    `too_many_identities`.
    """
    _is_himself(contact)
    handle = await _checked(services, session, channel, handle)
    count = await session.scalar(select(func.count()).where(_I.contact_id == contact["id"])) or 0
    if count >= MOST:
        raise Conflict(f"a contact has at most {MOST} identities", slug="too_many_identities")
    row = rows.identity(contact["id"], channel=channel, handle=handle, display="", now=now)
    new = insert_ignoring(session, contact_identities, on=["channel", "handle"]).values(row)
    if (await session.execute(new.returning(_I.id))).first() is None:
        has = select(_I.contact_id).where(_I.channel == channel, _I.handle == handle)
        other = await session.scalar(has)
        if other == contact["id"]:
            return
        raise Conflict(
            "another contact has this handle; merge the two if they are one person",
            slug="handle_taken",
            extra={"contact_id": str(other)},
        )
    about = {"identity_id": str(row["id"]), "channel": channel}
    await _changed(session, contact, "contact.identity_added", about, by=by, now=now)


async def remove(
    services: Services, session: AsyncSession, contact: RowMapping, identity_id: UUID, *, by: Actor, now: datetime
) -> None:
    """Let what comes from this handle from now on be somebody else's. What came stays with him.

    Raises `NotFound`, and `Conflict`: `last_identity`; `identity_in_use` where conversations are held under it on a
    channel that knows people by nothing else, or a visitor's browser is known by it, who could say nothing more;
    `contact_merged`.
    """
    _is_himself(contact)
    mine = (await session.execute(select(contact_identities).where(_I.contact_id == contact["id"]))).mappings().all()
    identity = next((one for one in mine if one["id"] == identity_id), None)
    if identity is None:
        raise NotFound("he has no such identity")
    if len(mine) == 1:
        raise Conflict("without it nobody could tell who he is", slug="last_identity")
    known = services.channels.get(identity["channel"])
    if known is not None and known.capabilities.live:
        raise Conflict("visitors are known by their browser; nobody could give that back", slug="identity_in_use")
    if known is not None and not known.capabilities.letters:
        c = conversations.c
        held = c.contact_id == contact["id"], c.channel == identity["channel"], c.contact_handle == identity["handle"]
        if await session.scalar(select(exists().where(*held))):
            raise Conflict("conversations are held under it", slug="identity_in_use")
    await session.execute(delete(contact_identities).where(_I.id == identity_id))
    about = {"identity_id": str(identity_id), "channel": identity["channel"]}
    await _changed(session, contact, "contact.identity_removed", about, by=by, now=now)


def _is_himself(contact: RowMapping) -> None:
    if contact["merged_into_id"] is not None:
        raise Conflict("he went into another contact; change that one", slug="contact_merged")


async def _checked(services: Services, session: AsyncSession, channel: str, handle: str) -> str:
    """The handle as it is compared. Raises `Invalid` for what nobody outside could have."""
    known = services.channel(channel)
    if known.capabilities.live:
        raise Invalid.field("channel", "visitors are known by their browser; nobody can type that")
    if known.capabilities.letters:
        address = handle_of(handle)
        if address is None:
            raise Invalid.field("handle", "give one address, such as name@example.org")
        handle = address
    handle = handle.lower()
    own = select(inboxes.c.id).where(inboxes.c.channel == channel, inboxes.c.handle == handle)
    if await session.scalar(own.where(inboxes.c.deleted_at.is_(None)).limit(1)) is not None:
        raise Invalid.field("handle", "this is one of our own")
    return handle


async def _changed(
    session: AsyncSession, contact: RowMapping, action: str, about: dict[str, Any], *, by: Actor, now: datetime
) -> None:
    values = {"version": contact["version"] + 1, "updated_at": now}
    await session.execute(update(contacts).where(contacts.c.id == contact["id"]).values(values))
    await audit.record(session, action, subject="contact", subject_id=contact["id"], by=by, now=now, data=about)
    await record(session, ContactUpdated(contact_id=contact["id"], fields=["identities"]), now=now)
