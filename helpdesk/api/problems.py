"""Errors as `application/problem+json` (RFC 9457), and how the reference shows them.

`type` is `urn:helpdesk:problem:SLUG`; the slugs are the ones in `helpdesk.errors`. An exception's own text never
leaves: what is not a `HelpdeskError` answers as "Something went wrong" and is logged by its class and place.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from helpdesk.api.answers import to_json
from helpdesk.errors import FieldError, HelpdeskError, Invalid, NotFound, Unauthenticated, Unavailable

PREFIX: Final = "urn:helpdesk:problem:"
MEDIA: Final = "application/problem+json"
_ROLLED_BACK: Final = ("40001", "40P01")
"""Serialization failure and deadlock: PostgreSQL undid the whole transaction, the same request may come again."""

log = structlog.get_logger("helpdesk.api")


class ProblemResponse(Response):
    media_type = MEDIA


def problem(error: HelpdeskError) -> Response:
    """The answer for an error. `retry_after` of its `extra` is a header as well."""
    headers = {}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    if error.code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.code == 503:
        headers.setdefault("Retry-After", "2")
    return ProblemResponse(to_json(error.as_problem()), error.code, headers or None)


def of_exception(error: Exception) -> HelpdeskError:
    """What a client is told about any exception. Ours speak for themselves; the others are logged and kept silent."""
    if isinstance(error, HelpdeskError):
        return error
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    state = getattr(error.orig, "sqlstate", "") if isinstance(error, DBAPIError) else ""
    log.error(
        "request_failed",
        error=type(error).__name__,
        sqlstate=state or "",
        place=[f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames],
    )
    away = isinstance(error, PoolTimeoutError | ConnectionError) or (
        isinstance(error, DBAPIError) and (error.connection_invalidated or state in _ROLLED_BACK)
    )
    return Unavailable() if away else HelpdeskError()


async def _ours(_request: Request, error: Exception) -> Response:
    return problem(of_exception(error))


async def _not_valid(_request: Request, error: Exception) -> Response:
    """FastAPI's own findings. They name the place and the rule, never the value that was sent."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    if found and all(e["loc"][:1] == ("path",) for e in found):
        return problem(NotFound())
    return problem(Invalid(errors=[FieldError(_place(e["loc"]), _rule(e)) for e in found]))


def _place(location: Sequence[Any]) -> str:
    named = [str(part) for part in location if part not in ("body", "query", "header", "path")]
    return ".".join(named) or "body"


def _rule(error: Mapping[str, Any]) -> str:
    kind = error.get("type")
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind == "missing":
        return "is needed"
    if kind == "json_invalid":
        return "this is not JSON"
    context = error.get("ctx", {})
    if context.get("field_type") == "Value":
        # A secret is measured as if it were a list, and people would be told of "items" in their password
        bound = "min_length" if kind == "too_short" else "max_length"
        return f"needs at {'least' if kind == 'too_short' else 'most'} {context[bound]} characters"
    return str(error.get("msg", "is not valid")).removeprefix("Value error, ")


_HTTP: Final = {
    400: ("bad_request", "The request cannot be read"),
    404: ("not_found", NotFound.title),
    405: ("method_not_allowed", "This method is not known here"),
    413: ("too_large", "This is larger than is taken here"),
}


async def of_framework(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    slug, title = _HTTP.get(status, ("bad_request" if status < 500 else "internal", "The request cannot be served"))
    body = {"type": PREFIX + slug, "title": title, "status": status, "detail": title}
    return ProblemResponse(to_json(body), status, {"Allow": _allowed(request)} if status == 405 else None)


def _allowed(request: Request) -> str:
    """Of all routes at this address; the framework names those of the first one alone."""
    matching = (r for r in request.app.routes if isinstance(r, Route) and r.matches(request.scope)[0] is not Match.NONE)
    return ", ".join(sorted(set[str]().union(*(route.methods or () for route in matching))))


def install(app: FastAPI) -> None:
    app.add_exception_handler(HelpdeskError, _ours)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, of_framework)


def documented(*errors: type[HelpdeskError], **slugs: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: its errors, by status; `slug=(status, when)` adds a type of its own to one.

    Every route may answer 401 (no token), 422 (a wrong field) and 500.
    """
    cases: dict[int, list[tuple[str, str]]] = {}
    kinds: tuple[type[HelpdeskError], ...] = (Unauthenticated, *errors, Invalid, HelpdeskError)
    for error in kinds:
        cases.setdefault(error.status, []).append((error.slug, error.title))
    for slug, (status, when) in slugs.items():
        cases.setdefault(status, []).append((slug, when))
    return {status: _described(status, found) for status, found in sorted(cases.items())}


def add_case(responses: dict[str, Any], status: int, slug: str, title: str) -> None:
    """One more type to an operation's responses in the finished reference."""
    described = responses.setdefault(str(status), _described(status, [(slug, title)]))
    examples = described["content"][MEDIA]["examples"]
    examples.setdefault(slug, _example(status, slug, title))
    described["description"] = "; ".join(one["summary"] for one in examples.values())


def drop_case(responses: dict[str, Any], status: int, slug: str) -> None:
    """One type less, and the status with it when no other is left."""
    described = responses.get(str(status))
    if described is None:
        return
    examples = described["content"][MEDIA]["examples"]
    examples.pop(slug, None)
    described["description"] = "; ".join(one["summary"] for one in examples.values())
    if not examples:
        del responses[str(status)]


def _example(status: int, slug: str, title: str) -> dict[str, Any]:
    value: dict[str, Any] = {"type": PREFIX + slug, "title": title, "status": status, "detail": title}
    if status == 422:
        value["errors"] = [{"field": "name", "message": "is needed"}]
    return {"summary": title, "value": value}


def _described(status: int, found: Sequence[tuple[str, str]]) -> dict[str, Any]:
    examples = {slug: _example(status, slug, title) for slug, title in dict.fromkeys(found)}
    content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}
    return {"description": "; ".join(title for _, title in dict.fromkeys(found)), "content": content}
