"""Who asks: the agent behind a token or a console session.

Only digests of tokens and cookies are kept. A token, its agent and everything that the agent may see come by one
query, which every request pays for; when a token was last used is written later and apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Select, bindparam, case, or_, select, update

from helpdesk.db import Database
from helpdesk.dialects import gathered
from helpdesk.domain.values import Actor, AuthorKind, Role, TokenKind
from helpdesk.errors import Unauthenticated
from helpdesk.models.agents import agents, api_tokens, sessions, team_members
from helpdesk.models.inboxes import inboxes
from helpdesk.services import tokens
from helpdesk.services.access import workable
from helpdesk.services.digests import digest_of
from helpdesk.services.sessions import IDLE

TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and the token or session that should be marked as used (None: it was, a moment ago)."""

    actor: Actor
    touch: UUID | None = None


def sees() -> tuple[Any, Any]:
    """What an agent in a query over `agents` may see: his teams and, unless he sees everything, his inboxes."""
    of_teams = select(gathered(team_members.c.team_id, "uuid")).where(team_members.c.agent_id == agents.c.id)
    of_inboxes = select(gathered(inboxes.c.id, "uuid")).where(workable(agents.c.id))
    return of_teams.correlate(agents).scalar_subquery(), case(
        (agents.c.role == Role.AGENT.value, of_inboxes.correlate(agents).scalar_subquery()), else_=None
    )


def _token_query() -> Select[Any]:
    teams, seen = sees()
    token = api_tokens.c
    return (
        select(token.id, token.kind, token.scopes, token.expires_at, token.last_used_at)
        .add_columns(agents.c.id, agents.c.name, agents.c.role, teams, seen)
        .select_from(api_tokens.join(agents, agents.c.id == token.agent_id))
        .where(token.digest == bindparam("digest", type_=token.digest.type), token.revoked_at.is_(None))
        .where(agents.c.active)
    )


def _session_query() -> Select[Any]:
    teams, seen = sees()
    return (
        select(sessions.c.id, sessions.c.expires_at, sessions.c.last_seen_at, sessions.c.verified_at)
        .add_columns(agents.c.id, agents.c.name, agents.c.role, teams, seen)
        .select_from(sessions.join(agents, agents.c.id == sessions.c.agent_id))
        .where(sessions.c.digest == bindparam("digest", type_=sessions.c.digest.type), agents.c.active)
    )


async def identify_token(database: Database, token: str, *, now: datetime) -> Identity:
    """Whose token this is. Raises `Unauthenticated` for one that is unknown, revoked, expired, or of a left agent."""
    if not token.startswith(tokens.PREFIX):
        raise Unauthenticated
    rows = await database.fetch(database.prepared("token", _token_query), {"digest": digest_of(token)})
    if not rows:
        raise Unauthenticated
    identifier, kind, scopes, expires_at, used_at, agent_id, name, role, teams, seen = rows[0]
    if expires_at is not None and expires_at <= now:
        raise Unauthenticated
    actor = Actor(
        AuthorKind.BOT if kind == TokenKind.BOT else AuthorKind.AGENT,
        agent_id,
        name,
        Role(role),
        tuple(seen or ()),
        tuple(teams or ()),
        frozenset(orjson.loads(scopes) if isinstance(scopes, str) else scopes),
    )
    return Identity(actor, identifier if used_at is None or now - used_at > TOUCH_EVERY else None)


async def identify_session(database: Database, cookie: str, *, now: datetime) -> Identity:
    """Whose console session this is. Raises `Unauthenticated` when it is unknown or over."""
    rows = await database.fetch(database.prepared("session", _session_query), {"digest": digest_of(cookie)})
    if not rows:
        raise Unauthenticated
    identifier, expires_at, seen_at, verified_at, agent_id, name, role, teams, seen = rows[0]
    if expires_at <= now or now - seen_at > IDLE:
        raise Unauthenticated
    kind = AuthorKind.AGENT
    may = Role(role), tuple(seen or ()), tuple(teams or ()), None
    actor = Actor(kind, agent_id, name, *may, session_id=identifier, verified_at=verified_at)
    return Identity(actor, identifier if now - seen_at > TOUCH_EVERY else None)


async def touch(database: Database, identity: Identity, *, now: datetime) -> None:
    """Remember that a token or session was used, unless another request has just done so."""
    stale = now - TOUCH_EVERY
    async with database.transaction() as session:
        if identity.actor.session_id is not None:
            seen = sessions.c.last_seen_at
            mine = update(sessions).where(sessions.c.id == identity.touch, seen < stale).values(last_seen_at=now)
        else:
            used = api_tokens.c.last_used_at
            mine = (
                update(api_tokens)
                .where(api_tokens.c.id == identity.touch, or_(used.is_(None), used < stale))
                .values(last_used_at=now)
            )
        await session.execute(mine)
