"""Address lists (RFC 5322 section 3.4), as RFCs and mail programs write them. Linear, and never raises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.email.words import decode_words, eight_bit

MAX_ADDRESSES = 500

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|\s+|[()<>,;:]|[^\s"()<>,;:]+', re.DOTALL)
_SIMPLE = re.compile(
    r'(?:"([^"\\<>]{0,200})"\s?|([^"\\<>(),;:@\s][^"\\<>(),;:@]{0,200}))?<([^\s"\\<>(),;:@]{1,200}@[^\s"\\<>(),;:@]{1,255})>'
)
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address of a list. `address` is empty where only a name was written; `group` where it stood in a group."""

    name: str
    address: str
    group: str = ""


def addresses(value: str) -> list[Mailbox]:
    """The mailboxes of an address list (RFC 5322 section 3.4, obsolete forms and common slips included).

    `value` is unfolded, not decoded: a comma inside an encoded word separates nothing.
    """
    simple = _SIMPLE.fullmatch(value)
    if simple is not None:
        return [Mailbox(_unquoted(decode_words((simple[1] or simple[2] or "").strip())), eight_bit(simple[3]))]
    reader = _ListReader()
    for piece in _tokens(value):
        if len(reader.found) >= MAX_ADDRESSES:
            break
        reader.take(piece)
    return reader.finished()


class _ListReader:
    """Takes the pieces of an address list one by one."""

    __slots__ = ("address", "angle", "comments", "found", "group", "phrase")

    def __init__(self) -> None:
        self.found: list[Mailbox] = []
        self.phrase: list[str] = []
        self.comments: list[str] = []
        self.angle: list[str] | None = None  # what stands between < and >, None outside of them
        self.address = ""
        self.group = ""

    def take(self, piece: str) -> None:
        if piece.startswith("("):
            self.comments.append(piece[1:].removesuffix(")"))
        elif piece == "<":
            if self.address:
                self._end()
            self.angle = []
        elif piece == ">":
            self._close()
        elif piece in (",", ";"):
            # Inside of < > a comma separates the hops of a source route, unless an address came before it.
            if self.angle is not None and not any("@" in each and not each.startswith("@") for each in self.angle):
                self.angle.clear()
                return
            self._close()
            self._end()
            if piece == ";":
                self.group = ""
        elif self.angle is not None:
            if not piece.isspace():
                self.angle.append(piece)
        elif piece == ":" and not self.address and not any("@" in each for each in self.phrase):
            self.group = _name(self.phrase) or " "
            self.phrase = []
        else:
            self.phrase.append(piece)

    def _close(self) -> None:
        if self.angle is not None:
            # The source route of RFC 822 (`<@a,@b:joe@c>`) leads up to a colon.
            self.address = "".join(self.angle).rpartition(":")[2]
            self.angle = None

    def _end(self) -> None:
        if self.address or self.phrase or self.comments:
            box = _mailbox(self.phrase, self.comments, self.address, self.group)
            if box.name or box.address:
                self.found.append(box)
        self.phrase, self.comments, self.address = [], [], ""

    def finished(self) -> list[Mailbox]:
        self._close()
        self._end()
        return self.found


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
        # `a@b`, `a @ b`, `joe@b (Joe)`, and a list whose commas were forgotten all arrive here as one phrase.
        words = [each for each in phrase if not each.isspace()]
        spread = [each for each in words if "@" in each and not each.startswith('"')]
        if len(spread) == 1 and (len(words) == 1 or spread[0] == "@" or words[-1].startswith("@")):
            address, phrase = "".join(words), []
        elif spread:
            longest = max(spread, key=len)
            address = longest
            phrase = [each for each in phrase if each is not longest]
        elif not phrase:
            return Mailbox(decode_words(" ".join(comments)), "", group)
    name = _name(phrase) or decode_words(" ".join(comments)).strip()
    return Mailbox(name, eight_bit(address.strip("'\"" if address.startswith("'") else "")), group)


def _name(phrase: list[str]) -> str:
    words = []
    for each in phrase:
        if each.startswith('"'):
            each = _ESCAPED.sub(r"\1", each[1:].removesuffix('"')) if "\\" in each else each.strip('"')
        words.append(" " if each.isspace() else each)
    return _unquoted(decode_words("".join(words).strip()).strip())


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == "'" else name


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
