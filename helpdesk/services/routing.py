"""Routing: what a team's conversations that nobody has are given to whom. The choice is `domain.assignment`'s.

Who is there and what he has is read once for all teams. Before anything is given, the conversations are locked, then
the teams, then the agents, each in the order of ids, and loads are counted again under these locks: any number may
route at once, and nobody is given more than he can take. Whoever is faster by hand has the conversation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    String,
    and_,
    bindparam,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.db import claimable
from helpdesk.dialects import among
from helpdesk.domain import assignment
from helpdesk.domain.assignment import ROUTED, Idle, Loads, Member, Method, Queued, Routing, SkillUse, Team
from helpdesk.domain.values import SYSTEM, Role, Status, TokenKind
from helpdesk.models.agents import agents, api_tokens, sessions, team_members, teams
from helpdesk.models.conversations import conversations
from helpdesk.models.visitors import visits
from helpdesk.services import accounts, duty
from helpdesk.services import conversations as verbs
from helpdesk.services.house import Services

BATCH: Final = 25
"""Conversations in one transaction: on SQLite nobody else writes meanwhile."""

SETTLING: Final = timedelta(seconds=3)
"""A new conversation is left to rules and triage for so long: they say what it is about and whose it is."""
LIVE_SETTLING: Final = timedelta(seconds=1)
"""Of a live channel: its contact looks on, and has said in the form what it is about."""

_C: Final = conversations.c
_OPEN: Final = _C.status == literal_column(f"'{Status.OPEN.value}'", String())
COUNTED: Final = and_(_OPEN, _C.assignee_id.is_not(None), not_(_C.spam), _C.merged_into_id.is_(None))
"""What counts as work in hand. What is pending or snoozed does not: nobody can do anything about it."""
QUEUED: Final = and_(_OPEN, _C.assignee_id.is_(None), not_(_C.spam), not_(_C.quarantined), _C.merged_into_id.is_(None))


@dataclass(frozen=True, slots=True)
class Board:
    """Who is there: teams with their members, and how many open conversations each of these has, over all teams."""

    teams: Mapping[UUID, Team]
    loads: Loads

    def takers(self, team_id: UUID, *, live: bool, now: datetime) -> list[Member]:
        team = self.teams[team_id]
        return [one for one in team.members if self.idle(team, one, live=live, now=now) is None]

    def idle(self, team: Team, member: Member, *, live: bool, now: datetime) -> Idle | None:
        return assignment.idle(team.routing, member, live=live, load=self.load(member, live=live), now=now)

    def load(self, member: Member, *, live: bool) -> int:
        return self.loads.get((member.agent_id, live), 0)


def queued() -> Select[Any]:
    """Teams that route and have a queue, whether or not somebody can take what is in it.

    A scalar subselect, not EXISTS, which PostgreSQL may turn into reading what is queued everywhere.
    """
    any_ = select(_C.id).where(QUEUED, _C.team_id == teams.c.id).limit(literal_column("1"))
    return select(teams.c.id).where(_routes(), any_.correlate(teams).scalar_subquery().is_not(None))


async def heads(services: Services, session: AsyncSession, *, now: datetime) -> list[UUID]:
    """What could be given to somebody now, the most urgent of all teams first; a batch of them at most.

    Of each queue only what suits one who has room: what nobody can take keeps nobody behind it waiting.
    """
    channels = services.live_channels()
    found = await board(services, session, await routings(session), now=now)
    parts = []
    for team_id, team in found.teams.items():
        for live in (False, True) if channels else (False,):
            takers = found.takers(team_id, live=live, now=now)
            room = sum(one.most(live=live) - found.load(one, live=live) for one in takers)
            if takers:
                kind = and_(of_kind(channels, live=True), _waits()) if live else of_kind(channels, live=False)
                suiting = and_(kind, _suiting(team.routing.skills is SkillUse.REQUIRE, takers))
                before = now - (LIVE_SETTLING if live else SETTLING)
                parts.append(_head(team_id, suiting, live=live, before=before, most=min(room, BATCH)))
    if not parts:
        return []
    rows = (await session.execute(union_all(*parts))).mappings().all()
    return [one.id for one in sorted(map(_waiting, rows), key=assignment.urgency)[:BATCH]]


async def route(services: Services, session: AsyncSession, ids: Collection[UUID], *, now: datetime) -> int:
    """Give these to whom they belong; answers how many that were.

    Those are left out that somebody has in hand, that are not in a queue any more, or that nobody can take now.
    """
    live = of_kind(services.live_channels(), live=True)
    query = select(conversations, live.label("live")).where(_C.id.in_(ids), QUEUED, _C.team_id.is_not(None))
    query = query.where(or_(not_(live), _waits())).order_by(_C.id)
    rows = {row["id"]: row for row in (await session.execute(claimable(query))).mappings()}
    if not rows:
        return 0
    found = await _locked_board(services, session, sorted({row["team_id"] for row in rows.values()}), now=now)
    given = assignment.assign(map(_waiting, rows.values()), found.teams, found.loads, now=now)
    for one, agent_id in given:
        how: dict[str, Any] = {"by": SYSTEM, "now": now, "reason": ROUTED}
        await verbs.change(services, session, rows[one.id], {"assignee_id": agent_id}, **how)
    await _remember(session, given, now=now)
    return len(given)


async def board(services: Services, session: AsyncSession, routings: Mapping[UUID, Routing], *, now: datetime) -> Board:
    """Of the teams that have these routings."""
    if not routings:
        return Board({}, {})
    rows = await _members(session, list(routings))
    there = await duty.on_duty_by_team(session, list(routings), now=now)
    members: dict[UUID, list[Member]] = {team_id: [] for team_id in routings}
    for row in rows:
        team_id = row["team_id"]
        on_duty = (team_id, row["agent_id"]) in there
        members[team_id].append(_member(row, routings[team_id], on_duty=on_duty))
    found = {team_id: Team(routing, members[team_id]) for team_id, routing in routings.items()}
    return Board(found, await loads(services, session, {row["agent_id"] for row in rows}))


async def routings(session: AsyncSession, team_ids: Sequence[UUID] | None = None) -> dict[UUID, Routing]:
    """By team; those that leave it to people are left out."""
    query = select(teams.c.id, teams.c.routing).where(_routes())
    if team_ids is not None:
        query = query.where(teams.c.id.in_(team_ids))
    return {team_id: assignment.read(content) for team_id, content in await session.execute(query)}


async def loads(services: Services, session: AsyncSession, agent_ids: Collection[UUID]) -> Loads:
    """How many open conversations each of them has; who has none is left out."""
    rows = await session.execute(_loads(agent_ids, services.live_channels()))
    return {(agent_id, bool(live)): many for agent_id, live, many in rows}


def of_kind(channels: Sequence[str], *, live: bool) -> ColumnElement[bool]:
    """On `conversations`: chats on the live `channels`, or all others.

    Feedback is no chat, nor is one for which nobody came any more, until its contact comes back.
    """
    if not channels:
        return false() if live else true()
    v = visits.c
    chat = select(v.conversation_id).where(
        v.conversation_id == _C.id, not_(v.feedback), or_(not_(v.missed), v.queued_at.is_not(None))
    )
    # A scalar subselect, as in `queued`.
    is_chat = chat.limit(literal_column("1")).correlate(conversations).scalar_subquery().is_not(None)
    mine = and_(among(_C.channel, list(channels), "text"), is_chat)
    return mine if live else not_(mine)


def seen() -> tuple[ColumnElement[datetime], ColumnElement[datetime]]:
    """When an agent in a query over `agents` last used a session, and a token of his own. A bot's tokens are not he."""
    s, t = sessions.c, api_tokens.c
    of_sessions = select(func.max(s.last_seen_at, type_=s.last_seen_at.type)).where(s.agent_id == agents.c.id)
    of_tokens = select(func.max(t.last_used_at, type_=t.last_used_at.type)).where(t.agent_id == agents.c.id)
    of_tokens = of_tokens.where(t.kind == TokenKind.AGENT.value)
    return of_sessions.correlate(agents).scalar_subquery(), of_tokens.correlate(agents).scalar_subquery()


