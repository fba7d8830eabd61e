"""Filter trees as people hand them in: read, and held against what they may see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain.contents import Wrong
from helpdesk.domain.filter_tree import Node, categories_in, mentions, parse
from helpdesk.domain.values import Actor
from helpdesk.errors import FieldError, Invalid
from helpdesk.models.agents import agents, teams
from helpdesk.models.contacts import contacts
from helpdesk.models.inboxes import inboxes
from helpdesk.services import categories
from helpdesk.services.access import scoped_contacts


def read(content: Any, *, messages: bool = False, place: str = "filter") -> Node:
    """The tree that JSON says. Raises `Invalid` naming the place that is wrong."""
    try:
        return parse(content, messages=messages, place=place)
    except Wrong as wrong:
        raise Invalid.field(wrong.field, wrong.reason) from None


async def check_mentions(session: AsyncSession, node: Node, *, by: Actor, place: str = "filter") -> None:
    """Raises `Invalid` naming each id that is of nothing that the actor may see, and each category there is not."""
    found = list(mentions(node, place))
    wrong: list[FieldError] = []
    for kind in sorted({kind for _, kind, _ in found}):
        wanted = {one for _, of, one in found if of == kind}
        seen = set((await session.execute(_seen(kind, wanted, by))).scalars())
        wrong += [FieldError(at, f"there is no such {kind}") for at, of, one in found if of == kind and one not in seen]
    if wrong:
        raise Invalid("; ".join(f"{w.field}: {w.message}" for w in wrong), errors=wrong)
    await categories.check(session, categories_in(node, place))


def _seen(kind: str, wanted: Collection[UUID], by: Actor) -> Select[Any]:
    """Those of the ids that are of something the actor may see. Colleagues and teams are no secret here."""
    table = {"agent": agents, "contact": contacts, "inbox": inboxes, "team": teams}[kind]
    query = select(table.c.id).where(table.c.id.in_(wanted))
    if kind == "contact":
        return scoped_contacts(query, by, contacts.c.id)
    if kind == "inbox":
        query = query.where(inboxes.c.deleted_at.is_(None))
        return query if by.sees_all else query.where(inboxes.c.id.in_(by.inbox_ids))
    return query
