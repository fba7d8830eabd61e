"""Text in header values: unfolded, and encoded words decoded once (RFC 2047, 5322, 6532)."""

from __future__ import annotations

import binascii
import re

from connectors.email import charsets

MAX_VALUE = 64_000
"""Bytes of one header value that are looked at; nobody writes 64 kB of recipients by hand."""

_WORD = re.compile(r"=\?([^?\s=]{1,40})\?([bBqQ])\?([^?]*(?:\?(?!=)[^?]*)*)\?=")
_FOLD = re.compile(rb"\r?\n[ \t]*|\r|\n")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")


def unfolded(raw: bytes) -> str:
    """One line. Bytes beyond ASCII become surrogates, so that `decode_words` can still tell them from characters."""
    raw = raw[:MAX_VALUE]
    if b"\n" in raw or b"\r" in raw:
        raw = _FOLD.sub(b" ", raw)
    return raw.decode("ascii", "surrogateescape").strip()


def decode_words(value: str) -> str:
    """RFC 2047, as it is written in the wild: words inside quotes and glued to text are decoded too.

    Neighbouring words of one charset are joined as bytes before they are decoded, since programs cut characters in two.
    """
    if "=?" not in value:
        return clean(eight_bit(value))
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
            out.append(eight_bit(between))
        charset = label
        pending.append(_word_bytes(match[2], match[3]))
        at = match.end()
    if pending:
        out.append(charsets.decode(b"".join(pending), charset)[0])
    out.append(eight_bit(value[at:]))
    return clean("".join(out))


def clean(text: str) -> str:
    """The text with every control character as a blank."""
    return _CONTROL.sub(" ", text) if not text.isprintable() else text


def eight_bit(text: str) -> str:
    """Raw bytes that stood in a header: UTF-8 by RFC 6532, else whatever they look like. Characters stay themselves."""
    if text.isascii():
        return text
    return charsets.decode(text.encode("utf-8", "surrogateescape"), "utf-8")[0]


def _word_bytes(encoding: str, text: str) -> bytes:
    if encoding in "bB":
        text = _NOT_BASE64.sub("", text)
        if len(text) % 4 == 1:
            text = text[:-1]
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    raw = text.replace("_", " ").encode("utf-8", "surrogateescape")
    return binascii.a2b_qp(raw) if b"=" in raw else raw
