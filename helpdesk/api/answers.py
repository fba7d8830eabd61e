"""What goes out: JSON made by orjson from plain dicts, times with a Z, an ETag where there is a version.

Response models are for the reference only and never run: on the way out they would cost more than the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.responses import Response

_OPTIONS = orjson.OPT_UTC_Z


def to_json(data: Any) -> bytes:
    """UUIDs that the database driver made are a subclass that orjson does not know, hence `default`."""
    return orjson.dumps(data, default=str, option=_OPTIONS)


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else to_json(content)


def answer(data: Any, *, status: int = 200, version: int | None = None, location: str | None = None) -> Response:
    """`version` becomes the ETag that `If-Match` takes."""
    headers: dict[str, str] = {}
    if version is not None:
        headers["ETag"] = f'"{version}"'
    if location is not None:
        headers["Location"] = location
    return Json(data, status, headers or None)


def page(items: Sequence[Any], next_cursor: str | None) -> Response:
    return Json({"items": items, "next_cursor": next_cursor})


def nothing() -> Response:
    return Response(status_code=204)


__all__ = ["Json", "answer", "nothing", "page", "to_json"]
