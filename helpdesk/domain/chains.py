"""A text that is too long for one post, as several: cut where a reader would pause, and numbered.

What a post may hold is asked of `fits`, which says no to every longer text once it has said no. No address on the web
is ever cut, nor what is drawn as one character.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from typing import Final

MOST: Final = 25
"""Parts of one answer. Whoever has more to say has written no answer to a post."""

# Each begins where no such character stands before it, so that nothing is read twice.
_HOST = r"(?<![A-Za-z0-9-])[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+(?::[0-9]+)?(?:[/?#][\x21-\x7e]*)?"
_ADDRESS = re.compile(rf"(?<![A-Za-z0-9])https?://[\x21-\x7e]+|{_HOST}")
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE = re.compile(r"[.!?…]['\")\]]?(?=\s)|[。！？][」』”’）]?|\n")
_SPACE = re.compile(r"\s+")
_SMALLEST: Final = (0.5, 0.4, 0.3)
"""How full a part has to be at least to end with a paragraph, a sentence, a word."""

_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f\u20e3") | {chr(point) for point in range(0x1F3FB, 0x1F400)}


def chain(text: str, fits: Callable[[str], bool], most: int = MOST) -> list[str] | None:
    """The parts in order, each with its mark (`2/3`); the text alone where it fits. None where it cannot be done."""
    text = text.strip()
    if fits(text):
        return [text]
    for digits in range(1, len(str(most)) + 1):
        widest = _mark(int("9" * digits), int("9" * digits))
        parts = _cut(text, partial(_fits_with, fits, widest), min(most, 10**digits - 1))
        if parts is not None:
            return [part + _mark(place, len(parts)) for place, part in enumerate(parts, 1)]
    return None


def _fits_with(fits: Callable[[str], bool], mark: str, part: str) -> bool:
    return fits(part + mark)


def _mark(place: int, count: int) -> str:
    return f" {place}/{count}"


def _cut(text: str, fits: Callable[[str], bool], most: int) -> list[str] | None:
    parts: list[str] = []
    while text:
        if len(parts) == most:
            return None
        end = _end(text, fits)
        if end == 0:
            return None
        parts.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return parts


def _end(text: str, fits: Callable[[str], bool]) -> int:
    """Where the first part ends; 0 where nothing of the text fits."""
    most = _longest(text, fits)
    if most == len(text):
        return most
    # A little further than fits, so that what is cut by the end is seen whole.
    window = text[: most + 1]
    for pattern, smallest in zip((_PARAGRAPH, _SENTENCE, _SPACE), _SMALLEST, strict=True):
        ends = [_after(found) for found in pattern.finditer(window)]
        good = [end for end in ends if most * smallest <= end <= most and not _inside_address(text, end)]
        if good:
            return good[-1]
    while most and (_joined(text, most) or _inside_address(text, most)):
        most = _inside_address(text, most) - 1 if _inside_address(text, most) else most - 1
    return most


def _after(found: re.Match[str]) -> int:
    """Marks stay with what they end; white space goes."""
    return found.start() if found.group().isspace() else found.end()


def _longest(text: str, fits: Callable[[str], bool]) -> int:
    """How many characters fit at most. Looked for from the front: a part is short, and the text may be long."""
    reach = 64
    while reach < len(text) and fits(text[:reach]):
        reach *= 2
    reach = min(reach, len(text))
    return max(0, bisect_left(range(reach + 1), True, key=lambda size: not fits(text[:size])) - 1)


def _inside_address(text: str, place: int) -> int:
    """One more than where the address begins that `place` is within, 0 where it is within none."""
    begun = place - sum(1 for _ in takewhile(_stands_in_address, reversed(text[:place])))
    ended = place + sum(1 for _ in takewhile(_stands_in_address, text[place:]))
    for found in _ADDRESS.finditer(text[begun:ended]):
        if begun + found.start() < place < begun + found.end():
            return begun + found.start() + 1
    return 0


def _stands_in_address(character: str) -> bool:
    return "\x21" <= character <= "\x7e"


def _joined(text: str, place: int) -> bool:
    """Whether what stands on both sides of `place` is drawn as one character."""
    before, after = text[place - 1], text[place]
    if (
        after in _JOINERS
        or before == "\u200d"
        or unicodedata.category(after).startswith("M")
        or before + after == "\r\n"
    ):
        return True
    if _is_flag(before) and _is_flag(after):
        return sum(1 for _ in takewhile(_is_flag, reversed(text[:place]))) % 2 == 1
    return False


def _is_flag(character: str) -> bool:
    return 0x1F1E6 <= ord(character) <= 0x1F1FF
