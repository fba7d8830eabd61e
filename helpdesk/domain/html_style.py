"""Inline styles: a list of properties, a small grammar for values, and no way out of the message's own flow."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# No `position`, `z-index`, `transform`, `float`, negative margins or `content`: nothing that lays one thing over
# another. No `display`, `visibility` or `opacity`: what is in the mail is seen, newsletters' hidden preview lines
# included. That costs some layouts their columns, which is accepted: what is read must be what was sent.
_SIDES: Final = ("", "-top", "-right", "-bottom", "-left")
_PROPERTIES: Final = frozenset(
    {"background", "background-color", "color", "direction", "font", "font-family", "font-size", "font-style"}
    | {"font-variant", "font-weight", "height", "letter-spacing", "line-height", "list-style", "list-style-type"}
    | {"max-width", "min-height", "min-width", "overflow-wrap", "text-align", "text-decoration", "text-indent"}
    | {"text-transform", "vertical-align", "white-space", "width", "word-break", "word-spacing", "word-wrap"}
    | {"border-collapse", "border-radius", "border-spacing", "box-sizing"}
    | {f"{name}{side}" for name in ("margin", "padding", "border") for side in _SIDES}
    | {f"border{side}-{part}" for side in _SIDES for part in ("color", "style", "width")}
)

# Words, numbers with units, colours, commas and slashes. No backslash, at-sign, comment or brace can be written with
# these, and a parenthesis only after the name of a colour function. Quotes only around a font's name.
_WORD = r"-?[^\W\d][\w-]*|!important"
_AMOUNT = r"[+-]?(?:[0-9]{1,5}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})(?:%|[a-z]{2,4})?"
_COLOUR = r"#[0-9a-f]{3,8}|(?:rgb|hsl)a?\([0-9.,%/ adeg-]{1,60}\)"
_QUOTED = r"\"[\w .,-]{1,80}\"|'[\w .,-]{1,80}'"
# Atomic, and spaces are single by then: a value that fails fails at once.
_TERM = rf"(?>{_COLOUR}|{_QUOTED}|{_AMOUNT}|{_WORD})"
_VALUE = re.compile(rf"{_TERM}(?:(?: ?[,/] ?| ){_TERM})*+", re.IGNORECASE)
_NUMBER = re.compile(rf"(?<![\w#.(,-])({_AMOUNT.removesuffix('(?:%|[a-z]{2,4})?')})(%|[a-z]*)", re.IGNORECASE)

# Roughly, at 14 pixels a letter: the bounds below are not meant to be exact.
_PIXELS: Final = {"px": 1.0, "pt": 1.34, "pc": 16.0, "em": 14.0, "rem": 14.0, "ex": 7.0, "ch": 7.0, "in": 96.0}
_METRIC: Final = {"cm": 37.8, "mm": 3.78, "q": 0.945, "vw": 10.0, "vh": 10.0, "vmin": 10.0, "vmax": 10.0}
_UNITS: Final = _PIXELS | _METRIC
_LETTERS: Final = (5.0, 96.0)
_LINES: Final = (5.0, 200.0)
_INDENT: Final = (-50.0, 300.0)
_LENGTHS: Final = (0.0, 2000.0)
_MAX_CHARS: Final = 2000


@lru_cache(maxsize=2048)
def safe_style(text: str, *, fixed_height: bool = False) -> str | None:
    """The declarations that may stay, or None when there are none. `fixed_height`: whether `height` may.

    Splitting at every semicolon ignores quotes and parentheses on purpose: a piece cut out of the middle of either
    does not match the grammar, and a piece that does match means the same wherever it stands.
    """
    kept = []
    for piece in text[:_MAX_CHARS].split(";"):
        name, _, value = piece.partition(":")
        name, value = name.strip().lower(), " ".join(value.split())
        if name not in _PROPERTIES or (name == "height" and not fixed_height):
            continue
        if len(value) <= 200 and _VALUE.fullmatch(value) and _bounded(name, value):
            kept.append(f"{name}:{value}")
    return ";".join(kept) or None


def _bounded(name: str, value: str) -> bool:
    """Whether all sizes are those of something meant to be read: no vanishing, overlapping or giant letters."""
    for number, unit in _NUMBER.findall(value):
        amount = float(number)
        if name in ("font-size", "line-height"):
            scale = _UNITS.get(unit.lower(), 0.14 if unit == "%" else 14.0)
            low, high = _LETTERS if name == "font-size" else _LINES
        elif name == "font":
            scale = _UNITS.get(unit.lower(), 0.14 if unit == "%" else 0.0)
            # Weights and line heights have no unit here; a line height below one letter would overlap.
            low, high = _LETTERS if scale else (0.0, 0.0)
            if not scale and not (0.8 <= amount <= 5 or 100 <= amount <= 900):
                return False
        else:
            scale = _UNITS.get(unit.lower(), 1.0)
            low, high = _INDENT if name == "text-indent" else _LENGTHS
        if not low <= amount * scale <= high:
            return False
    return True
