"""What chat tools answer. Most of them say no in the body of a 200, with codes of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

import orjson

LIMITED: Final = "rate_limited"
UNAVAILABLE: Final = "unavailable"
REFUSED: Final = "refused"
UNREADABLE: Final = "unreadable"
PERMANENT: Final = frozenset({REFUSED})
"""Trying again would change nothing: somebody has to look at the address."""

_BUSY: Final = -1


def of_status(status: int) -> str | None:
    """The class of failure of an HTTP status, None where the body decides."""
    if status == 429:
        return LIMITED
    if status >= 500 or status == 408:
        return UNAVAILABLE
    return None if 200 <= status < 300 else REFUSED


def anything(body: bytes) -> str | None:
    """For tools that say no by the status."""
    return None


def of_teams(body: bytes) -> str | None:
    """Connectors of old pass an error of the room on in the text of a 200; workflows answer nothing."""
    if b"HTTP error 429" in body:
        return LIMITED
    return UNAVAILABLE if b"delivery failed" in body else None


def of_telegram(body: bytes) -> str | None:
    found = _json(body)
    if "ok" not in found:
        return UNREADABLE
    return None if found["ok"] is True else REFUSED


def by_code(*names: str, limited: Collection[int]) -> Callable[[bytes], str | None]:
    """For tools with a number under one of these names: 0 is yes, -1 is busy, those in `limited` are too many."""

    def read(body: bytes) -> str | None:
        found = _json(body)
        code = next((found[name] for name in names if isinstance(found.get(name), int)), None)
        if code is None:
            return UNREADABLE
        if code == 0:
            return None
        return LIMITED if code in limited else UNAVAILABLE if code == _BUSY else REFUSED

    return read


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
