"""What a text is found by, and what a query asks for: pure functions, the same for both databases.

A text gives tokens: words, in English by their stems; numbers; addresses whole and in parts; ids with their beginnings;
of scripts that leave no blanks between words every letter and every pair of neighbours. A query gives terms, all of
which have to be found; each is one token or any of some. What a query asks for is always among the tokens of a text in
which it stands (docs/decisions/0010-search.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from helpdesk.domain.search_folding import fold
from helpdesk.domain.search_words import EMPTY, PARTICLES, segment, stem

MAX_TEXT: Final = 20_000
"""Letters of a text that are looked at."""

MAX_TERMS: Final = 24
MAX_CODES: Final = 32

CONTACT: Final = "c:"
"""Begins every token of a contact: a search for contacts has to walk through no messages."""

_BEGINNING: Final = "p:"
_NUMBER: Final = "n:"
_SHORTEST, _LONGEST = 6, 20
_HEX_SHORTEST: Final = 4
_LONG: Final = 20
_LONG_WITH_DIGITS: Final = 12
_MOST: Final = 120

# Han, kana, Hangul, Thai, Lao, Burmese, Khmer.
_CLOSE: Final = (
    "\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U000323af"
)
_PIECE: Final = re.compile(
    rf"(?P<close>[{_CLOSE}]+)"
    r"|(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+\.\d+)"
    rf"|(?P<ticket>\#\d{{1,12}}(?![^\W_]))"
    rf"|(?P<word>[^\W_{_CLOSE}]+)"
)
_MAIL: Final = re.compile(r"[a-z0-9][a-z0-9._%+-]{0,63}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,6}")
_MIXED: Final = re.compile(r"(\d+)([^\W\d_]{2,})|([^\W\d_]{2,})(\d+)")
_HEX: Final = re.compile(r"0x[0-9a-f]{4,}")
_HAN: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U000323af]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a folded text, from `start` to `end`: `close` script, `number`, `ticket`, `word` or `mail`."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Terms:
    """A query: every term has to be found, each by any of its tokens.

    `codes` are what it may name exactly, a conversation's number or a transaction's hash: who has one comes first.
    """

    terms: tuple[tuple[str, ...], ...]
    codes: frozenset[str]

    @property
    def tokens(self) -> frozenset[str]:
        return frozenset(token for term in self.terms for token in term)


def pieces(folded: str) -> Iterator[Piece]:
    """In the order of the text; an e-mail address comes whole after everything else, and its parts among the rest."""
    for match in _PIECE.finditer(folded):
        yield Piece(match.lastgroup or "", match.group(), match.start(), match.end())
    if "@" in folded:
        for match in _MAIL.finditer(folded):
            yield Piece("mail", match.group(), match.start(), match.end())


def tokens_of(text: str) -> dict[str, None]:
    """What a text is found by, in the order in which it says it."""
    found: dict[str, None] = {}
    for piece in pieces(fold(text[:MAX_TEXT])):
        found.update(dict.fromkeys(tokens_in(piece)))
    return found


def codes_of(text: str) -> list[str]:
    """The ids in a text: hashes, addresses, long numbers, e-mail addresses."""
    found: dict[str, None] = {}
    for piece in pieces(fold(text[:MAX_TEXT])):
        if (code := _code(piece)) is not None:
            found[code] = None
        if len(found) == MAX_CODES:
            break
    return list(found)


def number_token(number: int) -> str:
    """What a conversation is found by if somebody says its number."""
    return f"{_NUMBER}{number}"


def beginnings(text: str) -> dict[str, None]:
    """The beginnings of a name's words, for who types no further: `al` finds Alexander."""
    found: dict[str, None] = {}
    for piece in pieces(fold(text[:_MOST])):
        if piece.kind == "word":
            found.update(dict.fromkeys(_BEGINNING + piece.text[:end] for end in range(2, len(piece.text) + 1)))
    return found


def beginnings_in(piece: Piece, wanted: frozenset[str]) -> Iterator[str]:
    """Of `wanted`, the beginnings of this piece."""
    if piece.kind == "word":
        ends = range(2, min(len(piece.text), _MOST) + 1)
        yield from (token for end in ends if (token := _BEGINNING + piece.text[:end]) in wanted)


def tokens_in(piece: Piece) -> Iterator[str]:
    """Those of one piece."""
    text = piece.text
    if piece.kind == "close":
        yield from text
        yield from (text[i : i + 2] for i in range(len(text) - 1))
    elif piece.kind == "number":
        whole = _plain_number(text)
        yield whole
        yield whole.partition(".")[0]
    elif piece.kind == "ticket":
        yield text[1:]
    elif piece.kind == "mail":
        yield text[:_MOST]
    else:
        yield from _word_tokens(text)


