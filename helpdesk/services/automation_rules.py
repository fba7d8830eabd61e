"""Automation rules as settings: each change is a new version, and each run says by which it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, and_, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, new_id
from helpdesk.domain import automation
from helpdesk.domain.actions import OF_RULES
from helpdesk.domain.automation import Rule
from helpdesk.domain.values import SYSTEM, Actor
from helpdesk.errors import Conflict
from helpdesk.logs import fault
from helpdesk.models.rules import automation_rules, automation_sweeps
from helpdesk.services import actions, audit, automatic_replies, questions, versions

log = structlog.get_logger()

MOST_RULES: Final = 200
"""An event is held against all of them."""

_R: Final = automation_rules.c


async def list_rules(
    session: AsyncSession, *, after: tuple[int, UUID] | None = None, limit: int
) -> Sequence[RowMapping]:
    """In the order in which they have their say."""
    query = select(automation_rules).order_by(_R.position, _R.id).limit(limit)
    if after is not None:
        query = query.where(or_(_R.position > after[0], and_(_R.position == after[0], _R.id > after[1])))
    return (await session.execute(query)).mappings().all()


async def get_rule(session: AsyncSession, rule_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(automation_rules).where(_R.id == rule_id)
    return await versions.get(session, query, missing="there is no such automation rule", version=version)


async def in_force(session: AsyncSession) -> list[tuple[Rule, datetime]]:
    """Those that are switched on, in their order, each with the time from which it answers."""
    query = select(_R.id, _R.version, _R.content, _R.created_at).where(_R.enabled).order_by(_R.position, _R.id)
    found = []
    for row in (await session.execute(query)).mappings():
        try:
            found.append((automation.read(row["id"], row["version"], row["content"]), row["created_at"]))
        except Exception as error:  # a rule at fault must not keep the others from having their say
            log.error("automation.unreadable", rule_id=str(row["id"]), **fault(error))
    return found


async def create(
    session: AsyncSession,
    *,
    name: str,
    enabled: bool,
    position: int,
    content: Mapping[str, Any],
    by: Actor,
    now: datetime,
) -> UUID:
    """`content` is what `domain.automation.check` lets through; it answers what happens from `now` on.

    Raises `Invalid` naming the field that is wrong or names what is gone, `Conflict` for a taken name or too many.
    """
    if (await session.scalar(select(func.count()).select_from(automation_rules)) or 0) >= MOST_RULES:
        raise Conflict(f"there are {MOST_RULES} of these already", slug="too_many")
    await _check(session, content)
    rule_id = new_id()
    row = {
        "id": rule_id,
        "name": name,
        "content": dict(content),
        "enabled": enabled,
        "position": position,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    try:
        async with session.begin_nested():
            await insert_rows(session, automation_rules, [row])
    except IntegrityError:
        raise Conflict("there is an automation rule of this name", slug="name_taken") from None
    await _begin(session, rule_id, content, now=now)
    await versions.add_version(session, automation_rules, row, by=by, now=now)
    what: dict[str, Any] = {"subject": "automation_rule", "subject_id": rule_id}
    await audit.record(session, "automation_rule.created", by=by, now=now, **what)
    return rule_id


async def edit(
    session: AsyncSession,
    rule: RowMapping,
    given: Mapping[str, Any],
    content: Mapping[str, Any],
    *,
    by: Actor,
    now: datetime,
) -> None:
    """Change any of `name enabled position`, and the fields of `content` that are there. Raises as `create` does.

    One on time begins anew where it says another time, or is switched on; one that is to find everything there is, with
    another filter as well.
    """
    how: dict[str, Any] = {"subject": "automation_rule", "check": _check, "by": by, "now": now}
    try:
        async with session.begin_nested():
            await versions.edit(session, automation_rules, rule, given, content, **how)
    except IntegrityError:
        raise Conflict("there is an automation rule of this name", slug="name_taken") from None
    before, after = rule["content"], {**rule["content"], **content}
    everything = after["when"].get("elapsed", {}).get("include_existing", False)
    again = bool(given.get("enabled")) and not rule["enabled"]
    if again or after["when"] != before["when"] or (everything and after["if"] != before["if"]):
        await _begin(session, rule["id"], after, now=now)


async def remove(session: AsyncSession, rule: RowMapping, *, by: Actor, now: datetime) -> None:
    """What it did stays in the log of the conversation, and its versions are kept."""
    await session.execute(delete(automation_rules).where(_R.id == rule["id"]))
    what: dict[str, Any] = {"subject": "automation_rule", "subject_id": rule["id"]}
    await audit.record(session, "automation_rule.removed", by=by, now=now, **what)


async def _begin(session: AsyncSession, rule_id: UUID, content: Mapping[str, Any], *, now: datetime) -> None:
    """From where a rule on time is followed; one on events is not."""
    await session.execute(delete(automation_sweeps).where(automation_sweeps.c.rule_id == rule_id))
    elapsed = content["when"].get("elapsed")
    if elapsed is not None:
        begun_at = None if elapsed.get("include_existing") else now
        await insert_rows(session, automation_sweeps, [{"rule_id": rule_id, "begun_at": begun_at, "reached": {}}])


async def _check(session: AsyncSession, content: Mapping[str, Any]) -> None:
    versions.checked(automation.check, content)
    await questions.check_mentions(
        session, questions.read(content["if"], messages=True, place="if"), by=SYSTEM, place="if"
    )
    await actions.check(session, content["do"], "do", allowed=OF_RULES, by=SYSTEM)
    await automatic_replies.check(session, content["do"], "do", by=SYSTEM)
