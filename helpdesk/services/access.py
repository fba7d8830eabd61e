"""Who may see what: one question for every route, search, count and stream (docs/decisions/0004-who-sees-what.md).

Administrators and supervisors see everything. An agent sees a conversation that touches an inbox he may work in, that
belongs to one of his teams, or that is assigned to him. What an actor may not see is not there: `NotFound`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Uuid,
    and_,
    bindparam,
    exists,
    literal,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import among
from helpdesk.domain.values import Actor, AuthorKind, Role
from helpdesk.errors import Forbidden, NotFound, Unverified
from helpdesk.models.agents import agents, team_members
from helpdesk.models.conversations import conversation_inboxes, conversations
from helpdesk.models.inboxes import inbox_members, inboxes
from helpdesk.models.messages import messages
from helpdesk.statements import Row, Statement

_Query = TypeVar("_Query", bound=Select[Any])

# Written into the text: as parameters they would keep PostgreSQL from planning once.
_ONE: ColumnElement[int] = literal_column("1")

RECENT: Final = timedelta(minutes=10)
"""For so long after the password was given, a console session may change what could lead mail or people astray."""

INBOXES, TEAMS, SELF = "actor_inboxes", "actor_teams", "actor_id"


def visible() -> ColumnElement[bool]:
    """An agent's condition on `conversations`, with the parameters that `parameters` fills.

    The look into `conversation_inboxes` is a scalar subselect, not EXISTS: PostgreSQL may turn EXISTS inside OR into a
    hash of the whole table, which costs more than the page of 25 that is wanted.
    """
    touched = (
        select(_ONE)
        .select_from(conversation_inboxes)
        .where(conversation_inboxes.c.conversation_id == conversations.c.id)
        .where(among(conversation_inboxes.c.inbox_id, INBOXES, "uuid"))
        .limit(_ONE)
        .correlate(conversations)
        .scalar_subquery()
    )
    return or_(
        among(conversations.c.inbox_id, INBOXES, "uuid"),
        conversations.c.assignee_id == bindparam(SELF, type_=conversations.c.id.type),
        among(conversations.c.team_id, TEAMS, "uuid"),
        touched.is_not(None),
    )


_VISIBLE = visible()


def parameters(actor: Actor) -> dict[str, Any]:
    """The values for `visible`."""
    return {INBOXES: actor.inbox_ids, TEAMS: actor.team_ids, SELF: actor.id}


def scoped(query: _Query, actor: Actor) -> _Query:
    """Narrow a query over `conversations` to what the actor may see."""
    if actor.sees_all:
        return query
    return query.where(_VISIBLE).params(parameters(actor))


def scoped_contacts(query: _Query, actor: Actor, contact_id: ColumnElement[UUID]) -> _Query:
    """Narrow a query to contacts with a conversation that the actor may see. `contact_id` is the query's column."""
    if actor.sees_all:
        return query
    seen = select(_ONE).select_from(conversations).where(conversations.c.contact_id == contact_id, _VISIBLE)
    return query.where(exists(seen.correlate_except(conversations, conversation_inboxes))).params(parameters(actor))


def may_use(actor: Actor, inbox_id: UUID) -> bool:
    """Whether the actor may work in an inbox: answer through it, start a conversation in it."""
    return actor.sees_all or inbox_id in actor.inbox_ids


def _conversation(everything: bool, lock: bool) -> Select[Any]:
    query = select(conversations).where(conversations.c.id == bindparam("conversation", type_=Uuid()))
    if not everything:
        query = query.where(_VISIBLE)
    return query.with_for_update(of=conversations, key_share=True) if lock else query


_CONVERSATION: Final = {
    (everything, lock): Statement(partial(_conversation, everything, lock))
    for everything in (True, False)
    for lock in (True, False)
}
"""By whether the actor sees all there is, and whether the row is locked."""


async def find_conversation(
    session: AsyncSession, actor: Actor, conversation_id: UUID, *, lock: bool = False
) -> Row | None:
    asked = {"conversation": conversation_id, **({} if actor.sees_all else parameters(actor))}
    found = await _CONVERSATION[actor.sees_all, lock].rows(session, **asked)
    return found[0] if found else None


async def get_conversation(session: AsyncSession, actor: Actor, conversation_id: UUID, *, lock: bool = False) -> Row:
    """The row, locked until the transaction ends when `lock` is on. Raises `NotFound`."""
    found = await find_conversation(session, actor, conversation_id, lock=lock)
    if found is None:
        raise NotFound("there is no such conversation")
    return found


