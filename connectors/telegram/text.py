"""Lengths and places in a text, which are counted here in UTF-16 code units: an emoji is two of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from helpdesk.channels import Length

TEXT_UNITS: Final = 4096
CAPTION_UNITS: Final = 1024


def units(text: str) -> int:
    """The length in UTF-16, by which the Bot API counts."""
    return len(text) + sum(ord(char) > 0xFFFF for char in text)


def measure(text: str, visibility: str, config: Mapping[str, Any]) -> Length:
    """The same in a group as in private."""
    return Length(units(text), TEXT_UNITS, "utf-16")


def cut(text: str, offset: int, length: int) -> str:
    """The part that an entity names."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    return encoded[offset * 2 : (offset + length) * 2].decode("utf-16-le", "replace")
