"""Text as its writer saw it: soft line breaks joined (RFC 3676), uuencoded files taken out of old mail."""

from __future__ import annotations

import re

_UU = re.compile(
    r"^begin [0-7]{3,4} (\S[^\n]{0,250})\n((?:[ -`]{2,62}[ ]{0,4}\n){1,200000}[` ]?\n?end[ ]{0,4}$)", re.MULTILINE
)


def unflow(text: str, *, delsp: bool) -> str:
    """The text with its soft breaks undone and its space-stuffing removed; quote marks stay, as `> `."""
    out: list[str] = []
    joined: list[str] = []
    depth = 0
    for line in text.split("\n"):
        level = 0
        if line.startswith(">"):
            bare = line.lstrip(">")
            level = len(line) - len(bare)
            line = bare
        line = line.removeprefix(" ")
        if joined and level != depth:
            out.append(_marked("".join(joined), depth))
            joined.clear()
        depth = level
        soft = line.endswith(" ") and line != "-- "
        joined.append(line[:-1] if soft and delsp else line)
        if not soft:
            out.append(_marked("".join(joined), depth))
            joined.clear()
    if joined:
        out.append(_marked("".join(joined), depth))
    return "\n".join(out)


def _marked(line: str, depth: int) -> str:
    return f"{'>' * depth} {line}" if depth else line


def take_uuencoded(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text without the uuencoded files in it, and each of them as (name, encoded lines)."""
    found: list[tuple[str, bytes]] = []

    def taken(match: re.Match[str]) -> str:
        found.append((match[1].strip(), match[0].encode("ascii", "replace")))
        return ""

    return (_UU.sub(taken, text), found) if "\nend" in text and "begin " in text else (text, found)
