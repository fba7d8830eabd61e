"""How much one name looks like another."""

from __future__ import annotations

from rapidfuzz.distance import JaroWinkler


def likeness(name: str, other: str) -> float:
    """From 0, nothing in common, to 1, the same. A common beginning counts for more."""
    return JaroWinkler.similarity(name, other)
