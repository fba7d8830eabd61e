"""The only reader of time.

Everything that decides takes its time as an argument; what starts a decision (a request, a tick) reads it here.
`HELPDESK_CLOCK_FILE` names a file that holds an offset in seconds: a journey writes it to make a day pass. It is read
again at each call, and `Settings` refuses it in production.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

_offset_file = os.environ.get("HELPDESK_CLOCK_FILE")


def now() -> datetime:
    """The present as aware UTC, microsecond resolution."""
    return datetime.now(UTC) + _offset() if _offset_file else datetime.now(UTC)


def _offset() -> timedelta:
    try:
        return timedelta(seconds=float(Path(_offset_file or "").read_text(encoding="ascii")))
    except (OSError, ValueError):
        return timedelta()