def terms_of(query: str, *, partial: bool = False) -> Terms:
    """What a query asks for. No terms: it asks for nothing that could be found.

    With `partial`, a word may be the beginning of one: for names.
    """
    terms: dict[tuple[str, ...], None] = {}
    weak: dict[tuple[str, ...], None] = {}
    codes: set[str] = set()
    found = list(pieces(fold(query)))
    inside = [(one.start, one.end) for one in found if one.kind == "mail"]
    for piece in found:
        if piece.kind != "mail" and any(start <= piece.start and piece.end <= end for start, end in inside):
            continue
        codes.update(_codes_asked(piece))
        for term, is_weak in _asked(piece, partial=partial):
            (weak if is_weak else terms)[term] = None
    # Words that are in every text say something only where there is nothing else.
    return Terms(tuple(terms or weak)[:MAX_TERMS], frozenset(codes))


def _asked(piece: Piece, *, partial: bool) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Terms of one piece, and whether each says little."""
    text = piece.text
    if piece.kind == "close":
        yield from _close_terms(text)
    elif piece.kind == "number":
        yield (_plain_number(text),), False
    elif piece.kind == "ticket":
        yield (number_token(int(text[1:])), text[1:]), False
    elif piece.kind == "mail":
        yield (text[:_MOST],), False
    elif (mixed := _mixed(text)) is not None:
        # 500usdt is also what is written 500 USDT, and may all the same be the beginning of a hash.
        whole = _word_term(text, partial=partial)
        yield from (((*whole, stem(part)), False) for part in mixed)
    else:
        yield _word_term(text, partial=partial), text in EMPTY


def _word_term(text: str, *, partial: bool) -> tuple[str, ...]:
    found = [stem(text[:_MOST])]
    if text.isdecimal() and text.isascii() and len(text) <= 12:
        found.append(number_token(int(text)))
    found += _beginning_asked(text, partial=partial)
    return tuple(dict.fromkeys(found))


def _beginning_asked(text: str, *, partial: bool) -> list[str]:
    bare = text[2:] if _HEX.fullmatch(text) else text
    least = 2 if partial else _HEX_SHORTEST if bare is not text else _SHORTEST
    if not bare.isascii() and not partial:
        return []
    most = _MOST if partial else _LONGEST
    return [_BEGINNING + bare[:most]] if len(bare) >= least else []


def _word_tokens(text: str) -> Iterator[str]:
    text = text[:_MOST]
    yield stem(text)
    yield from (stem(part) for part in _mixed(text) or ())
    if _is_id(text):
        is_hex = _HEX.fullmatch(text) is not None
        bare = text[2:] if is_hex else text
        if is_hex:
            yield bare
        shortest = _HEX_SHORTEST if is_hex else _SHORTEST
        yield from (_BEGINNING + bare[:end] for end in range(shortest, min(_LONGEST, len(bare)) + 1))


def _mixed(text: str) -> tuple[str, ...] | None:
    """The number and the word in `500usdt` or `iphone15`."""
    found = None if _HEX.fullmatch(text) else _MIXED.fullmatch(text)
    return tuple(part for part in found.groups() if part) if found else None


def _is_id(text: str) -> bool:
    if not text.isascii():
        return False
    return len(text) >= _LONG or (len(text) >= _LONG_WITH_DIGITS and any(c.isdecimal() for c in text))


def _close_terms(text: str) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The words of a run without blanks, each as its pairs, and whether it says little.

    Single letters between words are taken together: 到账 is no word to the dictionary.
    """
    for word in _joined(segment(text)) if len(text) > 2 and _HAN.fullmatch(text) else [text]:
        if len(word) == 1:
            yield (word,), word in PARTICLES
        else:
            yield from (((word[i : i + 2],), False) for i in range(len(word) - 1))


def _joined(words: list[str]) -> list[str]:
    found: list[str] = []
    open_run = False
    for word in words:
        single = len(word) == 1 and word not in PARTICLES
        if single and open_run:
            found[-1] += word
        else:
            found.append(word)
        open_run = single
    return found


def _plain_number(text: str) -> str:
    """1,500.50 as 1500.5."""
    whole, _, fraction = text.replace(",", "").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _code(piece: Piece) -> str | None:
    text = piece.text[:_MOST]
    if piece.kind == "mail":
        return text
    if piece.kind == "word" and (_is_id(text) or (text.isdecimal() and len(text) >= _SHORTEST)):
        return text[2:] if _HEX.fullmatch(text) else text
    return None


def _codes_asked(piece: Piece) -> Iterator[str]:
    if (code := _code(piece)) is not None:
        yield code
    digits = piece.text.lstrip("#")
    if piece.kind in ("ticket", "word") and digits.isdecimal() and digits.isascii() and len(digits) <= 12:
        yield number_token(int(digits))
