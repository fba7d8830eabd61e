"""Names of attachments: shown to people, sent in a header, never used as a path (storage ids are random)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from helpdesk.domain.media_types import EXTENSIONS

MAX_CHARS: Final = 120
_MAX_EXTENSION: Final = 16
_MAX_READ: Final = 4096

# Control, format (bidi overrides, zero width, tags), surrogate, private use and unassigned.
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Letters and marks by category, and still drawn as nothing.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(point) for start, end in ((0xFE00, 0xFE10), (0xE0100, 0xE01F0)) for point in range(start, end)
}
_SEPARATORS = re.compile(r"[/\\\u2044\u2215\u2216\u29f5\u29f8\u29f9]")
_RESERVED = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$)", re.IGNORECASE)
_NOT_TOKEN = re.compile(r"[^A-Za-z0-9 ._()+=@,-]")


def display_name(raw: str | None, *, content_type: str | None = None) -> str:
    """A name that can be shown and saved anywhere: one component, at most 120 characters, extension kept, never empty.

    What reads as nothing or turns the reading direction is removed, so that the extension that is seen is the one that
    the system acts on. Idempotent. `content_type` gives a nameless file its extension.
    """
    text = unicodedata.normalize("NFKC", (raw or "")[:_MAX_READ])
    text = "".join(_seen(letter) for letter in text)
    parts = [part for part in (_tidy(part) for part in _SEPARATORS.split(text)) if part]
    name = parts[-1] if parts else ""
    if not name:
        extension = EXTENSIONS.get((content_type or "").partition(";")[0].strip().lower())
        return f"attachment.{extension}" if extension else "attachment"
    if _DEVICE.fullmatch(name.partition(".")[0].strip()):
        name = f"_{name}"
    return _shortened(name)


def _seen(letter: str) -> str:
    if letter.isspace():
        return " "
    return "" if letter in _BLANK or unicodedata.category(letter) in _INVISIBLE else letter


def _tidy(part: str) -> str:
    text = " ".join(_RESERVED.sub("_", part).split())
    # Leading dots hide a file, a leading dash or tilde is read by shells; Windows drops dots and spaces at the end.
    return text.lstrip(" .-~").rstrip(" .")


def _shortened(name: str) -> str:
    if len(name) <= MAX_CHARS:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > _MAX_EXTENSION:
        return name[:MAX_CHARS].rstrip(" .")
    return f"{stem[: MAX_CHARS - len(extension) - 1].rstrip(' .')}.{extension}"


def disposition(name: str) -> str:
    """The Content-Disposition value (RFC 6266): always an attachment, an ASCII name, and the true one (RFC 8187)."""
    shown = display_name(name)
    plain = unicodedata.normalize("NFKD", shown).encode("ascii", "ignore").decode("ascii")
    plain = _NOT_TOKEN.sub("_", plain).strip(" .") or "attachment"
    value = f'attachment; filename="{plain}"'
    return value if plain == shown else f"{value}; filename*=UTF-8''{quote(shown, safe='!#$&+-.^_`|~')}"
