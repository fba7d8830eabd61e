"""Names that a channel tells apart from what is said: of people who were known by their handles alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain.events import ContactUpdated
from helpdesk.domain.values import SYSTEM
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.events import audit
from helpdesk.services import events, rows
from helpdesk.writes import Insert, Update, write

LONGEST: Final = 120
"""Characters of a name."""


async def name(session: AsyncSession, channel: str, names: Mapping[str, str], *, now: datetime) -> None:
    """Name those who have no name yet, by handle. What somebody has entered stays."""
    if not names:
        return
    i, c = contact_identities.c, contacts.c
    found = await session.execute(
        select(c.id, c.version, i.handle)
        .join(contact_identities, i.contact_id == c.id)
        .where(i.channel == channel, among(i.handle, sorted(names), "text"), c.name == "")
        .order_by(c.id)
        .with_for_update(of=contacts, key_share=True)
    )
    named = {row.id: {"id": row.id, "name": names[row.handle], "version": row.version + 1} for row in found}
    if not named:
        return
    noted = [
        rows.audit_entry("contact.updated", by=SYSTEM, subject=("contact", contact_id), now=now, fields=["name"])
        for contact_id in named
    ]
    await write(
        session,
        Update(contacts, [{**row, "updated_at": now} for row in named.values()]),
        Insert(audit, noted),
    )
    told = [ContactUpdated(contact_id=contact_id, fields=["name"]) for contact_id in named]
    await events.record(session, *told, now=now)