def latest(*times: datetime | None) -> datetime | None:
    return max((one for one in times if one is not None), default=None)


def _waits() -> ColumnElement[bool]:
    """On `conversations`: its contact waits in a queue. Whoever answers a chat that nobody has is in it already."""
    waiting = select(visits.c.queued_at).where(visits.c.conversation_id == _C.id)
    return waiting.correlate(conversations).scalar_subquery().is_not(None)


def _loads(agent_ids: Collection[UUID], channels: Sequence[str] = ()) -> Select[Any]:
    mine = among(_C.assignee_id, list(agent_ids), "uuid")
    live = of_kind(channels, live=True).label("live")
    had = select(_C.assignee_id, live).where(COUNTED, mine).subquery().c
    return select(had.assignee_id, had.live, func.count()).group_by(had.assignee_id, had.live)


def _routes() -> ColumnElement[bool]:
    """On `teams`."""
    method: ColumnElement[str] = teams.c.routing["method"].as_string()
    return method != literal_column(f"'{Method.MANUAL.value}'", String())


def _head(
    team_id: UUID, suiting: ColumnElement[bool], *, live: bool = False, before: datetime, most: int
) -> Select[Any]:
    kind = (true() if live else false()).label("live")
    query = select(_C.id, *_WAITING, kind).where(QUEUED, _C.team_id == team_id, _C.created_at <= before, suiting)
    query = query.order_by(_C.priority.desc(), _C.waiting_since.asc().nulls_last(), _C.id)
    return select(query.limit(most).subquery())


