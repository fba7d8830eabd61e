"""Content-Transfer-Encodings undone (RFC 2045 section 6, and uuencode). Broken input gives what can be had of it."""

from __future__ import annotations

import binascii
import re

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_NO_BASE64_BEGINS = re.compile(
    rb"\s{0,100}(?:[A-Za-z0-9+/_-]{0,3}[^A-Za-z0-9+/=_\s-]|[A-Za-z0-9+/_-]{1,100}[,.:;!?']?[ \t]{1,10}[^\s=])"
)
_SHORT_BASE64 = bytes.maketrans(b"-_", b"+/")


def begins_as_base64(data: bytes, start: int = 0) -> bool:
    """Whether the first few characters can be base64. Plain words under that label are worth more as they stand."""
    return _NO_BASE64_BEGINS.match(data, start) is None


def from_base64(raw: bytes) -> bytes:
    padding = raw.find(b"=")
    try:
        if padding < 0 or not _goes_on(raw[padding:].lstrip(b"=\r\n\t ")):
            return binascii.a2b_base64(raw)
    except binascii.Error:
        pass
    return _from_pieces(raw)


def _goes_on(rest: bytes) -> bool:
    """Whether what follows the padding is more of the content, and not the footer that a list appended."""
    lines = rest.split()
    return bool(lines) and all(len(line) % 4 == 0 and _BASE64_LINE.fullmatch(line) for line in lines)


def _from_pieces(raw: bytes) -> bytes:
    """Base64 with padding in the middle (blocks joined by a careless program), without padding, or cut off."""
    out = []
    for piece in _NOT_BASE64.sub(b"", raw.translate(_SHORT_BASE64)).split(b"="):
        if len(piece) % 4 == 1:
            piece = piece[:-1]
        if piece:
            out.append(binascii.a2b_base64(piece + b"=" * (-len(piece) % 4)))
    return b"".join(out)


def from_quoted_printable(raw: bytes) -> bytes:
    if b" \n" in raw or b" \r\n" in raw or b"\t\n" in raw or b"\t\r\n" in raw:
        # White space at the end of a line was added on the way (RFC 2045 section 6.7, rule 3).
        raw = b"\n".join([line.rstrip(b" \t\r") for line in raw.split(b"\n")])
    return binascii.a2b_qp(raw)


def from_uuencode(raw: bytes) -> bytes:
    """The content between `begin` and `end`; lines that cannot be decoded are left out."""
    out = []
    started = False
    for line in raw.split(b"\n"):
        line = line.rstrip(b"\r")
        if not started:
            started = line.startswith(b"begin ")
            continue
        if line == b"end":
            break
        if not line:
            continue
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            # Some encoders count the padding wrongly: take as many characters as the length byte says.
            try:
                out.append(binascii.a2b_uu(line[: (((line[0] - 32) & 63) * 4 + 5) // 3]))
            except binascii.Error:
                continue
    return b"".join(out)
