"""Query parameters, declared once: they are read by it, refused by it, and shown in the reference by it.

FastAPI's own would do, at a price that the most called route does not pay: one pass over the query string here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import orjson
from starlette.requests import Request

from helpdesk.domain.pagination import DEFAULT_LIMIT, MAX_LIMIT
from helpdesk.errors import FieldError, Invalid
from helpdesk.services.paging import Page

_MOST = 200


@dataclass(frozen=True, slots=True)
class Param:
    """`read` answers the value or raises ValueError with the sentence for the caller. `most`: of what is repeatable."""

    name: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    description: str
    repeatable: bool = False
    needed: bool = False
    most: int = _MOST


def needed(param: Param) -> Param:
    """The same, and nothing is answered without it."""
    return replace(param, needed=True)


def at_most(param: Param, most: int) -> Param:
    """The same, and no more than so many of it."""
    return replace(param, most=most)


def word(name: str, description: str, *, most: int = 200, repeatable: bool = False) -> Param:
    def read(value: str) -> str:
        if len(value) > most or "\x00" in value:
            raise ValueError(f"use at most {most} characters")
        return value

    return Param(name, read, {"type": "string", "maxLength": most}, description, repeatable)


def choice(
    name: str, values: Iterable[Enum], description: str, *, repeatable: bool = False, default: Any = None
) -> Param:
    known = {str(value.value): value for value in values}

    def read(value: str) -> Any:
        if value not in known:
            raise ValueError(f"use one of {', '.join(known)}")
        return known[value]

    schema = {"type": "string", "enum": list(known)} | ({"default": str(default.value)} if default else {})
    return Param(name, read, schema, description, repeatable)


def identifier(name: str, description: str, *, repeatable: bool = False, words: tuple[str, ...] = ()) -> Param:
    """A UUID; `words` may stand in its place and are answered as they are."""

    def read(value: str) -> UUID | str:
        if value in words:
            return value
        try:
            return UUID(value)
        except ValueError:
            raise ValueError(f"use an id{''.join(f' or {w}' for w in words)}") from None

    schema: dict[str, Any] = {"type": "string", "format": "uuid"}
    if words:
        schema = {"anyOf": [schema, {"type": "string", "enum": list(words)}]}
    return Param(name, read, schema, description, repeatable)


def time(name: str, description: str) -> Param:
    def read(value: str) -> datetime:
        try:
            found = datetime.fromisoformat(value)
            if found.tzinfo is None:
                raise ValueError
            return found.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("use an RFC 3339 time with a zone, such as 2026-01-31T09:00:00Z") from None

    return Param(name, read, {"type": "string", "format": "date-time"}, description)


def number(name: str, description: str, *, least: int, most: int, default: int | None = None) -> Param:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdecimal()) or len(value) > 18 or not least <= int(value) <= most:
            raise ValueError(f"use a whole number from {least} to {most}")
        return int(value)

    schema = {"type": "integer", "minimum": least, "maximum": most} | ({"default": default} if default else {})
    return Param(name, read, schema, description)


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


def order(by: str) -> Param:
    return choice("order", Order, by, default=Order.ASC)


def types(known: Collection[str], example: str) -> Param:
    """Types of events, separated by commas; each answered as a set."""

    def read(text: str) -> frozenset[str]:
        found = frozenset(part.strip() for part in text.split(","))
        if not found <= frozenset(known):
            raise ValueError(f"use some of {', '.join(sorted(known))}")
        return found

    schema = {"type": "string", "example": example}
    return Param("types", read, schema, "Only these, separated by commas", repeatable=True)


def structure(name: str, description: str, *, most: int = 8000) -> Param:
    """An object in JSON. What it may hold is not known here."""

    def read(value: str) -> Any:
        try:
            found = orjson.loads(value) if len(value) <= most else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ValueError(f"use an object in JSON, of at most {most} characters")
        return found

    schema = {"type": "string", "contentMediaType": "application/json", "maxLength": most}
    return Param(name, read, schema, description)


def flag(name: str, description: str) -> Param:
    def read(value: str) -> bool:
        if value not in ("true", "false"):
            raise ValueError("use true or false")
        return value == "true"

    return Param(name, read, {"type": "boolean"}, description)


PAGING = (
    number("limit", "Items per page", least=1, most=MAX_LIMIT, default=DEFAULT_LIMIT),
    word("cursor", "`next_cursor` of the previous page; it belongs to the list and the sort", most=512),
)


class Query:
    """The parameters of one route."""

    def __init__(self, *params: Param) -> None:
        self._params = {param.name: param for param in params}
        self._needed = tuple(param.name for param in params if param.needed)
        self.openapi: dict[str, Any] = {
            "parameters": [
                {
                    "name": p.name,
                    "in": "query",
                    "required": p.needed,
                    "description": p.description,
                    "schema": _schema(p),
                }
                for p in params
            ]
        }

    def read(self, request: Request) -> dict[str, Any]:
        """What was given, a list for what is repeatable. Raises `Invalid` naming every parameter that is wrong."""
        text: bytes = request.scope["query_string"]
        found: dict[str, Any] = {}
        if not text and not self._needed:
            return found
        wrong: list[FieldError] = []
        try:
            pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST, errors="strict")
        except ValueError:
            raise Invalid.field("query", "this is not a query string") from None
        for name, value in pairs:
            param = self._params.get(name)
            if param is None:
                wrong.append(FieldError(name, "there is no such parameter"))
                continue
            try:
                read = param.read(value)
            except ValueError as error:
                wrong.append(FieldError(name, str(error)))
                continue
            if param.repeatable:
                found.setdefault(name, []).append(read)
                if len(found[name]) == param.most + 1:
                    wrong.append(FieldError(name, f"give at most {param.most}"))
            elif name in found:
                wrong.append(FieldError(name, "give it once"))
            else:
                found[name] = read
        tried = {*found, *(error.field for error in wrong)}
        wrong += [FieldError(name, "is needed") for name in self._needed if name not in tried]
        if wrong:
            raise Invalid("; ".join(f"{w.field}: {w.message}" for w in wrong), errors=wrong)
        return found


def _schema(param: Param) -> dict[str, Any]:
    if not param.repeatable:
        return dict(param.schema)
    return {"type": "array", "items": dict(param.schema)} | ({"maxItems": param.most} if param.most < _MOST else {})


def page_of(values: Mapping[str, Any]) -> Page:
    return Page(values.get("limit", DEFAULT_LIMIT), values.get("cursor"))
