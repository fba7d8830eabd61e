"""Text for chat rooms: what it says is read, never obeyed.

An alert quotes what strangers wrote. Nobody may be called by it who was not meant to be (`@all`), and no link may show
another address than it leads to. A zero-width space breaks what a tool would take for a command, and leaves the words
as they were for whoever reads them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BREAK: Final = "\u200b"
_CALL: Final = re.compile(r"(?<!\w)([@＠])(?=\w)")
_LINK: Final = re.compile(r"https?://[^\s<>()\[\]\"'`]+")
_MARKDOWN: Final = re.compile(r"([\\*_~`|>#\[\]()<-])")


def readable(text: str) -> str:
    """Without control, direction and invisible characters, but for line breaks."""
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))


def cut(text: str, most_bytes: int) -> str:
    """At most so long in UTF-8, with a sign where something is missing."""
    encoded = text.encode()
    if len(encoded) <= most_bytes:
        return text
    return encoded[: most_bytes - 3].decode(errors="ignore") + "…"


def without_calls(text: str) -> str:
    """`@name` calls nobody. Addresses (`mina@example.com`) stay as they are."""
    return _CALL.sub(rf"\1{_BREAK}", text)


def without_tags(text: str) -> str:
    """`<at …>` and `<@id>` are no tags, and `[words](address)` is no link."""
    return text.replace("<", f"<{_BREAK}").replace("](", f"]{_BREAK}(")


def escaped_for_slack(text: str) -> str:
    """The three characters that begin something in Slack. Its `<!channel>` and `<url|words>` are words then."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escaped_markdown(text: str) -> str:
    """Every sign that means something in Markdown is itself, except within addresses, which are shown as they lead."""
    return "".join(part if is_link else _MARKDOWN.sub(r"\\\1", part) for part, is_link in pieces(text))


def pieces(text: str) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is an address that may be opened."""
    found: list[tuple[str, bool]] = []
    end = 0
    for link in _LINK.finditer(text):
        if link.start() > end:
            found.append((text[end : link.start()], False))
        found.append((link[0], True))
        end = link.end()
    return [*found, (text[end:], False)] if end < len(text) or not found else found
