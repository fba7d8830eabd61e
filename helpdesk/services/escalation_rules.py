"""Escalation rules as settings: each change is a new version, and ladders keep the one that they began with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain import ladders
from helpdesk.domain.values import Actor
from helpdesk.models.sla import escalation_rules
from helpdesk.services import audit, categories, versions

MOST_RULES: Final = 500
"""A clock is held against all of them."""


async def list_rules(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The oldest first."""
    r = escalation_rules.c
    query = select(escalation_rules).where(r.deleted_at.is_(None)).order_by(r.id).limit(limit)
    if after is not None:
        query = query.where(r.id > after)
    return (await session.execute(query)).mappings().all()


async def get_rule(session: AsyncSession, rule_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(escalation_rules).where(escalation_rules.c.id == rule_id, escalation_rules.c.deleted_at.is_(None))
    return await versions.get(session, query, missing="there is no such escalation rule", version=version)


async def create(
    session: AsyncSession, *, name: str, enabled: bool, content: Mapping[str, Any], by: Actor, now: datetime
) -> UUID:
    """`content` is what `domain.ladders.check` lets through.

    Raises `Invalid` naming the field that is wrong or names what is gone, `Conflict` where there are too many.
    """
    await versions.refuse_too_many(session, escalation_rules, most=MOST_RULES)
    await _check(session, content)
    rule_id = new_id()
    row = {
        "id": rule_id,
        "name": name,
        "enabled": enabled,
        "content": dict(content),
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
    }
    await insert_rows(session, escalation_rules, [row])
    await versions.add_version(session, escalation_rules, row, by=by, now=now)
    await audit.record(
        session, "escalation_rule.created", subject="escalation_rule", subject_id=rule_id, by=by, now=now
    )
    return rule_id


async def edit(
    session: AsyncSession,
    rule: RowMapping,
    *,
    name: str | None = None,
    enabled: bool | None = None,
    content: Mapping[str, Any] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given; `content` holds only the fields that change. Raises `Invalid` as `create` does."""
    how: dict[str, Any] = {"subject": "escalation_rule", "check": _check, "by": by, "now": now}
    await versions.edit(session, escalation_rules, rule, {"name": name, "enabled": enabled}, content or {}, **how)


async def remove(session: AsyncSession, rule: RowMapping, *, by: Actor, now: datetime) -> None:
    """Ladders that are being climbed are climbed to their end."""
    await session.execute(
        update(escalation_rules).where(escalation_rules.c.id == rule["id"]).values(deleted_at=now, updated_at=now)
    )
    await audit.record(
        session, "escalation_rule.removed", subject="escalation_rule", subject_id=rule["id"], by=by, now=now
    )


async def naming(session: AsyncSession, subject_id: UUID) -> list[str]:
    """Names of the rules that mention an agent, a team, a webhook or a policy: it must not be removed under them."""
    return await versions.naming(session, escalation_rules, ladders.mentions, subject_id)


async def _check(session: AsyncSession, content: Mapping[str, Any]) -> None:
    versions.checked(ladders.check, content)
    await versions.check_mentions(session, ladders.mentions(content))
    named = content.get("categories", ())
    await categories.check(session, [(f"categories.{number}", one) for number, one in enumerate(named)])
