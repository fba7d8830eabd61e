"""Errors as `application/problem+json`, as the API answers them."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.responses import Response

from helpdesk.errors import HelpdeskError, Invalid, TooMany

_NAMES: Final = {Invalid.slug: "bad_frame", TooMany.slug: "rate_limited"}
"""What the protocol calls what the house has a word of its own for."""

_PATIENCE_SECONDS: Final = 10


def problem(error: HelpdeskError) -> Response:
    """`retry_after` is a header as well."""
    headers = {"Cache-Control": "no-store"}
    if error.code == 429:
        headers["Retry-After"] = str(error.extra.setdefault("retry_after", _PATIENCE_SECONDS))
    if error.code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = orjson.dumps(error.as_problem(slug=_NAMES.get(error.problem, "")))
    return Response(body, error.code, headers, media_type="application/problem+json")
