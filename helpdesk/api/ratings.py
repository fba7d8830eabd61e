"""Ratings: the public pages behind a link, and the list of what was said for the desk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from helpdesk import clock
from helpdesk.api import rating_page
from helpdesk.api.answers import page
from helpdesk.api.dependencies import House, Reader, Reading, address_of
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, flag, identifier, number, page_of, time, word
from helpdesk.api.schemas import ratings as shapes
from helpdesk.api.schemas.ratings import RatingShown
from helpdesk.api.schemas.shared import Page
from helpdesk.domain.rating_texts import language_for
from helpdesk.domain.ratings import LONGEST_COMMENT, SCORES
from helpdesk.errors import Conflict, Forbidden, HelpdeskError, Invalid, NotFound, TooMany
from helpdesk.services import paging, ratings

router = APIRouter(prefix="/api/v1/ratings", tags=["ratings"])
public = APIRouter(prefix="/rate", tags=["ratings"])

LIST = Query(
    number("score", "With this score", least=1, most=5),
    word("channel", "Asked by any of these channels", most=40, repeatable=True),
    identifier("inbox_id", "Asked through any of these inboxes", repeatable=True),
    identifier("team_id", "Of any of these teams; or `none`", repeatable=True, words=("none",)),
    identifier("agent_id", "Of any of these agents; `me`, or `none`", repeatable=True, words=("me", "none")),
    word("category", "Of conversations in any of these categories", most=60, repeatable=True),
    flag("commented", "Only those with words, or only those without"),
    time("asked_after", "Asked at or after: reports count by that"),
    time("asked_before", "Asked before"),
    *PAGING,
)
_FILTERS: Final = ("channel", "inbox_id", "team_id", "agent_id")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

BODY_LIMIT: Final = 32 * 1024
"""A comment of the longest kind, in characters that take nine bytes each in a form."""

_HTML: Final = {"text/html": {"schema": {"type": "string"}}}
_MISSING: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "There is no such link", "content": _HTML},
    410: {"description": "It is too late to rate", "content": _HTML},
}
_FAULT: Final[dict[int | str, dict[str, Any]]] = {500: documented()[500]}
_PRESELECTED: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "score",
            "in": "query",
            "required": False,
            "description": "From 1 to 5, is chosen in the form. Whatever else is in the query is overlooked",
            "schema": {"type": "string"},
        }
    ]
}
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["score"],
                    "properties": {
                        "score": {"type": "integer", "minimum": SCORES[0], "maximum": SCORES[-1]},
                        "comment": {"type": "string", "maxLength": LONGEST_COMMENT, "default": ""},
                    },
                },
                "example": {"score": 5, "comment": "Quick and friendly."},
            }
        },
    }
}


@router.get(
    "",
    summary="List ratings",
    response_model=Page[RatingShown],
    responses=documented(Forbidden),
    openapi_extra=LIST.openapi,
)
async def list_ratings(request: Request, actor: Reader, services: House, session: Reading) -> Response:
    """What contacts have said of conversations that you may see, the latest first."""
    given = LIST.read(request)
    asked = page_of(given)
    cursor = paging.read_cursor(services, asked, sort="ratings")
    words = {"me": actor.id, "none": None}
    filters: dict[str, list[Any]] = {n: [words.get(v, v) for v in given[n]] for n in _FILTERS if n in given}
    if "score" in given:
        filters["score"] = [given["score"]]
    found = await ratings.list_ratings(
        session,
        actor,
        filters=filters,
        asked_after=given.get("asked_after"),
        asked_before=given.get("asked_before"),
        categories=given.get("category", ()),
        commented=given.get("commented"),
        after=(_EPOCH + cursor.value * _MICROSECOND, cursor.id) if cursor and cursor.id else None,
        limit=asked.limit + 1,
    )
    rows, more = paging.cut(found, asked.limit)
    last = None
    if more:
        at = (rows[-1]["rated_at"] - _EPOCH) // _MICROSECOND
        last = paging.write_cursor(services, sort="ratings", value=at, row_id=rows[-1]["id"])
    return page([shapes.rating(row) for row in rows], last)


@public.get(
    "/{token}",
    summary="The page that asks for a rating",
    response_class=Response,
    responses={200: {"description": "The form", "content": _HTML}, **_MISSING, **_FAULT},
    openapi_extra=_PRESELECTED,
)
async def show_form(request: Request, session: Reading, token: str) -> Response:
    """Public: the link is the permission. To follow it changes nothing, so that programs may."""
    try:
        asked = await ratings.find(session, token, now=clock.now())
    except NotFound:
        return rating_page.unknown(_language(request))
    language = _language(request, asked.language)
    if not asked.open:
        return rating_page.expired(asked, language)
    return rating_page.form(asked, language, score=_score(request.query_params.get("score", "")))


@public.post(
    "/{token}",
    summary="Give a rating",
    response_class=Response,
    responses={
        200: {"description": "It is taken", "content": _HTML},
        **_MISSING,
        422: {"description": "The score or the comment is not right; the form again", "content": _HTML},
        429: {"description": "Too many attempts", "content": _HTML},
        **_FAULT,
    },
    openapi_extra=_FORM,
)
async def give_rating(request: Request, services: House, token: str) -> Response:
    """Once more replaces what was given before, until the link has expired, or two weeks after it was closed."""
    score, comment = _given(await request.body())
    now = clock.now()
    try:
        address = address_of(request)
        asked = await ratings.give(services, token, score=score, comment=comment, address=address, now=now)
    except (NotFound, Conflict, Invalid, TooMany) as error:
        return await _refused(request, services, token, error, score=score, comment=comment)
    return rating_page.thanks(asked, _language(request, asked.language))


async def _refused(
    request: Request, services: House, token: str, error: HelpdeskError, *, score: int | None, comment: str
) -> Response:
    """What went wrong as a page, in the same language as the form."""
    if isinstance(error, TooMany):
        return rating_page.busy(_language(request), retry_after=error.extra["retry_after"])
    if isinstance(error, NotFound):
        return rating_page.unknown(_language(request))
    async with services.database.reading() as session:
        asked = await ratings.find(session, token, now=clock.now())
    language = _language(request, asked.language)
    if isinstance(error, Conflict):
        return rating_page.expired(asked, language)
    return rating_page.form(asked, language, score=score, comment=comment[:LONGEST_COMMENT])


def _language(request: Request, otherwise: str = "") -> str:
    return language_for(request.headers.get("accept-language", ""), otherwise)


def _score(text: str) -> int | None:
    return int(text) if len(text) == 1 and text in "12345" else None


def _given(body: bytes) -> tuple[int | None, str]:
    """Score and comment of a form; what cannot be read is no score."""
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="strict")
    except ValueError:
        return None, ""
    return _score(fields.get("score", [""])[-1]), fields.get("comment", [""])[-1]
