"""Triage: what texts are about, suggested after the fact, and applied where the house says so.

Texts suggest again while nothing was applied and no agent has said otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Executable, RowMapping, and_, false, literal_column, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
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
from helpdesk.statements import Row, Statement
from helpdesk.writes import Insert, write

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
    written = await _WRITTEN.rows(session, ids=ids) if ids else []
    if not written:
        return []
    # In a thread: a batch of long mails takes as long as a few hundred requests.
    return await asyncio.to_thread(_read, written, await categories.rules(session))


# What an installation was told before, its agents have sorted themselves.
FOLLOWER: Final[Follower[Found]] = Follower(name="triage", batch=200, read=_look, from_now=True)


def _written() -> Executable:
    """Written just now by somebody: no answering machine, and nothing out of an archive."""
    m = messages.c
    by_a_person = or_(
        m.auto_submitted.is_(None), *(m.auto_submitted == literal_column(said) for said in ("''", "'no'"))
    )
    wanted = select(m.id, m.conversation_id, m.subject, m.new_text).where(among(m.id, "ids", "uuid"))
    return wanted.where(m.backfilled.is_(false()), by_a_person).order_by(m.conversation_id, m.seq)


_WRITTEN: Final = Statement(_written)


def _read(written: Sequence[Row], rules: Sequence[Rule]) -> list[Read]:
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
    """Of each conversation the first that is applied is kept, or the last. Most of what comes changes nothing: only
    what is not settled is locked, and asked about again then.
    """
    says = [one for one in found if _says_something(one.suggestion)]
    asked = {one.conversation_id for one in says}
    asked -= await _settled(session, asked)
    if not asked:
        return
    rows: dict[UUID, Conversation] = {row["id"]: row for row in await _LOCKED.rows(session, ids=list(asked))}
    settled = await _settled(session, asked)
    kept: dict[UUID, dict[str, Any]] = {}
    for one in says:
        row = rows.get(one.conversation_id)
        if row is None or one.conversation_id in settled:
            continue
        wanted = _wanted(row, one.suggestion) if services.settings.triage == "apply" else {}
        if wanted:
            rows[one.conversation_id] = await verbs.change(services, session, row, wanted, by=SYSTEM, now=now)
            settled.add(one.conversation_id)
        kept[one.conversation_id] = _kept(one, applied=bool(wanted), now=now)
    unsaid = dict.fromkeys(("corrected_at", "corrected_by", "corrected_category", "corrected_priority"))
    added = [{"conversation_id": key, **values, **unsaid} for key, values in sorted(kept.items())]
    replaced = tuple(next(iter(kept.values()), ()))
    await write(session, Insert(triage_suggestions, added, unless=("conversation_id",), replacing=replaced))


async def _settled(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Those whose suggestion was applied, or of which an agent has spoken."""
    return {row["conversation_id"] for row in await _SETTLED.rows(session, ids=list(ids))} if ids else set()


_SETTLED: Final = Statement(
    lambda: select(_T.conversation_id).where(
        among(_T.conversation_id, "ids", "uuid"), or_(_T.applied.is_(true()), _T.corrected_at.is_not(None))
    )
)

_LOCKED: Final = Statement(
    lambda: (
        select(conversations)
        .where(
            among(conversations.c.id, "ids", "uuid"),
            conversations.c.spam.is_(false()),
            conversations.c.merged_into_id.is_(None),
        )
        .order_by(conversations.c.id)
        .with_for_update(key_share=True)
    )
)


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


def _kept(one: Read, *, applied: bool, now: datetime) -> dict[str, Any]:
    suggestion = one.suggestion
    return {
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
