"""Errors as `application/problem+json`, as the API answers them."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from helpdesk.errors import HelpdeskError


def problem(error: HelpdeskError) -> Response:
    """`retry_after` is a header as well."""
    headers = {"Cache-Control": "no-store"}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    if error.code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(error.as_problem()), error.code, headers, media_type="application/problem+json")
