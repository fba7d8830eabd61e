"""What stands in the vendor's JSON, which holds anything at all: ids as numbers, times in three spellings, nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from helpdesk.channels import Uncertain, Unreadable

LONGEST_ID: Final = 300
INSTAGRAM: Final = "instagram:"
"""Stands before ids of people of Instagram in an inbox of a Page."""


def part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object, empty where there is none."""
    found = event.get(name)
    return found if isinstance(found, dict) else {}


def parts(event: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """The objects of a list; whatever else stands in it is passed over."""
    found = event.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text(value: object) -> str:
    """Empty for what is none."""
    return value if isinstance(value, str) else ""


def plain(value: object) -> str:
    """A text of ours as the vendor may have kept it: spaces folded, letters composed."""
    return " ".join(unicodedata.normalize("NFC", text(value)).split())


def identity(value: object) -> str:
    """An id as text, also where it came as a number. Raises Unreadable for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable("an id is missing")
    found = str(value).strip()
    if not found or len(found) > LONGEST_ID or not found.isprintable():
        raise Unreadable("an id is missing")
    return found


def taken(answer: Mapping[str, Any], name: str) -> str:
    """The id of what was sent. Raises Uncertain: it was taken, but nobody knows as what."""
    try:
        return identity(answer.get(name))
    except Unreadable:
        raise Uncertain("The vendor took it and did not say under which id") from None


def optional(value: object) -> str:
    """An id, or nothing where there is none. Raises Unreadable for what cannot be one."""
    return "" if value is None or value == "" else identity(value)


def moment(value: object) -> datetime | None:
    """Seconds or milliseconds since 1970 as a number or its digits, or ISO 8601: the vendor writes all of these."""
    try:
        if isinstance(value, str) and not value.isdigit():
            found = datetime.fromisoformat(value)
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(value, int | str) and not isinstance(value, bool):
            number = int(value)
            return datetime.fromtimestamp(number / 1000 if number > 10**11 else number, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
