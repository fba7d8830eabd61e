"""MIME parts as bytes. The same input gives the same bytes, on every version of Python.

The standard library's generator is not used: it folds headers by rules that changed between patch releases, and what
was frozen before an upgrade must equal what is composed after it. A part is never 8bit, so that no relay on the way
has a reason to recode it (and to break its DKIM signature).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.email import outgoing_headers as headers
from connectors.email.outgoing_headers import LINE_MAX, Header
from helpdesk.channels import OutboundAttachment

FILENAME_LENGTH = 120
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
_LONE_LF = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Part:
    headers: tuple[Header, ...]
    body: bytes

    def encode(self) -> bytes:
        """Headers, empty line, body. Raises PermanentFailure when the headers would not be read as they are meant."""
        return headers.block(self.headers) + b"\r\n" + self.body


def text_part(subtype: str, text: str, *parameters: tuple[str, str]) -> Part:
    """A text in UTF-8 with the transfer encoding that is shortest. `text` has lines ended by LF or CRLF."""
    data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")
    encoding, body = _encode(data)
    kind = headers.structured("Content-Type", f"text/{subtype}", [("charset", "utf-8"), *parameters])
    return Part((kind, ("Content-Transfer-Encoding", encoding)), body)


def _encode(data: bytes) -> tuple[str, bytes]:
    if data.isascii() and b"\x00" not in data and max(map(len, data.split(b"\r\n"))) <= LINE_MAX:
        return "7bit", data
    coded = _base64(data)
    quoted = _LONE_LF.sub(b"\r\n", binascii.b2a_qp(data, istext=True))
    return ("quoted-printable", quoted) if len(quoted) <= len(coded) else ("base64", coded)


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def attachment_part(attachment: OutboundAttachment, *, related: bool) -> Part:
    """A file, always in base64. `related`: the HTML beside it shows it by its Content-ID."""
    name = filename(attachment.filename)
    lines = [
        headers.structured("Content-Type", media_type(attachment.content_type)),
        ("Content-Transfer-Encoding", "base64"),
        headers.structured("Content-Disposition", "inline" if related else "attachment", [("filename", name)]),
    ]
    if related:
        lines.append(("Content-ID", f"<{attachment.content_id}>"))
    return Part(tuple(lines), _base64(attachment.body))


def is_content_id(value: str) -> bool:
    """Whether an id can stand between angle brackets and in a `cid:` reference as it is."""
    return _CONTENT_ID.fullmatch(value) is not None


def filename(name: str) -> str:
    """A name to show: no path, no controls, at most 120 characters with its ending kept."""
    shown = headers.one_line(unicodedata.normalize("NFKC", name), 4 * FILENAME_LENGTH)
    shown = re.split(r"[/\\]", shown)[-1].replace('"', "'").strip(" .")
    stem, dot, ending = shown.rpartition(".")
    if len(shown) > FILENAME_LENGTH:
        shown = stem[: FILENAME_LENGTH - len(ending) - 1] + dot + ending if dot and len(ending) <= 16 else shown
    return shown[:FILENAME_LENGTH] or "attachment"


def media_type(claimed: str) -> str:
    """A media type that may be sent. Compound types need other encodings (RFC 2046 section 5): they go as bytes."""
    kind = claimed.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(kind) or kind.startswith(("multipart/", "message/")):
        return "application/octet-stream"
    return kind


def multipart(subtype: str, parts: Sequence[Part], *, seed: str, **parameters: str) -> Part:
    """Several parts as one; a single part stays what it is. The boundary is made from `seed`."""
    if len(parts) == 1:
        return parts[0]
    encoded = [part.encode() for part in parts]
    boundary, turn = "", 0
    while not boundary or any(boundary.encode() in data for data in encoded):
        digest = hashlib.sha256(f"boundary {subtype} {turn} {seed}".encode()).hexdigest()
        boundary, turn = f"=_{digest[:32]}", turn + 1
    line = b"--" + boundary.encode()
    body = b"".join(line + b"\r\n" + data + b"\r\n" for data in encoded) + line + b"--\r\n"
    kind = headers.structured("Content-Type", f"multipart/{subtype}", [*parameters.items(), ("boundary", boundary)])
    return Part((kind,), body)
