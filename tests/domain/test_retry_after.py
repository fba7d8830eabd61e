"""Seconds, dates, and what is neither."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from helpdesk.domain.retry_after import MOST, wait

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", timedelta(minutes=2)),
        (" 0 ", timedelta()),
        ("Sun, 01 Mar 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Sun, 01 Mar 2026 12:05:00 -0000", timedelta(minutes=5)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", timedelta()),
        ("99999999999999999999", MOST),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST),
        (None, timedelta()),
        ("", timedelta()),
        ("-5", timedelta()),
        ("1.5", timedelta()),
        ("soon", timedelta()),
        ("²", timedelta()),
        ("Sun, 99 Mar 2026 12:05:00 GMT", timedelta()),
    ],
)
def test_what_the_other_side_asked_for_is_waited_for_but_not_for_ever(value: str | None, expected: timedelta) -> None:
    assert wait(value, now=NOW) == expected
