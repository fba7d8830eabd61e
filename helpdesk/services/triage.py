"""Triage: what texts are about, suggested after the fact, and applied where the house says so.

Texts suggest again while nothing was applied and no agent has said otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring
from helpdesk.domain import triage
from helpdesk.domain.events import ConversationUpdated, MessageReceived
from helpdesk.domain.triage import Rule, Suggestion
from helpdesk.domain.values import SYSTEM, Actor, AuthorKind, Priority
from helpdesk.errors import Conflict, Invalid
from helpdesk.models.conversations import conversations
from helpdesk.models.desk import triage_suggestions
from helpdesk.models.messages import messages
from helpdesk.services import categories
from helpdesk.services import conversations as verbs
from helpdesk.services.conversations import Conversation
from helpdesk.services.following import Follower
from helpdesk.services.house import Services
from helpdesk.statements import Row

_T: Final = triage_suggestions.c


@dataclass(frozen=True, slots=True)
class Read:
    """What a message suggests for its conversation."""

    conversation_id: UUID
    message_id: UUID
    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class Said:
    """An agent has given another category."""

    conversation_id: UUID
    category: str | None
    by: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """What a batch of events says: what messages suggest, and what agents say."""

    read: Sequence[Read]
    said: Sequence[Said]


async def _look(session: AsyncSession, happened: Sequence[Row]) -> Found:
    return Found(await _suggest(session, happened), [one for event in happened for one in _said(event)])


def _said(event: Row) -> Iterator[Said]:
    """A change of the category by hand, wherever it was made, is a correction."""
    kind, _, agent_id = str(event["data"].get("by", "")).partition(":")
    changes = event["data"].get("changes", {})
    if event["type"] == ConversationUpdated.type and kind == AuthorKind.AGENT.value and "category" in changes:
        by = UUID(agent_id) if agent_id else None
        yield Said(event["conversation_id"], changes["category"][1], by, event["occurred_at"])


async def _suggest(session: AsyncSession, happened: Sequence[Row]) -> list[Read]:
    """What the messages among these events suggest."""
    ids = [UUID(one["data"]["message_id"]) for one in happened if one["type"] == MessageReceived.type]
    m = messages.c
    wanted = select(m.id, m.conversation_id, m.subject, m.new_text).where(m.id.in_(ids), _of_people())
    written = (await session.execute(wanted.order_by(m.conversation_id, m.seq))).mappings().all()
    if not written:
        return []
    # In a thread: a batch of long mails takes as long as a few hundred requests.
    return await asyncio.to_thread(_read, written, await categories.rules(session))


# What an installation was told before, its agents have sorted themselves.
FOLLOWER: Final[Follower[Found]] = Follower(name="triage", batch=50, read=_look, from_now=True)


def _of_people() -> Any:
    """Written just now by somebody: no answering machine, and nothing out of an archive."""
    m = messages.c
    return m.backfilled.is_(False) & or_(m.auto_submitted.is_(None), m.auto_submitted.in_(("", "no")))


def _read(written: Sequence[RowMapping], rules: Sequence[Rule]) -> list[Read]:
    return [
        Read(one["conversation_id"], one["id"], triage.suggest(one["subject"], one["new_text"], by=rules))
        for one in written
    ]


async def keep(services: Services, session: AsyncSession, found: Found, /, *, now: datetime) -> None:
    """Keep what was suggested, and apply it if the house wants that; then what agents said of it."""
    if services.settings.triage != "off" and found.read:
        await _keep_all(services, session, found.read, now=now)
    for one in found.said:
        mine = update(triage_suggestions).where(_T.conversation_id == one.conversation_id)
        said = {"corrected_at": one.at, "corrected_by": one.by, "corrected_category": one.category}
        await session.execute(mine.values(said))


async def _keep_all(services: Services, session: AsyncSession, found: Sequence[Read], *, now: datetime) -> None:
    ids = sorted({one.conversation_id for one in found})
    c = conversations.c
    query = select(conversations).where(c.id.in_(ids), c.spam.is_(False), c.merged_into_id.is_(None))
    locked = (await session.execute(query.order_by(c.id).with_for_update(key_share=True))).mappings()
    rows: dict[UUID, Conversation] = {row["id"]: row for row in locked}
    known = (await session.execute(select(triage_suggestions).where(_T.conversation_id.in_(ids)))).mappings()
    settled = {row["conversation_id"] for row in known if row["applied"] or row["corrected_at"] is not None}
    for one in found:
        row = rows.get(one.conversation_id)
        if row is None or one.conversation_id in settled or not _says_something(one.suggestion):
            continue
        wanted = _wanted(row, one.suggestion) if services.settings.triage == "apply" else {}
        changed = await verbs.change(services, session, row, wanted, by=SYSTEM, now=now) if wanted else row
        rows[one.conversation_id] = changed
        if wanted:
            settled.add(one.conversation_id)
        await _keep(session, one, applied=bool(wanted), now=now)


def _says_something(suggestion: Suggestion) -> bool:
    return suggestion.category is not None or suggestion.priority is not None


def _wanted(conversation: Conversation, suggestion: Suggestion) -> dict[str, Any]:
    """A category where there is none, a priority only upwards; what somebody has set low stays low."""
    wanted: dict[str, Any] = {}
    if suggestion.category is not None and not conversation["category"]:
        wanted["category"] = suggestion.category
    if suggestion.priority is not None and Priority.LOW < conversation["priority"] < suggestion.priority:
        wanted["priority"] = int(suggestion.priority)
    return wanted


async def _keep(session: AsyncSession, one: Read, *, applied: bool, now: datetime) -> None:
    suggestion = one.suggestion
    values = {
        "message_id": one.message_id,
        "category": suggestion.category,
        "priority": None if suggestion.priority is None else int(suggestion.priority),
        "language": suggestion.language,
        "reasons": [
            {
                "rule": reason.rule,
                "category": reason.category,
                "weight": reason.weight,
                "priority": None if reason.priority is None else reason.priority.word,
                "words": list(reason.words),
            }
            for reason in suggestion.reasons
        ],
        "rules_version": suggestion.version,
        "applied": applied,
        "created_at": now,
    }
    unsaid = dict.fromkeys(("corrected_at", "corrected_by", "corrected_category", "corrected_priority"))
    row = {"conversation_id": one.conversation_id, **values, **unsaid}
    added = insert_ignoring(session, triage_suggestions, on=["conversation_id"]).values(row)
    if (await session.execute(added.returning(_T.conversation_id))).first() is None:
        mine = update(triage_suggestions).where(_T.conversation_id == one.conversation_id)
        await session.execute(mine.values(values))


async def suggestion_for(session: AsyncSession, conversation_id: UUID) -> RowMapping | None:
    """What was suggested, if anything."""
    query = select(triage_suggestions).where(_T.conversation_id == conversation_id)
    return (await session.execute(query)).mappings().one_or_none()


async def list_corrections(
    session: AsyncSession, *, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[RowMapping]:
    """What agents said of suggestions, the latest first, with the conversation's number."""
    c = conversations.c
    query = (
        select(triage_suggestions, c.number)
        .join(conversations, c.id == _T.conversation_id)
        .where(_T.corrected_at.is_not(None))
        .order_by(_T.corrected_at.desc(), _T.conversation_id.desc())
        .limit(limit)
    )
    if before is not None:
        at, last = before
        query = query.where(or_(_T.corrected_at < at, and_(_T.corrected_at == at, _T.conversation_id < last)))
    return (await session.execute(query)).mappings().all()


async def correct(
    services: Services,
    session: AsyncSession,
    conversation: Conversation,
    wanted: Mapping[str, Any],
    *,
    by: Actor,
    now: datetime,
) -> Conversation:
    """Say what the category or priority really is: from here on no text says otherwise.

    What is equal to the suggestion is a correction too, and confirms it.
    """
    if not wanted:
        raise Invalid.field("category", "give a category or a priority")
    said = update(triage_suggestions).where(_T.conversation_id == conversation["id"])
    given = {f"corrected_{name}": value for name, value in wanted.items()}
    said = said.values(corrected_at=now, corrected_by=by.id, **given)
    if (await session.execute(said.returning(_T.conversation_id))).first() is None:
        raise Conflict("nothing was suggested; change the conversation itself", slug="nothing_suggested")
    return await verbs.change(services, session, conversation, wanted, by=by, now=now)
