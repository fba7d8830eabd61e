"""Reading what settings say about themselves: small checks that name the field that is wrong, and why.

The content of a policy or a rule is JSON that outlives the code that wrote it, so it is checked whole before it is
stored, whoever hands it in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID


class Wrong(Exception):
    """`field` is dotted (`steps.1.actions.0.team_id`), `reason` a sentence for whoever filled it in."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def under(place: str, name: str | int) -> str:
    """The dotted name of a field within `place`."""
    return f"{place}.{name}" if place else str(name)


def fields(value: Any, place: str, *, needed: Collection[str], optional: Collection[str] = ()) -> Mapping[str, Any]:
    """An object with these fields and no others."""
    if not isinstance(value, Mapping):
        raise Wrong(place or "content", "this is not an object")
    for name in value:
        if name not in needed and name not in optional:
            raise Wrong(under(place, name), "there is no such field")
    for name in needed:
        if name not in value:
            raise Wrong(under(place, name), "this field is needed")
    return value


def items(value: Any, place: str, *, least: int = 0, most: int) -> Sequence[Any]:
    """A list of so many."""
    if not isinstance(value, list | tuple):
        raise Wrong(place, "this is not a list")
    if not least <= len(value) <= most:
        raise Wrong(place, f"give {least} to {most} of these")
    return value


def word(value: Any, place: str, known: Collection[str]) -> str:
    """One of the words that are `known`."""
    if not isinstance(value, str) or value not in known:
        raise Wrong(place, f"use one of {', '.join(known)}")
    return value


def words(value: Any, place: str, known: Collection[str]) -> Sequence[str]:
    """Known words, each once."""
    found = [word(one, under(place, number), known) for number, one in enumerate(items(value, place, most=len(known)))]
    _once(found, place)
    return found


def names(value: Any, place: str, *, longest: int, most: int = 100) -> Sequence[str]:
    """Words that people make up, such as categories, each once."""
    found: list[str] = []
    for number, one in enumerate(items(value, place, most=most)):
        if not isinstance(one, str) or not one.strip() or len(one) > longest or "\x00" in one:
            raise Wrong(under(place, number), f"use 1 to {longest} characters")
        found.append(one)
    _once(found, place)
    return found


def whole(value: Any, place: str, *, least: int, most: int) -> int:
    """A whole number; true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Wrong(place, f"use a whole number from {least} to {most}")
    return value


def flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise Wrong(place, "use true or false")
    return value


def identifier(value: Any, place: str) -> UUID:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise Wrong(place, "use an id") from None


def identifiers(value: Any, place: str, *, least: int = 0, most: int = 100) -> Sequence[UUID]:
    """Ids, each once."""
    given = items(value, place, least=least, most=most)
    found = [identifier(one, under(place, number)) for number, one in enumerate(given)]
    _once(found, place)
    return found


def _once(found: Sequence[Any], place: str) -> None:
    for number, one in enumerate(found):
        if one in found[:number]:
            raise Wrong(under(place, number), "this is given twice")
