"""Contacts and their identities. An agent sees those who have a conversation that he sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.dialects import among
from helpdesk.domain.events import ContactCreated, ContactUpdated
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, Invalid, NotFound, Stale
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.services import audit, rows
from helpdesk.services import custom_fields as fields
from helpdesk.services.access import scoped_contacts
from helpdesk.services.events import record
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys

_SHOWN = [column for column in contacts.c if column.name != "key"]


async def list_contacts(
    services: Services,
    session: AsyncSession,
    actor: Actor,
    *,
    among_these: Sequence[UUID] | None = None,
    handle: str = "",
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """The newest first. `among_these` and `handle` as in `matching`."""
    query = matching(services, actor, among_these=among_these, handle=handle)
    if after is not None:
        created, last = after
        earlier = (contacts.c.created_at == created) & (contacts.c.id < last)
        query = query.where(or_(contacts.c.created_at < created, earlier))
    query = query.order_by(contacts.c.created_at.desc(), contacts.c.id.desc()).limit(limit)
    found: Sequence[RowMapping] = (await session.execute(query)).mappings().all()
    return found


def matching(
    services: Services, actor: Actor, *, among_these: Sequence[UUID] | None = None, handle: str = ""
) -> Select[Any]:
    """Those whom the actor may see, but for those who were merged; of `among_these` if they are given.

    `handle` is exact; an empty one asks nothing.
    """
    query = scoped_contacts(select(*_SHOWN), actor, contacts.c.id).where(contacts.c.merged_into_id.is_(None))
    if among_these is not None:
        query = query.where(among(contacts.c.id, among_these, "uuid"))
    if handle:
        # With the channels, since the index begins with them.
        i = contact_identities.c
        named = among(i.channel, sorted(services.channels), "text"), i.handle == handle.lower()
        query = query.where(contacts.c.id.in_(select(i.contact_id).where(*named)))
    return query


async def get_contact(
    session: AsyncSession, actor: Actor, contact_id: UUID, *, version: int | None = None, lock: bool = False
) -> RowMapping:
    """Locked with `lock`; with `version`, compared as well. Raises `NotFound`, `Stale`."""
    # Whoever sees the one that he went into may know that he did.
    seen = func.coalesce(contacts.c.merged_into_id, contacts.c.id)
    query = scoped_contacts(select(*_SHOWN).where(contacts.c.id == contact_id), actor, seen)
    if lock or version is not None:
        query = query.with_for_update(of=contacts, key_share=True)
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such contact")
    if version is not None and found["version"] != version:
        raise Stale(extra={"version": found["version"]})
    return found


async def identities_of(session: AsyncSession, contact_ids: Sequence[UUID]) -> dict[UUID, list[RowMapping]]:
    found: dict[UUID, list[RowMapping]] = {}
    if contact_ids:
        query = select(contact_identities).where(contact_identities.c.contact_id.in_(contact_ids))
        for row in (await session.execute(query.order_by(contact_identities.c.id))).mappings():
            found.setdefault(row["contact_id"], []).append(row)
    return found


async def find_by_handle(session: AsyncSession, channel: str, handle: str) -> UUID | None:
    return await session.scalar(
        select(contact_identities.c.contact_id).where(
            contact_identities.c.channel == channel, contact_identities.c.handle == handle.lower()
        )
    )


async def create(
    services: Services,
    session: AsyncSession,
    *,
    name: str,
    identities: Sequence[tuple[str, str]],
    language: str = "",
    custom_fields: Mapping[str, Any] | None = None,
    by: Actor,
    now: datetime,
) -> UUID:
    """A contact with `(channel, handle)` identities. Raises `Conflict` for a handle that somebody has, `Invalid`."""
    for channel, _ in identities:
        services.channel(channel)
    contact_id = new_id()
    sealed = Keys(services.keyring).create(f"contact:{contact_id}")
    row = rows.contact(contact_id, name=name, sealed=sealed, now=now)
    row |= {"language": language, "custom_fields": await fields.merged(session, "contact", {}, custom_fields)}
    known = dict.fromkeys((channel, handle.lower()) for channel, handle in identities)
    try:
        async with session.begin_nested():
            await insert_rows(session, contacts, [row])
            await insert_rows(
                session,
                contact_identities,
                [
                    rows.identity(contact_id, channel=channel, handle=handle, display=name, now=now)
                    for channel, handle in known
                ],
            )
    except IntegrityError:
        raise Conflict("a contact has this handle already", slug="handle_taken") from None
    await record(session, ContactCreated(contact_id=contact_id), now=now)
    await audit.record(session, "contact.created", subject="contact", subject_id=contact_id, by=by, now=now)
    return contact_id


async def find_or_create(
    services: Services, session: AsyncSession, *, channel: str, handle: str, name: str, by: Actor, now: datetime
) -> UUID:
    """Who has the handle; a new contact if nobody has. Two at once end with the same contact."""
    found = await find_by_handle(session, channel, handle)
    if found is not None:
        return found
    try:
        return await create(services, session, name=name, identities=[(channel, handle)], by=by, now=now)
    except Conflict:
        found = await find_by_handle(session, channel, handle)
        if found is None:
            raise
        return found


async def block(session: AsyncSession, actor: Actor, contact_id: UUID, *, now: datetime) -> None:
    """Whatever he writes from now on is spam, until he is no longer blocked. Idempotent."""
    row = await get_contact(session, actor, contact_id, lock=True)
    await edit(session, row, {"blocked": True}, by=actor, now=now)


async def edit(
    session: AsyncSession, contact: RowMapping, wanted: Mapping[str, Any], *, by: Actor, now: datetime
) -> int:
    """Set `name language blocked custom_fields` (merged, null takes one away); answers the new version."""
    if contact["merged_into_id"] is not None:
        raise Conflict("he went into another contact; change that one", slug="contact_merged")
    values = {name: value for name, value in wanted.items() if name in ("name", "language", "blocked")}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise Invalid.field(missing[0], "cannot be null")
    if "custom_fields" in wanted:
        before, given = contact["custom_fields"], wanted["custom_fields"]
        values["custom_fields"] = await fields.merged(session, "contact", before, given)
    changed = {name: value for name, value in values.items() if value != contact[name]}
    if not changed:
        return int(contact["version"])
    version = int(contact["version"]) + 1
    await session.execute(
        update(contacts).where(contacts.c.id == contact["id"]).values(**changed, version=version, updated_at=now)
    )
    await audit.record(
        session,
        "contact.updated",
        subject="contact",
        subject_id=contact["id"],
        by=by,
        now=now,
        data={"fields": sorted(changed)},
    )
    await record(session, ContactUpdated(contact_id=contact["id"], fields=sorted(changed)), now=now)
    return version
