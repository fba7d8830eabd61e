"""Fields of one's own: what may be kept under a key, and whether a value is of its type."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from helpdesk.domain.contents import Wrong

KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
MOST_OPTIONS: Final = 200
LONGEST_OPTION: Final = 120
LONGEST_TEXT: Final = 2000
MOST_VALUES: Final = 50
"""Fields that one conversation or contact may have."""


class Subject(StrEnum):
    CONVERSATION = "conversation"
    CONTACT = "contact"


class Type(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    CHOICE = "choice"
    MULTI_CHOICE = "multi_choice"
    URL = "url"


_CHOICES: Final = frozenset({Type.CHOICE, Type.MULTI_CHOICE})


def check(key: str, type_: str, options: Collection[str]) -> None:
    """Raise `Wrong` unless a field can be made of these."""
    if not KEY.fullmatch(key):
        raise Wrong("key", "use 1 to 40 of a-z, 0-9 and _, the first of them a letter")
    check_options(type_, options)


def check_options(type_: str, options: Collection[str]) -> None:
    """Options are for choices, and these need some."""
    if type_ in _CHOICES and not options:
        raise Wrong("options", "name what there is to choose from")
    if type_ not in _CHOICES and options:
        raise Wrong("options", "only choices have options")
    if len(set(options)) < len(options):
        raise Wrong("options", "an option is given twice")


def checked(value: Any, type_: str, options: Collection[str], place: str) -> Any:
    """The value as it is kept. Raises `Wrong` for one that is not of the type; None has none."""
    return _CHECKS[Type(type_)](value, options, place)


def _text(value: Any, _options: Collection[str], place: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or "\x00" in value:
        raise Wrong(place, f"use a text of at most {LONGEST_TEXT} characters")
    return value


def _number(value: Any, _options: Collection[str], place: str) -> int | float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or abs(value) > 1e15:
        raise Wrong(place, "use a number")
    return value


def _boolean(value: Any, _options: Collection[str], place: str) -> bool:
    if not isinstance(value, bool):
        raise Wrong(place, "use true or false")
    return value


def _date(value: Any, _options: Collection[str], place: str) -> str:
    try:
        return date.fromisoformat(_iso(value)).isoformat()
    except ValueError:
        raise Wrong(place, "use a date such as 2026-01-31") from None


def _iso(value: Any) -> str:
    """Python also reads weeks and dates without dashes, which nobody else would."""
    if not isinstance(value, str) or len(value) != len("2026-01-31") or value[4] != "-" or "W" in value:
        raise ValueError
    return value


def _choice(value: Any, options: Collection[str], place: str) -> str:
    if not isinstance(value, str) or value not in options:
        raise Wrong(place, "use one of the options")
    return value


def _multi_choice(value: Any, options: Collection[str], place: str) -> list[str]:
    """In the order of the options, so that the same choice is the same value."""
    if not isinstance(value, list) or not value or len(value) > MOST_OPTIONS:
        raise Wrong(place, "use a list of options, or null for none")
    for one in value:
        _choice(one, options, place)
    return [one for one in options if one in value]


def _url(value: Any, _options: Collection[str], place: str) -> str:
    """Shown as a link to agents: of the web, with a host, and nothing in it that could be read as somebody's name."""
    text = _text(value, (), place)
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        fine = False
    if not fine or any(c.isspace() or not c.isprintable() for c in text):
        raise Wrong(place, "use an address that begins with https:// or http://")
    return text


_CHECKS: Final = {
    Type.TEXT: _text,
    Type.NUMBER: _number,
    Type.BOOLEAN: _boolean,
    Type.DATE: _date,
    Type.CHOICE: _choice,
    Type.MULTI_CHOICE: _multi_choice,
    Type.URL: _url,
}
