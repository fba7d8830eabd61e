"""Two contacts who are one person: one goes into the other, and can come back out.

His identities and conversations go over, so that later mail under any of his handles finds the one who stays. His own
row stays as a pointer, never to one who was merged himself, and keeps his key: what he had sent before stays encrypted
for it. Erasing a person is therefore to destroy the keys of all who are in him (`inside`). No identity is verified by
it. Blocked is whoever one of the two was: to unblock somebody is a decision of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Table, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, lock_name, new_id
from helpdesk.domain.events import ContactMerged
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, Invalid, NotFound, Stale
from helpdesk.models.contacts import contact_identities, contact_merges, contacts
from helpdesk.models.conversations import conversations, participants
from helpdesk.services import audit
from helpdesk.services.conversations import word_for
from helpdesk.services.events import record

MAX_CONVERSATIONS: Final = 2000
"""Of a contact who can be merged: each is remembered, to be given back."""
MAX_INSIDE: Final = 100
_MAX_FIELDS: Final = 50
_LATE: Final = 500

_K: Final = contacts.c
_G: Final = contact_merges.c


async def merge(
    session: AsyncSession, contact_id: UUID, *, into: UUID, version: int | None, by: Actor, now: datetime
) -> None:
    """Let him go into the other one, whatever his version is where `version` is None.

    Raises `NotFound`, `Stale` where his version is not `version`, and `Conflict`: `contact_merged` and `target_merged`
    for one who is merged already, `too_many_merged`, `too_many_conversations`.
    """
    if into == contact_id:
        raise Invalid.field("into", "a contact cannot go into himself")
    await lock_name(session, "merging contacts")
    # Conversations before contacts, in the order of their ids, as everybody locks them.
    await _conversations(session, contact_id)
    found = await _locked(session, [contact_id, into], _K.merged_into_id == contact_id)
    source, target = _both(found, contact_id, into)
    carried = [one for one in found if one not in (contact_id, into)]
    if version is not None and source["version"] != version:
        raise Stale(extra={"version": source["version"]})
    await _check(session, source, target, carried)
    moved = {
        "identities": await _identities(session, contact_id),
        "conversations": await _conversations(session, contact_id),
    }
    if len(moved["conversations"]) > MAX_CONVERSATIONS:
        raise Conflict(f"at most {MAX_CONVERSATIONS} conversations go over", slug="too_many_conversations")
    await _go_over(session, moved, contact_id, into, now=now)
    given = await _share(session, source, target, now=now)
    noted = {name: [str(one) for one in ids] for name, ids in moved.items()} | given
    row = {"id": new_id(), "contact_id": contact_id, "into_id": into, "moved": noted, "merged_by": by.id}
    await insert_rows(session, contact_merges, [{**row, "created_at": now, "undone_at": None}])
    await _point(session, [contact_id, *carried], into, by=by, now=now)
    counted = {name: len(ids) for name, ids in moved.items()}
    await _audit(session, "contact.merged", contact_id, {"into": str(into), **counted}, by=by, now=now)


async def unmerge(session: AsyncSession, contact_id: UUID, *, version: int, by: Actor, now: datetime) -> None:
    """Let him come back out with what he had, and with whoever had been in him.

    What came in meanwhile stays with the other one. Raises `NotFound`, `Stale`, `Conflict` (`not_merged`).
    """
    await lock_name(session, "merging contacts")
    query = select(contact_merges).where(_G.contact_id == contact_id, _G.undone_at.is_(None))
    merged = (await session.execute(query.order_by(_G.created_at.desc()).limit(1))).mappings().one_or_none()
    moved = {name: [UUID(one) for one in merged["moved"][name]] for name in _MOVED} if merged else {}
    await _lock_conversations(session, moved.get("conversations", ()))
    home = await session.scalar(select(_K.merged_into_id).where(_K.id == contact_id))
    carried = [one for one in await inside(session, contact_id) if one != contact_id]
    found = await _locked(session, [contact_id, *([home] if home else []), *carried])
    if contact_id not in found:
        raise NotFound("there is no such contact")
    if found[contact_id]["version"] != version:
        raise Stale(extra={"version": found[contact_id]["version"]})
    if merged is None or home is None:
        raise Conflict("he was not merged", slug="not_merged")
    await _go_over(session, moved, home, contact_id, now=now)
    await _take_back(session, found[home], merged["moved"], now=now)
    await session.execute(update(contact_merges).where(_G.id == merged["id"]).values(undone_at=now))
    await _point(session, [contact_id], None, by=by, now=now)
    await _point(session, carried, contact_id, by=by, now=now)
    await _audit(session, "contact.unmerged", contact_id, {"out_of": str(home)}, by=by, now=now)


async def inside(session: AsyncSession, contact_id: UUID) -> list[UUID]:
    """He, and all who went into him or into one of those, and have not come out."""
    found, newest = [contact_id], [contact_id]
    while newest:
        query = select(_G.contact_id).where(_G.into_id.in_(newest), _G.undone_at.is_(None), _G.contact_id.not_in(found))
        newest = list(dict.fromkeys((await session.execute(query)).scalars()))
        found += newest
    return found


async def gather(session: AsyncSession, *, now: datetime) -> int:
    """Let conversations go over that were begun for somebody while he was being merged; answers how many there were."""
    c = conversations.c
    late = select(c.id, c.contact_id, _K.merged_into_id).join(contacts, _K.id == c.contact_id)
    late = late.where(_K.merged_into_id.is_not(None)).order_by(c.id).limit(_LATE)
    rows = (await session.execute(late.with_for_update(of=conversations, key_share=True))).all()
    for contact_id, into in {(row.contact_id, row.merged_into_id) for row in rows}:
        mine = [row.id for row in rows if row.contact_id == contact_id]
        await _go_over(session, {"identities": (), "conversations": mine}, contact_id, into, now=now)
        query = select(contact_merges).where(_G.contact_id == contact_id, _G.undone_at.is_(None)).limit(1)
        merged = (await session.execute(query)).mappings().one()
        moved = {**merged["moved"], "conversations": [*merged["moved"]["conversations"], *map(str, mine)]}
        await session.execute(update(contact_merges).where(_G.id == merged["id"]).values(moved=moved))
    return len(rows)


async def whose(session: AsyncSession, identity_id: UUID, holder: UUID) -> UUID:
    """Who has shown that this identity is his: the one who has it, or whom an agent merged into him with it.

    That both are one is what the agent thinks. Where a visitor's own proof merged them (`merged_by` is nobody), it was
    shown.
    """
    while True:
        into = _G.into_id == holder, _G.undone_at.is_(None), _G.merged_by.is_not(None)
        merges = (await session.execute(select(_G.contact_id, _G.moved).where(*into).limit(MAX_INSIDE))).all()
        found = next((row.contact_id for row in merges if str(identity_id) in row.moved["identities"]), None)
        if found is None:
            return holder
        holder = found


async def bring(session: AsyncSession, contact_id: UUID, identity_id: UUID) -> None:
    """An identity of somebody who was merged goes to whom he is in, and comes back out with him."""
    while True:
        query = select(contact_merges).where(_G.contact_id == contact_id, _G.undone_at.is_(None)).limit(1)
        merged = (await session.execute(query.with_for_update())).mappings().one_or_none()
        if merged is None:
            break
        moved = {**merged["moved"], "identities": [*merged["moved"]["identities"], str(identity_id)]}
        await session.execute(update(contact_merges).where(_G.id == merged["id"]).values(moved=moved))
        contact_id = merged["into_id"]
    mine = update(contact_identities).where(contact_identities.c.id == identity_id)
    await session.execute(mine.values(contact_id=contact_id))


_MOVED: Final = ("identities", "conversations")


async def _conversations(session: AsyncSession, contact_id: UUID) -> list[UUID]:
    """His conversations, locked: one more than may go over, if there are."""
    c = conversations.c
    query = select(c.id).where(c.contact_id == contact_id).order_by(c.id).limit(MAX_CONVERSATIONS + 1)
    return list((await session.execute(query.with_for_update(key_share=True))).scalars())


async def _lock_conversations(session: AsyncSession, wanted: Sequence[UUID]) -> None:
    c = conversations.c
    if wanted:
        await session.execute(select(c.id).where(c.id.in_(wanted)).order_by(c.id).with_for_update(key_share=True))


async def _locked(session: AsyncSession, wanted: Sequence[UUID], *others: Any) -> dict[UUID, RowMapping]:
    """Their rows, but for their keys. Whoever is being filed under one of them waits."""
    shown = [column for column in _K if column.name != "key"]
    query = select(*shown).where(or_(_K.id.in_(wanted), *others)).order_by(_K.id).with_for_update()
    return {row["id"]: row for row in (await session.execute(query)).mappings()}


def _both(found: dict[UUID, RowMapping], contact_id: UUID, into: UUID) -> tuple[RowMapping, RowMapping]:
    if contact_id not in found:
        raise NotFound("there is no such contact")
    if into not in found:
        raise Invalid.field("into", "there is no such contact")
    return found[contact_id], found[into]


async def _check(session: AsyncSession, source: RowMapping, target: RowMapping, carried: Sequence[UUID]) -> None:
    if source["merged_into_id"] is not None:
        raise Conflict("he was merged already", slug="contact_merged")
    if target["merged_into_id"] is not None:
        raise Conflict("the other one was merged himself; take the one he is in", slug="target_merged")
    there = select(_K.id).where(_K.merged_into_id == target["id"]).limit(MAX_INSIDE)
    if len((await session.execute(there)).all()) + len(carried) + 1 > MAX_INSIDE:
        raise Conflict(f"at most {MAX_INSIDE} contacts go into one", slug="too_many_merged")


async def _identities(session: AsyncSession, contact_id: UUID) -> list[UUID]:
    i = contact_identities.c
    return list((await session.execute(select(i.id).where(i.contact_id == contact_id).order_by(i.id))).scalars())


async def _go_over(session: AsyncSession, moved: dict[str, Any], contact_id: UUID, to: UUID, *, now: datetime) -> None:
    """What is his by now of these identities and conversations becomes the other one's."""
    i, c, p = contact_identities.c, conversations.c, participants.c
    handle = i.id.in_(moved["identities"]), i.channel == p.channel, i.handle == p.handle
    under = p.conversation_id.in_(moved["conversations"]) & exists().where(*handle)
    mine: list[tuple[Table, Any, dict[str, Any]]] = [
        (contact_identities, i.id.in_(moved["identities"]), {}),
        (conversations, c.id.in_(moved["conversations"]), {"updated_at": now}),
        (participants, under, {}),
    ]
    for table, which, values in mine:
        his = which, table.c.contact_id == contact_id
        await session.execute(update(table).where(*his).values(contact_id=to, **values))


