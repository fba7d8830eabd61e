"""Who is still whom he was: asked again and again for as long as he listens, for everybody at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, select

from helpdesk.db import Database
from helpdesk.dialects import among, portions
from helpdesk.domain.values import Actor, AuthorKind, Role, TokenKind
from helpdesk.models.agents import agents, api_tokens, sessions
from helpdesk.services import accounts
from helpdesk.services.sessions import IDLE


async def still(database: Database, digests: Iterable[str], *, now: datetime) -> dict[str, Actor]:
    """By the digest of a token or cookie, who it proves somebody to be by now. What proves nothing is left out."""
    found = dict[str, Actor]()
    for portion in portions(digests):
        some = {"digests": portion}
        for row in await database.fetch(database.prepared("identities.tokens", _tokens), some):
            digest, kind, scopes, expires_at, *rest = row
            if expires_at is None or expires_at > now:
                bot = AuthorKind.BOT if kind == TokenKind.BOT else AuthorKind.AGENT
                given = frozenset(orjson.loads(scopes) if isinstance(scopes, str) else scopes)
                found[digest] = _actor(bot, *rest, scopes=given)
        for row in await database.fetch(database.prepared("identities.sessions", _sessions), some):
            digest, identifier, expires_at, seen_at, *rest = row
            if expires_at > now and now - seen_at <= IDLE:
                found[digest] = _actor(AuthorKind.AGENT, *rest, session_id=identifier)
    return found


def _actor(kind: AuthorKind, agent_id: Any, name: str, role: str, teams: Any, seen: Any, **more: Any) -> Actor:
    return Actor(kind, agent_id, name, Role(role), tuple(seen or ()), tuple(teams or ()), **more)


def _tokens() -> Select[Any]:
    t = api_tokens.c
    return (
        select(t.digest, t.kind, t.scopes, t.expires_at, agents.c.id, agents.c.name, agents.c.role, *accounts.sees())
        .select_from(api_tokens.join(agents, agents.c.id == t.agent_id))
        .where(among(t.digest, "digests", "text"), t.revoked_at.is_(None), agents.c.active)
    )


def _sessions() -> Select[Any]:
    s = sessions.c
    return (
        select(s.digest, s.id, s.expires_at, s.last_seen_at, agents.c.id, agents.c.name, agents.c.role)
        .add_columns(*accounts.sees())
        .select_from(sessions.join(agents, agents.c.id == s.agent_id))
        .where(among(s.digest, "digests", "text"), agents.c.active)
    )
