"""Custom fields: which there are, and that only their values are kept (docs/decisions/0009-custom-fields.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Table,
    and_,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy import delete as deleting
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, is_postgresql, new_id
from helpdesk.domain import custom_fields as domain
from helpdesk.domain.contents import Wrong
from helpdesk.domain.custom_fields import MOST_VALUES, Subject
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, FieldError, Invalid
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.desk import custom_fields
from helpdesk.services import audit, versions

MOST_FIELDS: Final = 100
"""Of one subject, archived ones included: all of them are read for a change."""

_OF: Final[Mapping[str, Table]] = {Subject.CONVERSATION: conversations, Subject.CONTACT: contacts}


async def list_fields(
    session: AsyncSession, *, subject: str | None, after: tuple[int, UUID] | None, limit: int
) -> Sequence[RowMapping]:
    """In the order in which they are shown; `after` is the position and the id of the last one seen."""
    f = custom_fields.c
    query = select(custom_fields).order_by(f.position, f.id).limit(limit)
    if subject is not None:
        query = query.where(f.subject == subject)
    if after is not None:
        query = query.where(or_(f.position > after[0], and_(f.position == after[0], f.id > after[1])))
    return (await session.execute(query)).mappings().all()


async def keys_of(session: AsyncSession, subject: str) -> list[str]:
    """The keys of a subject's fields, archived ones too, in the order in which they are shown."""
    return [row["key"] for row in await list_fields(session, subject=subject, after=None, limit=MOST_FIELDS)]


async def get_field(session: AsyncSession, field_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked and compared. Raises `NotFound`, `Stale`."""
    query = select(custom_fields).where(custom_fields.c.id == field_id)
    return await versions.get(session, query, missing="there is no such custom field", version=version)


async def create(
    session: AsyncSession,
    *,
    subject: str,
    key: str,
    title: str,
    type: str,  # noqa: A002 - what the column and the API call it
    options: Sequence[str] = (),
    position: int = 0,
    by: Actor,
    now: datetime,
) -> UUID:
    """Raises `Invalid` for a key or options that cannot be, `Conflict` for a key that is taken or one too many."""
    _refuse(lambda: domain.check(key, type, options))
    count = select(func.count()).select_from(custom_fields).where(custom_fields.c.subject == subject)
    if (await session.scalar(count) or 0) >= MOST_FIELDS:
        raise Conflict(f"there are {MOST_FIELDS} of these already", slug="too_many")
    field_id = new_id()
    row = {
        "id": field_id,
        "subject": subject,
        "key": key,
        "title": title,
        "type": type,
        "options": list(options),
        "position": position,
        "archived": False,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    try:
        async with session.begin_nested():
            await insert_rows(session, custom_fields, [row])
    except IntegrityError:
        raise Conflict("there is a field of this key, archived or not", slug="key_taken") from None
    await audit.record(session, "custom_field.created", subject="custom_field", subject_id=field_id, by=by, now=now)
    return field_id


async def edit(
    session: AsyncSession,
    field: RowMapping,
    *,
    title: str | None = None,
    options: Sequence[str] | None = None,
    position: int | None = None,
    archived: bool | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given. Values that are kept already stay, also where their option is gone. Raises `Invalid`."""
    given = {"title": title, "position": position, "archived": archived}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if options is not None:
        _refuse(lambda: domain.check_options(field["type"], options))
        values["options"] = list(options)
    mine = update(custom_fields).where(custom_fields.c.id == field["id"])
    await session.execute(mine.values(**values, version=field["version"] + 1, updated_at=now))
    data = {"fields": sorted(values)}
    what: dict[str, Any] = {"subject": "custom_field", "subject_id": field["id"], "data": data}
    await audit.record(session, "custom_field.updated", by=by, now=now, **what)


async def remove(session: AsyncSession, field: RowMapping, *, by: Actor, now: datetime) -> None:
    """Raises `Conflict` while anything has a value of it: archive it, and the values stay readable."""
    if await session.scalar(select(_used(session, field["subject"], field["key"]))):
        raise Conflict("values of this field are kept; archive it", slug="in_use")
    await session.execute(deleting(custom_fields).where(custom_fields.c.id == field["id"]))
    await audit.record(session, "custom_field.removed", subject="custom_field", subject_id=field["id"], by=by, now=now)


def _used(session: AsyncSession, subject: str, key: str) -> Any:
    """The first condition is word for word the partial index's: most rows have no custom field at all."""
    table = _OF[subject]
    column = table.c.custom_fields
    some: ColumnElement[bool] = literal_column(f"{table.name}.custom_fields <> '{{}}'")
    if is_postgresql(session):
        return exists().where(some, column.op("?")(literal(key)))
    return exists().where(some, func.json_type(column, f"$.{key}").is_not(None))


async def merged(
    session: AsyncSession, subject: str, before: Mapping[str, Any], given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What is kept after a change: `given` over `before`, null takes one away.

    Raises `Invalid` naming each key that there is no field for, that is archived, or whose value is not of its type.
    What was kept before is not looked at: fields come and go.
    """
    wanted = await check(session, subject, given or {}, place="custom_fields.")
    after = {key: value for key, value in {**before, **wanted}.items() if value is not None}
    if len(after) > MOST_VALUES and len(after) > len(before):
        raise Invalid.field("custom_fields", f"at most {MOST_VALUES} are kept")
    return after


async def check(session: AsyncSession, subject: str, given: Mapping[str, Any], *, place: str) -> dict[str, Any]:
    """Values as they are kept. Errors name the key after a `place` that ends in a dot, or else `place` itself."""
    new = {key: value for key, value in given.items() if value is not None}
    if not new:
        return dict(given)
    f = custom_fields.c
    query = select(f.key, f.type, f.options, f.archived).where(f.subject == subject, f.key.in_(new))
    known = {row["key"]: row for row in (await session.execute(query)).mappings()}
    found, wrong = dict(given), []
    for key, value in new.items():
        here, field = place + key if place.endswith(".") else place, known.get(key)
        if field is None or field["archived"]:
            reason = "this field is archived" if field else f"there is no custom field {key!r} of a {subject}"
            wrong.append(FieldError(here, reason))
            continue
        try:
            found[key] = domain.checked(value, field["type"], field["options"], here)
        except Wrong as error:
            wrong.append(FieldError(error.field, error.reason))
    if wrong:
        raise Invalid("; ".join(f"{w.field}: {w.message}" for w in wrong), errors=wrong)
    return found


def _refuse(check: Any) -> None:
    try:
        check()
    except Wrong as wrong:
        raise Invalid.field(wrong.field, wrong.reason) from None