async def seen_by(session: AsyncSession, agent_id: UUID, role: Role, among_these: Sequence[UUID]) -> frozenset[UUID]:
    """Which of these conversations an agent who is not the actor may see."""
    if role is not Role.AGENT or not among_these:
        return frozenset(among_these)
    mine = select(inboxes.c.id).where(workable(literal(agent_id, Uuid())))
    teams = select(team_members.c.team_id).where(team_members.c.agent_id == agent_id)
    agent = Actor(
        AuthorKind.AGENT,
        id=agent_id,
        inbox_ids=tuple((await session.execute(mine)).scalars()),
        team_ids=tuple((await session.execute(teams)).scalars()),
    )
    query = scoped(select(conversations.c.id).where(conversations.c.id.in_(among_these)), agent)
    return frozenset((await session.execute(query)).scalars())


async def who_sees(session: AsyncSession, conversation_id: UUID, among_these: Sequence[UUID]) -> set[UUID]:
    """Which of these agents are active and may see a conversation."""
    c, t = conversations.c, conversation_inboxes.c
    touched = select(t.inbox_id).where(t.conversation_id == conversation_id)
    open_to_him = select(_ONE).select_from(inboxes).where(workable(agents.c.id))
    open_to_him = open_to_him.where(or_(inboxes.c.id == c.inbox_id, inboxes.c.id.in_(touched)))
    of_team = exists().where(team_members.c.team_id == c.team_id, team_members.c.agent_id == agents.c.id)
    seeing = or_(
        agents.c.role != Role.AGENT.value,
        c.assignee_id == agents.c.id,
        of_team,
        exists(open_to_him.correlate(agents, conversations)),
    )
    query = select(agents.c.id).join(conversations, c.id == conversation_id)
    found = await session.execute(query.where(agents.c.id.in_(among_these), agents.c.active, seeing))
    return set(found.scalars())


async def get_message(session: AsyncSession, actor: Actor, message_id: UUID) -> RowMapping:
    """A message of a conversation that the actor may see. Raises `NotFound`."""
    query = select(messages).join(conversations, conversations.c.id == messages.c.conversation_id)
    found = (await session.execute(scoped(query.where(messages.c.id == message_id), actor))).mappings().one_or_none()
    if found is None:
        raise NotFound("there is no such message")
    return found


def require_role(actor: Actor, role: Role) -> None:
    """Raises `Forbidden` below `role`."""
    if _RANK[actor.role] < _RANK[role]:
        raise Forbidden(f"this needs the role {role.value}")


def require_admin_for(actor: Actor, given: Collection[str], *, but: Collection[str]) -> None:
    """Raises `Forbidden` where somebody who is no administrator sets anything `but` these fields."""
    beyond = sorted(set(given) - set(but))
    if beyond and actor.role is not Role.ADMIN:
        raise Forbidden(f"{', '.join(beyond)}: this needs the role admin; a supervisor sets {', '.join(but)}")


def require_scope(actor: Actor, scope: str) -> None:
    """Raises `Forbidden` for a token without `scope`; a console session may do what its role may."""
    if actor.scopes is not None and scope not in actor.scopes:
        raise Forbidden(f"this needs a token with the scope {scope}")


def require_recent(actor: Actor, *, now: datetime) -> None:
    """Raises `Unverified` in a console session whose password was not given lately. A token has none to be given."""
    given = actor.verified_at
    if actor.session_id is not None and (given is None or now - given > RECENT):
        raise Unverified


_RANK = {Role.AGENT: 0, Role.SUPERVISOR: 1, Role.ADMIN: 2}


def workable(agent_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """On `inboxes`: open to everybody, or to the agent by his team or by name."""
    named = select(_ONE).select_from(inbox_members).where(inbox_members.c.inbox_id == inboxes.c.id)
    of_team = select(_ONE).select_from(team_members).where(team_members.c.team_id == inboxes.c.team_id)
    # Correlated by hand: what stands two queries further out would otherwise be joined in, and every team be his.
    in_team = exists(of_team.where(team_members.c.agent_id == agent_id).correlate_except(team_members))
    by_name = exists(named.where(inbox_members.c.agent_id == agent_id).correlate_except(inbox_members))
    is_open = and_(inboxes.c.team_id.is_(None), not_(exists(named.correlate_except(inbox_members))))
    return or_(is_open, in_team, by_name)
