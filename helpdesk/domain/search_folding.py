"""Letters as a search sees them: `É` as `e`, `Ｕ` as `u`, 錢 as 钱. Text and query are folded alike.

Every letter is folded by itself. OpenCC would look at whole words as well and convert some of them better; but then a
letter's form would depend on its neighbours, and a word would be missed where it stands in another sentence.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opencc import OpenCC

_LATIN: Final = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
# Letters that people write for one another, and OpenCC keeps apart: 到帐 is 到账, and 身分 is 身份.
_SAME: Final = {"帐": "账", "著": "着", "份": "分", "祇": "只", "妳": "你"}


class _Folds(dict[int, str]):
    """What each letter becomes, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        found = self[code] = _fold(chr(code))
        return found


_FOLDS: Final = _Folds()


def fold(text: str) -> str:
    """The text as it is compared. Its length may differ; see `places`."""
    return text.translate(_FOLDS)


def places(text: str) -> list[int]:
    """For each letter of `fold(text)`, where in `text` it comes from; and the length of `text` at the end."""
    found = [index for index, letter in enumerate(text) for _ in _FOLDS[ord(letter)]]
    found.append(len(text))
    return found


def _fold(letter: str) -> str:
    plain = unicodedata.normalize("NFKC", letter).casefold()
    apart = unicodedata.normalize("NFD", plain)
    # Only the accents of Latin, Greek and Cyrillic: in other scripts a mark makes another letter.
    bare = unicodedata.normalize("NFC", "".join(c for c in apart if not "\u0300" <= c <= "\u036f"))
    return "".join(_simple(_LATIN.get(c, c)) for c in bare)


def _simple(letter: str) -> str:
    if not "\u3400" <= letter <= "\u9fff" and letter < "\U00020000":
        return letter
    simple: str = _converter().convert(letter)
    return _SAME.get(simple, simple)


@cache
def _converter() -> OpenCC:
    from opencc import OpenCC  # a process that meets no Chinese reads no dictionary

    return OpenCC("t2s")
