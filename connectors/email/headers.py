"""Header fields: unfolded, decoded once, and taken apart (RFC 5322, 2047, 2231, 6532).

Raw values are bytes. Everything here is linear in the length of a value and never raises: what cannot be understood is
shown as it stands.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from connectors.email import charsets

MAX_VALUE = 64_000
"""Bytes of one header value that are looked at; nobody writes 64 kB of recipients by hand."""
MAX_ADDRESSES = 500
MAX_IDS = 200

_WORD = re.compile(r"=\?([^?\s=]{1,40})\?([bBqQ])\?([^?]*(?:\?(?!=)[^?]*)*)\?=")
_FOLD = re.compile(rb"\r?\n[ \t]*|\r|\n")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]")
_HEX = re.compile(r"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|\s+|[()<>,;:]|[^\s"()<>,;:]+', re.DOTALL)
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
_ID = re.compile(r"<\s*([^<>\s]{1,800}(?:\s[^<>\s@]{0,200}@[^<>\s]{1,200})?)\s*>")
_BARE_ID = re.compile(r"[^<>\s\",;]{1,400}@[^<>\s\",;]{1,400}")
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


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address of a list. `address` is empty where only a name was written; `group` where it stood in a group."""

    name: str
    address: str
    group: str = ""


class Headers:
    """The fields of one message or part, in order, names in lower case, values raw."""

    __slots__ = ("_first", "fields")

    def __init__(self, fields: Sequence[tuple[str, bytes]] = ()) -> None:
        self.fields = fields
        self._first: dict[str, bytes] = {}
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
        raw = self._first.get(name)
        return decoded(raw) if raw else ""

    def plain(self, name: str) -> str:
        """The first such field, unfolded, encoded words left alone: for structured values."""
        raw = self._first.get(name)
        return unfolded(raw) if raw else ""

    def addresses(self, name: str) -> list[Mailbox]:
        """The mailboxes of all fields of that name."""
        found: list[Mailbox] = []
        for value in self.every(name):
            found.extend(addresses(unfolded(value)))
        return found[:MAX_ADDRESSES]


def unfolded(raw: bytes) -> str:
    """One line. Bytes beyond ASCII become surrogates, so that `decode_words` can still tell them from characters."""
    raw = raw[:MAX_VALUE]
    if b"\n" in raw or b"\r" in raw:
        raw = _FOLD.sub(b" ", raw)
    return raw.decode("ascii", "surrogateescape").strip()


def decoded(raw: bytes) -> str:
    """Unstructured text (a subject): unfolded, encoded words decoded once, no control characters."""
    return decode_words(unfolded(raw))


def decode_words(value: str) -> str:
    """RFC 2047, as it is written in the wild: words inside quotes and glued to text are decoded too.

    Neighbouring words of one charset are joined as bytes before they are decoded, since programs cut characters in two.
    """
    if "=?" not in value:
        return _clean(_eight_bit(value))
    out: list[str] = []
    pending: list[bytes] = []
    charset = ""
    at = 0
    for match in _WORD.finditer(value):
        between = value[at : match.start()]
        label = match[1].partition("*")[0].lower()
        if pending and (between.strip() or label != charset):
            out.append(charsets.decode(b"".join(pending), charset)[0])
            pending.clear()
        if between.strip() or (between and not at):
            out.append(_eight_bit(between))
        charset = label
        pending.append(_word_bytes(match[2], match[3]))
        at = match.end()
    if pending:
        out.append(charsets.decode(b"".join(pending), charset)[0])
    out.append(_eight_bit(value[at:]))
    return _clean("".join(out))


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text) if not text.isprintable() else text


def _eight_bit(text: str) -> str:
    """Raw bytes that stood in a header: UTF-8 by RFC 6532, else whatever they look like."""
    if text.isascii():
        return text
    return charsets.decode(text.encode("ascii", "surrogateescape"), "utf-8")[0]


def _word_bytes(encoding: str, text: str) -> bytes:
    if encoding in "bB":
        text = _NOT_BASE64.sub("", text)
        if len(text) % 4 == 1:
            text = text[:-1]
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    raw = text.replace("_", " ").encode("ascii", "surrogateescape")
    return binascii.a2b_qp(raw) if b"=" in raw else raw


