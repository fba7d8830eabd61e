"""Mail out of files, one at a time: mbox in its dialects, and Maildir with its folders.

There are four dialects of mbox and none says which it is. A mail begins with a `From ` line that holds a date, behind
an empty line or where a Content-Length has led; a Content-Length is believed where it leads to such a line or to the
end. `>From ` loses a mark, however many it has (mboxrd, and mboxo as far as that can be undone), unless a line of the
same mail begins with a bare `From `, which shows that nobody has marked any (mboxcl2).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Final

from helpdesk.errors import Invalid

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one mail. What is larger is named and passed over: it is held in memory whole."""

LEFT_OUT: Final = frozenset(
    ("drafts", "trash", "junk", "spam", "sent", "templates", "outbox", "sent items", "sent messages", "deleted items")
)
"""Folders of a Maildir that are read when they are named, and not otherwise. Case does not count."""

_LINE: Final = 64 * 1024
_PEEK: Final = 1024
"""That are looked at for a From line: looking takes the square of it, and a mail may hold any line."""
_DAY: Final = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_BEGINS: Final = re.compile(
    rb"From (?:.* )?" + _DAY + rb",? +(?:\d{1,2} +)?(?:" + b"|".join(_MONTHS) + rb")\b.*\d:\d\d"
)
_MONTH: Final = re.compile(rb"\b(?:(\d{1,2}) +)?(" + b"|".join(_MONTHS) + rb")(?: +(\d{1,2}))?\b")
_TIME: Final = re.compile(rb"\b(\d{1,2}):(\d\d)(?::(\d\d))?\b")
_YEAR: Final = re.compile(rb"(?<![\d:+-])(\d{4})\b")
_ZONE: Final = re.compile(rb" ([+-])(\d\d)(\d\d)\b")
_MARKED: Final = re.compile(rb"^>(>*From )", re.MULTILINE)
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*(\d{1,12})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_BARE: Final = re.compile(rb"^From ", re.MULTILINE)
_EXPUNGED: Final = 0x0008
"""In X-Mozilla-Status: deleted, and not yet taken out of the file."""


@dataclass(frozen=True, slots=True)
class Archived:
    """A mail, where it is, and how far that is into all of it. `reason` says why there is no `body`."""

    place: str
    body: bytes
    at: datetime | None
    done: int
    reason: str = ""


def mbox(path: Path, *, most: int = MOST_BYTES) -> Iterator[Archived]:
    """The mails in their order; `done` counts bytes. Raises `Invalid` for a file that begins with no mail."""
    with path.open("rb") as file:
        yield from _Mbox(file, most).mails()


def size(path: Path) -> int:
    """What `done` of the last mail of an mbox is."""
    return path.stat().st_size


