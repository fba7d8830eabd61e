"""The ends of raw items that become no message of their own: a set of them in a few statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.values import RawState
from helpdesk.models.contacts import contacts
from helpdesk.models.inboxes import raw_items
from helpdesk.services import blobs
from helpdesk.services.drafts import ClaimLost
from helpdesk.services.keys import Keys
from helpdesk.statements import Row
from helpdesk.writes import Update, write


@dataclass(frozen=True, slots=True)
class End:
    """What a raw item was: `error` is a stable word, `contact_id` whose words are in it, as far as that is known."""

    raw: Row
    state: RawState
    error: str = ""
    message_id: UUID | None = None
    contact_id: UUID | None = None


async def settle(session: AsyncSession, keys: Keys, ends: Sequence[End]) -> None:
    """Note the ends, and hand the bytes over to their contacts. Raises `ClaimLost` when one is another's by now.

    What belongs to somebody who was erased since loses its data key, and its bytes with that.
    """
    known = await _open(session, keys, {one.contact_id for one in ends if one.contact_id is not None})
    rows, handed_over = [], {}
    for one in ends:
        raw, owner, data_key = one.raw, one.raw["key_owner"], one.raw["data_key"]
        if one.contact_id in known:
            await keys.load(session, owner)
            to = f"contact:{one.contact_id}"
            data_key = keys.rewrap(data_key, owner=owner, to=to, row=f"raw:{raw['id']}")
            if raw["blob_id"] is not None and to != owner:
                handed_over[raw["blob_id"]] = to
            owner = to
        elif one.contact_id is not None:
            data_key = b""
        rows.append(
            {
                "id": raw["id"],
                "claim": raw["claim"],
                "state": one.state.value,
                "error": one.error,
                "message_id": one.message_id or raw["message_id"],
                "data_key": data_key,
                "key_owner": owner,
                "claimed_until": 0.0,
            }
        )
    await blobs.hand_over(session, keys, handed_over)
    still = (("state", RawState.RECEIVED.value),)
    (settled,) = await write(session, Update(raw_items, rows, by=("id", "claim"), still=still))
    if settled < len(rows):
        raise ClaimLost


async def postpone(session: AsyncSession, raw: Row, *, until: datetime) -> None:
    """Look at it again: what it waits for is not known yet. That is no attempt that failed."""
    mine = update(raw_items).where(raw_items.c.id == raw["id"], raw_items.c.claim == raw["claim"])
    later = {"claimed_until": 0.0, "next_attempt_at": until, "attempts": raw_items.c.attempts - 1}
    await session.execute(mine.values(later))


async def _open(session: AsyncSession, keys: Keys, wanted: set[UUID]) -> set[UUID]:
    if not wanted:
        return set()
    found = await session.execute(select(contacts.c.id, contacts.c.key).where(contacts.c.id.in_(wanted)))
    known = set()
    for contact_id, sealed in found:
        if sealed:
            keys.add(f"contact:{contact_id}", sealed)
            known.add(contact_id)
    return known
