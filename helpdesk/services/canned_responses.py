"""Canned responses: texts kept ready in several languages, filled in for the conversation that they are used in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import insert_rows, lock_name, new_id
from helpdesk.domain import templates
from helpdesk.domain.contents import Wrong
from helpdesk.domain.filters import like
from helpdesk.domain.values import Actor
from helpdesk.errors import Conflict, FieldError, Invalid
from helpdesk.models.agents import teams
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversations
from helpdesk.models.desk import canned_responses
from helpdesk.models.inboxes import inboxes
from helpdesk.services import audit, sharing
from helpdesk.statements import Row

MOST_OWN: Final = 500
MOST_SHARED: Final = 2000

_T: Final = canned_responses.c


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text as it would be sent. `missing` are the variables that are left out for want of a value."""

    language: str
    text: str
    missing: Sequence[str]


async def list_responses(
    session: AsyncSession, actor: Actor, *, q: str, after: tuple[str, UUID] | None, limit: int
) -> Sequence[RowMapping]:
    """By shortcut, those that the actor sees. `q` is how the shortcut or the title begins."""
    query = select(canned_responses).where(sharing.seen_in(canned_responses, actor))
    if q:
        begins = like(q)[1:]
        query = query.where(or_(_T.shortcut.like(begins.lower(), escape="\\"), _T.title.ilike(begins, escape="\\")))
    if after is not None:
        query = query.where(or_(_T.shortcut > after[0], and_(_T.shortcut == after[0], _T.id > after[1])))
    return (await session.execute(query.order_by(_T.shortcut, _T.id).limit(limit))).mappings().all()


async def find(session: AsyncSession, actor: Actor, response_id: UUID) -> RowMapping | None:
    return await sharing.find(session, canned_responses, actor, response_id)


async def get(session: AsyncSession, actor: Actor, response_id: UUID, *, version: int | None = None) -> RowMapping:
    """With `version`, locked, compared, and for one who may change it. Raises `NotFound`, `Stale`, `Forbidden`."""
    return await sharing.get(session, canned_responses, actor, response_id, version=version, what="canned response")


async def create(
    session: AsyncSession,
    *,
    shortcut: str,
    title: str,
    texts: Mapping[str, str],
    shared: str = sharing.PERSONAL,
    team_id: UUID | None = None,
    by: Actor,
    now: datetime,
) -> UUID:
    """For the actor himself, for a team or for everybody: `sharing.SHARED`.

    Raises `Invalid` for a text that cannot be used, `Conflict` for a shortcut that the actor sees already, `Forbidden`.
    """
    owner_id = await sharing.audience(session, by, shared=shared, team_id=team_id)
    await sharing.refuse_too_many(session, canned_responses, owner_id, own=MOST_OWN, shared=MOST_SHARED)
    _check(texts)
    await _claim(session, shortcut, by, but=None)
    response_id = new_id()
    row = {
        "id": response_id,
        "shortcut": shortcut,
        "title": title,
        "owner_id": owner_id,
        "team_id": team_id,
        "texts": dict(texts),
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    await insert_rows(session, canned_responses, [row])
    await _note(session, "created", response_id, sorted(texts), by=by, now=now)
    return response_id


async def edit(
    session: AsyncSession,
    response: RowMapping,
    *,
    shortcut: str | None = None,
    title: str | None = None,
    texts: Mapping[str, str] | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Change what is given; `texts` replaces them all. Raises as `create` does."""
    if texts is not None:
        _check(texts)
    if shortcut is not None and shortcut != response["shortcut"]:
        await _claim(session, shortcut, by, but=response["id"])
    given = {"shortcut": shortcut, "title": title, "texts": None if texts is None else dict(texts)}
    values = {name: value for name, value in given.items() if value is not None}
    mine = update(canned_responses).where(_T.id == response["id"])
    await session.execute(mine.values(**values, version=response["version"] + 1, updated_at=now))
    await _note(session, "updated", response["id"], sorted(values), by=by, now=now)


async def remove(session: AsyncSession, response: RowMapping, *, by: Actor, now: datetime) -> None:
    """A macro that names it is refused from then on."""
    await session.execute(delete(canned_responses).where(_T.id == response["id"]))
    await _note(session, "removed", response["id"], [], by=by, now=now)


async def render(session: AsyncSession, response: Row, conversation: Row, *, language: str = "", by: Actor) -> Rendered:
    """In `language`, or else the contact's, or the nearest that there is."""
    values = await _values(session, conversation, by)
    chosen, text = templates.choose(response["texts"], language or values["language"])
    filled, missing = templates.render(text, values)
    return Rendered(chosen, filled, missing)


async def fill(session: AsyncSession, text: str, conversation: Row, *, by: Actor) -> Rendered:
    """A text that stands in an action, in whatever language it is."""
    if not templates.used(text):
        return Rendered("", text, ())
    filled, missing = templates.render(text, await _values(session, conversation, by))
    return Rendered("", filled, missing)


async def _values(session: AsyncSession, conversation: Row, by: Actor) -> dict[str, str]:
    """What each variable stands for here, and the language that the contact reads."""
    c = conversations.c
    query = (
        select(
            contacts.c.name,
            contacts.c.language,
            inboxes.c.name.label("inbox"),
            teams.c.name.label("team"),
        )
        .select_from(conversations)
        .join(contacts, contacts.c.id == c.contact_id)
        .join(inboxes, inboxes.c.id == c.inbox_id)
        .outerjoin(teams, teams.c.id == c.team_id)
        .where(c.id == conversation["id"])
    )
    found = (await session.execute(query)).mappings().one()
    # Judged whole: what is no name has no first one either.
    name = templates.plain(found["name"])
    return {
        "language": found["language"] or conversation["language"],
        "contact.name": name,
        "contact.first_name": templates.first_name(name),
        "agent.name": by.name if by.id else "",
        "agent.first_name": templates.first_name(by.name) if by.id else "",
        "conversation.number": str(conversation["number"]),
        "conversation.subject": conversation["subject"],
        "inbox.name": found["inbox"],
        "team.name": found["team"] or "",
    }


def _check(texts: Mapping[str, str]) -> None:
    """Raises `Invalid` naming each language whose text cannot be used."""
    wrong = []
    for language, text in texts.items():
        try:
            templates.check(text, f"texts.{language}")
        except Wrong as error:
            wrong.append(FieldError(error.field, error.reason))
    if wrong:
        raise Invalid("; ".join(f"{w.field}: {w.message}" for w in wrong), errors=wrong)


async def _claim(session: AsyncSession, shortcut: str, by: Actor, *, but: UUID | None) -> None:
    """Raises `Conflict` for a shortcut that the actor sees already: typing it would not say which is meant.

    What others keep for themselves is not in the way, and is not told by this. Two at once wait for each other.
    """
    await lock_name(session, f"canned_response:{shortcut}")
    query = select(_T.id).where(_T.shortcut == shortcut, sharing.seen_in(canned_responses, by))
    if any(found != but for found in (await session.execute(query)).scalars()):
        raise Conflict("there is a canned response of this shortcut", slug="shortcut_taken")


async def _note(
    session: AsyncSession, verb: str, response_id: UUID, fields: Sequence[str], *, by: Actor, now: datetime
) -> None:
    what: dict[str, Any] = {"subject": "canned_response", "subject_id": response_id, "data": {"fields": list(fields)}}
    await audit.record(session, f"canned_response.{verb}", by=by, now=now, **what)
