"""Floods: the same lure from many accounts becomes one conversation to look at, and the others are put away as spam.

Found after the fact, by following what is filed. Nothing is dropped, and nothing that an agent works on is touched:
what is put away says which conversation stands for it, and can be taken out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Executable, and_, false, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring
from helpdesk.dialects import among
from helpdesk.domain.actions import Alert
from helpdesk.domain.events import MessageReceived
from helpdesk.domain.similarity import BANDS, are_alike, bands, fingerprint, is_lure
from helpdesk.domain.values import SYSTEM, AuthorKind, LinkKind, Visibility
from helpdesk.models.conversations import conversation_links, conversations
from helpdesk.models.messages import messages
from helpdesk.models.social import fingerprints
from helpdesk.services import alerts, spam
from helpdesk.services.alerts import Subject
from helpdesk.services.following import Follower
from helpdesk.services.house import Services
from helpdesk.statements import Row, Statement
from helpdesk.writes import Insert, write

AUTHORS: Final = 5
"""So many accounts that say the same within `WITHIN` are a flood."""
WITHIN: Final = timedelta(hours=1)
KEPT_FOR: Final = timedelta(days=2)
_CANDIDATES: Final = 500

_F: Final = fingerprints.c
_C: Final = conversations.c
_WHO: Final = Alert(who=("supervisors",), agent_ids=(), severity="info", acknowledge=None)


def _written() -> Executable:
    m = messages.c
    columns = (m.id, m.conversation_id, m.inbox_id, m.author_id, m.new_text, m.created_at)
    wanted = select(*columns).where(among(m.id, "ids", "uuid"), m.visibility == Visibility.PUBLIC.value)
    by_contacts = m.author_kind == AuthorKind.CONTACT.value, m.author_id.is_not(None)
    return wanted.where(m.backfilled.is_(false()), *by_contacts).order_by(m.created_at, m.id)


_WRITTEN: Final = Statement(_written)


async def _look(session: AsyncSession, happened: Sequence[Row]) -> list[dict[str, Any]]:
    """The fingerprints of lures among what was said in public."""
    ids = [UUID(event["data"]["message_id"]) for event in happened if event["type"] == MessageReceived.type]
    written = await _WRITTEN.rows(session, ids=ids) if ids else []
    return await asyncio.to_thread(_prints, written) if written else []


def _prints(written: Sequence[Row]) -> list[dict[str, Any]]:
    return [_print(one) for one in written if is_lure(one["new_text"])]


def _print(message: Row) -> dict[str, Any]:
    value = fingerprint(message["new_text"])
    return {
        "id": message["id"],
        **{name: message[name] for name in ("inbox_id", "conversation_id", "author_id", "created_at")},
        "value": value,
        **{f"band{number}": band for number, band in enumerate(bands(value))},
        "head_id": None,
    }


FOLLOWER: Final[Follower[list[dict[str, Any]]]] = Follower(name="floods", batch=200, read=_look, from_now=True)


@dataclass(frozen=True, slots=True)
class _Fold:
    """A flood that has just been found, or has grown: its head, and what else says the same."""

    head_id: UUID
    members: Sequence[Row]


async def keep(
    services: Services, session: AsyncSession, found: Sequence[dict[str, Any]], *, now: datetime
) -> int | None:
    """Keep the fingerprints, and fold what they show to be a flood. All of the batch is done by this."""
    if not found:
        return None
    await write(session, Insert(fingerprints, found, unless=("id",)))
    folds = [fold for one in found if (fold := await _fold(session, one)) is not None]
    if folds:
        await _put_away(services, session, folds, now=now)
    return None


async def _fold(session: AsyncSession, one: Row) -> _Fold | None:
    """The flood that a text belongs to, if it is one by now."""
    same = or_(*(_F[f"band{number}"] == one[f"band{number}"] for number in range(BANDS)))
    recent = and_(_F.inbox_id == one["inbox_id"], _F.created_at > one["created_at"] - WITHIN)
    newest = select(fingerprints).where(recent, same).order_by(_F.created_at.desc(), _F.id.desc()).limit(_CANDIDATES)
    found = {one["id"]: one} | {row["id"]: row for row in (await session.execute(newest)).mappings()}
    oldest_first = sorted(found.values(), key=lambda row: (row["created_at"], row["id"]))
    near = [row for row in oldest_first if are_alike(row["value"], one["value"])]
    known = next((row["head_id"] for row in near if row["head_id"] is not None), None)
    if known is None and len({row["author_id"] for row in near}) < AUTHORS:
        return None
    fold = _Fold(known or near[0]["conversation_id"], [row for row in near if row["head_id"] is None])
    ids = {row["id"] for row in fold.members}
    await session.execute(update(fingerprints).where(_F.id.in_(ids)).values(head_id=fold.head_id))
    return fold


async def _put_away(services: Services, session: AsyncSession, folds: Sequence[_Fold], *, now: datetime) -> None:
    """Mark as spam what stands alone, and say what stands for it. Whatever somebody works on stays where it is."""
    # Those of all floods at once: one after the other they would not be locked in the order of their ids.
    places = {row["conversation_id"] for fold in folds for row in fold.members} | {fold.head_id for fold in folds}
    query = select(conversations).where(_C.id.in_(places)).order_by(_C.id).with_for_update(key_share=True)
    rows = {row["id"]: dict(row) for row in (await session.execute(query)).mappings()}
    for fold in folds:
        head = rows.get(fold.head_id)
        for place in sorted({row["conversation_id"] for row in fold.members} - {fold.head_id}):
            if place not in rows or not _is_alone(rows[place]):
                continue
            rows[place] = dict(await spam.mark(services, session, rows[place], by=SYSTEM, now=now))
            if head is not None:
                link = insert_ignoring(session, conversation_links, on=["conversation_id", "related_id", "kind"])
                values = {"conversation_id": place, "related_id": fold.head_id, "created_at": now}
                await session.execute(link.values(**values, kind=LinkKind.SAME_MESSAGE.value))
        subject, data = Subject(f"flood:{fold.head_id}", "flood"), {"conversation_id": str(fold.head_id)}
        await alerts.call(services, session, subject, [_WHO], head, data=data, now=now)


def _is_alone(conversation: Row) -> bool:
    """Whether there is nothing in it but this, and nobody has it in hand."""
    untouched = conversation["assignee_id"] is None and conversation["last_agent_seq"] == 0
    whole = conversation["merged_into_id"] is None and conversation["message_count"] == 1
    return untouched and whole and not conversation["spam"]
