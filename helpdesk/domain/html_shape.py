"""Bounds for hostile HTML, kept before the sanitiser's parser sees it, in time linear in its length.

An HTML parser's cost is worse than quadratic in nesting: every unclosed `<b>` is opened again in every later
paragraph, and every block end is looked for through all that is open; nh3 took half a minute over one tag with 200,000
attributes. So length, number of tags, depth, open formatting elements and attributes are bounded here. Tags that the
policy drops anyway are dropped now, and comments, script, style and the like with their content: what is left has none
of the parser's special modes, and can be counted.

Nothing here is trusted for safety. A tag read wrongly costs a look, not a hole: nh3 judges the result.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from helpdesk.domain.html_tags import ALLOWED, DROPPED_WHOLE, ENDS, FORMATTING, OPTIONAL_END, TABLE_PARTS, VOID

MAX_CHARS: Final = 2_000_000
MAX_TAGS: Final = 20_000
# Of any kind, kept or not. After that many the rest is not looked at: no mail that people wrote comes near.
MAX_MARKUP: Final = 100_000
MAX_DEPTH: Final = 200
MAX_FORMATTING: Final = 16
MAX_ATTRIBUTES: Final = 40

# Possessive throughout: a tag that never ends is looked at once. The attribute part is the HTML standard's tokeniser:
# quotes count only after an equals sign.
_ATTRIBUTE = r"""=?[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+)?+)?+"""
_MARKUP = re.compile(
    rf"""<(?:
        (?P<tag>[A-Za-z][^\s/>]*+)
        (?P<attributes>(?:[\s/]++|{_ATTRIBUTE}|=)*+)
        (?:>|\Z)
      | /(?P<end>[A-Za-z][^\s/>]*+)[^>]*+(?:>|\Z)
      | !--(?:-?>|(?:[^-]++|-(?!-!?>))*+(?:--!?>|\Z))
      | [!?/][^>]*+(?:>|\Z)
    )""",
    re.VERBOSE,
)
_PICTURE = re.compile(r"data:image/[a-z]{3,8};base64,[A-Za-z0-9+/=\s]{1000,}+")
_FIRST_ATTRIBUTES = re.compile(rf"""(?:[\s/=]*+{_ATTRIBUTE}){{{MAX_ATTRIBUTES}}}+""")


@dataclass(frozen=True, slots=True)
class Shaped:
    html: str
    truncated: bool


@dataclass(slots=True)
class _Open:
    """The elements that are open, as the parser will see them, counted too many rather than too few."""

    stack: list[str] = field(default_factory=list)
    formatting: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def start(self, name: str) -> bool:
        """False when the tag is one too many."""
        ends = ENDS.get(name)
        while ends and self.stack and self.stack[-1] in ends:
            self.stack.pop()
        if name in VOID:
            return True
        if name == "a" and "a" in self.stack:
            self.stack.remove("a")  # the parser ends an open link when the next begins
        if len(self.stack) >= MAX_DEPTH or (name in FORMATTING and self.formatting >= MAX_FORMATTING):
            self.skipped[name] += 1
            return False
        self.stack.append(name)
        self.formatting += name in FORMATTING
        return True

    def end(self, name: str) -> bool:
        """False when the tag ends nothing that was let through."""
        if self.skipped[name]:
            self.skipped[name] -= 1
            return False
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] == name:
                break
            # A cell is a wall: only ends of tables and their parts are heard through it.
            if self.stack[at] in ("td", "th", "caption", "table") and name != "table" and name not in TABLE_PARTS:
                return False
        else:
            return False
        # Only what may be left open is closed along the way. The parser keeps open formatting in mind as well.
        above = [inner for inner in self.stack[at + 1 :] if inner not in OPTIONAL_END]
        self.stack[at:] = above
        self.formatting -= name in FORMATTING
        return True


def shaped(html: str) -> Shaped:
    """`html` within the bounds: what is too long is cut; what is too deep or too much keeps its text, not its tag."""
    truncated = len(html) > MAX_CHARS
    # Pasted screenshots are what makes a mail that long: they go first, so that the words after them stay.
    text = _PICTURE.sub("", html)[:MAX_CHARS] if truncated else html
    open_ = _Open()
    out: list[str] = []
    at = tags = markup = 0
    while match := _MARKUP.search(text, at):
        markup += 1
        if markup > MAX_MARKUP:
            truncated = True
            break
        out.append(text[at : match.start()])
        at = match.end()
        kind = match.lastgroup
        if kind is None:
            continue
        name = (match["tag"] or match["end"]).lower()
        if match["tag"] and name in DROPPED_WHOLE:
            at = _after(text, name, at)
        elif match["tag"] and name == "plaintext":
            break
        elif name in ALLOWED and text[at - 1] == ">":
            tags += 1
            if tags > MAX_TAGS:
                truncated = True
            elif match["tag"]:
                if open_.start(name):
                    out.append(_tag(match))
                else:
                    truncated = True
            elif open_.end(name):
                out.append(f"</{name}>")
    else:
        out.append(text[at:])
    return Shaped("".join(out), truncated)


def _tag(match: re.Match[str]) -> str:
    attributes = match["attributes"]
    if len(attributes) > MAX_ATTRIBUTES and (first := _FIRST_ATTRIBUTES.match(attributes)):
        return f"<{match['tag']}{first[0]}>"
    return match[0]


_ENDINGS: Final = {name: re.compile(rf"</{name}(?=[\s/>])[^>]*+(?:>|\Z)", re.IGNORECASE) for name in DROPPED_WHOLE}


def _after(text: str, name: str, at: int) -> int:
    match = _ENDINGS[name].search(text, at)
    return match.end() if match else len(text)
