"""What is kept of a message, a conversation or a contact, to be found and ranked by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from helpdesk.domain.search_folding import fold
from helpdesk.domain.search_terms import CONTACT, beginnings, codes_of, number_token, tokens_of

MAX_TITLE: Final = 300
"""Letters of a subject or a name that count as such."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`title` and `codes` are words between blanks, with one at either end: each can be looked for with its blanks.

    `scope` are the marks of whoever may see it, with nothing at the ends, as `tokens` are.
    """

    at: datetime
    title: str
    codes: str
    tokens: str
    scope: str = ""
    message_id: UUID | None = None
    conversation_id: UUID | None = None
    contact_id: UUID | None = None

    @property
    def key(self) -> UUID | None:
        """Of what it is."""
        return self.message_id or self.conversation_id or self.contact_id


def mark(id_: UUID) -> str:
    """Stands for an inbox, a team or an agent by whom a conversation can be seen: what a search is narrowed by.

    Short, since every row has some, so that two may have the same: what is found is still asked whether it may be seen.
    """
    return f"@{id_.int & 0xFFFFF:x}"


def scope_of(inboxes: Iterable[UUID], *others: UUID | None) -> str:
    """Of a conversation: the inboxes that it touched, its team, its assignee."""
    return " ".join(sorted({mark(one) for one in (*inboxes, *others) if one is not None}))


def of_message(row: Mapping[str, Any], *, scope: str) -> Entry:
    """`row` is a message with its conversation's subject as `about`, for those that have none themselves."""
    title = tokens_of((row["subject"] or row["about"])[:MAX_TITLE])
    return Entry(
        at=row["received_at"] or row["created_at"],
        title=line(title),
        codes=line(codes_of(row["new_text"])),
        tokens=" ".join(title | tokens_of(row["new_text"])),
        scope=scope,
        message_id=row["id"],
        conversation_id=row["conversation_id"],
    )


def of_conversation(row: Mapping[str, Any], *, scope: str) -> Entry:
    title, number = tokens_of(row["subject"][:MAX_TITLE]), number_token(row["number"])
    return Entry(
        at=row["created_at"],
        title=line(title),
        codes=line([number]),
        tokens=" ".join([*title, number]),
        scope=scope,
        conversation_id=row["id"],
    )


def of_contact(row: Mapping[str, Any], handles: Sequence[str]) -> Entry:
    """His name and handles are found by their beginnings, the texts of his custom fields by whole words."""
    title = tokens_of(row["name"][:MAX_TITLE]) | beginnings(row["name"])
    found = dict(title)
    for handle in handles:
        found |= tokens_of(handle) | beginnings(handle)
    for value in row["custom_fields"].values():
        if isinstance(value, str):
            found |= tokens_of(value)
    return Entry(
        at=row["updated_at"],
        title=line(CONTACT + token for token in title),
        codes=line(CONTACT + code for code in dict.fromkeys(fold(handle) for handle in handles)),
        tokens=" ".join(CONTACT + token for token in found),
        contact_id=row["id"],
    )


def line(words: Iterable[str]) -> str:
    return f" {' '.join(words)} "
