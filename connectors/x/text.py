"""What a text weighs here: characters of most scripts of Europe one, others two, an emoji two, a link twenty-three.

It is the vendor's published configuration, version 3. Links are found generously: a text that is told to be a little
longer than it is can be shortened, one that the vendor refuses cannot be sent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from helpdesk.channels import Length

DIRECT = 10_000
LINK = 23
POST = 280
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))

# With a scheme anything is a link; without one whatever looks like a domain. Bounded runs, one pass.
_URL = re.compile(
    r"https?://[^\s<>\"]+"
    r"|(?<![a-z0-9_@.$#/-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}[a-z]{2,24}(?![a-z0-9_@-]|\.[a-z0-9])"
    r"(?:[/?#][^\s<>\"]*)?",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[!-~]*(?<![.,;:!?')])")
"""What of such a run is surely a part of the link: the vendor ends it before other scripts and before a full stop."""

_EMOJI_BASE = (
    "[\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7eb\U0001f90c-\U0001f9ff"
    "\U0001fa70-\U0001faff\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe"
    "\u2600-\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299\U0001f004\U0001f0cf"
    "\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a\U0001f201\U0001f202\U0001f21a\U0001f22f"
    "\U0001f232-\U0001f23a\U0001f250\U0001f251\u203c\u2049\u2139\u2194-\u2199\u21a9\u21aa]"
)
_ONE = _EMOJI_BASE + "[\ufe0f\U0001f3fb-\U0001f3ff]?"
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    "|[0-9#*]\ufe0f?\u20e3"  # a keycap
    "|\U0001f3f4[\U000e0061-\U000e007a]{2,6}\U000e007f"  # a flag of a part of a country
    f"|{_ONE}(?:\u200d{_ONE})*"
)


def measure(text: str, visibility: str, config: Mapping[str, Any]) -> Length:
    """Direct messages are counted in characters; a post by weight."""
    whole = unicodedata.normalize("NFC", text)
    if visibility != "public":
        return Length(len(whole), DIRECT)
    weight, at = 0, 0
    for found in _URL.finditer(whole):
        plain = _PLAIN.match(found[0])
        weight += _weight(whole[at : found.start()]) + LINK + _weight(found[0][plain.end() if plain else 0 :])
        at = found.end()
    return Length(weight + _weight(whole[at:]), int(config.get("post_length", POST)), "weighted")


def _weight(text: str) -> int:
    bare, emoji = _EMOJI.subn("", text)
    return emoji * 2 + sum(1 if _light(ord(char)) else 2 for char in bare)


def _light(code: int) -> bool:
    return any(first <= code <= last for first, last in _LIGHT)