async def _share(session: AsyncSession, source: RowMapping, target: RowMapping, *, now: datetime) -> dict[str, Any]:
    """Give the one who stays what he has not; answers what has to be noted to take it back."""
    room = _MAX_FIELDS - len(target["custom_fields"])
    new = [name for name in source["custom_fields"] if name not in target["custom_fields"]][: max(room, 0)]
    fields = {name: source["custom_fields"][name] for name in new}
    words = {name: source[name] for name in ("name", "language") if source[name] and not target[name]}
    blocked = bool(source["blocked"] and not target["blocked"])
    values: dict[str, Any] = {**words, "custom_fields": {**target["custom_fields"], **fields}}
    values |= {"blocked": bool(target["blocked"] or blocked), "version": target["version"] + 1, "updated_at": now}
    await session.execute(update(contacts).where(_K.id == target["id"]).values(values))
    return {"fields": fields, "words": words, "blocked": blocked}


async def _take_back(session: AsyncSession, home: RowMapping, moved: dict[str, Any], *, now: datetime) -> None:
    """What he brought and nobody has changed since."""
    fields = {k: v for k, v in home["custom_fields"].items() if k not in moved["fields"] or moved["fields"][k] != v}
    words = {name: "" for name, word in moved["words"].items() if home[name] == word}
    values: dict[str, Any] = {**words, "custom_fields": fields, "version": home["version"] + 1, "updated_at": now}
    if moved["blocked"]:
        values["blocked"] = False
    await session.execute(update(contacts).where(_K.id == home["id"]).values(values))


async def _point(session: AsyncSession, who: Sequence[UUID], into: UUID | None, *, by: Actor, now: datetime) -> None:
    """Set their pointers, and tell."""
    if not who:
        return
    values = {"merged_into_id": into, "version": _K.version + 1, "updated_at": now}
    await session.execute(update(contacts).where(_K.id.in_(who)).values(values))
    word = word_for(by)
    await record(session, *(ContactMerged(contact_id=one, into_id=into, by=word) for one in who), now=now)


async def _audit(
    session: AsyncSession, action: str, contact_id: UUID, data: dict[str, Any], *, by: Actor, now: datetime
) -> None:
    await audit.record(session, action, subject="contact", subject_id=contact_id, by=by, now=now, data=data)
