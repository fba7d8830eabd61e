"""What leaves in bulk: conversations with their messages, and contacts, in the order of their ids.

Ids are given in the order of making and never change: whatever is written meanwhile, nothing comes twice, and nothing
is left out that was there from the beginning to the end. What is made after the beginning is not in it, so that it has
an end. Each page is read in a transaction of its own, which is over before the page is written: whoever takes his time
holds nothing up, and there is never more in memory than a page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, RowMapping, Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import new_id
from helpdesk.domain.values import Actor
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.services import attempts, audit, describing, listing, search
from helpdesk.services import contacts as contact_verbs
from helpdesk.services.house import Services
from helpdesk.services.listing import Question
from helpdesk.services.paging import cut
from helpdesk.services.search_store import MOST as MOST_FOUND

PAGE: Final = 500
MOST: Final = 200_000
"""Conversations, or contacts, in one answer: behind them it goes on with the next one."""

PER_WINDOW: Final = 20
"""That one agent may begin within `attempts.WINDOW`."""

_TOGETHER: Final = 20
_MESSAGES: Final = 100
_EXTRA: Final = (conversations.c.custom_fields, conversations.c.merged_into_id, conversations.c.spam)


@dataclass(frozen=True, slots=True)
class Part:
    """Those behind `after`, at most so many. `until` is an id that no earlier one is behind."""

    after: UUID | None = None
    most: int = MOST
    until: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported: a query that can be gone through by `ids`, and its values."""

    query: Select[Any]
    ids: ColumnElement[UUID]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """`row` is a list row (`listing.COLUMNS`)."""

    row: Sequence[Any]
    custom_fields: Mapping[str, Any]
    merged_into_id: UUID | None
    spam: bool


@dataclass(frozen=True, slots=True)
class Message:
    """Of the conversation before it."""

    row: Mapping[str, Any] | RowMapping
    files: Sequence[RowMapping]


@dataclass(frozen=True, slots=True)
class Contact:
    row: RowMapping
    identities: Sequence[RowMapping]


@dataclass(frozen=True, slots=True)
class End:
    """How many conversations or contacts there were; with `more`, there are others behind `last`."""

    count: int
    last: UUID | None
    more: bool


Found = Conversation | Message | Contact | End


def of_conversations(asked: Question) -> Source:
    query = listing.narrowed(listing.SELECT.add_columns(*_EXTRA), asked)
    return Source(query, conversations.c.id, asked.values)


async def of_contacts(
    services: Services,
    actor: Actor,
    *,
    q: str = "",
    handle: str = "",
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> Source:
    """Those who are not merged, as the list has them. `[created_after, created_before)`.

    Raises `Invalid` where `q` asks for nothing.
    """
    named = await search.newest_contacts(services, actor, q, limit=MOST_FOUND) if q else None
    query = contact_verbs.matching(services, actor, among_these=named, handle=handle)
    if created_after is not None:
        query = query.where(contacts.c.created_at >= created_after)
    if created_before is not None:
        query = query.where(contacts.c.created_at < created_before)
    return Source(query, contacts.c.id, {})


async def begin(
    services: Services, session: AsyncSession, what: str, data: Mapping[str, Any], *, by: Actor, now: datetime
) -> UUID:
    """Count it, and write down who takes what along; answers the id under which the audit has its end as well.

    `data` names what was asked for, never what is looked for. Raises `TooMany`.
    """
    if by.id is not None:
        await attempts.count(session, attempts.of_agent(services, by.id, "export"), PER_WINDOW, now=now)
    export_id = new_id()
    told = {"what": what, **data}
    await audit.record(session, "export.started", subject="export", subject_id=export_id, by=by, now=now, data=told)
    return export_id


async def end(session: AsyncSession, export_id: UUID, count: int, *, whole: bool, by: Actor, now: datetime) -> None:
    """Write down how many left, and whether that was all of them: whoever listens may go away."""
    data = {"count": count, "whole": whole}
    await audit.record(session, "export.ended", subject="export", subject_id=export_id, by=by, now=now, data=data)


async def count(services: Services, source: Source, part: Part) -> int:
    """How many there are now. It looks at each, and no request does that."""
    some = source.query.where(source.ids < part.until).with_only_columns(source.ids).order_by(None).subquery()
    async with services.database.reading() as session:
        return int(await session.scalar(select(func.count()).select_from(some), source.values) or 0)


async def read_conversations(
    services: Services, source: Source, part: Part, *, messages: bool
) -> AsyncIterator[Sequence[Found]]:
    """Some at a time, each followed by its messages by `seq` if asked for; then the `End`."""
    done, last, more = 0, part.after, False
    async for page in _pages(services, source, part):
        rows, more = page
        found = [Conversation(row[: -len(_EXTRA)], *row[-len(_EXTRA) :]) for row in rows]
        if not messages:
            yield found
        for first in range(0, len(found) if messages else 0, _TOGETHER):
            async for some in _with_messages(services, found[first : first + _TOGETHER]):
                yield some
        done, last = done + len(rows), rows[-1][0]
    yield [End(done, last, more)]


async def read_contacts(services: Services, source: Source, part: Part) -> AsyncIterator[Sequence[Found]]:
    """Some at a time, with every handle; then the `End`."""
    done, last, more = 0, part.after, False
    async for page in _pages(services, source, part):
        rows, more = page
        async with services.database.reading() as session:
            identities = await contact_verbs.identities_of(session, [row.id for row in rows])
        yield [Contact(row._mapping, identities.get(row.id, ())) for row in rows]
        done, last = done + len(rows), rows[-1].id
    yield [End(done, last, more)]


async def _pages(services: Services, source: Source, part: Part) -> AsyncIterator[tuple[Sequence[Row[Any]], bool]]:
    """Pages that are not empty, and whether there is more behind each."""
    query = source.query.where(source.ids < part.until).order_by(None).order_by(source.ids)
    after, left, more = part.after, part.most, True
    while more and left:
        size = min(PAGE, left)
        behind = query if after is None else query.where(source.ids > after)
        async with services.database.reading() as session:
            found = (await session.execute(behind.limit(literal_column(str(size + 1))), source.values)).all()
        rows, more = cut(found, size)
        if rows:
            yield rows, more
            after, left = rows[-1].id, left - len(rows)


async def _with_messages(services: Services, some: Sequence[Conversation]) -> AsyncIterator[Sequence[Found]]:
    """Conversations, each followed by its messages; one with many of them comes in several steps."""
    waiting = list(reversed(some))
    place: tuple[UUID, int] | None = None
    full = True
    while full:
        ids = [one.row[0] for one in waiting] + ([place[0]] if place else [])
        async with services.database.reading() as session:
            thread = await describing.messages_of(session, ids, after=place, limit=_MESSAGES)
        found: list[Found] = []
        for row in thread.messages:
            while place is None or place[0] != row["conversation_id"]:
                # Those that have none come before it.
                one = waiting.pop()
                found.append(one)
                place = (one.row[0], 0)
            place = (place[0], row["seq"])
            found.append(Message(row, thread.files.get(row["id"], ())))
        full = len(thread.messages) == _MESSAGES
        yield found if full else [*found, *reversed(waiting)]
