"""What a condition on conversations may speak of: closed fields, what each can be asked, and how values are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Any, Final
from uuid import UUID

from helpdesk.domain.contents import Wrong, flag, identifier, under, whole
from helpdesk.domain.contents import fields as object_of
from helpdesk.domain.contents import word as one_of
from helpdesk.domain.filters import SlaState
from helpdesk.domain.values import AuthorKind, Priority, Status, Visibility

ME: Final = "me"
CUSTOM: Final = "custom_fields."

_LONGEST_TEXT: Final = 200
_MOST_SECONDS: Final = 10 * 366 * 86_400
_MOST_NUMBER: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Relative:
    """A time that moves with now: so many seconds from it, before it when negative."""

    seconds: int


class Kind(StrEnum):
    """What a field is compared as."""

    WORD = "word"
    NAME = "name"
    ID = "id"
    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    FLAG = "flag"
    OWN = "own"
    PRESENCE = "presence"
    CUSTOM = "custom"


_EQUAL: Final = ("eq", "ne", "in", "not_in")
_ORDER: Final = ("gt", "gte", "lt", "lte")
OPS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.WORD: _EQUAL,
    Kind.NAME: _EQUAL,
    Kind.ID: _EQUAL,
    Kind.TEXT: ("eq", "contains", "contains_any"),
    Kind.NUMBER: (*_EQUAL, *_ORDER),
    Kind.TIME: ("before", "after"),
    Kind.FLAG: ("eq",),
    Kind.OWN: ("eq", "ne"),
    Kind.PRESENCE: ("missing",),
    Kind.CUSTOM: (*_EQUAL, "contains", "contains_any", *_ORDER, "missing"),
}
LISTS: Final = ("in", "not_in", "contains_any")


@dataclass(frozen=True, slots=True)
class Field:
    """`empty`: it may have no value, and `missing` asks for that. `thing`: what its ids are of. `me`: an agent's."""

    kind: Kind
    known: tuple[str, ...] = ()
    longest: int = 120
    empty: bool = False
    thing: str = ""
    me: bool = False

    @property
    def ops(self) -> tuple[str, ...]:
        found = OPS[self.kind]
        return (*found, "missing") if self.empty and "missing" not in found else found


_TIME, _FLAG, _NUMBER, _TEXT = Field(Kind.TIME), Field(Kind.FLAG), Field(Kind.NUMBER), Field(Kind.TEXT)
_MAYBE: Final = Field(Kind.TIME, empty=True)

FIELDS: Final[Mapping[str, Field]] = {
    "status": Field(Kind.WORD, known=tuple(Status)),
    "priority": Field(Kind.WORD, known=tuple(rank.word for rank in Priority)),
    "sla": Field(Kind.WORD, known=tuple(SlaState)),
    "channel": Field(Kind.NAME, longest=40),
    "category": Field(Kind.NAME, longest=60, empty=True),
    "tag": Field(Kind.NAME, longest=60, empty=True),
    "language": Field(Kind.NAME, longest=35),
    "inbox_id": Field(Kind.ID, thing="inbox"),
    "assignee_id": Field(Kind.ID, thing="agent", empty=True, me=True),
    "team_id": Field(Kind.ID, thing="team", empty=True),
    "contact_id": Field(Kind.ID, thing="contact"),
    "subject": _TEXT,
    "number": _NUMBER,
    "message_count": _NUMBER,
    "created_at": _TIME,
    "updated_at": _TIME,
    "last_activity_at": _TIME,
    "waiting_since": _MAYBE,
    "snoozed_until": _MAYBE,
    "status_changed_at": _MAYBE,
    "assigned_at": _MAYBE,
    "next_due_at": _MAYBE,
    "contact_blocked": _FLAG,
    "unread": _FLAG,
    "spam": _FLAG,
    "quarantined": _FLAG,
    "merged": _FLAG,
    "mentioned": Field(Kind.OWN),
    "watched": Field(Kind.OWN),
    "drafted": Field(Kind.OWN),
    "first_response": Field(Kind.PRESENCE),
    "rating": Field(Kind.NUMBER, empty=True),
    "visibility": Field(Kind.WORD, known=tuple(Visibility)),
    "followers": Field(Kind.NUMBER, empty=True),
    "verified": Field(Kind.NAME, longest=40, empty=True),
    "post_id": Field(Kind.NAME, longest=500, empty=True),
}
"""Of conversations. `custom_fields.KEY` is one too."""

