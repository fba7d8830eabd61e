"""Keeping the rows that a search looks into: made after the fact, of what events tell, so that filing pays nothing.

One worker at a time follows the events (`workers/search.py`). What was there before is walked through by a job, the
newest first; both number what they find, upwards and downwards from where the numbers begin, so that a greater number
is always the later thing (docs/decisions/0010-search.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows, ring
from helpdesk.domain.search_entries import Entry, of_contact, of_conversation, of_message, scope_of
from helpdesk.domain.values import SYSTEM, MessageType
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversation_inboxes, conversations
from helpdesk.models.messages import messages
from helpdesk.models.search import search_rows, search_state
from helpdesk.services import jobs
from helpdesk.services.following import Follower
from helpdesk.services.house import Services
from helpdesk.services.jobs import Step
from helpdesk.services.search_store import FIRST
from helpdesk.statements import Row

BATCH: Final = 200
"""Events, or messages, at a time."""

KIND: Final = "reindex"
_NAME: Final = "search"
_CONTENT: Final = ("conversation_id", "at", "title", "codes", "scope", "tokens")
_SCOPED: Final = frozenset(
    {
        "conversation.created",
        "conversation.updated",
        "conversation.assigned",
        "conversation.merged",
        "message.received",
        "message.created",
    }
)
"""After these, others may see a conversation than before."""

_S: Final = search_state.c
_R: Final = search_rows.c


@dataclass(slots=True)
class Subjects:
    """What is to be looked at, by id. Those who may see the conversations that are `touched` may have changed."""

    messages: list[UUID] = field(default_factory=list)
    conversations: list[UUID] = field(default_factory=list)
    contacts: list[UUID] = field(default_factory=list)
    touched: set[UUID] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is to be kept: entries, and for conversations the scope of all their rows."""

    entries: Sequence[Entry]
    scopes: Mapping[UUID, str]


def walks() -> Select[Any]:
    """Whether a walk is asked for."""
    return select(_S.name).where(_S.rebuild)


async def _told(session: AsyncSession, happened: Sequence[Row]) -> Seen:
    """What these events ask for. Works for a while in a thread."""
    subjects = _subjects(happened)
    # What was split off is in another conversation now.
    moved = select(_R.message_id).join(messages, messages.c.id == _R.message_id)
    moved = moved.where(messages.c.conversation_id.in_(subjects.conversations))
    moved = moved.where(messages.c.conversation_id != _R.conversation_id)
    subjects.messages += (await session.execute(moved)).scalars()
    return await _look(session, subjects)


FOLLOWER: Final[Follower[Seen]] = Follower(name="search", batch=BATCH, read=_told)


async def take_in(session: AsyncSession, seen: Seen, /) -> None:
    """Store the entries with the next numbers, and let everybody see what is his to see."""
    state = await _locked(session)
    newest = await _store(session, seen.entries, state["newest"], step=1)
    await session.execute(update(search_state).where(_S.name == _NAME).values(newest=newest))
    if seen.scopes:
        rescoped = update(search_rows).where(_R.conversation_id == bindparam("of"), _R.scope != bindparam("now"))
        rescoped = rescoped.values(scope=bindparam("now"))
        given = [{"of": one, "now": scope} for one, scope in sorted(seen.scopes.items())]
        await (await session.connection()).execute(rescoped, given)


async def ask_for_walk(session: AsyncSession) -> None:
    """Have everything looked at again: by the first worker that follows the events, in a job."""
    await _locked(session)
    await session.execute(update(search_state).where(_S.name == _NAME).values(rebuild=True))
    ring(session, "search")


async def begin_walk(session: AsyncSession, *, now: datetime) -> bool:
    """Queue the job if a walk was asked for."""
    asked = update(search_state).where(_S.name == _NAME, _S.rebuild).values(rebuild=False).returning(_S.name)
    if (await session.execute(asked)).first() is None:
        return False
    total = 0
    for table in (messages, contacts):
        total += await session.scalar(select(func.count()).select_from(table)) or 0
    await jobs.start(session, KIND, {}, total=total, by=SYSTEM, now=now)
    return True


async def reindex(services: Services, session: AsyncSession, job: RowMapping, /, *, now: datetime) -> Step:
    """One batch of the walk: messages with their conversations, the newest first, then contacts."""
    stage = job["cursor"].get("stage", "messages")
    table = messages if stage == "messages" else contacts
    query = select(table.c.id).order_by(table.c.id.desc()).limit(BATCH)
    if "before" in job["cursor"]:
        query = query.where(table.c.id < UUID(job["cursor"]["before"]))
    found = list((await session.execute(query)).scalars())
    subjects = Subjects(contacts=found)
    if stage == "messages":
        subjects = Subjects(messages=found, conversations=await _conversations_of(session, found))
    # Locked before it is looked: else events that are taken in meanwhile find no rows to change, and what was read
    # before them, such as who may see a conversation, would stay.
    state = await _locked(session)
    entries = (await _look(session, subjects)).entries
    oldest = await _store(session, entries, state["oldest"], step=-1)
    await session.execute(update(search_state).where(_S.name == _NAME).values(oldest=oldest))
    last = len(found) < BATCH
    cursor = {"stage": stage, "before": str(found[-1])} if not last else {"stage": "contacts"}
    return Step(cursor, len(found), len(entries), over=last and stage == "contacts")


