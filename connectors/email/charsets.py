"""Bytes to text, once, whatever the mail says they are.

The declared charset is tried first, but not trusted: mail lies about it often enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from connectors.email.charset_names import codec_of

_SINGLE_BYTE: Final = re.compile(r"ascii|cp125\d|iso8859-\d+|koi8-\w|mac-\w+|cp\d{3}\Z")
# Charsets in which bytes below 0x80 are not what they are in ASCII.
_NOT_ASCII: Final = frozenset("utf-7 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be hz cp037 cp500".split())  # noqa: SIM905
_SAMPLE = 4096
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_ESCAPES = (b"\x1b$B", b"\x1b$@", b"\x1b(J", b"\x1b(I")


def decode(data: bytes, declared: str = "") -> tuple[str, bool]:
    """The text, and whether the charset had to be guessed (undeclared, unknown, or contradicted by the bytes)."""
    codec = codec_of(declared) if declared else ""
    if data.isascii() and b"\x1b" not in data and codec not in _NOT_ASCII:
        return data.decode("ascii"), False
    if codec and not _contradicted(data, codec):
        text = _strict(data, codec)
        if text is not None:
            return text, False
        if codec != "ascii":
            text = _mostly(data, codec)
            if text is not None:
                return text, True
    return guess(data), True


def _contradicted(data: bytes, codec: str) -> bool:
    """Whether the bytes are plainly something else, though the declared codec would take them without complaint."""
    if codec == "utf-8":
        return False
    if _is_utf8(data):
        # Two bytes of UTF-8 can be a Chinese character of GBK; three in a row, and again, are not by chance.
        return (
            bool(_SINGLE_BYTE.match(codec))
            or sum(char >= "\u2e80" for char in data[:_SAMPLE].decode("utf-8", "ignore")) > 1
        )
    if codec in ("cp1252", "iso8859-15", "cp1254"):
        # Western letters beyond ASCII stand alone. Old Chinese programs declare a Western charset and write pairs.
        runs = _HIGH_RUN.findall(data[:_SAMPLE])
        return len(b"".join(runs)) >= 4 and all(len(run) % 2 == 0 for run in runs) and len(runs) * 2 < len(data)
    return False


def _is_utf8(data: bytes) -> bool:
    """Whether there is something beyond ASCII and all of it is UTF-8: by chance, other charsets are never that."""
    if data.isascii():
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _strict(data: bytes, codec: str) -> str | None:
    try:
        text = data.decode(codec)
    except (UnicodeError, ValueError):
        pass
    else:
        # UTF-7 is the one codec here that can spell half of a surrogate pair, which no database takes.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if codec == "utf-7" else text
    if codec == "cp1252":
        # Five bytes have no meaning in windows-1252 but are C1 controls in the charset that was declared.
        return data.decode("latin-1")
    for wider in {"iso2022_jp": ("iso2022_jp_ext", "iso2022_jp_2004"), "big5": ("cp950", "big5hkscs")}.get(codec, ()):
        try:
            return data.decode(wider)
        except (UnicodeError, ValueError):
            continue
    return None


def _mostly(data: bytes, codec: str) -> str | None:
    """The declared charset with replacement characters, if it explains nearly all of the bytes and UTF-8 does not."""
    if codec != "utf-8" and _is_utf8(data):
        return None
    try:
        text = data.decode(codec, "replace")
        text.encode("utf-8")
    except (UnicodeError, ValueError):
        return None
    broken = text.count("\ufffd")
    beyond = len(data) - len(data.translate(None, bytes(range(128, 256))))
    return (
        text
        if broken * 10 <= beyond or (codec.startswith(("utf-16", "iso2022")) and broken * 20 <= len(text))
        else None
    )


def guess(data: bytes) -> str:
    """Text of bytes that say nothing usable about themselves. Total: never raises, never empty for non-empty input."""
    for codec in _candidates(data):
        try:
            return data.decode(codec)
        except UnicodeError:
            continue
    codec = next(_candidates(data[:_SAMPLE]), "utf-8")
    return data.decode(codec, "replace")


def _candidates(data: bytes) -> Iterator[str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield "utf-16"
    if data.startswith(b"\xef\xbb\xbf"):
        yield "utf-8-sig"
    if any(escape in data for escape in _ESCAPES):
        yield "iso2022_jp_ext"
    zeros = data[:_SAMPLE]
    if zeros.count(0) * 5 > len(zeros):
        yield "utf-16-le" if zeros[1::2].count(0) > zeros[0::2].count(0) else "utf-16-be"
    yield "utf-8"
    yield from _legacy(data)
    yield "latin-1"


def _legacy(data: bytes) -> Iterator[str]:
    """The 8-bit charsets, the likeliest first, told by how the high bytes stand together.

    Western text has single high bytes among ASCII letters. Cyrillic is runs of bytes from 0xC0 on, lower case mostly.
    Chinese, Japanese and Korean come in pairs with trail bytes from 0xA1 (or 0x40) on; GB leads where the bytes
    do not decide, since that is what this desk's customers write.
    """
    sample = data[:_SAMPLE]
    runs = _HIGH_RUN.findall(sample)
    high = b"".join(runs)
    if not high:
        yield "cp1252"
        return
    if len(runs) * 1.4 >= len(high) and sum(1 for run in runs if len(run) == 1) * 2 > len(runs):
        letters = sum(1 for b in high if b >= 0xC0 or b < 0xA0)
        if letters * 2 >= len(high) or not (_pairs_with_low_trail(sample) or _looks_big5(sample)):
            yield "cp1252"
    upper = sum(1 for b in high if b >= 0xC0) / len(high)
    if upper > 0.96 and len(high) > 3:
        small = sum(1 for b in high if b >= 0xE0) / len(high)
        yield "cp1251" if small > 0.5 else "koi8-r"
    leads = high[::2] if all(len(run) % 2 == 0 for run in runs) else b""
    if leads and sum(1 for b in leads if b in (0xA4, 0xA5)) * 5 > len(leads):
        yield "euc_jp"
    if not leads:
        kana = sum(1 for i in range(len(sample) - 1) if sample[i] in (0x82, 0x83) and 0x40 <= sample[i + 1] <= 0xF1)
        if kana * 4 > len(high) / 2:
            yield "cp932"
        if _looks_big5(sample):
            yield "big5"
    hangul = sum(1 for b in leads if 0xB0 <= b <= 0xC8)
    if leads and hangul > len(leads) * 0.97 and len(leads) > 12 and len(runs) > len(leads) / 5:
        # Korean puts spaces between short words; Chinese text of that length always leaves the first rows of the table.
        yield "cp949"
    yield "gb18030"
    yield "big5"
    yield "cp1252"


def _pairs_with_low_trail(sample: bytes) -> bool:
    """Whether single high bytes are mostly followed by what only a double-byte charset would put there."""
    odd = letters = 0
    for match in _HIGH_RUN.finditer(sample):
        if match.end() - match.start() == 1 and match.end() < len(sample):
            follower = sample[match.end()]
            if follower in b"@[\\]^_`{|}~":
                odd += 1
            else:
                letters += 1
    return odd > letters


def _looks_big5(sample: bytes) -> bool:
    """Big5 leads lie in 0xA4-0xF9 with trails 0x40-0x7E as often as not; the common characters lead with 0xA4-0xC6."""
    at = common = rare = low = 0
    end = len(sample) - 1
    while at < end:
        lead = sample[at]
        if lead < 0x80:
            at += 1
            continue
        trail = sample[at + 1]
        if not (0x40 <= trail <= 0x7E or 0xA1 <= trail <= 0xFE) or lead == 0x80:
            return False
        common, rare = (common + 1, rare) if 0xA1 <= lead <= 0xC6 else (common, rare + 1)
        low += trail <= 0x7E
        at += 2
    return common > 4 * rare and low * 6 > common + rare
