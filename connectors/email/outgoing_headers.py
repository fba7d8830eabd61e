"""Header lines that carry exactly what was meant: cleaned, encoded, folded, and read back before they are used.

Every value that someone else may have chosen passes `one_line` or `addr_spec`. Cleaning drops what could end a line or
turn the reading direction; `=?` is taken apart, since a receiver (and Python's own parser, 3.11.7) would decode
`=?utf-8?q?a=0D=0ABcc:...?=` into a second header. `verify` parses the finished block again and compares.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Sequence
from email.errors import MultipartInvariantViolationDefect
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from urllib.parse import quote

import idna

from helpdesk.channels import Address, PermanentFailure

LINE = 76
LINE_MAX = 998  # RFC 5322 section 2.1.1, without CRLF
NAME_LENGTH = 120
SUBJECT_LENGTH = 500

_ENCODED_WORD_BYTES = 45  # gives 60 characters of base64: 72 with `=?utf-8?b?` and `?=`, of the 75 that RFC 2047 allows
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# Dots anywhere: RFC 5321 wants quotes around `a..b.`, and a large Japanese provider gave such addresses out without.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\u0080-\U0010ffff]+")
_DOMAIN = re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}))*")
_SPACES = re.compile(r"\s+")
_JOINERS = {"\u200c", "\u200d"}  # emoji and Indic scripts need them
# No `@` is asked for: there are programs that do without. A digest that stands in for a missing id is none, though.
_MESSAGE_ID = re.compile(r"<?((?!sha256-[0-9a-f]{64}>?$)(?!.*=\?)[^\x00-\x20\x7f-\U0010ffff<>\"\\()]{1,500})>?")

Header = tuple[str, str]
"""A name, and a value that is encoded and folded already."""


class BadAddress(ValueError):
    """Not one plain address."""


def one_line(value: str, limit: int) -> str:
    """Text fit for one line: no controls, no line or paragraph separators, no bidi marks, no encoded words."""
    text = "".join(_kept(character) for character in value)
    text = _SPACES.sub(" ", text.replace("=?", "= ?")).strip()
    return text[:limit].rstrip()


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Zl", "Zp"} or character in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85":
        return " "
    # Not Cn: an emoji that this Python's Unicode tables do not know yet is still an emoji.
    if category in {"Cc", "Cf", "Cs"} and character not in _JOINERS:
        return ""
    return character


def addr_spec(handle: str) -> str:
    """One address as it may stand in a header and in the envelope; an international domain in its ASCII form.

    Raises BadAddress rather than repairing: what is left of a hostile address after cleaning is somebody's address.
    """
    local, at, domain = handle.rpartition("@")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise BadAddress from None
    wild = any(unicodedata.category(character)[0] in "CZ" for character in local)
    if not at or wild or len(local.encode("utf-8", "replace")) > 64:
        raise BadAddress
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise BadAddress
    return f"{local}@{domain.lower()}"


def message_id(external_id: str) -> str:
    """`<id>` for a Message-ID with or without its angle brackets; empty for what is none (a digest that stands in)."""
    found = _MESSAGE_ID.fullmatch(external_id.strip())
    return f"<{found[1]}>" if found else ""


def text(name: str, value: str) -> Header:
    """A header of free text, such as Subject. `value` has been through `one_line`."""
    words = value.split(" ") if value.isascii() else encoded_words(value)
    return name, fold(name, words)


def addresses(name: str, people: Sequence[Address]) -> Header:
    """To, Cc, From ...: handles are `addr_spec`s."""
    words: list[str] = []
    for number, person in enumerate(people, start=1):
        comma = "," if number < len(people) else ""
        shown = phrase(person.name)
        words += [*shown, f"<{person.handle}>{comma}"] if shown else [person.handle + comma]
    return name, fold(name, words)


def phrase(name: str) -> list[str]:
    """A display name in pieces that may be folded apart."""
    value = one_line(name, NAME_LENGTH)
    if not value:
        return []
    if not value.isascii():
        return encoded_words(value)
    if _ATOM.fullmatch(value):
        return value.split(" ")
    return ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"']


def encoded_words(value: str) -> list[str]:
    """RFC 2047, in base64. No character is cut in two; white space between two of them is not part of the text."""
    pieces: list[bytes] = []
    current = b""
    for character in value:
        more = character.encode("utf-8")
        if len(current) + len(more) > _ENCODED_WORD_BYTES:
            pieces.append(current)
            current = b""
        current += more
    pieces.append(current)
    return [f"=?utf-8?b?{base64.b64encode(piece).decode()}?=" for piece in pieces]


def fold(name: str, words: Iterable[str]) -> str:
    """Words joined by single spaces, in lines of at most 76 characters where the words allow it."""
    lines: list[str] = []
    line, room = "", LINE - len(name) - 2
    for word in words:
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line, room = word, LINE - 1
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


def structured(name: str, value: str, parameters: Sequence[tuple[str, str]] = ()) -> Header:
    """Content-Type and Content-Disposition: a token with parameters (RFC 2045, RFC 2231)."""
    words = [piece for key, given in parameters for piece in _parameter(key, given)]
    pieces = [value, *words]
    return name, fold(name, [f"{piece};" for piece in pieces[:-1]] + pieces[-1:])


def _parameter(key: str, value: str) -> list[str]:
    if value.isascii() and len(value) <= 60:
        if re.fullmatch(r"[A-Za-z0-9!#$&+.^_`{|}~-]+", value):
            return [f"{key}={value}"]
        return [f'{key}="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"']
    coded = [quote(character, safe="!#$&+-.^_`{|}~") for character in value]
    pieces = [""]
    for one in coded:
        if len(pieces[-1]) + len(one) > 55:
            pieces.append("")
        pieces[-1] += one
    if len(pieces) == 1:
        return [f"{key}*=utf-8''{pieces[0]}"]
    return [f"{key}*{n}*=" + ("utf-8''" if n == 0 else "") + piece for n, piece in enumerate(pieces)]


def block(headers: Sequence[Header]) -> bytes:
    """The header lines, without the empty line. Raises PermanentFailure when they would be read as anything else."""
    data = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers)
    verify(data, [name for name, _ in headers])
    return data


def verify(data: bytes, names: Sequence[str]) -> None:
    """Hold a header block against the names that it should have, in order. Raises PermanentFailure."""
    lines = data.removesuffix(b"\r\n").split(b"\r\n")
    if any(len(line) > LINE_MAX or re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line) for line in lines):
        raise PermanentFailure("A header line of this message could not be written")
    starts = [line for line in lines if not line.startswith(b" ")]
    parsed = BytesHeaderParser().parsebytes(data + b"\r\n")
    found = [name.lower() for name in parsed]
    wanted = [name.lower() for name in names]
    # Python 3.11.2, which is Debian 12's, misses the parts of a multipart here, though only the header was asked for.
    defects = [each for each in parsed.defects if not isinstance(each, MultipartInvariantViolationDefect)]
    if found != wanted or len(starts) != len(wanted) or defects or parsed.get_payload():
        raise PermanentFailure("The headers of this message would be read differently than they are meant")


def verify_addresses(header: Header, people: Sequence[Address]) -> None:
    """Hold an address header against the people it should name. Raises PermanentFailure."""
    found = [handle for _, handle in getaddresses([header[1].replace("\r\n ", " ")])]
    if found != [person.handle for person in people]:
        raise PermanentFailure("The addresses of this message would be read differently than they are meant")
