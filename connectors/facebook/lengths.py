"""What a text weighs. A private message on Instagram is measured in bytes, everything else in characters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from helpdesk.channels import Length

_COMMENT: Final = {"facebook": 8000, "instagram": 2200}
_MESSAGE: Final = 2000
_INSTAGRAM_BYTES: Final = 1000


def facebook(text: str, visibility: str, config: Mapping[str, Any]) -> Length:
    return of("facebook", text, visibility)


def instagram(text: str, visibility: str, config: Mapping[str, Any]) -> Length:
    return of("instagram", text, visibility)


def of(platform: str, text: str, visibility: str) -> Length:
    if visibility == "public":
        return Length(len(text), _COMMENT[platform])
    if platform == "instagram":
        return Length(len(text.encode("utf-8", "replace")), _INSTAGRAM_BYTES, "bytes")
    return Length(len(text), _MESSAGE)
