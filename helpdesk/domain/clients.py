"""Which browser on which system asks, as far as it says: enough to know one's own sessions apart, and no more."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "Unknown"

# In this order: nearly every browser also names those that it wants to be served like.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python-", "Python"),
)
_SYSTEMS: Final = (
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_LOOKED_AT: Final = 500


def describe(user_agent: str) -> str:
    """`Firefox on Windows`; only words from here, never the header's own, whatever it holds."""
    said = user_agent[:_LOOKED_AT]
    browser = next((name for mark, name in _BROWSERS if mark in said), "")
    system = next((name for mark, name in _SYSTEMS if mark in said), "")
    return " on ".join(word for word in (browser, system) if word) or UNKNOWN
