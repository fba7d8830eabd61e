"""Cursors: where a page ended, as an opaque, signed word.

A cursor holds the sort that it belongs to and the last row's place in it (keyset), so rows that move, come or go
between two pages never make another row appear twice or be left out. The signature keeps callers from asking for
places that they made up, which would be a way to probe values that they may not see.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import orjson

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 25
_MAC: Final = 10
_MAX_LENGTH: Final = 512


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: its value in the sort (a number, text, or None), and its id, which breaks ties."""

    sort: str
    value: Any
    id: UUID | None = None


def encode(key: bytes, cursor: Cursor) -> str:
    body = orjson.dumps([cursor.sort, cursor.value, cursor.id and str(cursor.id)])
    return base64.urlsafe_b64encode(_mac(key, body) + body).decode().rstrip("=")


def decode(key: bytes, text: str, *, sort: str) -> Cursor | None:
    """None unless `encode` made it, with this key and for this sort."""
    if len(text) > _MAX_LENGTH or not text.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    mac, body = raw[:_MAC], raw[_MAC:]
    if not hmac.compare_digest(_mac(key, body), mac):
        return None
    found, value, identifier = orjson.loads(body)
    return Cursor(found, value, UUID(identifier) if identifier else None) if found == sort else None


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, sha256).digest()[:_MAC]
