"""The part of a text that shows why it was found, as data: what was found is marked, and nothing is HTML."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from helpdesk.domain.search_folding import fold, places
from helpdesk.domain.search_terms import MAX_TEXT, Piece, Terms, beginnings_in, pieces, tokens_in

LENGTH: Final = 200
"""Letters of a snippet, without the marks where it is cut."""

_BEFORE: Final = 40
_CUT: Final = "…"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text; `hit` says that it was asked for."""

    text: str
    hit: bool


def marked(text: str, terms: Terms, *, length: int = LENGTH) -> list[Part]:
    """`text`, or the part of it of `length` letters with most of what was asked for, the first of equals.

    White space is one blank each; control characters are gone.
    """
    text = _plain(text[:MAX_TEXT])
    hits = _hits(text, terms)
    start, end = _window(text, hits, length)
    parts = [Part(_CUT, hit=False)] if start else []
    at = start
    for first, last, _ in hits:
        first, last = max(first, at), min(last, end)
        if first >= last:
            continue
        if first > at:
            parts.append(Part(text[at:first], hit=False))
        parts.append(Part(text[first:last], hit=True))
        at = last
    if at < end:
        parts.append(Part(text[at:end], hit=False))
    return parts + ([Part(_CUT, hit=False)] if end < len(text) else [])


def _plain(text: str) -> str:
    kept = "".join(c if unicodedata.category(c) not in ("Cc", "Cf") else " " if c.isspace() else "" for c in text)
    return " ".join(kept.split())


def _hits(text: str, terms: Terms) -> list[tuple[int, int, str]]:
    """Where something is that was asked for, in order and with something between them, with what it is."""
    wanted, folded = terms.tokens, fold(text)
    origin = range(len(text) + 1) if len(folded) == len(text) else places(text)
    spans = sorted(
        (origin[start], origin[end], token)
        for piece in pieces(folded)
        for start, end, token in _found(piece, wanted)
        if start < end
    )
    apart: list[tuple[int, int, str]] = []
    for start, end, token in spans:
        if apart and start <= apart[-1][1]:
            first, last, known = apart[-1]
            apart[-1] = (first, max(last, end), known)
        else:
            apart.append((start, end, token))
    return apart


def _found(piece: Piece, wanted: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    if piece.kind == "close":
        for size in (1, 2):
            for index in range(len(piece.text) - size + 1):
                token = piece.text[index : index + size]
                if token in wanted:
                    yield piece.start + index, piece.start + index + size, token
        return
    for token in (*tokens_in(piece), *beginnings_in(piece, wanted)):
        if token in wanted:
            yield piece.start, piece.end, token
            return


def _window(text: str, hits: Sequence[tuple[int, int, str]], length: int) -> tuple[int, int]:
    """Where the snippet begins and ends: around the hit after which the most different ones follow."""
    if len(text) <= length:
        return 0, len(text)
    starts = [start for start, *_ in hits]
    best, most = 0, 0
    for index, start in enumerate(starts[:200]):
        inside = hits[index : bisect_left(starts, start + length - _BEFORE)]
        if len({token for *_, token in inside[:50]}) > most:
            best, most = start, len({token for *_, token in inside[:50]})
    start = max(0, min(best - _BEFORE, len(text) - length))
    if start and (blank := text.find(" ", start, best)) >= 0:
        start = blank + 1
    return start, min(len(text), start + length)
