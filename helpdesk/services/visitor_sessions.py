"""Visitors' sessions: a token that only the visitor has, good for one inbox, for as long as he comes back.

Whoever just begins to talk is a contact of his own, known by a random handle on the channel. Whoever the host site
vouches for is the contact of that user, whichever device he comes from. An agent who merges contacts moves neither: a
session stays with whom its visitor has shown to be (`visitor_identities`), so that nobody talks his way into somebody
else's history.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, Select, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import Database, new_id
from helpdesk.dialects import UtcDateTime, among, portions
from helpdesk.domain.admission import line
from helpdesk.domain.events import ContactCreated
from helpdesk.domain.language import SUPPORTED
from helpdesk.domain.mail_addresses import handle_of
from helpdesk.domain.values import InboxStatus
from helpdesk.errors import NotFound
from helpdesk.live import Identity, Opened, SessionRefused, Visitor
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visitor_sessions
from helpdesk.services import events, rows, visitor_forms, visitor_identities, visits
from helpdesk.services.digests import digest_of
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys
from helpdesk.statements import Row, Statement
from helpdesk.writes import Insert, write

LIFE: Final = timedelta(days=30)
"""A session that nobody uses for so long is over."""
SLIDING: Final = timedelta(minutes=1)
"""That it is used is written down once in so long."""
MOST_FIELDS: Final = 20
_MOST_NAME: Final = 120

_S: Final = visitor_sessions.c


async def begin(
    services: Services,
    session: AsyncSession,
    inbox_id: UUID,
    *,
    identity: Identity | None,
    name: str,
    email: str,
    language: str,
    fields: Mapping[str, str],
    now: datetime,
) -> Opened:
    """A session for whoever the identity says, or for a new contact. See `LiveHost.open`.

    Raises `NotFound` for an inbox that takes no visitors now, and `IdentityRefused`.
    """
    inbox = await _inbox(services, session, inbox_id)
    name, token = line(name)[:_MOST_NAME], secrets.token_urlsafe(32)
    row = _row(inbox_id, token, now=now) | {"language": language if language in SUPPORTED else ""}
    row |= {"claimed_email": line(email), "fields": _kept({**fields, visitor_forms.CLAIMED: email})}
    if identity is not None:
        named = identity if identity.name else replace(identity, name=name)
        known = await visitor_identities.recognise(services, session, inbox, named, now=now)
        row |= {"contact_id": known.contact_id, "handle": known.handle, "subject": identity.subject}
        row |= {"email": known.email, "language": row["language"] or known.language}
        await write(session, Insert(visitor_sessions, [row]))
    else:
        row |= {"contact_id": new_id(), "handle": f"visitor-{secrets.token_hex(6)}"}
        await _write_stranger(services, session, row, channel=inbox["channel"], name=name, now=now)
    return await opened(services, session, token, now=now)


async def begin_as(
    services: Services,
    session: AsyncSession,
    inbox_id: UUID,
    *,
    contact_id: UUID,
    shown: str,
    language: str,
    now: datetime,
) -> Opened:
    """A session for somebody who has shown elsewhere that he is this contact; `shown` names how, once and for all.

    Raises `NotFound` for an inbox that takes no visitors now.
    """
    inbox, token = await _inbox(services, session, inbox_id), secrets.token_urlsafe(32)
    row = _row(inbox_id, token, now=now) | {"claimed_email": "", "fields": {}, "subject": shown}
    row |= {"contact_id": contact_id, "handle": f"visitor-{secrets.token_hex(6)}", "language": language}
    await visitor_identities.give(session, contact_id, channel=inbox["channel"], handle=row["handle"], now=now)
    await write(session, Insert(visitor_sessions, [row]))
    return await opened(services, session, token, now=now)


async def identify(
    services: Services, session: AsyncSession, visitor: Visitor, identity: Identity, *, now: datetime
) -> Opened:
    """He logged in at the host site: what he said before is that user's, and his token is another one from now on.

    Somebody else who logs in on the same device gets a session of his own, and this one ends. So it does for whoever
    has proved an address that the site does not vouch for: they may be two who share a computer. Raises
    `IdentityRefused`, `SessionRefused`.
    """
    await visitor_identities.wait_for(session, visitor.inbox_id, identity)
    await visitor_identities.alone(session)
    await visitor_identities.silent(session, visitor)
    row, inbox = await hold(session, visitor, now=now), await _inbox(services, session, visitor.inbox_id)
    if _is_somebody_else(row, identity):
        await log_out(session, visitor, now=now)
        unknown: dict[str, Any] = {"name": "", "email": "", "language": row["language"], "fields": {}}
        return await begin(services, session, inbox["id"], identity=identity, **unknown, now=now)
    own = row["contact_id"]
    known = await visitor_identities.recognise(services, session, inbox, identity, contact_id=own, now=now)
    values = {"contact_id": known.contact_id, "handle": known.handle, "subject": identity.subject}
    values |= {"email": known.email, "language": row["language"] or known.language}
    await session.execute(update(visitor_sessions).where(_S.id == row["id"]).values(values))
    return await opened(services, session, await rotate(session, row["id"], now=now), now=now)


def _is_somebody_else(row: Row, identity: Identity) -> bool:
    if row["subject"]:
        return bool(row["subject"] != identity.subject)
    return bool(row["email"] and row["email"] != handle_of(identity.email))


async def opened(services: Services, session: AsyncSession, token: str, *, now: datetime) -> Opened:
    """What a visitor is told who has just got this token. `head_seq` is read once it is committed, and 0 until then."""
    found = await _FIND.rows(session, **_values(token, now))
    if not found:
        raise SessionRefused
    return Opened(token, _visitor(list(found[0].values())), head_seq=0, expires_at=found[0]["expires_at"])


async def find(database: Database, token: str, *, now: datetime) -> Visitor:
    """Whose token this is. His session lasts from now on. Raises `SessionRefused`."""
    statement = database.prepared("visitor_sessions.find", _find)
    found = await database.fetch(statement, _values(token, now))
    if not found:
        raise SessionRefused
    seen_at = found[0][_SEEN_AT]
    if now - seen_at >= SLIDING:
        async with database.transaction() as session:
            used = update(visitor_sessions).where(_S.id == found[0][0], _S.last_seen_at == seen_at)
            await session.execute(used.values(last_seen_at=now, expires_at=now + LIFE))
    return _visitor(found[0])


async def still(database: Database, session_ids: Collection[UUID], *, now: datetime) -> dict[UUID, str]:
    """Which of these sessions are still good, with the digest of the token that each has by now.

    One whose inbox takes no visitors any more is not.
    """
    found = dict[UUID, str]()
    for ids in portions(session_ids):
        values = {"ids": ids, "now": now}
        rows_ = await database.fetch(database.prepared("visitor_sessions.still", _still), values)
        found.update((session_id, digest) for session_id, digest in rows_)
    return found


async def hold(session: AsyncSession, visitor: Visitor, *, now: datetime) -> RowMapping:
    """The session's row, locked. Raises `SessionRefused` where it has ended meanwhile."""
    query = select(visitor_sessions).where(_S.id == visitor.session_id, _S.ended_at.is_(None), _S.expires_at > now)
    row = (await session.execute(query.with_for_update(key_share=True))).mappings().one_or_none()
    if row is None:
        raise SessionRefused
    return row


