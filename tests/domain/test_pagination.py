"""Cursors."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from helpdesk.domain import pagination
from helpdesk.domain.pagination import Cursor

KEY, OTHER = b"k" * 32, b"o" * 32
values = st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=60)
cursors = st.builds(Cursor, st.sampled_from(["created_at", "-priority"]), values, st.none() | st.uuids())


@given(cursors)
def test_a_cursor_comes_back_as_it_was_for_its_own_sort_only(cursor: Cursor) -> None:
    text = pagination.encode(KEY, cursor)
    assert pagination.decode(KEY, text, sort=cursor.sort) == cursor
    assert pagination.decode(KEY, text, sort="other") is None
    assert pagination.decode(OTHER, text, sort=cursor.sort) is None


@given(cursors, st.integers(0, 200), st.sampled_from("AZaz09-_"))
def test_a_changed_cursor_is_none(cursor: Cursor, place: int, letter: str) -> None:
    text = pagination.encode(KEY, cursor)
    place %= len(text) - 1
    changed = text[:place] + letter + text[place + 1 :]
    assert changed == text or pagination.decode(KEY, changed, sort=cursor.sort) is None


@given(st.text(max_size=700))
def test_anything_else_is_none_and_no_error(text: str) -> None:
    assert pagination.decode(KEY, text, sort="created_at") is None


def test_an_id_of_another_class_is_an_id() -> None:
    class Driver(UUID):
        """As asyncpg has one."""

    identifier = Driver(int=7)
    text = pagination.encode(KEY, Cursor("s", 1, identifier))
    assert pagination.decode(KEY, text, sort="s") == Cursor("s", 1, UUID(int=7))