MESSAGE_FIELDS: Final[Mapping[str, Field]] = {
    "message.text": _TEXT,
    "message.subject": _TEXT,
    "message.inbox_id": Field(Kind.ID, thing="inbox"),
    "message.channel": Field(Kind.NAME, longest=40),
    "message.language": Field(Kind.NAME, longest=35),
    "message.author_kind": Field(Kind.WORD, known=tuple(AuthorKind)),
    "message.visibility": Field(Kind.WORD, known=tuple(Visibility)),
    "message.private": _FLAG,
    "message.has_attachments": _FLAG,
    "message.sender_verified": Field(Kind.FLAG, empty=True),
}
"""Of the message that has just come or gone, for rules."""

_CUSTOM: Final = Field(Kind.CUSTOM)
_KEY: Final = re.compile(r'[^\x00-\x1f\x7f-\x9f"\\]{1,64}')
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ][0-9:.+Z-]{1,30})?")


def is_custom(name: Any) -> bool:
    """Whether this is the name of a custom field, of any key that can be asked for."""
    return isinstance(name, str) and name.startswith(CUSTOM) and bool(_KEY.fullmatch(name.removeprefix(CUSTOM)))


def field_of(name: str) -> Field:
    """Raises KeyError for what is no field."""
    return _CUSTOM if name.startswith(CUSTOM) else FIELDS.get(name) or MESSAGE_FIELDS[name]


def _text(value: Any, place: str, longest: int = _LONGEST_TEXT) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > longest or "\x00" in value:
        raise Wrong(place, f"use 1 to {longest} characters")
    return value


def _id(value: Any, place: str, field: Field, _op: str) -> UUID | str | None:
    if (value is None and field.empty) or (value == ME and field.me):
        return value  # type: ignore[no-any-return]
    return identifier(value, place)


def _own(value: Any, place: str, _field: Field, _op: str) -> str:
    return one_of(value, place, (ME,))


def _time(value: Any, place: str, _field: Field, _op: str) -> datetime | Relative:
    if isinstance(value, Mapping):
        given = object_of(value, place, needed=(), optional=("ago", "in"))
        if len(given) != 1:
            raise Wrong(place, "give either ago or in, in seconds")
        ((word, amount),) = given.items()
        seconds = whole(amount, under(place, word), least=0, most=_MOST_SECONDS)
        return Relative(-seconds if word == "ago" else seconds)
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError
        return found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        example = '2026-01-31T09:00:00Z, {"ago": seconds} or {"in": seconds}'
        raise Wrong(place, f"use a time with a zone, such as {example}") from None


def _custom(value: Any, place: str, _field: Field, op: str) -> str | bool | float:
    """Of the type that the field is expected to have; what is of another type is another value."""
    if op in ("contains", "contains_any"):
        return _text(value, place)
    if isinstance(value, bool) and op in _EQUAL:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not isfinite(value) or abs(value) > 1e15:
            raise Wrong(place, "use a number of at most fifteen digits")
        return float(value)
    if op in _ORDER and not (isinstance(value, str) and _DAY.fullmatch(value)):
        raise Wrong(place, "use a number, or a date such as 2026-01-31")
    return _text(value, place)


READERS: Final[Mapping[Kind, Callable[[Any, str, Field, str], Any]]] = {
    Kind.WORD: lambda value, place, field, _: one_of(value, place, field.known),
    Kind.NAME: lambda value, place, field, _: _text(value, place, field.longest),
    Kind.ID: _id,
    Kind.TEXT: lambda value, place, _field, _op: _text(value, place),
    Kind.NUMBER: lambda value, place, _field, _op: whole(value, place, least=0, most=_MOST_NUMBER),
    Kind.TIME: _time,
    Kind.FLAG: lambda value, place, _field, _op: flag(value, place),
    Kind.OWN: _own,
    Kind.CUSTOM: _custom,
}
