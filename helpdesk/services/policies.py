"""SLA policies as settings: each change is a new version, and clocks that run keep the one they began with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain import policies as domain
from helpdesk.domain.values import Actor
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import sla_policies
from helpdesk.services import audit, categories, escalation_rules, versions

MOST_POLICIES: Final = 500
"""A message is held against all of them."""


async def list_policies(session: AsyncSession, *, after: tuple[int, UUID] | None, limit: int) -> Sequence[RowMapping]:
    """In the order in which they are asked; `after` is the position and the id of the last one seen."""
    p = sla_policies.c
    query = select(sla_policies).where(p.deleted_at.is_(None)).order_by(p.position, p.id).limit(limit)
    if after is not None:
        query = query.where(or_(p.position > after[0], and_(p.position == after[0], p.id > after[1])))
    return (await session.execute(query)).mappings().all()


async def get_policy(session: AsyncSession, policy_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(sla_policies).where(sla_policies.c.id == policy_id, sla_policies.c.deleted_at.is_(None))
    return await versions.get(session, query, missing="there is no such SLA policy", version=version)


async def create(
    session: AsyncSession,
    *,
    name: str,
    position: int,
    enabled: bool,
    content: Mapping[str, Any],
    by: Actor,
    now: datetime,
) -> UUID:
    """`content` is what `domain.policies.check` lets through.

    Raises `Invalid` naming the field that is wrong or names what is gone, `Conflict` where there are too many.
    """
    await versions.refuse_too_many(session, sla_policies, most=MOST_POLICIES)
    await _check(session, content)
    policy_id = new_id()
    row = {
        "id": policy_id,
        "name": name,
        "position": position,
        "enabled": enabled,
        "content": dict(content),
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
    }
    await insert_rows(session, sla_policies, [row])
    await versions.add_version(session, sla_policies, row, by=by, now=now)
    await audit.record(session, "sla_policy.created", subject="sla_policy", subject_id=policy_id, by=by, now=now)
    return policy_id


async def edit(
    session: AsyncSession,
    policy: RowMapping,
    *,
    name: str | None = None,
    position: int | None = None,
    enabled: bool | None = None,
    content: Mapping[str, Any] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given; `content` holds only the fields that change. Raises `Invalid` as `create` does."""
    given = {"name": name, "position": position, "enabled": enabled}
    how: dict[str, Any] = {"subject": "sla_policy", "check": _check, "by": by, "now": now}
    await versions.edit(session, sla_policies, policy, given, content or {}, **how)


async def remove(session: AsyncSession, policy: RowMapping, *, by: Actor, now: datetime) -> None:
    """Clocks that run go on by it. Raises `Conflict` while an inbox or an escalation rule names it."""
    of_inboxes = select(inboxes.c.name).where(inboxes.c.sla_policy_id == policy["id"], inboxes.c.deleted_at.is_(None))
    found = (await session.execute(of_inboxes.order_by(inboxes.c.id))).scalars().all()
    versions.refuse_in_use("inboxes", found)
    versions.refuse_in_use("escalation rules", await escalation_rules.naming(session, policy["id"]))
    await session.execute(
        update(sla_policies).where(sla_policies.c.id == policy["id"]).values(deleted_at=now, updated_at=now)
    )
    await audit.record(session, "sla_policy.removed", subject="sla_policy", subject_id=policy["id"], by=by, now=now)


async def _check(session: AsyncSession, content: Mapping[str, Any]) -> None:
    versions.checked(domain.check, content)
    await versions.check_mentions(session, domain.mentions(content))
    named = content.get("categories", ())
    await categories.check(session, [(f"categories.{number}", one) for number, one in enumerate(named)])