def _subjects(happened: Iterable[Row]) -> Subjects:
    found = Subjects()
    for event in happened:
        kind, data = event["type"], event["data"]
        if kind in _SCOPED:
            found.touched.add(event["conversation_id"])
        if kind in ("message.received", "message.created"):
            found.messages.append(UUID(data["message_id"]))
        if kind == "conversation.updated" and isinstance(marks := data["changes"].get("messages"), Mapping):
            found.messages += [UUID(message_id) for message_id, names in marks.items() if "text" in names]
        if kind == "conversation.created" or (kind == "conversation.updated" and "subject" in data["changes"]):
            found.conversations.append(event["conversation_id"])
        if kind == "conversation.created" or kind.startswith("contact."):
            found.contacts += [UUID(data[name]) for name in ("contact_id", "into_id") if data.get(name)]
    return found


async def _conversations_of(session: AsyncSession, found: Sequence[UUID]) -> list[UUID]:
    query = select(messages.c.conversation_id).where(messages.c.id.in_(found)).distinct()
    return list((await session.execute(query)).scalars())


async def _scopes(session: AsyncSession, conversation_ids: Collection[UUID]) -> dict[UUID, str]:
    c, t = conversations.c, conversation_inboxes.c
    inboxes: dict[UUID, set[UUID]] = {}
    touched = select(t.conversation_id, t.inbox_id).where(t.conversation_id.in_(conversation_ids))
    for conversation_id, inbox_id in await session.execute(touched):
        inboxes.setdefault(conversation_id, set()).add(inbox_id)
    query = select(c.id, c.inbox_id, c.team_id, c.assignee_id).where(c.id.in_(conversation_ids))
    return {
        row.id: scope_of(inboxes.get(row.id, ()), row.inbox_id, row.team_id, row.assignee_id)
        for row in await session.execute(query)
    }


async def _look(session: AsyncSession, subjects: Subjects) -> Seen:
    """The entries of those that are still there, the latest last.

    What the house sends by itself is none of them: each acknowledgement warns of the same dangers, and whoever looks
    for "recovery phrase" looks for the people who wrote of theirs.
    """
    m, c = messages.c, conversations.c
    somebodys = or_(m.type != MessageType.OUTGOING.value, m.auto_submitted.is_(None))
    wanted = (m.id, m.conversation_id, m.subject, m.new_text, m.received_at, m.created_at, c.subject.label("about"))
    query = select(*wanted).join(conversations, c.id == m.conversation_id).where(m.id.in_(subjects.messages), somebodys)
    written = (await session.execute(query.order_by(m.id))).mappings().all()
    about = select(c.id, c.subject, c.number, c.created_at).where(c.id.in_(subjects.conversations))
    begun = (await session.execute(about.order_by(c.id))).mappings().all()
    who = select(contacts).where(contacts.c.id.in_(subjects.contacts))
    people = (await session.execute(who.order_by(contacts.c.id))).mappings().all()
    i = contact_identities.c
    mine = select(i.contact_id, i.handle).where(i.contact_id.in_(subjects.contacts)).order_by(i.id)
    handles: dict[UUID, list[str]] = {}
    for contact_id, handle in await session.execute(mine):
        handles.setdefault(contact_id, []).append(handle)

    ours = {row["conversation_id"] for row in written} | {row["id"] for row in begun}
    scopes = await _scopes(session, ours | subjects.touched)

    def compose() -> list[Entry]:
        return [
            *(of_contact(dict(row), handles.get(row["id"], [])) for row in people),
            *(of_conversation(dict(row), scope=scopes[row["id"]]) for row in begun),
            *(of_message(dict(row), scope=scopes[row["conversation_id"]]) for row in written),
        ]

    # In a thread: a batch of long mails takes as long as a few hundred requests.
    entries = await asyncio.to_thread(compose)
    return Seen(entries, {one: scope for one, scope in scopes.items() if one in subjects.touched})


async def _locked(session: AsyncSession) -> RowMapping:
    """The state, made when there is none, locked until the transaction ends."""
    begin = {"name": _NAME, "newest": FIRST, "oldest": FIRST, "rebuild": False}
    await session.execute(insert_ignoring(session, search_state, on=["name"]).values(begin))
    query = select(search_state).where(_S.name == _NAME).with_for_update(key_share=True)
    return (await session.execute(query)).mappings().one()


async def _store(session: AsyncSession, entries: Sequence[Entry], n: int, *, step: int) -> int:
    """Write the entries, new ones with the next numbers after `n`; answers the last number."""
    there = await _there(session, entries)
    added, changed = [], []
    for entry in entries if step > 0 else reversed(entries):
        known = there.get(entry.key)
        values = {name: getattr(entry, name) for name in _CONTENT}
        if known is not None:
            changed.append({"own": known, **values})
            continue
        n += step
        added.append({"n": n, "message_id": entry.message_id, "contact_id": entry.contact_id, **values})
    await insert_rows(session, search_rows, added)
    if changed:
        statement = update(search_rows).where(_R.n == bindparam("own"))
        await (await session.connection()).execute(
            statement.values({name: bindparam(name, type_=_R[name].type) for name in _CONTENT}), changed
        )
    return n


async def _there(session: AsyncSession, entries: Sequence[Entry]) -> dict[UUID | None, int]:
    """The numbers of the rows that there are."""
    alone = [one.conversation_id for one in entries if one.message_id is None and one.conversation_id]
    query = select(_R.n, _R.message_id, _R.conversation_id, _R.contact_id).where(
        or_(
            _R.message_id.in_([one.message_id for one in entries if one.message_id]),
            _R.conversation_id.in_(alone) & _R.message_id.is_(None),
            _R.contact_id.in_([one.contact_id for one in entries if one.contact_id]),
        )
    )
    found = (await session.execute(query)).all()
    return {row.message_id or row.conversation_id or row.contact_id: row.n for row in found}
