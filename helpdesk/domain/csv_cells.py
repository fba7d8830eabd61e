"""Lines of CSV that a spreadsheet shows and does not run.

A spreadsheet takes a cell for a formula by how it begins, and some throw away what is before that: white space, marks
that nobody sees, a quotation mark. So a text whose first character of any weight could begin one gets an apostrophe in
front, by which spreadsheets know a text; so does one that begins with a control character. Numbers and times that we
made ourselves are left alone: a negative number is to be added up.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final

BOM: Final = "\ufeff"
"""In front of everything: without it, Excel does not take a file for UTF-8."""

_BEGINS: Final = frozenset("=+-@|")
"""What a formula, or a command of old, begins with, whatever its width."""

_DASHES: Final = frozenset("\u2010\u2011\u2012\u2013\u2014\u2212")
"""What is typed for a minus, and read as one."""

_NO_WEIGHT: Final = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))
_QUOTED: Final = frozenset(',"\r\n\t;')


def line(values: Iterable[object]) -> str:
    """One line as RFC 4180 has it, with its end."""
    return ",".join(_quoted(cell(value)) for value in values) + "\r\n"


def cell(value: object) -> str:
    """What is shown for a value: nothing for None, RFC 3339 for times; texts such that they stay texts."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return harmless(str(value))


def harmless(text: str) -> str:
    """The text, behind an apostrophe where it could be taken for a formula. NUL, which ends files, is left out."""
    text = text.replace("\x00", "")
    return f"'{text}" if text and _could_run(text) else text


def _could_run(text: str) -> bool:
    if unicodedata.category(text[0]) == "Cc":
        return True
    for char in text:
        if char not in "'\"" and unicodedata.category(char) not in _NO_WEIGHT:
            return unicodedata.normalize("NFKC", char)[0] in _BEGINS or char in _DASHES
    return False


def _quoted(text: str) -> str:
    if text and (not _QUOTED.isdisjoint(text) or text[0] == " " or text[-1] == " "):
        return '"' + text.replace('"', '""') + '"'
    return text
