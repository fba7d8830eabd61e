"""What a setting said in each of its versions, and who of the house a setting names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select, Table, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows
from helpdesk.domain.contents import Wrong
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, FieldError, Invalid, NotFound, Stale
from helpdesk.models.agents import agents, teams
from helpdesk.models.inboxes import inboxes
from helpdesk.models.sla import business_hours, setting_versions, sla_policies
from helpdesk.models.webhooks import webhooks
from helpdesk.services import audit

Mention = tuple[str, str, UUID]
"""A field, the kind of thing that it names, and which one."""

_THERE: Final[Mapping[str, tuple[Table, ColumnElement[bool], str]]] = {
    "agent": (agents, agents.c.active, "there is no such agent, or he has left"),
    "business_hours": (business_hours, business_hours.c.deleted_at.is_(None), "there are no such business hours"),
    "inbox": (inboxes, inboxes.c.deleted_at.is_(None), "there is no such inbox"),
    "policy": (sla_policies, sla_policies.c.deleted_at.is_(None), "there is no such SLA policy"),
    "team": (teams, true(), "there is no such team"),
    "webhook": (webhooks, true(), "there is no such webhook"),
}
_MOST_NAMED: Final = 10


async def get(session: AsyncSession, query: Select[Any], *, missing: str, version: int | None) -> RowMapping:
    """The one row of `query`; with a `version`, locked and compared. Raises `NotFound` saying `missing`, `Stale`."""
    locked = query if version is None else query.with_for_update(key_share=True)
    found: RowMapping | None = (await session.execute(locked)).mappings().one_or_none()
    if found is None:
        raise NotFound(missing)
    if version is not None and found["version"] != version:
        raise Stale(extra={"version": found["version"]})
    return found


async def refuse_too_many(session: AsyncSession, table: Table, *, most: int) -> None:
    """Raises `Conflict` where there are `most` settings already that are not removed."""
    alive = select(func.count()).select_from(table).where(table.c.deleted_at.is_(None))
    if (await session.scalar(alive) or 0) >= most:
        raise Conflict(f"there are {most} of these already", slug="too_many")


def checked(check: Callable[[Any], None], content: Mapping[str, Any]) -> None:
    """Raises `Invalid` naming the field where the domain's `check` finds something wrong."""
    try:
        check(content)
    except Wrong as wrong:
        raise Invalid.field(wrong.field, wrong.reason) from None


async def check_mentions(session: AsyncSession, mentions: Iterable[Mention]) -> None:
    """Raises `Invalid` naming each field whose thing is gone.

    What is there is locked against being removed until the transaction ends; whoever removes it then sees who names it.
    """
    by_kind: dict[str, list[Mention]] = {}
    for mention in mentions:
        by_kind.setdefault(mention[1], []).append(mention)
    wrong: list[FieldError] = []
    for kind, found in by_kind.items():
        table, alive, reason = _THERE[kind]
        query = select(table.c.id).where(table.c.id.in_({one[2] for one in found}), alive)
        there = set((await session.execute(query.order_by(table.c.id).with_for_update(read=True))).scalars())
        wrong += [FieldError(field, reason) for field, _, thing in found if thing not in there]
    if wrong:
        raise Invalid("; ".join(f"{w.field}: {w.message}" for w in wrong), errors=wrong)


async def naming(
    session: AsyncSession,
    table: Table,
    mentions: Callable[[Mapping[str, Any]], Iterator[Mention]],
    subject_id: UUID,
) -> list[str]:
    """Names of the settings in `table` whose content mentions `subject_id`, switched off or not."""
    query = select(table.c.name, table.c.content).where(table.c.deleted_at.is_(None)).order_by(table.c.id)
    found = (await session.execute(query)).all()
    return [name for name, content in found if any(thing == subject_id for _, _, thing in mentions(content))]


def refuse_in_use(what: str, names: Sequence[str]) -> None:
    """Raises `Conflict` that says who still names it; `what` are they (`escalation rules`)."""
    if names:
        shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
        raise Conflict(f"{what} name it: {shown}", slug="in_use")


async def add_version(
    session: AsyncSession, table: Table, setting: Mapping[str, Any], *, by: Actor, now: datetime
) -> None:
    """Keep what a row of `table` says in the version that it has now."""
    row = {
        "subject_id": setting["id"],
        "version": setting["version"],
        "subject_type": table.name,
        "content": setting["content"],
        "created_by": by.id,
        "created_at": now,
    }
    await insert_rows(session, setting_versions, [row])


async def edit(
    session: AsyncSession,
    table: Table,
    row: RowMapping,
    given: Mapping[str, Any],
    content: Mapping[str, Any],
    *,
    subject: str,
    check: Callable[[AsyncSession, Mapping[str, Any]], Awaitable[None]],
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given and not None, and the fields of `content`; keep the version, and who made it."""
    values = {field: value for field, value in given.items() if value is not None}
    fields = sorted([*values, *content])
    if content or values.get("enabled"):
        # Also one that is switched on as it was: what it names may have gone meanwhile.
        values["content"] = {**row["content"], **content}
        await check(session, values["content"])
    values |= {"version": row["version"] + 1, "updated_at": now}
    await session.execute(update(table).where(table.c.id == row["id"]).values(values))
    await add_version(session, table, {**row, **values}, by=by, now=now)
    what: dict[str, Any] = {"subject": subject, "subject_id": row["id"], "data": {"fields": fields}}
    await audit.record(session, f"{subject}.updated", by=by, now=now, **what)


async def list_versions(
    session: AsyncSession, subject_id: UUID, *, before: int | None, limit: int
) -> Sequence[RowMapping]:
    """The newest first."""
    v = setting_versions.c
    query = select(setting_versions).where(v.subject_id == subject_id).order_by(v.version.desc()).limit(limit)
    if before is not None:
        query = query.where(v.version < before)
    return (await session.execute(query)).mappings().all()
