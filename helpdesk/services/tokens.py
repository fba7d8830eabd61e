"""API tokens: made once in plain, kept as digests, and never more than their maker may do."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain.values import Actor, AuthorKind, Role, Scope, TokenKind
from helpdesk.errors import Conflict, Forbidden, Invalid, NotFound
from helpdesk.models.agents import agents, api_tokens
from helpdesk.services import audit
from helpdesk.services.digests import digest_of

PREFIX: Final = "hd_"
MOST: Final = 100
"""Tokens of one agent that are good at the same time."""


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
    """A new token and its only sight in plain. No scopes means all that its maker has; the agent's role bounds each.

    Raises `Invalid` for a scope, a kind or a time that makes no sense or is more than the maker has, `NotFound` for an
    agent that is not active or not the maker's to make tokens for, `Conflict` where there are too many.
    """
    granted = _granted(scopes, by)
    _check(name, kind, expires_at, by=by, now=now)
    await _check_owner(session, agent_id, by=by, now=now)
    identifier, plain = new_id(), PREFIX + secrets.token_urlsafe(32)
    row = {
        "id": identifier,
        "agent_id": agent_id,
        "name": name.strip(),
        "kind": str(kind),
        "digest": digest_of(plain),
        "scopes": granted,
        "created_at": now,
        "last_used_at": None,
        "expires_at": expires_at,
        "revoked_at": None,
    }
    await insert_rows(session, api_tokens, [row])
    await audit.record(session, "token.created", subject="token", subject_id=identifier, by=by, now=now)
    return identifier, plain


def _granted(scopes: Sequence[str], by: Actor) -> list[str]:
    every = {scope.value for scope in Scope}
    if set(scopes) - every:
        raise Invalid.field("scopes", f"use {', '.join(scope.value for scope in Scope)}")
    own = every if by.scopes is None else by.scopes & every
    if set(scopes) - own:
        raise Invalid.field("scopes", "a token gives no scope that its maker does not have")
    return sorted(set(scopes) or own)


def _check(name: str, kind: str, expires_at: datetime | None, *, by: Actor, now: datetime) -> None:
    if kind not in {k.value for k in TokenKind}:
        raise Invalid.field("kind", "use agent or bot")
    if by.kind is AuthorKind.BOT and kind != TokenKind.BOT:
        raise Invalid.field("kind", "a bot makes tokens for bots only")
    if not name.strip():
        raise Invalid.field("name", "give the token a name, such as what will use it")
    if expires_at is not None and expires_at <= now:
        raise Invalid.field("expires_at", "give a time in the future")


async def _check_owner(session: AsyncSession, agent_id: UUID, *, by: Actor, now: datetime) -> None:
    if by.kind is not AuthorKind.SYSTEM and agent_id != by.id and by.role is not Role.ADMIN:
        raise Forbidden("make tokens for yourself")
    # Locked: two that are made at once would both find room for the last one.
    active = select(agents.c.active).where(agents.c.id == agent_id).with_for_update(key_share=True)
    if not await session.scalar(active):
        raise NotFound("there is no such active agent")
    t = api_tokens.c
    good = t.agent_id == agent_id, t.revoked_at.is_(None), or_(t.expires_at.is_(None), t.expires_at > now)
    if (await session.scalar(select(func.count()).where(*good)) or 0) >= MOST:
        raise Conflict(f"there are {MOST} tokens of this agent already", slug="too_many")


async def list_tokens(
    session: AsyncSession, *, agent_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[RowMapping]:
    """Those that are not revoked, of one agent or of all; the oldest first."""
    t = api_tokens.c
    query = select(api_tokens).where(t.revoked_at.is_(None)).order_by(t.id).limit(limit)
    if agent_id is not None:
        query = query.where(t.agent_id == agent_id)
    if after is not None:
        query = query.where(t.id > after)
    return (await session.execute(query)).mappings().all()


async def get_token(session: AsyncSession, actor: Actor, token_id: UUID) -> RowMapping:
    """One's own; an administrator's to see are all. Raises `NotFound`."""
    found = await session.execute(
        select(api_tokens).where(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
    )
    token = found.mappings().one_or_none()
    if token is None or (token["agent_id"] != actor.id and actor.role is not Role.ADMIN):
        raise NotFound("there is no such token")
    return token


async def revoke_token(session: AsyncSession, token_id: UUID, *, by: Actor, now: datetime) -> None:
    """It stops working with the next request. Raises `NotFound`."""
    mine = update(api_tokens).where(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
    if (await session.execute(mine.values(revoked_at=now).returning(api_tokens.c.id))).first() is None:
        raise NotFound("there is no such token")
    await audit.record(session, "token.revoked", subject="token", subject_id=token_id, by=by, now=now)