def addresses(value: str) -> list[Mailbox]:
    """The mailboxes of an address list (RFC 5322 section 3.4, obsolete forms and common slips included).

    `value` is unfolded, not decoded: a comma inside an encoded word separates nothing.
    """
    found: list[Mailbox] = []
    phrase: list[str] = []
    comments: list[str] = []
    angle: list[str] | None = None
    address = ""
    group = ""
    tokens = _tokens(value)
    for token in tokens:
        if len(found) >= MAX_ADDRESSES:
            break
        if token.startswith("("):
            comments.append(token[1:].removesuffix(")"))
        elif token == "<":
            if address:
                found.append(_mailbox(phrase, comments, address, group))
                phrase, comments, address = [], [], ""
            angle = []
        elif token == ">":
            if angle is not None:
                address = _route_free("".join(angle))
                angle = None
        elif angle is not None and not (token in ",;" and "@" in "".join(angle[-3:])):
            if not token.isspace():
                angle.append(token)
        elif token in ",;":
            if angle is not None:
                address, angle = _route_free("".join(angle)), None
            if address or phrase or comments:
                found.append(_mailbox(phrase, comments, address, group))
            phrase, comments, address = [], [], ""
            if token == ";":
                group = ""
        elif token == ":" and not address and not any("@" in each for each in phrase):
            group = _name(phrase) or " "
            phrase = []
        else:
            phrase.append(token)
    if angle:
        address = _route_free("".join(angle))
    if address or phrase or comments:
        found.append(_mailbox(phrase, comments, address, group))
    return [each for each in found if each.name or each.address]


def _tokens(value: str) -> Iterator[str]:
    """Tokens, a comment as one token however deeply nested."""
    at, end = 0, len(value)
    while at < end:
        match = _TOKEN.match(value, at)
        if match is None:  # pragma: no cover - the classes of the expression cover every character
            return
        if match[0] != "(":
            yield match[0]
            at = match.end()
            continue
        depth, stop = 0, end
        for mark in _PARENTHESIS.finditer(value, at):
            depth += {"(": 1, ")": -1}.get(mark[0], 0)
            if not depth:
                stop = mark.end()
                break
        yield value[at:stop]
        at = stop


def _mailbox(phrase: list[str], comments: list[str], address: str, group: str) -> Mailbox:
    if not address:
        # "a@b", "a @ b", "joe@b (Joe)", and a list whose commas were forgotten all arrive here as one phrase.
        words = [each for each in phrase if not each.isspace()]
        spread = [each for each in words if "@" in each]
        if len(spread) == 1 and len(words) == 1:
            address, phrase = words[0], []
        elif len(spread) == 1 and spread[0] == "@":
            address, phrase = "".join(words), []
        elif spread:
            longest = max(spread, key=len)
            address = longest
            phrase = [each for each in phrase if each is not longest]
        elif not phrase:
            return Mailbox(decode_words(" ".join(comments)), "", group)
    name = _name(phrase) or decode_words(" ".join(comments)).strip()
    return Mailbox(name, _eight_bit(address.strip("'\"" if address.startswith("'") else "")), group)


def _route_free(address: str) -> str:
    """The address without the source route of RFC 822 (`@a,@b:joe@c`)."""
    return address.rpartition(":")[2] if address.startswith("@") else address


def _name(phrase: list[str]) -> str:
    words = []
    for each in phrase:
        if each.startswith('"'):
            each = _ESCAPED.sub(r"\1", each[1:].removesuffix('"')) if "\\" in each else each.strip('"')
        words.append(" " if each.isspace() else each)
    name = decode_words("".join(words).strip()).strip()
    if len(name) > 1 and name[0] == name[-1] == "'":
        name = name[1:-1]
    return name


def handle(address: str) -> str:
    """What identifies a mailbox: the address, its domain in lower case and readable (`xn--` labels as Unicode).

    Both spellings of an internationalised domain are one mailbox, so they become one handle. A label whose Unicode form
    holds anything but letters, marks, digits and hyphens stays as it is.
    """
    local, at, domain = address.strip().rpartition("@")
    if not at:
        return address.strip()
    domain = domain.strip(" .").lower()
    if "xn--" in domain:
        domain = ".".join(_readable(label) for label in domain.split("."))
    return f"{local}@{domain}"


def _readable(label: str) -> str:
    if not label.startswith("xn--") or len(label) > 63:
        return label
    try:
        text = label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError):
        return label
    fits = text.lower() == text and all(each.isalnum() or each == "-" or each.isidentifier() for each in text)
    return text if fits and text and not text.isascii() else label


def message_ids(value: str) -> list[str]:
    """Message-IDs without their angle brackets, in order; bare ones where a program forgot the brackets."""
    found = [match[1].replace(" ", "") for match in _ID.finditer(value)]
    if not found and "@" in value:
        found = _BARE_ID.findall(value)
    return [_eight_bit(each) for each in found[:MAX_IDS]]


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
    charset, data = "", []
    for number in sorted(sections):
        text, encoded = sections[number]
        if encoded and not data and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        raw = text.encode("utf-8", "surrogateescape")
        data.append(_unquoted(raw) if encoded else raw)
    whole = b"".join(data)
    if not charset and b"=?" in whole:
        return decode_words(whole.decode("utf-8", "replace"))
    return _clean(charsets.decode(whole, charset or "utf-8")[0])


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
