"""The vendor's numbers: texts everywhere, since they are larger than what JSON's readers agree on."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DIGITS = re.compile(r"[0-9]{1,19}")
_EPOCH = 1_288_834_974_657
"""Milliseconds: where the times inside the numbers begin."""
_TIMED = 1 << 40
"""Numbers below this are from before times were put into them."""


def identifier(value: object) -> str:
    """A number, written as one or as a text. Raises ValueError for anything else, a float above all."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return value
    raise ValueError("no identifier")


def identifier_or_empty(value: object) -> str:
    try:
        return identifier(value)
    except ValueError:
        return ""


def made_at(number: str) -> datetime:
    """When what has this number was made, to the millisecond; long ago for numbers without a time."""
    return datetime.fromtimestamp(((int(number) >> 22) + _EPOCH) / 1000, UTC)


def before(number: str, *, seconds: float) -> str:
    """A number that was given so many seconds earlier; the same one, less one, where it tells no time."""
    value = int(number)
    return str(value - (int(seconds * 1000) << 22) if value > _TIMED else max(value - 1, 0))


def newest(*numbers: str) -> str:
    return max((number for number in numbers if number), key=int, default="")
