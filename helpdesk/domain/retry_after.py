"""`Retry-After` (RFC 9110 section 10.2.3), as another server wrote it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MOST = timedelta(days=1)
"""Nobody is waited for longer: the value is the other side's, and may be a slip or a trap."""


def wait(value: str | None, *, now: datetime) -> timedelta:
    """How long the other side asked us to stay away: seconds or a date. What is neither counts as nothing."""
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=int(text[:9])), MOST)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return timedelta()
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(min(until - now, MOST), timedelta())
