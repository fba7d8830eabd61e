"""What a merged conversation shares with the one that it went into: tags, watchers, participants, and its waiting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, and_, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows
from helpdesk.domain.clocks import OVER
from helpdesk.domain.values import Actor, LinkKind, Status
from helpdesk.errors import Invalid
from helpdesk.models.conversations import (
    conversation_links,
    conversation_tags,
    conversation_watchers,
    participants,
)
from helpdesk.services.conversations import MAX_PARTICIPANTS, Conversation, change, note
from helpdesk.services.house import Services

_P: Final = participants.c
_W: Final = conversation_watchers.c


async def unite(
    services: Services,
    session: AsyncSession,
    source: Conversation,
    target: Conversation,
    *,
    by: Actor,
    now: datetime,
) -> tuple[Conversation, list[str]]:
    """Give the target what the source has; answers its row as it is now, and the tags that it did not have.

    If somebody waits in the source, the target is opened: he would be forgotten otherwise. Raises `Invalid` where too
    many would take part.
    """
    hers, its = await _tags(session, source["id"]), await _tags(session, target["id"])
    wanted: dict[str, Any] = {"tags": hers | its}
    if source["waiting_since"] is not None and source["status"] not in OVER:
        wanted["status"] = Status.OPEN
    version = target["version"]
    target = await change(services, session, target, wanted, by=by, now=now)
    changes: dict[str, list[Any]] = {
        "merged": [None, str(source["id"])],
        "watchers": await _add_watchers(session, source["id"], target["id"], by=by, now=now),
        "participants": await _add_participants(session, source["id"], target["id"], by=by, now=now),
    }
    changes = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
    target = await note(session, target, changes, by=by, now=now, versioned=target["version"] == version)
    return target, sorted(hers - its)


async def take_back(session: AsyncSession, source_id: UUID, place: UUID, *, since: datetime, now: datetime) -> None:
    """Let whoever came into `place` with the source at `since` leave it again.

    Not so whom somebody else brought who is still in there. The caller has taken the source's link away.
    """
    came = _P.conversation_id == place, _P.created_at == since, _P.removed_at.is_(None)
    same = ("channel", "handle")
    mine, others = _also(participants, same, source_id), _also(participants, same, _still_in(place), present=True)
    await session.execute(update(participants).where(*came, mine, ~others).values(removed_at=now))
    watched = _W.conversation_id == place, _W.created_at == since
    mine, others = (_also(conversation_watchers, ("agent_id",), one) for one in (source_id, _still_in(place)))
    await session.execute(delete(conversation_watchers).where(*watched, mine, ~others))


async def part(
    services: Services,
    session: AsyncSession,
    source_id: UUID,
    target: Conversation,
    *,
    tags: Sequence[str],
    by: Actor,
    now: datetime,
) -> None:
    """Take `tags` away that came with the source, and tell that it has left."""
    still = conversation_tags.c.conversation_id.in_(_still_in(target["id"]))
    kept = set((await session.execute(select(conversation_tags.c.tag).where(still))).scalars())
    version, its = target["version"], await _tags(session, target["id"])
    target = await change(services, session, target, {"tags": its - (set(tags) - kept)}, by=by, now=now)
    changes = {"merged": [str(source_id), None]}
    await note(session, target, changes, by=by, now=now, versioned=target["version"] == version)


async def _tags(session: AsyncSession, conversation_id: UUID) -> set[str]:
    query = select(conversation_tags.c.tag).where(conversation_tags.c.conversation_id == conversation_id)
    return set((await session.execute(query)).scalars())


async def _add_watchers(
    session: AsyncSession, source_id: UUID, target_id: UUID, *, by: Actor, now: datetime
) -> list[list[str]]:
    """Who watched before and who does now."""
    hers, its = [
        list((await session.execute(select(_W.agent_id).where(_W.conversation_id == one))).scalars())
        for one in (source_id, target_id)
    ]
    new = [agent_id for agent_id in hers if agent_id not in its]
    row = {"conversation_id": target_id, "added_by": by.id, "created_at": now}
    await insert_rows(session, conversation_watchers, [{**row, "agent_id": agent_id} for agent_id in new])
    return [list(map(str, its)), list(map(str, [*its, *new]))]


async def _add_participants(
    session: AsyncSession, source_id: UUID, target_id: UUID, *, by: Actor, now: datetime
) -> list[int]:
    """How many took part before and how many do now. Somebody who was taken out comes back."""
    hers, its = [
        (
            await session.execute(
                select(_P.channel, _P.handle, _P.name, _P.contact_id).where(
                    _P.conversation_id == one, _P.removed_at.is_(None)
                )
            )
        ).all()
        for one in (source_id, target_id)
    ]
    there = {(row.channel, row.handle) for row in its}
    new = [row for row in hers if (row.channel, row.handle) not in there]
    if len(there) + len(new) > MAX_PARTICIPANTS:
        raise Invalid.field("into", f"at most {MAX_PARTICIPANTS} take part in a conversation")
    again = {"removed_at": None, "added_by": by.id, "created_at": now}
    for row in new:
        key = {"conversation_id": target_id, "channel": row.channel, "handle": row.handle}
        values = {**key, "name": row.name, "contact_id": row.contact_id, **again}
        made = insert_ignoring(session, participants, on=list(key)).values(values).returning(_P.handle)
        if (await session.execute(made)).first() is None:
            await session.execute(
                update(participants).where(*(_P[name] == value for name, value in key.items())).values(again)
            )
    return [len(there), len(there) + len(new)]


def _still_in(place: UUID) -> Select[Any]:
    """The conversations that are merged into this one."""
    link = conversation_links.c
    return select(link.conversation_id).where(link.related_id == place, link.kind == LinkKind.MERGED.value)


def _also(
    table: Table, same: Sequence[str], where: UUID | Select[Any], *, present: bool = False
) -> ColumnElement[bool]:
    """Whether a row of `table` has its like in another conversation, or in any of some."""
    other = table.alias()
    place = other.c.conversation_id
    found = and_(place.in_(where) if isinstance(where, Select) else place == where)
    if present:
        found = and_(found, other.c.removed_at.is_(None))
    return exists().where(found, *(other.c[name] == table.c[name] for name in same))
