"""Figures of live channels: what became of those who came, how long they waited, and how long it took.

What each counts is said in docs/reports.md: this is that as SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, func, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.dialects import seconds_since_1970
from helpdesk.domain.values import Actor
from helpdesk.models.conversations import conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.visitors import visits
from helpdesk.services.reporting import Asked, Ground, Report, counted, fetch, lines, ordered

_C: Final = conversations.c
_V: Final = visits.c

_COUNTS: Final = ("chats", "joined", "answered", "missed", "abandoned", "waiting")
_SPANS: Final = ("wait", "first_response", "duration")
CHATS: Final = (*_COUNTS, *(f"{span}_{figure}" for span in _SPANS for figure in ("median", "p90")))


async def chats(session: AsyncSession, actor: Actor, asked: Asked) -> Report:
    """Of the chats that began in the time, by group; without groups always one line."""
    found = {key: dict(zip(CHATS, figures, strict=True)) for key, *figures in await fetch(session, query(actor, asked))}
    if asked.group_by is None and not found:
        found[0] = dict.fromkeys(_COUNTS, 0) | dict.fromkeys(CHATS[len(_COUNTS) :])
    return await lines(session, asked.group_by, ((key, found[key]) for key in ordered(list(found))))


def query(actor: Actor, asked: Asked) -> Select[Any]:
    """Group, counts, and the median and the 90th percentile of each span: the key, then `CHATS`."""
    rows = counted(
        asked,
        Ground(_V.created_at, channel=inboxes.c.channel, inbox=_V.inbox_id),
        actor,
        visits.join(conversations, _C.id == _V.conversation_id).join(inboxes, inboxes.c.id == _V.inbox_id),
        not_(_V.feedback),
        # What went into a conversation that was there is followed in that one, which began as none.
        _V.created_at <= _C.created_at,
        columns=[*(flag.label(name) for name, flag in zip(_COUNTS[1:], _flags(), strict=True)), *_spans()],
    ).c
    ranks = [part for name in _SPANS for part in _ranked(rows.key, rows[name], name)]
    r = select(*rows, *ranks).subquery().c
    counts = [func.sum(case((r[name], 1), else_=0)) for name in _COUNTS[1:]]
    figures = [figure for name in _SPANS for figure in _figures(r[name], r[f"{name}_place"], r[f"{name}_many"])]
    return select(r.key, func.count(), *counts, *figures).group_by(r.key)


def _flags() -> Sequence[ColumnElement[bool]]:
    joined = _V.joined_at.is_not(None)
    answered = and_(joined, _V.responded_at.is_not(None))
    return joined, answered, and_(_V.missed, not_(joined)), _V.abandoned_at.is_not(None), _V.queued_at.is_not(None)


def _spans() -> Sequence[ColumnElement[Any]]:
    """Seconds, empty for those of whom there is none."""
    joined, answered, *_ = _flags()
    began, responded, ended = map(seconds_since_1970, (_V.created_at, _V.responded_at, _V.ended_at))
    spans = (
        case((joined, _V.waited_seconds)),
        case((answered, responded - began)),
        case((and_(answered, _V.ended_at.is_not(None)), ended - began)),
    )
    return [span.label(name) for name, span in zip(_SPANS, spans, strict=True)]


def _ranked(key: ColumnElement[Any], span: ColumnElement[int], name: str) -> Sequence[ColumnElement[int]]:
    """Its place by length among those of its group that have one, and how many these are."""
    place = func.row_number().over(partition_by=[key, span.is_(None)], order_by=span)
    return place.label(f"{name}_place"), func.count(span).over(partition_by=key).label(f"{name}_many")


def _figures(
    span: ColumnElement[int], place: ColumnElement[int], many: ColumnElement[int]
) -> Sequence[ColumnElement[int]]:
    known = span.is_not(None)
    at = ((many + 1) // 2, (many * 9 + 9) // 10)
    return [func.max(case((and_(known, place == one), span))) for one in at]
