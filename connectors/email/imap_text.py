"""How IMAP writes things down (RFC 3501): quoted strings, mailbox names, sets of numbers, and what FETCH answers."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

LITERAL = re.compile(rb"\{(\d{1,12})\+?\}\Z")
"""The announcement of a literal, at the end of a line."""


def quoted(text: str) -> str:
    """A quoted string (RFC 3501 section 4.3). Raises ValueError for what no quoted string can hold."""
    if any(c in text for c in "\0\r\n"):
        raise ValueError("NUL, CR and LF cannot be quoted")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def mailbox_argument(name: str) -> str:
    """A mailbox name as an argument: modified UTF-7 (RFC 3501 section 5.1.3), quoted."""
    parts: list[str] = []
    run: list[str] = []

    def flush() -> None:
        if run:
            coded = base64.b64encode("".join(run).encode("utf-16-be")).decode("ascii")
            parts.append(f"&{coded.rstrip('=').replace('/', ',')}-")
            run.clear()

    for char in name:
        if " " <= char <= "~":
            flush()
            parts.append("&-" if char == "&" else char)
        else:
            run.append(char)
    flush()
    return quoted("".join(parts))


def sequence_set(uids: Sequence[int]) -> str:
    """Ascending UIDs as a set: `1:3,7`."""
    ranges: list[tuple[int, int]] = []
    for uid in uids:
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)


_MONTHS = {name: n for n, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)}
_UID = re.compile(rb"[( ]UID (\d+)")
_SIZE = re.compile(rb"[( ]RFC822\.SIZE (\d+)")
_DATE = re.compile(rb'[( ]INTERNALDATE "([ \d]\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')
_BODY = re.compile(rb'[( ]BODY\[[^\]]*\](?:<\d+>)? (?:(\{\d+\+?\})|(NIL)|"((?:[^"\\]|\\.)*)")')
_ESCAPED = re.compile(rb"\\(.)")


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a message before it is fetched. `received_at` is INTERNALDATE in UTC, `size` in octets."""

    uid: int
    size: int
    received_at: datetime


def _responses(lines: Sequence[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """The FETCH responses among the lines of a command: the text, and the literals that its `{n}` stand for."""
    text, literals = b"", list[bytes]()
    source = iter(lines)
    for line in source:
        text += line
        if LITERAL.search(line, max(0, len(line) - 16)):
            literals.append(next(source, b""))
            continue
        yield text, literals
        text, literals = b"", []


def parse_descriptions(lines: Sequence[bytes], now: datetime) -> Iterator[Described]:
    """Answers to `UID FETCH ... (UID RFC822.SIZE INTERNALDATE)`; flag changes told in between are passed over.

    A date that is none, or is missing, counts as `now`: better a clock that starts late than one that starts in 1970.
    """
    for text, _ in _responses(lines):
        uid, size, date = _UID.search(text), _SIZE.search(text), _DATE.search(text)
        if uid and size:
            yield Described(int(uid[1]), int(size[1]), (_instant(date) if date else None) or now)


def _instant(match: re.Match[bytes]) -> datetime | None:
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    try:
        zone = timezone(-offset if sign == b"-" else offset)
        time = int(hour), int(minute), min(int(second), 59)
        return datetime(int(year), _MONTHS[month], int(day), *time, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError, KeyError):
        return None


def parse_bodies(lines: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Answers to `UID FETCH ... (UID BODY.PEEK[...])` as (UID, bytes). A NIL body counts as empty."""
    for text, literals in _responses(lines):
        uid, body = _UID.search(text), _BODY.search(text)
        if not uid or not body:
            continue
        if body[1]:
            # Only one section is ever asked for, and UID, flags and dates are never literals.
            yield int(uid[1]), literals[0]
        else:
            yield int(uid[1]), _ESCAPED.sub(rb"\1", body[3] or b"")
