"""What a mail repeats of earlier ones, folded in the page that shows it: by `<details>`, which needs no script.

Which words are a quotation was found when the mail came in, by whoever knows mail programs. Here these words are looked
for in the sanitised tree, line by line and in their order, and whatever holds nothing else is folded. A line that is
not found among them stays in sight, so the worst that a mistake does is to show a quotation. Nothing is taken away or
moved: the same page, with folds put around parts of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape, unescape
from typing import Final

from helpdesk.domain.html_tags import TABLE_PARTS, VOID

MAX_CHARS: Final = 500_000
"""Of a page that is folded. Longer ones are pasted pictures or an attack, and are shown as they are."""
_FAR: Final = 400
_LONG: Final = 12

SUMMARY: Final[Mapping[str, str]] = {"en": "Quoted text", "zh-CN": "引用内容", "zh-TW": "引用內容"}
LOOKS: Final = "cursor:pointer;color:#555;font-size:13px;padding:4px 0"

# What nh3 writes: lower-case names, double quotes, quotes in values escaped, `<` in text escaped.
_MARKUP = re.compile(r'<(/?)([a-z][a-z0-9]*)(?: [a-z]+="[^"]*")*>')
_LINK = re.compile(r"<https?://[^<>\s]*>")
_NO_LETTERS = re.compile(r"[\W_]+")
# A line of nothing else is nobody's. One of other signs may be an answer: a smiley, a question mark.
_RULE = re.compile(r"[\s>|*=~.\u00b7\u2010-\u2015\u2022\u2500-\u257f_-]*")
_INLINE: Final = frozenset(
    {"a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "img", "ins"}
    | {"kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr"}
)
# What stands below the end of one, and not in it, is the writer's: a picture there may be his whole answer.
_QUOTE: Final = "blockquote"
# A fold in one of these would be moved out of it, or end it.
_NO_PLACE: Final = (TABLE_PARTS - {"caption", "td", "th"}) | {"dl", "ol", "p", "table", "ul"}


@dataclass(slots=True)
class _Node:
    """An element or a stretch of text. `shown` and `quoted` count the stretches with words that are in it."""

    tag: str
    start: int
    end: int = 0
    children: list[_Node] = field(default_factory=list)
    shown: int = 0
    quoted: int = 0


def letters(text: str) -> str:
    """What two writings of the same words have in common: no blanks, signs, marks of quotations or added addresses."""
    return _NO_LETTERS.sub("", _LINK.sub("", text))


@dataclass(slots=True)
class _Part:
    """One part of the mail's text as it was set apart, and how far the page has come in it."""

    words: str
    at: int = 0

    def takes(self, line: str, *, far: bool) -> bool:
        """Whether the line comes next, or, with `far`, soon: a short one may stand anywhere by chance."""
        if self.words.startswith(line, self.at):
            self.at += len(line)
            return True
        if not far or len(line) < _LONG:
            return False
        found = self.words.find(line, self.at, self.at + _FAR + len(line))
        if found >= 0:
            self.at = found + len(line)
        return found >= 0


def folded(html: str, *, quoted: str, own: str, signature: str = "", language: str = "en") -> str:
    """Sanitised `html` with what it quotes folded. `quoted`, `own` and `signature` are the parts of the mail's text.

    Where nothing else would be left to see, nothing is folded.
    """
    parts = _Part(letters(own)), _Part(letters(signature)), _Part(letters(quoted))
    if not parts[-1].words or len(html) > MAX_CHARS:
        return html
    root = _tree(html, parts)
    if root is None or not root.shown:
        return html
    word = language if language in SUMMARY else "en"
    begin = f'<details><summary lang="{word}" style="{LOOKS}">{escape(SUMMARY[word])}</summary>'
    out, at = [], 0
    for start, end in _folds(root):
        out += [html[at:start], begin, html[start:end], "</details>"]
        at = end
    return "".join([*out, html[at:]])


def _tree(html: str, parts: tuple[_Part, _Part, _Part]) -> _Node | None:
    """The tree with its stretches of text counted; None where the markup is not what the sanitiser writes."""
    root = _Node("", 0, len(html))
    open_ = [root]
    line: list[tuple[str, list[_Node]]] = []
    at = 0
    for match in _MARKUP.finditer(html):
        _text(html, at, match.start(), open_, line)
        at, tag = match.end(), match[2]
        if tag not in _INLINE:
            _judge(line, parts)
        if match[1]:
            if len(open_) < 2 or open_[-1].tag != tag:
                return None
            open_.pop().end = at
        else:
            node = _Node(tag, match.start(), at)
            open_[-1].children.append(node)
            if tag not in VOID:
                open_.append(node)
    _text(html, at, len(html), open_, line)
    _judge(line, parts)
    return root if len(open_) == 1 else None


def _text(html: str, start: int, end: int, open_: list[_Node], line: list[tuple[str, list[_Node]]]) -> None:
    if start < end:
        node = _Node("", start, end)
        open_[-1].children.append(node)
        line.append((unescape(html[start:end]), [*open_, node]))


def _judge(line: list[tuple[str, list[_Node]]], parts: tuple[_Part, _Part, _Part]) -> None:
    """Whose the line is that has ended: what is new is asked first, and what comes next before what comes soon."""
    said = "".join(text for text, _ in line)
    if not _RULE.fullmatch(said):
        words = letters(said)
        taken = (part for far in (False, True) for part in parts if words and part.takes(words, far=far))
        is_quoted = next(taken, None) is parts[-1]
        for text, path in line:
            if not text.isspace():
                for node in path:
                    node.quoted += is_quoted
                    node.shown += not is_quoted
    line.clear()


def _folds(node: _Node) -> Iterator[tuple[int, int]]:
    """Where folds begin and end, in order: neighbours that are nothing but quoted, with the blanks between them."""
    run: tuple[int, int] | None = None
    before = ""
    for child in node.children:
        if child.quoted and not child.shown and node.tag not in _NO_PLACE:
            run = run[0] if run else child.start, child.end
            before = child.tag
            continue
        if child.shown or (before == _QUOTE and node.tag != _QUOTE and _has_picture(child)):
            if run:
                yield run
                run = None
            if child.quoted and child.tag != "p":
                yield from _folds(child)
        elif child.quoted and child.tag != "p":
            yield from _folds(child)
    if run:
        yield run


def _has_picture(node: _Node) -> bool:
    return node.tag == "img" or any(map(_has_picture, node.children))
