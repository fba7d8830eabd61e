"""Header fields: kept raw, and taken apart when asked for (RFC 5322, 2045, 2231).

Everything here is linear in the length of a value and never raises: what cannot be understood is shown as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from connectors.email import charsets
from connectors.email.addresses import MAX_ADDRESSES, Mailbox, addresses
from connectors.email.words import clean, decode_words, eight_bit, unfolded

MAX_ID = 1_000
MAX_IDS = 200

_ID_END = re.compile(r"[\s,;\">]+")
_PARAMETER = re.compile(r'([A-Za-z0-9_.!#$%&+^`{|}~*-]{1,80})\s*=\s*("[^"\\]*(?:\\.[^"\\]*)*"?|[^;]*)', re.DOTALL)
_TYPE = re.compile(r"\s*([A-Za-z0-9!#$&^_.+-]{1,100})\s*/\s*([A-Za-z0-9!#$&^_.+-]{1,100})")
_SECTION = re.compile(r"(.+?)\*(\d{1,3})(\*?)\Z")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_DATE = re.compile(
    r"(\d{1,2})[\s-]{1,3}([A-Za-z]{3})[a-z]{0,6}\.?[\s-]{1,3}(\d{2,4}),?\s{1,3}(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?"
    r"(?:\.\d{1,9})?\s{0,3}(?:([+-]\d{4})|\(?([A-Za-z]{1,5}))?"
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONES: Final = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "JST": 9}


class Headers:
    """The fields of a message or part, in order, names in lower case, values raw. What was read is remembered."""

    __slots__ = ("_boxes", "_first", "_plain", "fields")

    def __init__(self, fields: Sequence[tuple[str, bytes]] = ()) -> None:
        self.fields = fields
        self._first: dict[str, bytes] = {}
        self._plain: dict[str, str] = {}
        self._boxes: dict[str, list[Mailbox]] = {}
        for name, value in fields:
            self._first.setdefault(name, value)

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def raw(self, name: str) -> bytes:
        return self._first.get(name, b"")

    def every(self, name: str) -> list[bytes]:
        return [value for each, value in self.fields if each == name] if name in self._first else []

    def text(self, name: str) -> str:
        """The first such field, unfolded and decoded, without control characters."""
        return decode_words(self.plain(name)) if name in self._first else ""

    def plain(self, name: str) -> str:
        """The first such field, unfolded, encoded words left alone: for structured values."""
        if name not in self._first:
            return ""
        found = self._plain.get(name)
        if found is None:
            found = self._plain[name] = unfolded(self._first[name])
        return found

    def addresses(self, name: str) -> list[Mailbox]:
        """The mailboxes of all fields of that name."""
        if name not in self._first:
            return []
        found = self._boxes.get(name)
        if found is None:
            found = []
            for value in self.every(name):
                found.extend(addresses(unfolded(value)))
            self._boxes[name] = found = found[:MAX_ADDRESSES]
        return found


def message_ids(value: str) -> list[str]:
    """Message-IDs without their angle brackets, in order; bare ones where a program forgot the brackets."""
    if "<" in value:
        pieces = ["".join(piece.partition(">")[0].split()) for piece in value.split("<")[1:] if ">" in piece[:MAX_ID]]
    else:
        pieces = [piece for piece in _ID_END.split(value) if "@" in piece]
    return [eight_bit(piece) for piece in pieces if 0 < len(piece) < MAX_ID][:MAX_IDS]


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """The value before the first `;` in lower case, and the parameters with RFC 2231 put together and decoded."""
    main, _, rest = value.partition(";")
    kind = _TYPE.match(main)
    if kind is not None:
        # A forgotten semicolon is common enough: what follows the type on its own may still be a parameter.
        rest = main[kind.end() :] + ";" + rest
        main = f"{kind[1]}/{kind[2]}"
    if "=" not in rest:
        return main.strip().lower(), {}
    plain: dict[str, str] = {}
    split: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(rest[:16_000]):
        name, given = match[1].lower(), match[2].strip()
        if given.startswith('"'):
            given = given[1:].removesuffix('"')
            given = _ESCAPED.sub(r"\1", given) if "\\" in given else given
        elif name not in ("name", "filename"):
            given = given.split()[0] if given else ""
        section = _SECTION.match(name)
        if section is not None:
            split.setdefault(section[1], {})[int(section[2])] = (given, bool(section[3]))
        elif name.endswith("*"):
            split.setdefault(name[:-1], {})[0] = (given, True)
        else:
            plain.setdefault(name, given)
    for name, given in plain.items():
        if not given.isascii() or "=?" in given:
            plain[name] = decode_words(given)
    for name, sections in split.items():
        plain[name] = _extended(sections)
    return main.strip().lower(), plain


def _extended(sections: Mapping[int, tuple[str, bool]]) -> str:
    """RFC 2231 sections 3 and 4: numbered pieces, percent-encoded with the charset named in the first."""
    charset = ""
    data: list[bytes] = []
    for number in sorted(sections):
        text, encoded = sections[number]
        if encoded and not data and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        raw = text.encode("utf-8", "surrogateescape")
        data.append(_unquoted(raw) if encoded else raw)
    whole = b"".join(data)
    if not charset and b"=?" in whole:
        return decode_words(whole.decode("utf-8", "replace"))
    return clean(charsets.decode(whole, charset or "utf-8")[0])


def _unquoted(raw: bytes) -> bytes:
    first, *rest = raw.split(b"%")
    out = [first]
    for piece in rest:
        try:
            out.append(bytes((int(piece[:2], 16),)) + piece[2:])
        except ValueError:
            out.append(b"%" + piece)
    return b"".join(out)


def parse_date(value: str) -> datetime | None:
    """The date of a `Date` field with its offset, or None. Two-digit years and named zones as RFC 5322 section 4.3."""
    match = _DATE.search(value[:200])
    if match is None or match[2].lower() not in _MONTHS:
        return None
    year = int(match[3])
    year += 0 if year > 999 else 2000 if year < 50 else 1900
    offset = match[7]
    zone: timezone = UTC
    if offset:
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes)) if minutes < 1440 else UTC
    elif match[8]:
        zone = timezone(timedelta(hours=_ZONES.get(match[8].upper(), 0)))
    try:
        return datetime(
            year, _MONTHS.index(match[2].lower()) + 1, int(match[1]), int(match[4]), int(match[5]),
            min(int(match[6] or 0), 59), tzinfo=zone,
        )  # fmt: skip
    except ValueError:
        return None
