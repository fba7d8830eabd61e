"""Search: the best of what matches among what the actor may see, page by page, with what was found in it marked.

Messages, with the subjects and numbers of conversations, are one kind of thing, contacts another; they are ranked
together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.search_ranking import Candidate, Rank, in_order, rank
from helpdesk.domain.search_snippets import Part, marked
from helpdesk.domain.search_terms import Terms, terms_of
from helpdesk.domain.values import Actor
from helpdesk.errors import Invalid
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.messages import messages
from helpdesk.services.access import scoped, scoped_contacts
from helpdesk.services.contacts import identities_of
from helpdesk.services.house import Services
from helpdesk.services.paging import Page, cut, read_cursor, write_cursor
from helpdesk.services.search_store import EVERYWHERE, Within, newest
from helpdesk.statements import Row

MAX_QUERY: Final = 200


class Kind(StrEnum):
    """What is looked for."""

    MESSAGE = "message"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found: a message with its conversation, a conversation alone, or a contact."""

    title: Sequence[Part]
    snippet: Sequence[Part]
    candidate: Candidate
    conversation: Row | None = None
    message: Row | None = None
    contact: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """`truncated`: there were more matches than are ranked, or too little time to see them all."""

    hits: Sequence[Hit]
    next_cursor: str | None
    truncated: bool


async def search(
    services: Services,
    actor: Actor,
    q: str,
    *,
    kinds: Sequence[Kind],
    spam: bool = False,
    within: Within = EVERYWHERE,
    page: Page,
) -> Found:
    """The page of what is found for `q`. Raises `Invalid` where that asks for nothing. `within` narrows messages."""
    sort = f"search:{sha256(repr((q, sorted(kinds), spam, within)).encode()).hexdigest()[:16]}"
    cursor = read_cursor(services, page, sort=sort)
    asked = {kind: await understand(q, of_contacts=kind is Kind.CONTACT) for kind in kinds}
    ranked: list[tuple[Rank, Candidate]] = []
    truncated = False
    for kind, terms in asked.items():
        of_contacts = kind is Kind.CONTACT
        where = EVERYWHERE if of_contacts else within
        candidates, more = await newest(services, actor, terms, of_contacts=of_contacts, spam=spam, within=where)
        ranked += rank(candidates, terms, of_contacts=of_contacts)
        truncated = truncated or more
    ordered = in_order(ranked)
    if cursor is not None:
        after = Rank(*cursor.value)
        ordered = [found for found in ordered if found[0] < after]
    shown, more = cut(ordered[: page.limit + 1], page.limit)
    last = shown[-1][0] if more else None
    next_cursor = write_cursor(services, sort=sort, value=[last.score, last.at, last.n]) if last else None
    async with services.database.reading() as session:
        hits = await _described(session, actor, [one for _, one in shown], asked)
    return Found(hits, next_cursor, truncated)


async def newest_conversations(
    services: Services, actor: Actor, q: str, *, spam: bool = False, limit: int
) -> tuple[list[UUID], bool]:
    """The conversations of the newest matches, the newest first, and whether there may be more."""
    terms = await understand(q)
    candidates, more = await newest(services, actor, terms, spam=spam)
    found = dict.fromkeys(one.conversation_id for one in sorted(candidates, reverse=True) if one.conversation_id)
    return list(found)[:limit], more or len(found) > limit


async def newest_contacts(services: Services, actor: Actor, q: str, *, limit: int) -> list[UUID]:
    """The newest contacts whose names or handles begin like `q`."""
    terms = await understand(q, of_contacts=True)
    candidates, _ = await newest(services, actor, terms, of_contacts=True)
    return [one.contact_id for one in sorted(candidates, reverse=True)[:limit] if one.contact_id]


async def understand(q: str, *, of_contacts: bool = False) -> Terms:
    """What `q` asks for. Raises `Invalid` where that is nothing."""
    if len(q) > MAX_QUERY:
        raise Invalid.field("q", f"use at most {MAX_QUERY} characters")
    if q.isascii():
        terms = terms_of(q, partial=of_contacts)
    else:
        # The first one of a process reads the dictionary, and nobody else should wait for that.
        terms = await asyncio.to_thread(terms_of, q, partial=of_contacts)
    if not terms.terms:
        raise Invalid.field("q", "use at least one letter or digit")
    return terms


async def _described(
    session: AsyncSession, actor: Actor, shown: Sequence[Candidate], asked: Mapping[Kind, Terms]
) -> list[Hit]:
    """What there is to show. Whatever went, or went out of sight, since it was found is left out."""
    m, c = messages.c, conversations.c
    about = select(c.id, c.number, c.subject, c.status, c.channel, c.contact_id)
    talks = await _rows(session, scoped(about.where(c.id.in_(_ids(shown, "conversation_id"))), actor))
    wanted = (
        m.id,
        m.conversation_id,
        m.seq,
        m.type,
        m.private,
        m.author_kind,
        m.author_id,
        m.author_name,
        m.subject,
        m.new_text,
    )
    written = await _rows(session, select(*wanted).where(m.id.in_(_ids(shown, "message_id"))))
    people_ids = _ids(shown, "contact_id")
    who = select(contacts.c.id, contacts.c.name).where(contacts.c.id.in_(people_ids))
    people = await _rows(session, scoped_contacts(who, actor, contacts.c.id))
    handles = await identities_of(session, people_ids)
    hits = []
    for one in shown:
        if one.contact_id is not None:
            if one.contact_id in people:
                hits.append(_person(one, people[one.contact_id], handles.get(one.contact_id, []), asked[Kind.CONTACT]))
            continue
        talk, message = talks.get(one.conversation_id), written.get(one.message_id)
        # What was split off is somewhere else now, and perhaps not his to see.
        here = message is None or message["conversation_id"] == one.conversation_id
        if talk is not None and here and (message is not None or one.message_id is None):
            hits.append(_talk(one, talk, message, asked[Kind.MESSAGE]))
    return hits


def _ids(shown: Sequence[Candidate], name: str) -> list[UUID]:
    return list(dict.fromkeys(found for one in shown if (found := getattr(one, name)) is not None))


async def _rows(session: AsyncSession, query: Select[Any]) -> dict[UUID | None, Row]:
    return {row["id"]: row for row in (await session.execute(query)).mappings()}


def _talk(one: Candidate, talk: Row, message: Row | None, terms: Terms) -> Hit:
    title = (message["subject"] if message else "") or talk["subject"]
    snippet = marked(message["new_text"], terms) if message else []
    return Hit(marked(title, terms), snippet, one, conversation=talk, message=message)


def _person(one: Candidate, contact: Row, identities: Sequence[Row], terms: Terms) -> Hit:
    handles = [{"channel": row["channel"], "handle": row["handle"]} for row in identities]
    snippet = marked(", ".join(row["handle"] for row in identities), terms)
    return Hit(marked(contact["name"], terms), snippet, one, contact={**contact, "handles": handles})
