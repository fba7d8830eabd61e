"""What is exported, as lines: JSON objects that name what they are, or CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, assert_never

from helpdesk.api.answers import to_json
from helpdesk.api.schemas import conversations, messages, settings
from helpdesk.domain import csv_cells
from helpdesk.services.exporting import Contact, Conversation, End, Found, Message


class Form(StrEnum):
    """`jsonl` is one JSON object a line."""

    JSONL = "jsonl"
    CSV = "csv"


MEDIA: Final[Mapping[Form, str]] = {Form.JSONL: "application/x-ndjson", Form.CSV: "text/csv"}

CSV_END: Final = "#end"
"""What the last line of CSV begins with."""

_CUSTOM: Final = "custom_fields."
_CONVERSATION: Final = (
    *("id", "number", "subject", "channel", "inbox_id", "status", "priority", "category"),
    *("contact.id", "contact.name", "contact.handle", "assignee.id", "assignee.name", "team.id", "team.name", "tags"),
    *("message_count", "last_message_direction", "language", "created_at", "last_activity_at", "waiting_since"),
    *("next_due_at", "sla_state", "snoozed_until", "quarantined", "spam", "merged_into_id"),
)
_CONTACT: Final = ("id", "name", "language", "blocked", "identities", "created_at", "updated_at")
COLUMNS: Final[Mapping[str, Sequence[str]]] = {"conversations": _CONVERSATION, "contacts": _CONTACT}
"""Of CSV; custom fields follow."""

Lines = Callable[[Iterable[Found], datetime], bytes]


def jsonl(found: Iterable[Found], now: datetime) -> bytes:
    """`{"conversation": …}`, `{"message": …}`, `{"contact": …}`, and at last `{"end": true, …}`."""
    return b"".join(to_json(_named(one, now)) + b"\n" for one in found)


def _named(one: Found, now: datetime) -> dict[str, Any]:
    match one:
        case Conversation():
            return {"conversation": _conversation(one, now)}
        case Message(row, files):
            return {"message": {"conversation_id": row["conversation_id"], **messages.message(row, files)}}
        case Contact(row, identities):
            return {"contact": settings.contact(row, identities)}
        case End(count, last, more):
            return {"end": True, "count": count, "last": last, "more": more}
        case _:
            assert_never(one)


def _conversation(one: Conversation, now: datetime) -> dict[str, Any]:
    """As the list has it, but for what is only so for who reads it."""
    shown = conversations.items([one.row], now)[0]
    del shown["unread"]
    more = {"spam": one.spam, "merged_into_id": one.merged_into_id, "custom_fields": dict(one.custom_fields)}
    return shown | more


def csv(what: str, custom: Sequence[str], *, bom: bool) -> tuple[bytes, Lines]:
    """The first line, and what makes the others. `custom` are the keys of the custom fields that get a column.

    The last line says how many there were, and behind which it goes on if there are more: see docs/import-export.md.
    """
    columns = (*COLUMNS[what], *(_CUSTOM + key for key in custom))

    def lines(found: Iterable[Found], now: datetime) -> bytes:
        return "".join(csv_cells.line(_cells(one, columns, now)) for one in found).encode()

    return ((csv_cells.BOM if bom else "") + csv_cells.line(columns)).encode(), lines


def _cells(one: Found, columns: Sequence[str], now: datetime) -> list[Any]:
    match one:
        case Conversation():
            shown = _conversation(one, now)
        case Contact(row, identities):
            shown = settings.contact(row, identities)
            shown["identities"] = [f"{each['channel']}:{each['handle']}" for each in shown["identities"]]
        case End(count, last, more):
            return [CSV_END, count, last if more else None, *[None] * (len(columns) - 3)]
        case _:
            raise ValueError("messages have no columns")
    return [_cell(shown, column) for column in columns]


def _cell(shown: Mapping[str, Any], column: str) -> Any:
    name, _, part = column.partition(".")
    value = shown[name]
    if part:
        value = (value or {}).get(part)
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else value
