"""Agents: who answers, in which role, and whether still."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, lock_name, new_id, ring
from helpdesk.domain import assignment, duty
from helpdesk.domain.calendars import WrongCalendar, check_zone
from helpdesk.domain.contents import Wrong
from helpdesk.domain.values import Actor, Duty, Role
from helpdesk.errors import Conflict, Invalid, NotFound, Stale
from helpdesk.models.agents import agents, api_tokens, team_members
from helpdesk.services import account_links, audit, categories, escalation_rules, passwords, sessions, versions

_NULLABLE: Final = ("duty_until", "quiet_hours", "capacity", "live_capacity", "skills")
_EMAIL: Final = re.compile(r"[^@\s<>,;\"\\\x00-\x1f]{1,64}@[^@\s<>,;\"\\\x00-\x1f]{1,255}")


async def create(
    session: AsyncSession,
    *,
    email: str,
    name: str,
    role: str = Role.AGENT,
    password: str | None = None,
    locale: str = "en",
    by: Actor,
    now: datetime,
) -> UUID:
    """A new agent; without a password he can only use tokens. Raises `Invalid`, or `Conflict` for a known address."""
    address = _address(email)
    if role not in {r.value for r in Role}:
        raise Invalid.field("role", "use agent, supervisor or admin")
    if not name.strip():
        raise Invalid.field("name", "give a name")
    agent_id = new_id()
    row = {
        "id": agent_id,
        "email": address,
        "name": name.strip(),
        "role": str(role),
        "locale": locale,
        "password_hash": await passwords.hash_of(password) if password else None,
        "active": True,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    try:
        async with session.begin_nested():
            await insert_rows(session, agents, [row])
    except IntegrityError:
        raise _taken() from None
    await audit.record(
        session, "agent.created", subject="agent", subject_id=agent_id, by=by, now=now, data={"role": str(role)}
    )
    return agent_id


def _address(email: str) -> str:
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address):
        raise Invalid.field("email", "give one plain address such as anna@example.com")
    return address


def _taken() -> Conflict:
    return Conflict("an agent has this address", slug="email_taken")


async def find_by_email(session: AsyncSession, email: str) -> RowMapping | None:
    query = select(agents).where(agents.c.email == email.strip().lower())
    return (await session.execute(query)).mappings().one_or_none()


async def list_agents(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first."""
    query = select(agents).order_by(agents.c.id).limit(limit)
    if after is not None:
        query = query.where(agents.c.id > after)
    return (await session.execute(query)).mappings().all()


async def get_agent(
    session: AsyncSession, agent_id: UUID, *, version: int | None = None, lock: bool = False
) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(agents).where(agents.c.id == agent_id)
    if lock or version is not None:
        query = query.with_for_update(key_share=True)
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such agent")
    if version is not None and found["version"] != version:
        raise Stale(extra={"version": found["version"]})
    return found


