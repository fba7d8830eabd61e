"""The time that processes tell: a file with an offset, which they read again whenever they ask what time it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """Begins at `begin` and goes on by itself; `move` lets the rest of the time pass at once."""

    def __init__(self, path: Path, *, begin: datetime) -> None:
        self.path = path
        self._offset = timedelta()
        self._set(begin)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def move(self, to: datetime) -> None:
        """Only ever on: a clock that goes back is not what these journeys are about."""
        assert to > self.now, f"{to} has passed"
        self._set(to)

    def _set(self, to: datetime) -> None:
        self._offset = to - datetime.now(UTC)
        draft = self.path.with_suffix(".new")
        draft.write_text(f"{self._offset.total_seconds():.6f}", encoding="ascii")
        draft.replace(self.path)
