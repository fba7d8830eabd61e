"""What conversations can be about: the one place that knows which categories there are, and what suggests them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_ignoring, insert_rows
from helpdesk.domain import categories as domain
from helpdesk.domain.contents import Wrong
from helpdesk.domain.triage_rules import CATEGORIES, RULES, Rule
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, FieldError, Invalid, NotFound, Stale
from helpdesk.models.desk import triage_categories, triage_rules_off
from helpdesk.services import audit

MOST: Final = 50
"""Archived ones included: each message is held against the words of all."""

_T: Final = triage_categories.c
_OFF: Final = triage_rules_off.c


async def check(session: AsyncSession, given: Iterable[tuple[str, str | None]], *, new: bool = False) -> None:
    """Raises `Invalid` naming each field whose category there is not; None is none, and may always be given.

    With `new` an archived one is refused as well: it is to be given to something.
    """
    asked = [(field, key) for field, key in given if key is not None and key not in CATEGORIES]
    if not asked:
        return
    query = select(_T.key).where(_T.key.in_({key for _, key in asked}))
    there = set((await session.execute(query.where(_T.archived.is_(False)) if new else query)).scalars())
    wrong = [FieldError(field, "there is no such category") for field, key in asked if key not in there]
    if wrong:
        hint = "GET /triage/categories lists them"
        raise Invalid("; ".join(f"{w.field}: {w.message}; {hint}" for w in wrong), errors=wrong)


async def rules(session: AsyncSession) -> list[Rule]:
    """Those that read messages: every house's but for those that are switched off, and this one's."""
    off = await switched_off(session)
    query = select(triage_categories).where(_T.archived.is_(False)).order_by(_T.key)
    own = (await session.execute(query)).mappings().all()
    return [*(one for one in RULES if one.name not in off), *(domain.rule_of(dict(row)) for row in own if row["words"])]


async def switched_off(session: AsyncSession) -> frozenset[str]:
    return frozenset((await session.execute(select(_OFF.name))).scalars())


async def switch(session: AsyncSession, name: str, *, enabled: bool, by: Actor, now: datetime) -> None:
    """Have a rule of every house read here, or not. Raises `NotFound`. Idempotent."""
    if name not in {rule.name for rule in RULES}:
        raise NotFound("there is no such rule")
    if enabled == (name not in await switched_off(session)):
        return
    if enabled:
        await session.execute(delete(triage_rules_off).where(_OFF.name == name))
    else:
        off = insert_ignoring(session, triage_rules_off, on=["name"])
        await session.execute(off.values(name=name, created_by=by.id, created_at=now))
    what: dict[str, Any] = {"subject": "triage_rule", "subject_id": None, "data": {"rule": name, "enabled": enabled}}
    await audit.record(session, "triage_rule.switched", by=by, now=now, **what)


async def list_own(session: AsyncSession) -> Sequence[RowMapping]:
    return (await session.execute(select(triage_categories).order_by(_T.key))).mappings().all()


async def get_category(session: AsyncSession, key: str, *, version: int | None = None) -> RowMapping:
    """One of the house's own. With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(triage_categories).where(_T.key == key)
    query = query if version is None else query.with_for_update(key_share=True)
    found = (await session.execute(query)).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such category of this house")
    if version is not None and found["version"] != version:
        raise Stale(extra={"version": found["version"]})
    return found


async def create(
    session: AsyncSession,
    *,
    key: str,
    names: Mapping[str, str],
    words: Sequence[str],
    weight: int,
    priority: int | None,
    by: Actor,
    now: datetime,
) -> None:
    """Raises `Invalid` for a key, a name or a word that cannot be, `Conflict` for a taken key or one too many."""
    _refuse(lambda: domain.check_key(key), lambda: domain.check_names(names), lambda: domain.check_words(words))
    if (await session.scalar(select(func.count()).select_from(triage_categories)) or 0) >= MOST:
        raise Conflict(f"there are {MOST} of these already", slug="too_many")
    row = {"key": key, "names": dict(names), "words": list(words), "weight": weight, "priority": priority}
    row |= {"archived": False, "version": 1, "created_at": now, "updated_at": now}
    try:
        async with session.begin_nested():
            await insert_rows(session, triage_categories, [row])
    except IntegrityError:
        raise Conflict("there is a category of this key, archived or not", slug="key_taken") from None
    await _note(session, "created", {"key": key}, by=by, now=now)


async def edit(
    session: AsyncSession, category: RowMapping, given: Mapping[str, Any], *, by: Actor, now: datetime
) -> None:
    """Change any of `names words weight priority archived`. Raises `Invalid` as `create` does."""
    if given.get("names") is not None:
        _refuse(lambda: domain.check_names(given["names"]))
    if given.get("words") is not None:
        _refuse(lambda: domain.check_words(given["words"]))
    mine = update(triage_categories).where(_T.key == category["key"])
    await session.execute(mine.values(**given, version=category["version"] + 1, updated_at=now))
    await _note(session, "updated", {"key": category["key"], "fields": sorted(given)}, by=by, now=now)


async def _note(session: AsyncSession, verb: str, data: Mapping[str, Any], *, by: Actor, now: datetime) -> None:
    what: dict[str, Any] = {"subject": "triage_category", "subject_id": None, "data": data}
    await audit.record(session, f"triage_category.{verb}", by=by, now=now, **what)


def _refuse(*checks: Callable[[], None]) -> None:
    for one in checks:
        try:
            one()
        except Wrong as wrong:
            raise Invalid.field(wrong.field, wrong.reason) from None
