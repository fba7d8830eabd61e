"""Pages of rows: reading a cursor, cutting off the row too many, writing the next cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from helpdesk.domain import pagination
from helpdesk.domain.pagination import DEFAULT_LIMIT, Cursor
from helpdesk.errors import Invalid
from helpdesk.services.house import Services


@dataclass(frozen=True, slots=True)
class Page:
    """What a list was asked for. `cursor` is the caller's word, not yet verified."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


def read_cursor(services: Services, page: Page, *, sort: str) -> Cursor | None:
    """Raises `Invalid` for a cursor that is not ours, or of another list or sort."""
    if page.cursor is None:
        return None
    found = pagination.decode(services.keyring.subkey("cursor", None), page.cursor, sort=sort)
    if found is None:
        raise Invalid.field("cursor", "use next_cursor of the previous page, with the same sort")
    return found


def write_cursor(services: Services, *, sort: str, value: Any, row_id: UUID | None = None) -> str:
    return pagination.encode(services.keyring.subkey("cursor", None), Cursor(sort, value, row_id))


def cut(rows: Sequence[Any], limit: int) -> tuple[list[Any], bool]:
    """The page of `limit + 1` rows that were asked for, and whether there are more."""
    return list(rows[:limit]), len(rows) > limit