async def teams_of(session: AsyncSession, agent_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    query = select(team_members.c.agent_id, team_members.c.team_id).where(team_members.c.agent_id.in_(agent_ids))
    for agent_id, team_id in await session.execute(query.order_by(team_members.c.team_id)):
        found.setdefault(agent_id, []).append(team_id)
    return found


async def edit(
    session: AsyncSession,
    agent: RowMapping,
    wanted: Mapping[str, Any],
    *,
    keep: UUID | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Set `name email role locale zone preferences active duty duty_until quiet_hours capacity live_capacity skills`,
    or a password (`password_hash`). Of the preferences only what is named is changed.

    A new role or password, and leaving, end the agent's sessions but `keep`. A new address or password, and leaving,
    end the links by which he could come to a password: letters with them lie in the old mailbox. Raises `Conflict` for
    the last administrator, for an address that another has, and for one who leaves while an escalation rule names him,
    which would call nobody; `Invalid` for an address, a zone, duty, quiet hours or skills that make no sense.
    """
    wanted = _tidied(agent, wanted)
    _check("quiet_hours", wanted.get("quiet_hours"), duty.check_quiet_hours)
    _check("skills", wanted.get("skills"), assignment.check_skills)
    skilled = enumerate((wanted.get("skills") or {}).get("categories", ()))
    await categories.check(session, [(f"skills.categories.{number}", one) for number, one in skilled])
    values = {
        name: value
        for name, value in {**wanted, **_duty(agent, wanted, now)}.items()
        if (value is not None or name in _NULLABLE) and value != agent[name]
    }
    if not values:
        return
    if agent["role"] == Role.ADMIN and (values.get("role", Role.ADMIN) != Role.ADMIN or values.get("active") is False):
        await _keep_one_admin(session, agent["id"])
    if values.get("active") is False:
        versions.refuse_in_use("escalation rules", await escalation_rules.naming(session, agent["id"]))
    if "email" in values:
        await _rename(session, agent["id"], values["email"])
    await session.execute(
        update(agents).where(agents.c.id == agent["id"]).values(**values, version=agent["version"] + 1, updated_at=now)
    )
    if values.keys() & {"role", "active", "password_hash"}:
        await sessions.end_all(session, agent["id"], keep=keep)
    if values.keys() & {"active", "email", "password_hash"}:
        await account_links.void(session, agent["id"])
    if values.keys() & {"active", "duty", "capacity", "live_capacity", "skills"}:
        ring(session, "routing")
    fields = sorted("password" if name == "password_hash" else name for name in values)
    await audit.record(
        session, "agent.updated", subject="agent", subject_id=agent["id"], by=by, now=now, data={"fields": fields}
    )


def _tidied(agent: RowMapping, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is wanted as it would be stored. Raises `Invalid`."""
    found = dict(wanted)
    if found.get("email") is not None:
        found["email"] = _address(found["email"])
    if found.get("zone"):
        try:
            check_zone(found["zone"])
        except WrongCalendar as error:
            raise Invalid.field(error.field, error.reason) from None
    if found.get("preferences") is not None:
        found["preferences"] = {**(agent["preferences"] or {}), **found["preferences"]} or None
    return found


async def _rename(session: AsyncSession, agent_id: UUID, address: str) -> None:
    try:
        async with session.begin_nested():
            await session.execute(update(agents).where(agents.c.id == agent_id).values(email=address))
    except IntegrityError:
        raise _taken() from None


async def leave(session: AsyncSession, agent: RowMapping, *, by: Actor, now: datetime) -> None:
    """He stays in what he wrote, and can do nothing more: sessions end, tokens are revoked."""
    await edit(session, agent, {"active": False}, by=by, now=now)
    mine = update(api_tokens).where(api_tokens.c.agent_id == agent["id"], api_tokens.c.revoked_at.is_(None))
    await session.execute(mine.values(revoked_at=now))


def _duty(agent: RowMapping, wanted: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A new word is for good unless it says until when; one that has run out is not taken up again."""
    if not wanted.keys() & {"duty", "duty_until"}:
        return {}
    word, until = duty.standing(agent["duty"], agent["duty_until"], now)
    if wanted.get("duty") is not None:
        word, until = Duty(wanted["duty"]), None
    until = wanted.get("duty_until", until)
    if until is not None and word is Duty.AUTO:
        raise Invalid.field("duty_until", "is only for duty on or off")
    if until is not None and until <= now:
        raise Invalid.field("duty_until", "give a time in the future")
    return {"duty": word.value, "duty_until": until}


def _check(name: str, given: Any, check: Callable[[Any], None]) -> None:
    if given is None:
        return
    try:
        check(given)
    except Wrong as error:
        raise Invalid.field(f"{name}.{error.field}", error.reason) from None


async def _keep_one_admin(session: AsyncSession, agent_id: UUID) -> None:
    await lock_name(session, "last-admin")
    others = select(func.count()).where(agents.c.role == Role.ADMIN.value, agents.c.active, agents.c.id != agent_id)
    if not await session.scalar(others):
        raise Conflict("somebody must stay administrator", slug="last_admin")
