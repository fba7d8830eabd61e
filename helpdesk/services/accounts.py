"""Proving who one is: tokens, console sessions, logins.

Only digests of tokens and cookies are kept. A token, its agent and everything that the agent may see come by one
query, which every request pays for; when a token was last used is written later and apart.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Select, bindparam, case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import Database, insert_rows, lock_name, new_id
from helpdesk.dialects import gathered
from helpdesk.domain.values import Actor, AuthorKind, Role, Scope, TokenKind
from helpdesk.errors import Invalid, NotFound, TooMany, Unauthenticated
from helpdesk.models.agents import agents, api_tokens, login_attempts, sessions, team_members
from helpdesk.models.inboxes import inboxes
from helpdesk.services import audit, passwords
from helpdesk.services.access import workable
from helpdesk.services.house import Services

TOKEN_PREFIX = "hd_"  # noqa: S105 - what leak scanners look for, not a token
SESSION_LIFE = timedelta(days=7)
SESSION_IDLE = timedelta(hours=24)
TOUCH_EVERY = timedelta(minutes=1)

LOGIN_WINDOW = timedelta(minutes=15)
ATTEMPTS_PER_ACCOUNT = 10
ATTEMPTS_PER_ADDRESS = 50


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and the token or session that should be marked as used (None: it was, a moment ago)."""

    actor: Actor
    touch: UUID | None = None


def digest_of(secret: str) -> str:
    """What is stored of a token or a cookie. They hold 256 random bits, so a plain hash cannot be guessed back."""
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _sees() -> tuple[Any, Any]:
    of_teams = select(gathered(team_members.c.team_id, "uuid")).where(team_members.c.agent_id == agents.c.id)
    of_inboxes = select(gathered(inboxes.c.id, "uuid")).where(workable(agents.c.id))
    return of_teams.correlate(agents).scalar_subquery(), case(
        (agents.c.role == Role.AGENT.value, of_inboxes.correlate(agents).scalar_subquery()), else_=None
    )


def _token_query() -> Select[Any]:
    teams, seen = _sees()
    token = api_tokens.c
    return (
        select(token.id, token.kind, token.scopes, token.expires_at, token.last_used_at)
        .add_columns(agents.c.id, agents.c.name, agents.c.role, teams, seen)
        .select_from(api_tokens.join(agents, agents.c.id == token.agent_id))
        .where(token.digest == bindparam("digest", type_=token.digest.type), token.revoked_at.is_(None))
        .where(agents.c.active)
    )


def _session_query() -> Select[Any]:
    teams, seen = _sees()
    return (
        select(sessions.c.id, sessions.c.expires_at, sessions.c.last_seen_at)
        .add_columns(agents.c.id, agents.c.name, agents.c.role, teams, seen)
        .select_from(sessions.join(agents, agents.c.id == sessions.c.agent_id))
        .where(sessions.c.digest == bindparam("digest", type_=sessions.c.digest.type), agents.c.active)
    )


async def identify_token(database: Database, token: str, *, now: datetime) -> Identity:
    """Whose token this is. Raises `Unauthenticated` for one that is unknown, revoked, expired, or of a left agent."""
    if not token.startswith(TOKEN_PREFIX):
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
    identifier, expires_at, seen_at, agent_id, name, role, teams, seen = rows[0]
    if expires_at <= now or now - seen_at > SESSION_IDLE:
        raise Unauthenticated
    kind = AuthorKind.AGENT
    actor = Actor(kind, agent_id, name, Role(role), tuple(seen or ()), tuple(teams or ()), None, identifier)
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


