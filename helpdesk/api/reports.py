"""Reports: figures of what the asker may see, as JSON or CSV. What they count is said in docs/reports.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request, Response

from helpdesk import clock
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import Reading, allow
from helpdesk.api.problems import documented
from helpdesk.api.queries import Param, Query, choice, identifier, time, word
from helpdesk.api.schemas.reports import (
    Backlog,
    BacklogLine,
    ChatLine,
    RatingLine,
    Report,
    ResponseLine,
    SlaLine,
    VolumeLine,
)
from helpdesk.domain import csv_cells
from helpdesk.domain.calendars import WrongCalendar, check_zone
from helpdesk.domain.values import Actor, Scope
from helpdesk.errors import Forbidden
from helpdesk.services import backlog, chat_reports, reports
from helpdesk.services.backlog import Standing
from helpdesk.services.reporting import AT_PRESENT, Asked, GroupBy
from helpdesk.services.reporting import Report as Lines

router = APIRouter(prefix="/api/v1/reports", tags=["reports"])

Asker = Annotated[Actor, Depends(allow(Scope.REPORTS_READ))]

_DAYS: Final = timedelta(days=28)
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What is before it is refused, whatever it is; years are not counted back to before they began."""


class Form(StrEnum):
    JSON = "json"
    CSV = "csv"


def _zone(name: str) -> ZoneInfo:
    try:
        return check_zone(name)
    except WrongCalendar:
        raise ValueError("use a time zone, such as Asia/Shanghai") from None


ZONE: Final = Param("zone", _zone, {"type": "string", "default": "UTC"}, "By whose clock days and hours are")
_OF_SOME: Final = (
    word("channel", "Of any of these channels", most=40, repeatable=True),
    identifier("inbox_id", "Of any of these inboxes", repeatable=True),
    identifier("team_id", "Of any of these teams; or `none`", repeatable=True, words=("none",)),
    identifier("assignee_id", "Of any of these agents; `me`, or `none`", repeatable=True, words=("me", "none")),
    word("category", "In any of these categories", most=60, repeatable=True),
    choice("format", Form, "How it is answered", default=Form.JSON),
)
ASKED = Query(
    time("after", "At or after; 28 days before `before` unless given, and 400 at most"),
    time("before", "Before; now unless given"),
    ZONE,
    choice("group_by", [by for by in GroupBy if by not in AT_PRESENT], "One line for each of these"),
    *_OF_SOME,
)
STANDING = Query(choice("group_by", backlog.GROUPS, "One line for each of these"), *_OF_SOME)
_FILTERS: Final = ("channel", "inbox_id", "team_id", "assignee_id", "category")
_ALSO_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The report", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


def _filters(given: dict[str, Any], actor: Actor) -> dict[str, list[Any]]:
    words = {"me": actor.id, "none": None}
    return {name: [words.get(value, value) for value in given[name]] for name in _FILTERS if name in given}


def _asked(given: dict[str, Any], actor: Actor) -> Asked:
    before = given.get("before") or clock.now()
    return Asked(
        after=given.get("after") or max(before, _FIRST) - _DAYS,
        before=before,
        zone=given.get("zone") or ZoneInfo("UTC"),
        group_by=given.get("group_by"),
        filters=_filters(given, actor),
    )


def _told(name: str, given: dict[str, Any], asked: Asked, rows: Lines) -> Response:
    about = {"after": asked.after, "before": asked.before, "zone": asked.zone.key, "group_by": asked.group_by}
    return _formed(name, given, about, reports.COLUMNS[name], rows)


def _formed(name: str, given: dict[str, Any], about: dict[str, Any], figures: Sequence[str], rows: Lines) -> Response:
    if given.get("format") is not Form.CSV:
        return answer({**about, "rows": rows})
    columns = ("group", "name", *figures)
    lines = [csv_cells.line(columns), *(csv_cells.line(row[column] for column in columns) for row in rows)]
    return Response(
        csv_cells.BOM + "".join(lines),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


@router.get(
    "/volume",
    summary="How much came, and how much was done",
    response_model=Report[VolumeLine],
    responses={**documented(Forbidden), **_ALSO_CSV},
    openapi_extra=ASKED.openapi,
)
async def report_volume(request: Request, actor: Asker, session: Reading) -> Response:
    """Conversations that began, were resolved, came back; messages that came and went."""
    given = ASKED.read(request)
    asked = _asked(given, actor)
    return _told("volume", given, asked, await reports.volume(session, actor, asked))


@router.get(
    "/response-times",
    summary="How long people waited for answers",
    response_model=Report[ResponseLine],
    responses={**documented(Forbidden), **_ALSO_CSV},
    openapi_extra=ASKED.openapi,
)
async def report_response_times(request: Request, actor: Asker, session: Reading) -> Response:
    """Of what began to wait in the time and has been answered: the first answer, and each one after."""
    given = ASKED.read(request)
    asked = _asked(given, actor)
    return _told("response-times", given, asked, await reports.responses(session, actor, asked))


@router.get(
    "/sla",
    summary="Which promises were kept",
    response_model=Report[SlaLine],
    responses={**documented(Forbidden), **_ALSO_CSV},
    openapi_extra=ASKED.openapi,
)
async def report_sla(request: Request, actor: Asker, session: Reading) -> Response:
    """Of what was promised in the time, by kind of promise and policy."""
    given = ASKED.read(request)
    asked = _asked(given, actor)
    return _told("sla", given, asked, await reports.sla(session, actor, asked))


@router.get(
    "/backlog",
    summary="What is not over, and how old it is",
    response_model=Backlog[BacklogLine],
    responses={**documented(Forbidden), **_ALSO_CSV},
    openapi_extra=STANDING.openapi,
)
async def read_backlog(request: Request, actor: Asker, session: Reading) -> Response:
    """At this moment: by status, by age, and how long the one who waits longest has waited."""
    given = STANDING.read(request)
    asked = Standing(clock.now(), given.get("group_by"), _filters(given, actor))
    about = {"at": asked.now, "group_by": asked.group_by}
    return _formed("backlog", given, about, backlog.BACKLOG, await backlog.backlog(session, actor, asked))


@router.get(
    "/ratings",
    summary="What contacts said of it",
    response_model=Report[RatingLine],
    responses={**documented(Forbidden), **_ALSO_CSV},
    openapi_extra=ASKED.openapi,
)
async def rating_report(request: Request, actor: Asker, session: Reading) -> Response:
    """Of those who were asked in the time: how many answered, and what."""
    given = ASKED.read(request)
    asked = _asked(given, actor)
    return _told("ratings", given, asked, await reports.ratings(session, actor, asked))


@router.get(
    "/chats",
    summary="What became of those who came to chat",
    response_model=Report[ChatLine],
    responses={**documented(Forbidden), **_ALSO_CSV},
    openapi_extra=ASKED.openapi,
)
async def chat_report(request: Request, actor: Asker, session: Reading) -> Response:
    """Of the chats that began in the time: who was answered, missed or left, after what waits, and how long it took."""
    given = ASKED.read(request)
    asked = _asked(given, actor)
    return _told("chats", given, asked, await chat_reports.chats(session, actor, asked))