class _Mbox:
    """One pass over a file, in which no more than one mail is held."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self._text = bytearray()
        self._size = self._start = 0
        self._at: datetime | None = None
        self._in_headers = False

    def mails(self) -> Iterator[Archived]:
        open_mail, empty, fresh = False, True, True
        while line := self._file.readline(_LINE):
            if fresh and empty and _BEGINS.match(line, 0, _PEEK):
                if open_mail:
                    yield self._end(self._file.tell() - len(line))
                self._begin(line)
                open_mail, fresh, empty = True, line.endswith(b"\n"), False
                continue
            blank = fresh and line in (b"\n", b"\r\n")
            fresh, empty = line.endswith(b"\n"), blank
            if not open_mail:
                if not blank:
                    raise Invalid("this is no mbox file: it does not begin with a From line")
                continue
            self._add(line)
            if blank and self._in_headers:
                self._in_headers = False
                self._take_body()
        if open_mail:
            yield self._end(self._file.tell())

    def _begin(self, line: bytes) -> None:
        self._start, self._text, self._size = self._file.tell() - len(line), bytearray(), 0
        self._at, self._in_headers = _asctime(line), True

    def _add(self, line: bytes) -> None:
        self._size += len(line)
        if self._size <= self._most:
            self._text += line
        else:
            self._text.clear()

    def _take_body(self) -> None:
        """The body, as long as the headers say, if that leads to another mail or to the end."""
        found = _LENGTH.search(self._text)
        length = int(found[1]) if found else 0
        if not length:
            return
        here = self._file.tell()
        self._file.seek(here + length)
        behind = self._file.read(_PEEK)
        rest = behind.lstrip(b"\r\n")
        inside = here + length <= os.fstat(self._file.fileno()).st_size
        if not inside or not (_BEGINS.match(rest) if rest else len(behind) < _PEEK):
            self._file.seek(here)
            return
        self._file.seek(here)
        if self._size + length <= self._most:
            self._add(self._file.read(length))
        else:
            self._size += length
            self._text.clear()
            self._file.seek(here + length)

    def _end(self, done: int) -> Archived:
        place = f"byte {self._start}"
        if self._size > self._most:
            return Archived(place, b"", None, done, "too large")
        body = bytes(self._text)
        for ending in (b"\r\n", b"\n"):
            # The empty line before the next mail is the file's, and not the mail's.
            if body.endswith(ending * 2):
                body = body.removesuffix(ending)
                break
        if not _BARE.search(body):
            body = _MARKED.sub(rb"\1", body)
        reason = _thrown_away(headers(body))
        return Archived(place, b"" if reason else body, self._at, done, reason)


def maildir(path: Path, *, only: Collection[str] = (), most: int = MOST_BYTES) -> Iterator[Archived]:
    """The mails of the inbox and of the folders beside it, each by file name; `done` counts files.

    `only` names folders, `INBOX` among them; without it all are read but those in `LEFT_OUT`. Raises `Invalid`.
    """
    done = 0
    for name, folder in _chosen(path, only):
        for file in _files(folder):
            done += 1
            yield _read(name, file, done, most)


def count(path: Path, *, only: Collection[str] = ()) -> int:
    """How many files `maildir` comes to."""
    return sum(len(_files(folder)) for _, folder in _chosen(path, only))


def left_out(path: Path, *, only: Collection[str] = ()) -> Sequence[str]:
    """Folders that are there and are not read."""
    chosen = {name for name, _ in _chosen(path, only)}
    return [_shown(name) for name, _ in _folders(path) if name not in chosen]


def _folders(path: Path) -> list[tuple[str, Path]]:
    """`INBOX`, then what Maildir++ keeps beside it as `.Name`, in their order."""
    try:
        if not (path / "cur").is_dir():
            raise Invalid("this is no Maildir: it has no folder cur")
        beside = sorted(one for one in path.iterdir() if one.name.startswith(".") and (one / "cur").is_dir())
    except OSError as error:
        raise Invalid(f"{_shown(str(path))} cannot be read ({error.strerror})") from None
    return [("INBOX", path), *((one.name[1:], one) for one in beside)]


def _chosen(path: Path, only: Collection[str]) -> list[tuple[str, Path]]:
    folders = _folders(path)
    wanted = {name.casefold() for name in only}
    if unknown := wanted - {name.casefold() for name, _ in folders}:
        raise Invalid(f"there is no folder {min(unknown)}; there are {', '.join(_shown(name) for name, _ in folders)}")
    if wanted:
        return [one for one in folders if one[0].casefold() in wanted]
    return [one for one in folders if one[0].rpartition(".")[2].casefold() not in LEFT_OUT]


def _shown(name: str) -> str:
    """For a terminal, which takes no bytes that are no text, and would obey control characters."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _files(folder: Path) -> list[Path]:
    """Names begin with the second of delivery: in their order, answers come behind what they answer."""
    try:
        found = [one for part in ("cur", "new") if (folder / part).is_dir() for one in (folder / part).iterdir()]
    except OSError as error:
        raise Invalid(f"{_shown(str(folder))} cannot be read ({error.strerror})") from None
    return sorted((one for one in found if not one.name.startswith(".")), key=lambda one: one.name)


def _read(folder: str, file: Path, done: int, most: int) -> Archived:
    place = _shown(f"{folder}/{file.name}")
    flags = file.name.partition(":2,")[2]
    try:
        found = file.lstat()
        if "T" in flags or "D" in flags:
            return Archived(place, b"", None, done, "deleted" if "T" in flags else "draft")
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return Archived(place, b"", None, done, "too large" if stat.S_ISREG(found.st_mode) else "no file")
        body = file.read_bytes()
    except OSError:
        return Archived(place, b"", None, done, "cannot be read")
    second = file.name.partition(".")[0]
    at = int(second) if second.isascii() and second.isdecimal() and len(second) <= 11 else found.st_mtime
    return Archived(place, body, datetime.fromtimestamp(at, UTC), done)


def headers(body: bytes) -> Message:
    end = re.search(rb"\r?\n\r?\n", body)
    return BytesHeaderParser().parsebytes(body[: end.end() if end else _LINE])


def received_at(body: bytes, noted: datetime | None) -> datetime | None:
    """When the mail came: as the last server on its way says, else its writer, else what the archive has `noted`.

    Archives are copied, and what they have noted is often the time of the copy.
    """
    found = headers(body)
    said = [str(found.get("Received", "")).rpartition(";")[2], str(found.get("Date", ""))]
    return next((at for text in said if (at := _date(text)) is not None), noted)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _asctime(line: bytes) -> datetime | None:
    """`From mina@example.com Mon Nov  2 10:00:00 2026`, with or without a zone somewhere; UTC without."""
    month, time, zone = _MONTH.search(line), _TIME.search(line), _ZONE.search(line)
    years = _YEAR.findall(line)
    if month is None or time is None or not years:
        return None
    offset = timedelta(hours=int(zone[2]), minutes=int(zone[3])) * (-1 if zone[1] == b"-" else 1) if zone else None
    try:
        return datetime(
            int(years[-1]),
            _MONTHS.index(month[2]) + 1,
            int(month[3] or month[1] or 0),
            int(time[1]),
            int(time[2]),
            int(time[3] or 0),
            tzinfo=timezone(offset) if offset is not None else UTC,
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _thrown_away(found: Message) -> str:
    """Why mail that is still in the file is none any more."""
    flags = str(found.get("X-Status", ""))
    mozilla = str(found.get("X-Mozilla-Status", "0")).strip()
    expunged = bool(re.fullmatch("[0-9a-fA-F]{1,8}", mozilla)) and bool(int(mozilla, 16) & _EXPUNGED)
    if "D" in flags or expunged:
        return "deleted"
    return "draft" if "T" in flags else ""
