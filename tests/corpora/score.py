"""How corpus tests are scored, and the table that they fill in."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W_]+")


def collapse(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def tokens(text: str) -> list[str]:
    """Words, case folded; Chinese, Japanese and Korean by character."""
    return _TOKEN.findall(text.casefold())


def token_f1(expected: str, actual: str) -> float:
    """Harmonic mean of precision and recall over token multisets; two empty texts agree."""
    want, have = Counter(tokens(expected)), Counter(tokens(actual))
    if not want and not have:
        return 1.0
    shared = (want & have).total()
    return 2 * shared / (want.total() + have.total()) if shared else 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `passed` is None for a figure that no threshold binds."""

    kind: str
    metric: str
    value: str
    threshold: str
    passed: bool | None


@dataclass(slots=True)
class Scores:
    """Collects rows from any test of the session: ``scores.record("reply", "exact", 0.7, 0.6)``."""

    rows: list[Row] = field(default_factory=list)

    def record(self, kind: str, metric: str, value: float | str, threshold: float | None = None) -> None:
        """Adds a row. A float is shown with three decimals and compared with the threshold, which is a minimum."""
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        passed = None if threshold is None or isinstance(value, str) else value >= threshold
        self.rows.append(Row(kind, metric, shown, "" if threshold is None else f">= {threshold:g}", passed))