async def create_token(
    session: AsyncSession,
    *,
    agent_id: UUID,
    name: str,
    kind: str = TokenKind.AGENT,
    scopes: Sequence[str] = (),
    by: Actor,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[UUID, str]:
    """A new token and its only sight in plain. No scopes means all of them; the agent's role bounds each anyway.

    Raises `Invalid` for a scope or kind that there is not, `NotFound` for an agent that is not active.
    """
    wrong = sorted(set(scopes) - {scope.value for scope in Scope})
    if wrong:
        raise Invalid.field("scopes", f"use {', '.join(scope.value for scope in Scope)}")
    if kind not in {k.value for k in TokenKind}:
        raise Invalid.field("kind", "use agent or bot")
    if not name.strip():
        raise Invalid.field("name", "give the token a name, such as what will use it")
    if not await session.scalar(select(agents.c.active).where(agents.c.id == agent_id)):
        raise NotFound("there is no such active agent")
    identifier, plain = new_id(), TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = {
        "id": identifier,
        "agent_id": agent_id,
        "name": name.strip(),
        "kind": str(kind),
        "digest": digest_of(plain),
        "scopes": sorted(set(scopes)) or [scope.value for scope in Scope],
        "created_at": now,
        "last_used_at": None,
        "expires_at": expires_at,
        "revoked_at": None,
    }
    await insert_rows(session, api_tokens, [row])
    await audit.record(session, "token.created", subject="token", subject_id=identifier, by=by, now=now)
    return identifier, plain


async def revoke_token(session: AsyncSession, token_id: UUID, *, by: Actor, now: datetime) -> None:
    """It stops working with the next request. Raises `NotFound`."""
    mine = update(api_tokens).where(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
    if (await session.execute(mine.values(revoked_at=now).returning(api_tokens.c.id))).first() is None:
        raise NotFound("there is no such token")
    await audit.record(session, "token.revoked", subject="token", subject_id=token_id, by=by, now=now)


async def login(services: Services, *, email: str, password: str, address: str, now: datetime) -> tuple[str, UUID]:
    """A new session's cookie, and its agent. Raises `Unauthenticated`, or `TooMany` with `retry_after` seconds.

    Two short transactions with the slow verification between them: nothing is locked while argon2 works. The attempt
    is counted before the password is looked at, so that many guesses at once are counted too.
    """
    account = services.keyring.digest("login", f"account:{email.strip().lower()}")
    source = services.keyring.digest("login", f"address:{_network(address)}")
    async with services.database.transaction() as session:
        await _count(session, account, ATTEMPTS_PER_ACCOUNT, now=now)
        await _count(session, source, ATTEMPTS_PER_ADDRESS, now=now)
        found = await session.execute(
            select(agents.c.id, agents.c.password_hash).where(agents.c.email == email.strip().lower(), agents.c.active)
        )
        agent_id, stored = found.one_or_none() or (None, None)
    if not await passwords.verify(stored, password) or agent_id is None or stored is None:
        raise Unauthenticated("the address or the password is wrong", slug="login_failed")
    renewed = await passwords.hash_of(password) if passwords.is_outdated(stored) else None
    async with services.database.transaction() as session:
        await session.execute(delete(login_attempts).where(login_attempts.c.subject == account))
        if renewed:
            mine = update(agents).where(agents.c.id == agent_id, agents.c.password_hash == stored)
            await session.execute(mine.values(password_hash=renewed))
        return await start_session(session, agent_id, now=now), agent_id


async def start_session(session: AsyncSession, agent_id: UUID, *, now: datetime) -> str:
    """A session of its own for each login, so that a planted cookie is never the one that becomes valid."""
    cookie = secrets.token_urlsafe(32)
    row = {
        "id": new_id(),
        "agent_id": agent_id,
        "digest": digest_of(cookie),
        "created_at": now,
        "last_seen_at": now,
        "expires_at": now + SESSION_LIFE,
    }
    await insert_rows(session, sessions, [row])
    await session.execute(delete(sessions).where(sessions.c.agent_id == agent_id, sessions.c.expires_at <= now))
    return cookie


async def logout(session: AsyncSession, session_id: UUID) -> None:
    await session.execute(delete(sessions).where(sessions.c.id == session_id))


async def end_sessions(session: AsyncSession, agent_id: UUID) -> None:
    """After a new password, another role, or leaving."""
    await session.execute(delete(sessions).where(sessions.c.agent_id == agent_id))


async def _count(session: AsyncSession, subject: str, limit: int, *, now: datetime) -> None:
    await lock_name(session, f"login:{subject}")
    recent = login_attempts.c.subject == subject, login_attempts.c.created_at > now - LOGIN_WINDOW
    count, oldest = (
        await session.execute(select(func.count(), func.min(login_attempts.c.created_at)).where(*recent))
    ).one()
    if count >= limit:
        wait = (oldest + LOGIN_WINDOW - now).total_seconds()
        raise TooMany("too many attempts to sign in", extra={"retry_after": max(1, int(wait) + 1)})
    await session.execute(
        delete(login_attempts).where(
            login_attempts.c.subject == subject, login_attempts.c.created_at <= now - LOGIN_WINDOW
        )
    )
    await insert_rows(session, login_attempts, [{"id": new_id(), "subject": subject, "created_at": now}])


def _network(address: str) -> str:
    """One customer of a provider has a whole IPv6 /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)


async def forget_old_attempts(session: AsyncSession, *, now: datetime) -> None:
    """Drop failed logins that no longer count, and sessions that are over."""
    await session.execute(delete(login_attempts).where(login_attempts.c.created_at <= now - LOGIN_WINDOW))
    await session.execute(delete(sessions).where(sessions.c.expires_at <= now))