def _suiting(skilled: bool, takers: Sequence[Member]) -> ColumnElement[bool]:
    """On `conversations`: one of them may take it. Who can take the same is asked for once."""
    alike: dict[tuple[Any, ...], list[Member]] = {}
    for one in takers:
        able = (one.skills.languages, one.skills.categories) if skilled else ()
        alike.setdefault((one.inbox_ids, *able), []).append(one)
    return or_(*(_can(skilled, group[0], alone=len(group) == 1) for group in alike.values()))


def _can(skilled: bool, member: Member, *, alone: bool) -> ColumnElement[bool]:
    """Of two who can take the same, one is always somebody else than from whom it was taken."""
    conditions: list[ColumnElement[bool]] = []
    if member.inbox_ids is not None:
        conditions.append(among(_C.inbox_id, sorted(member.inbox_ids), "uuid"))
    if alone:
        conditions.append(or_(_C.taken_from_id.is_(None), _C.taken_from_id != member.agent_id))
    if skilled and member.skills.languages:
        conditions.append(among(_C.language, ["", *sorted(member.skills.languages)], "text"))
    if skilled and member.skills.categories:
        conditions.append(or_(_C.category.is_(None), among(_C.category, sorted(member.skills.categories), "text")))
    return and_(true(), *conditions)


_WAITING: Final = tuple(
    _C[name] for name in ("team_id", "inbox_id", "priority", "waiting_since", "language", "category", "taken_from_id")
)


def _waiting(row: RowMapping) -> Queued:
    given = {column.name: row[column.name] for column in _WAITING}
    return Queued(id=row["id"], taken_from=given.pop("taken_from_id"), live=bool(row["live"]), **given)


async def _locked_board(services: Services, session: AsyncSession, team_ids: Sequence[UUID], *, now: datetime) -> Board:
    """With its members locked, until the transaction ends, and who is one: others who route wait, or see it done."""
    t, a, m = teams.c, agents.c, team_members.c
    await session.execute(select(t.id).where(t.id.in_(team_ids)).order_by(t.id).with_for_update(read=True))
    of_these = select(m.agent_id).where(m.team_id.in_(team_ids))
    await session.execute(select(a.id).where(a.id.in_(of_these)).order_by(a.id).with_for_update(key_share=True))
    return await board(services, session, await routings(session, team_ids), now=now)


async def _members(session: AsyncSession, team_ids: Sequence[UUID]) -> Sequence[RowMapping]:
    a, m = agents.c, team_members.c
    in_session, by_token = seen()
    query = (
        select(m.team_id, m.agent_id, m.last_assigned_at, a.role, a.active, a.capacity, a.live_capacity, a.skills)
        .add_columns(in_session.label("in_session"), by_token.label("by_token"))
        .add_columns(accounts.sees()[1].label("inbox_ids"))
        .join_from(team_members, agents, m.agent_id == a.id)
        .where(m.team_id.in_(team_ids))
        .order_by(m.team_id, m.agent_id)
    )
    return (await session.execute(query)).mappings().all()


def _member(row: RowMapping, usual: Routing, *, on_duty: bool) -> Member:
    return Member(
        agent_id=row["agent_id"],
        active=row["active"],
        on_duty=on_duty,
        seen_at=latest(row["in_session"], row["by_token"]),
        capacity=usual.capacity if row["capacity"] is None else row["capacity"],
        live_capacity=usual.live_capacity if row["live_capacity"] is None else row["live_capacity"],
        inbox_ids=frozenset(row["inbox_ids"]) if row["role"] == Role.AGENT else None,
        skills=assignment.read_skills(row["skills"]),
        last_assigned_at=row["last_assigned_at"],
    )


async def _remember(session: AsyncSession, given: Sequence[tuple[Queued, UUID]], *, now: datetime) -> None:
    """Whose turn it was, each a microsecond after the one before: turns within a batch are turns too."""
    last = {
        (one.team_id, agent_id): now + timedelta(microseconds=number) for number, (one, agent_id) in enumerate(given)
    }
    m = team_members.c
    changed = update(team_members).where(m.team_id == bindparam("of_team"), m.agent_id == bindparam("to_agent"))
    rows = [{"of_team": team, "to_agent": agent, "at": at} for (team, agent), at in sorted(last.items())]
    if rows:
        await (await session.connection()).execute(changed.values(last_assigned_at=bindparam("at")), rows)
