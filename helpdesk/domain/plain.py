"""HTML that an agent wrote, as the plain text that goes beside it."""

from __future__ import annotations

import re
from html import unescape

import nh3

_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6]|/blockquote)\b[^>]*>", re.IGNORECASE)
_TEXT_ONLY = nh3.Cleaner(tags=set(), clean_content_tags={"script", "style", "title"})


def text_of(sanitised: str) -> str:
    """The words of sanitised HTML, a line per block. What it looked like is lost."""
    text = unescape(_TEXT_ONLY.clean(_BREAK.sub(lambda match: match[0] + "\n", sanitised)))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in text.splitlines())).strip()


def preview_of(text: str, *, length: int = 160) -> str:
    """The beginning in one line, for lists."""
    line = " ".join(text[: length * 8].split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