async def rotate(session: AsyncSession, session_id: UUID, *, now: datetime) -> str:
    """Give the session another token; the old one is worth nothing from now on. Raises `SessionRefused`."""
    token = secrets.token_urlsafe(32)
    values = {"digest": digest_of(token), "last_seen_at": now, "expires_at": now + LIFE}
    mine = update(visitor_sessions).where(_S.id == session_id, _S.ended_at.is_(None), _S.expires_at > now)
    if (await session.execute(mine.values(values).returning(_S.id))).first() is None:
        raise SessionRefused
    return token


async def log_out(session: AsyncSession, visitor: Visitor, *, now: datetime) -> None:
    """End the session. Idempotent."""
    mine = update(visitor_sessions).where(_S.id == visitor.session_id, _S.ended_at.is_(None))
    await session.execute(mine.values(ended_at=now))


async def _inbox(services: Services, session: AsyncSession, inbox_id: UUID) -> RowMapping:
    i = inboxes.c
    live = i.channel.in_(services.live_channels())
    query = select(i.id, i.channel, i.handle, i.continued_by_id).where(i.id == inbox_id, live, *_open())
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such inbox")
    return found


def _open() -> tuple[Any, ...]:
    i = inboxes.c
    return i.state == literal_column(f"'{InboxStatus.ACTIVE.value}'"), i.deleted_at.is_(None)


