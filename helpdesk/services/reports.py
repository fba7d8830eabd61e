"""Figures of a desk's work. What each counts, and by which time, is said in docs/reports.md: this is that as SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, String, Subquery, and_, case, func, literal_column, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import kept, seconds_since_1970
from helpdesk.domain.clocks import Kind, State
from helpdesk.domain.events import ConversationStatusChanged
from helpdesk.domain.ratings import GOOD, SCORES, Outcome
from helpdesk.domain.values import Actor, AuthorKind, DeliveryStatus, MessageType, Status
from helpdesk.models.conversations import conversations
from helpdesk.models.events import events
from helpdesk.models.messages import messages
from helpdesk.models.rules import ratings as rating_rows
from helpdesk.models.sla import sla_clocks, sla_policies
from helpdesk.services.chat_reports import CHATS
from helpdesk.services.reporting import Asked, Ground, Report, counted, fetch, lines, ordered
from helpdesk.services.reporting_hours import with_business_time

_C: Final = conversations.c
_M: Final = messages.c
_K: Final = sla_clocks.c
_E: Final = events.c
_R: Final = rating_rows.c

_RESPONSES: Final = (Kind.FIRST_RESPONSE.value, Kind.NEXT_RESPONSE.value)
_OVER: Final = (Status.RESOLVED.value, Status.CLOSED.value)

VOLUME: Final = ("created", "resolved", "reopened", "received", "sent")
RESPONSES: Final = ("count", "mean", "median", "p90", "business_mean", "business_median", "business_p90")
RATINGS: Final = ("sent", "rated", "response_rate", "mean", "satisfied", *(f"score_{score}" for score in SCORES))
SLA: Final = ("met", "broken", "open_broken", "open")
COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "volume": VOLUME,
    "response-times": ("kind", *RESPONSES),
    "sla": ("kind", "policy_id", "policy", *SLA, "compliance"),
    "ratings": RATINGS,
    "chats": CHATS,
}
"""Of each report as a table, behind group and name."""


async def volume(session: AsyncSession, actor: Actor, asked: Asked) -> Report:
    """What came and what was done, by group; without groups always one row."""
    parts = (
        (_created(actor, asked), ("created",)),
        (_status_changes(actor, asked), ("resolved", "reopened")),
        (_messages(actor, asked), ("received", "sent")),
    )
    found: dict[Any, dict[str, int]] = {} if asked.group_by else {0: dict.fromkeys(VOLUME, 0)}
    for query, figures in parts:
        for key, *numbers in await fetch(session, query):
            if any(numbers):
                found.setdefault(key, dict.fromkeys(VOLUME, 0)).update(zip(figures, numbers, strict=True))
    return await lines(session, asked.group_by, ((key, found[key]) for key in ordered(list(found))))


def _created(actor: Actor, asked: Asked) -> Select[Any]:
    rows = counted(asked, Ground(_C.created_at), actor, conversations)
    return select(rows.c.key, func.count()).group_by(rows.c.key)


def _status_changes(actor: Actor, asked: Asked) -> Select[Any]:
    before, after = kept(_E.data, "before", str), kept(_E.data, "after", str)
    rows = counted(
        asked,
        Ground(_E.occurred_at),
        actor,
        events.join(conversations, _C.id == _E.conversation_id),
        # The words of ix_events_status.
        _E.type == _status_changed(),
        _C.merged_into_id.is_(None),
        columns=[before.in_(_OVER).label("was_over"), after.in_(_OVER).label("is_over")],
    )
    resolved = and_(rows.c.is_over, not_(rows.c.was_over))
    reopened = and_(rows.c.was_over, not_(rows.c.is_over))
    return select(rows.c.key, _how_many(resolved), _how_many(reopened)).group_by(rows.c.key)


def _status_changed() -> ColumnElement[str]:
    """In the text, as in the index, so that PostgreSQL knows that the index holds them all."""
    return literal_column(f"'{ConversationStatusChanged.type}'", String())


def _messages(actor: Actor, asked: Asked) -> Select[Any]:
    received = and_(_M.type == MessageType.INCOMING.value, not_(_M.backfilled))
    people = (AuthorKind.AGENT.value, AuthorKind.BOT.value)
    sent = and_(
        _M.type == MessageType.OUTGOING.value,
        not_(_M.private),
        _M.author_kind.in_(people),
        _M.delivery_status == DeliveryStatus.SENT.value,
        _M.part_of.is_(None),
    )
    author = case((_M.author_kind.in_(people), _M.author_id), else_=_C.assignee_id)
    rows = counted(
        asked,
        Ground(_M.created_at, channel=_M.channel, inbox=_M.inbox_id, agent=author),
        actor,
        messages.join(conversations, _C.id == _M.conversation_id),
        _M.auto_submitted.is_(None),
        or_(received, sent),
        columns=[_M.type],
    )
    numbers = [_how_many(rows.c.type == one.value) for one in (MessageType.INCOMING, MessageType.OUTGOING)]
    return select(rows.c.key, *numbers).group_by(rows.c.key)


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _clocks(actor: Actor, asked: Asked, *conditions: ColumnElement[bool], columns: Sequence[Any]) -> Subquery:
    """Clocks that began in the time. Their agent is who answered, and whose the conversation is where nobody has."""
    author = case((_M.author_kind == AuthorKind.AGENT.value, _M.author_id), else_=_C.assignee_id)
    tables = sla_clocks.join(conversations, _C.id == _K.conversation_id).outerjoin(messages, _M.id == _K.ended_by)
    ground = Ground(_K.started_at, channel=_K.channel, inbox=_K.inbox_id, agent=author)
    alive = _K.state != State.CANCELLED.value
    return counted(asked, ground, actor, tables, alive, *conditions, columns=columns)


async def responses(session: AsyncSession, actor: Actor, asked: Asked) -> Report:
    """How long people waited for an answer, in seconds, by kind and group: on the wall, and while the desk was open."""
    began, ended = seconds_since_1970(_K.started_at), seconds_since_1970(_K.ended_at)
    answered = (_K.kind.in_(_RESPONSES), _K.ended_at.is_not(None))
    columns = [_K.kind, _K.inbox_id, began.label("started"), ended.label("ended")]
    waits = (await with_business_time(session, _clocks(actor, asked, *answered, columns=columns))).subquery()
    w = select(*waits.c, (waits.c.ended - waits.c.started).label("took")).subquery().c
    alike = [w.kind, w.key]
    places = [
        func.row_number().over(partition_by=alike, order_by=order).label(f"by_{order.name}")
        for order in (w.took, w.worked)
    ]
    r = select(*w, *places, func.count().over(partition_by=alike).label("many")).subquery().c
    figures = [part for name in ("took", "worked") for part in _spread(r[name], r[f"by_{name}"], r.many)]
    query = select(r.kind, r.key, func.count(), *figures).group_by(r.kind, r.key)
    found: dict[Any, dict[str, Any]] = {}
    for kind, key, many, *numbers in await fetch(session, query):
        numbers[0], numbers[3] = (round(int(numbers[place]) / many) for place in (0, 3))
        found[kind, key] = dict(zip(RESPONSES, (many, *numbers), strict=True))
    if asked.group_by is None:
        nothing = {"count": 0} | dict.fromkeys(RESPONSES[1:])
        found = {(kind, 0): found.get((kind, 0), nothing) for kind in _RESPONSES}
    keys = [(key, kind) for key in ordered([key for _, key in found]) for kind in _RESPONSES if (kind, key) in found]
    return await lines(session, asked.group_by, ((key, {"kind": kind} | found[kind, key]) for key, kind in keys))


def _spread(
    span: ColumnElement[int], place: ColumnElement[int], many: ColumnElement[int]
) -> Sequence[ColumnElement[int]]:
    """The sum, the median and the 90th percentile of spans that were put in their `place` among so `many`."""
    return [
        func.sum(span),
        func.max(case((place == (many + 1) // 2, span))),
        func.max(case((place == (many * 9 + 9) // 10, span))),
    ]


async def sla(session: AsyncSession, actor: Actor, asked: Asked) -> Report:
    """What became of the promises of clocks that began in the time, by kind, policy and group."""
    columns = [
        _K.kind,
        _K.policy_id,
        _K.ended_at.is_not(None).label("ended"),
        _K.breached_at.is_not(None).label("late"),
    ]
    rows = _clocks(actor, asked, columns=columns)
    ended, late = rows.c.ended, rows.c.late
    ways = (and_(ended, not_(late)), and_(ended, late), and_(not_(ended), late), and_(not_(ended), not_(late)))
    place = (rows.c.key, rows.c.kind, rows.c.policy_id)
    found = await fetch(session, select(*place, *map(_how_many, ways)).group_by(*place))
    policies = await session.execute(
        select(sla_policies.c.id, sla_policies.c.name).where(sla_policies.c.id.in_({row[2] for row in found}))
    )
    named = {row[0]: row[1] for row in policies}
    by_key: dict[Any, list[dict[str, Any]]] = {}
    for key, kind, policy_id, *numbers in found:
        met, broken, open_broken, _ = numbers
        judged = met + broken + open_broken
        by_key.setdefault(key, []).append(
            {"kind": kind, "policy_id": str(policy_id), "policy": named.get(policy_id)}
            | dict(zip(SLA, numbers, strict=True))
            | {"compliance": round(met / judged, 4) if judged else None}
        )
    kinds = [kind.value for kind in Kind]
    for many in by_key.values():
        many.sort(key=lambda line: (kinds.index(line["kind"]), line["policy_id"]))
    return await lines(session, asked.group_by, ((key, line) for key in ordered(list(by_key)) for line in by_key[key]))


async def ratings(session: AsyncSession, actor: Actor, asked: Asked) -> Report:
    """What contacts said who were asked in the time, by group; without groups always one row."""
    query = _ratings(actor, asked)
    found = {key: _rated(*numbers) for key, *numbers in await fetch(session, query)}
    if asked.group_by is None and not found:
        found[0] = _rated(0, *[0] * len(SCORES))
    return await lines(session, asked.group_by, ((key, found[key]) for key in ordered(list(found))))


def _ratings(actor: Actor, asked: Asked) -> Select[Any]:
    """Letters that arrived, whoever was asked where he was, and ratings: whoever rated was asked."""
    there = _R.outcome == Outcome.ASKED_THERE.value
    arrived = or_(_M.delivery_status == DeliveryStatus.SENT.value, there, _R.rated_at.is_not(None))
    tables = rating_rows.join(conversations, _C.id == _R.conversation_id).outerjoin(messages, _M.id == _R.message_id)
    ground = Ground(_R.asked_at, channel=_R.channel, inbox=_R.inbox_id, agent=_R.agent_id, team=_R.team_id)
    # The words of ix_ratings_asked.
    rows = counted(asked, ground, actor, tables, _R.asked_at.is_not(None), arrived, columns=[_R.score])
    scores = [_how_many(rows.c.score == score) for score in SCORES]
    return select(rows.c.key, func.count(), *scores).group_by(rows.c.key)


def _rated(sent: int, *by_score: int) -> dict[str, Any]:
    rated = sum(by_score)
    total = sum(score * many for score, many in zip(SCORES, by_score, strict=True))
    satisfied = sum(many for score, many in zip(SCORES, by_score, strict=True) if score >= GOOD)
    shares = (rated / sent if sent else None, total / rated if rated else None, satisfied / rated if rated else None)
    rounded = [None if share is None else round(share, 4) for share in shares]
    return dict(zip(RATINGS, (sent, rated, *rounded, *by_score), strict=True))
