"""Console sessions: begun by a login, listed and ended by their owner, and asked for the password again.

Only a digest of the cookie is kept. A session keeps its id for life and gets a new cookie whenever it may do more than
before, so that one which was copied earlier is worth nothing then.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor
from helpdesk.errors import NotFound
from helpdesk.models.agents import sessions
from helpdesk.services import account_links, audit
from helpdesk.services.digests import digest_of

LIFE: Final = timedelta(days=7)
IDLE: Final = timedelta(hours=24)
MOST: Final = 50
"""Sessions of one agent; whoever signs in again ends the oldest."""


async def begin_session(session: AsyncSession, agent_id: UUID, *, method: str, client: str, now: datetime) -> str:
    """A session of its own for each login, so that a planted cookie is never the one that becomes valid.

    `method` is `password` or `sso`, `client` what `domain.clients` makes of the browser. Answers the cookie. The link
    of the first start is good until anybody has signed in.
    """
    cookie = secrets.token_urlsafe(32)
    row = {
        "id": new_id(),
        "agent_id": agent_id,
        "digest": digest_of(cookie),
        "method": method,
        "client": client,
        "created_at": now,
        "verified_at": now,
        "last_seen_at": now,
        "expires_at": now + LIFE,
    }
    await insert_rows(session, sessions, [row])
    s = sessions.c
    await session.execute(delete(sessions).where(s.agent_id == agent_id, s.expires_at <= now))
    kept = select(s.id).where(s.agent_id == agent_id).order_by(s.id.desc()).limit(MOST)
    await session.execute(delete(sessions).where(s.agent_id == agent_id, s.id.not_in(kept)))
    await account_links.void_first(session)
    return cookie


async def list_sessions(session: AsyncSession, agent_id: UUID, *, now: datetime) -> Sequence[RowMapping]:
    """Those that are good at `now`, the latest first: `MOST` at most."""
    s = sessions.c
    good = s.agent_id == agent_id, s.expires_at > now, s.last_seen_at >= now - IDLE
    query = select(s.id, s.method, s.client, s.created_at, s.last_seen_at, s.expires_at).where(*good)
    return (await session.execute(query.order_by(s.id.desc()).limit(MOST))).mappings().all()


async def renew_cookie(session: AsyncSession, session_id: UUID, *, now: datetime) -> str:
    """The password was given once more: note when, and answer the cookie that is good from now on.

    Raises `NotFound` for a session that was ended meanwhile.
    """
    cookie = secrets.token_urlsafe(32)
    mine = update(sessions).where(sessions.c.id == session_id)
    changed = mine.values(digest=digest_of(cookie), verified_at=now).returning(sessions.c.id)
    if (await session.execute(changed)).first() is None:
        raise NotFound("this session has ended")
    return cookie


async def end(session: AsyncSession, session_id: UUID) -> None:
    """Signing out."""
    await session.execute(delete(sessions).where(sessions.c.id == session_id))


async def end_one(session: AsyncSession, agent_id: UUID, session_id: UUID, *, by: Actor, now: datetime) -> None:
    """End a session of this agent's from elsewhere. Raises `NotFound`, also for one of somebody else's."""
    mine = delete(sessions).where(sessions.c.id == session_id, sessions.c.agent_id == agent_id)
    if (await session.execute(mine.returning(sessions.c.id))).first() is None:
        raise NotFound("there is no such session")
    await audit.record(session, "session.ended", subject="agent", subject_id=agent_id, by=by, now=now)


async def end_by(session: AsyncSession, agent_id: UUID, *, keep: UUID | None = None, by: Actor, now: datetime) -> None:
    """End all sessions of an agent but `keep`, because somebody asked for it."""
    await end_all(session, agent_id, keep=keep)
    data = {"kept": keep is not None}
    await audit.record(session, "session.all_ended", subject="agent", subject_id=agent_id, by=by, now=now, data=data)


async def end_all(session: AsyncSession, agent_id: UUID, *, keep: UUID | None = None) -> None:
    """After a new password, another role, or leaving."""
    mine = delete(sessions).where(sessions.c.agent_id == agent_id)
    await session.execute(mine if keep is None else mine.where(sessions.c.id != keep))


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    await session.execute(delete(sessions).where(sessions.c.expires_at <= now))