def _kept(fields: Mapping[str, str]) -> dict[str, str]:
    """What he said in the form, as it can be stored and shown."""
    kept = {line(name): line(value) for name, value in list(fields.items())[:MOST_FIELDS]}
    return {name: value for name, value in kept.items() if name and value}


def _row(inbox_id: UUID, token: str, *, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "inbox_id": inbox_id,
        "digest": digest_of(token),
        "subject": "",
        "email": "",
        "created_at": now,
        "last_seen_at": now,
        "expires_at": now + LIFE,
        "ended_at": None,
    }


async def _write_stranger(
    services: Services, session: AsyncSession, row: Mapping[str, Any], *, channel: str, name: str, now: datetime
) -> None:
    """A session and its new contact, in one round trip."""
    contact_id = row["contact_id"]
    sealed = Keys(services.keyring).create(f"contact:{contact_id}")
    contact = rows.contact(contact_id, name=name, sealed=sealed, now=now) | {"language": row["language"]}
    told = events.outbox(session, [events.row(ContactCreated(contact_id=contact_id), now=now)])
    identity = rows.identity(contact_id, channel=channel, handle=row["handle"], display=name, now=now)
    *_, count = await write(
        session,
        Insert(contacts, [contact]),
        Insert(contact_identities, [identity]),
        Insert(visitor_sessions, [row]),
        told,
    )
    events.told(session, told, count)


def _values(token: str, now: datetime) -> dict[str, Any]:
    return {"digest": digest_of(token), "now": now, "since": now - visits.CONTINUED_WITHIN}


_SEEN_AT: Final = 7


def _find() -> Select[Any]:
    """By the digest of a token, the session and the conversation that its next message joins."""
    now, since = bindparam("now", type_=UtcDateTime()), bindparam("since", type_=UtcDateTime())
    joins = visits.joinable(_S.contact_id, _S.inbox_id, since=since).label("conversation_id")
    return (
        select(_S.id, _S.inbox_id, _S.contact_id, _S.handle, _S.subject, _S.email, _S.language, _S.last_seen_at)
        .add_columns(joins, _S.digest, _S.expires_at)
        .join(inboxes, inboxes.c.id == _S.inbox_id)
        .where(_S.digest == bindparam("digest"), _S.ended_at.is_(None), _S.expires_at > now, *_open())
    )


_FIND = Statement(_find)


def _visitor(row: Sequence[Any]) -> Visitor:
    session_id, inbox_id, contact_id, handle, subject, email, language, _seen_at, conversation_id, digest, *_ = row
    return Visitor(
        session_id=session_id,
        inbox_id=inbox_id,
        contact_id=contact_id,
        handle=handle,
        identified=bool(subject or email),
        email=email,
        language=language,
        conversation_id=conversation_id,
        digest=digest,
    )


def _still() -> Select[Any]:
    now = bindparam("now", type_=UtcDateTime())
    query = select(_S.id, _S.digest).join(inboxes, inboxes.c.id == _S.inbox_id)
    return query.where(among(_S.id, "ids", "uuid"), _S.ended_at.is_(None), _S.expires_at > now, *_open())
