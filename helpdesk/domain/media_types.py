"""What a file is, told from its first bytes and a short list. A sender's word alone never makes a type."""

from __future__ import annotations

import codecs
import re
from typing import Final

UNKNOWN: Final = "application/octet-stream"
HEAD_BYTES: Final = 4096
MOST_PIXELS: Final = 50_000_000
"""Of a picture that browsers draw. Twenty thousand bytes may hold more than these: whoever looks at such a message has
his browser stand still and its memory filled, each time."""

# Also the extension that a nameless file gets. HTML, SVG and XML are not here and never will be: they run scripts.
EXTENSIONS: Final[dict[str, str]] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/gzip": "gz",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "text/plain": "txt",
    "text/csv": "csv",
}
_BY_EXTENSION: Final = {extension: kind for kind, extension in EXTENSIONS.items()}
_OOXML: Final = {"docx": b"word/", "xlsx": b"xl/", "pptx": b"ppt/"}
_OLE: Final = frozenset({"doc", "xls", "ppt"})
_PLAIN: Final = frozenset({"txt", "text", "log", "md"})

_MAGIC: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF....WEBP", "image/webp"),
        (rb"RIFF....WAVE", "audio/wav"),
        (rb"%PDF-", "application/pdf"),
        (rb"\x1f\x8b\x08", "application/gzip"),
        (rb"....ftypM4[AB] ", "audio/mp4"),
        (rb"....ftypqt  ", "video/quicktime"),
        (rb"....ftyp(?:isom|iso[2-9]|mp4[12]|avc1|M4V |MSNV|3gp.)", "video/mp4"),
        (rb"ID3[\x02-\x04]", "audio/mpeg"),
        # Layer III, a bitrate and a sample rate that exist (ISO 11172-3 section 2.4.1.3).
        (rb"\xff[\xf2\xf3\xfa\xfb][\x10-\xef]", "audio/mpeg"),
        (rb"OggS\x00", "audio/ogg"),
        (rb"\x1a\x45\xdf\xa3.{0,64}webm", "video/webm"),
    )
)


def safe_type(declared: str | None, filename: str | None, head: bytes) -> str:
    """The type to store and serve. `head`: the first HEAD_BYTES or so. Falls back to application/octet-stream.

    Magic bytes decide. The name only chooses within a container (zip, OLE), and with the declared type between texts,
    which have no magic: those must be text, and their name must not claim to be something that runs. A picture of
    more than `MOST_PIXELS` is a file like any other.
    """
    for pattern, kind in _MAGIC:
        if pattern.match(head):
            return kind if _pixels(kind, head) <= MOST_PIXELS else UNKNOWN
    extension = _extension(filename)
    if head.startswith(b"PK\x03\x04"):
        return _zipped(extension, head)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _BY_EXTENSION[extension] if extension in _OLE else UNKNOWN
    kind = (declared or "").partition(";")[0].strip().lower()
    if extension == "csv" or (not extension and kind == "text/csv"):
        return "text/csv" if _is_text(head) else UNKNOWN
    if extension in _PLAIN or (not extension and kind == "text/plain"):
        return "text/plain" if _is_text(head) else UNKNOWN
    return UNKNOWN


def _pixels(kind: str, head: bytes) -> int:
    """How many the picture says it has; 0 for what is none, and for JPEG, which cannot be small and hold that many."""
    if kind == "image/png":
        return int.from_bytes(head[16:20], "big") * int.from_bytes(head[20:24], "big")
    if kind == "image/gif":
        return int.from_bytes(head[6:8], "little") * int.from_bytes(head[8:10], "little")
    if kind != "image/webp":
        return 0
    if head[12:16] == b"VP8X":
        return (int.from_bytes(head[24:27], "little") + 1) * (int.from_bytes(head[27:30], "little") + 1)
    if head[12:16] == b"VP8L":
        sides = int.from_bytes(head[21:25], "little")
        return ((sides & 0x3FFF) + 1) * ((sides >> 14 & 0x3FFF) + 1)
    return (int.from_bytes(head[26:28], "little") & 0x3FFF) * (int.from_bytes(head[28:30], "little") & 0x3FFF)


def _extension(filename: str | None) -> str:
    stem, dot, extension = (filename or "").rpartition(".")
    return extension.strip().lower() if dot and stem else ""


def _zipped(extension: str, head: bytes) -> str:
    if extension in _OOXML and (b"[Content_Types].xml" in head or _OOXML[extension] in head):
        return _BY_EXTENSION[extension]
    if extension in ("odt", "ods") and head[30:38] == b"mimetype":
        named = _BY_EXTENSION[extension]
        return named if head[38:].startswith(named.encode()) else UNKNOWN
    return "application/zip"


def _is_text(head: bytes) -> bool:
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        # Not final: the head may end in the middle of a letter.
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return not any(letter < " " and letter not in "\t\r\n\f" for letter in text)
