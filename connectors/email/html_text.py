"""HTML mail as readable lines, each knowing which container it stood in.

One walk over the parsed tree serves both readers: `html_to_text` wants the words, `quotes.separate_html` wants to know
which of them stood in a quotation or a signature block. The parser is selectolax (lexbor): it follows the HTML5 tree
rules, so the half-closed markup of old clients reads as it did on the sender's screen. It is quadratic in the nesting
depth (7 s for 50,000 open divs), hence `_too_deep`: such input is stripped of its tags by a regular expression instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_HTML = 1_000_000
_MAX_DEPTH = 250
MAX_HTML_LINES = 20_000

PLAIN: Final = 0
CITED: Final = 1  # inside a blockquote that a mail program made for a quotation
QUOTED: Final = 2  # inside a container that holds nothing but the quoted mail
SIGNED: Final = 3  # inside a signature block
ATTRIBUTION: Final = 4  # the line that introduces a quotation, marked as such by the client
INDENTED: Final = 5  # a blockquote without a sign of its origin


@dataclass(slots=True)
class MarkedLines:
    """Lines of text and, in step with them, the mark of the container of each."""

    lines: list[str] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)


_DROPPED_LIST = """
head script style title template noscript object embed applet iframe svg math canvas audio video
select textarea input button meta link map area -comment -em-comment
"""
_DROPPED = frozenset(_DROPPED_LIST.split())
_BLOCKS_LIST = """
address article aside blockquote body center dd details dialog div dl dt fieldset figcaption
figure footer form h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table
tbody tfoot thead tr ul
"""
_BLOCKS = frozenset(_BLOCKS_LIST.split())
_SPACED_LIST = """
p blockquote h1 h2 h3 h4 h5 h6 ul ol dl table pre figure
"""
_SPACED = frozenset(_SPACED_LIST.split())
# Elements whose end tag may be left out do not count towards the depth.
_UNCLOSED_LIST = """
area base br col embed hr img input link meta param source track wbr p li dd dt tr td th tbody
thead tfoot option optgroup colgroup html body head
"""
_UNCLOSED = frozenset(_UNCLOSED_LIST.split())

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]{0,30})")
_CODE = re.compile(r"<(script|style)\b")
_ANY_TAG = re.compile(r"<[^<>]*>")
# Stands for a space inside <pre> while a line is built; the parser lets no NUL through.
_KEPT_SPACE: Final = "\0"
_HIDDEN = re.compile(
    r"display\s{0,4}:\s{0,4}none|mso-hide\s{0,4}:\s{0,4}all|visibility\s{0,4}:\s{0,4}hidden", re.IGNORECASE
)
_NO_MARGIN = re.compile(r"margin(?:-top|-bottom)?\s{0,4}:\s{0,4}0", re.IGNORECASE)
_BORDER_NONE = re.compile(r"border\s{0,4}:\s{0,4}(?:none|0)", re.IGNORECASE)
_QUOTED_NAME = re.compile(
    r"yahoo_quoted|ntes-mailmaster-quote|history-quote-wrapper|lark-mail-quote|protonmail_quote|tutanota_quote|zmail_extra"
    r"|olk_src_body_section|isreplycontent|isforwardcontent|reference-message|edo-original|\bcm_quote|alimail[-_]quote|aliyun[-_]quote|__aliyun_reply|(?<!g)mail[-_]?quote\b|replycontent|wisestamp-quote"
    r"|\bquoted?[-_](?:mail|message|text|content|html|reply)\b|front-blockquote|mailru-blockquote|moz-forward-container"
    r"|aolmsgpart|reply_quote|replyquote|qm_?original|hm_ms__quote"
)
_SIGNED_NAME = re.compile(r"signature|mail[-_]sign\b|__aliyun_sign|xm_signature|fox_?sign|mobile-sign")
_ATTRIBUTION_NAME = re.compile(
    r"gmail_attr|divrplyfwdmsg|outlookmessageheader|reply-intro|moz-cite-prefix|moz-email-headers-table|history-quote-.{0,10}header|mailru-attr"
)
_CITED_NAME = re.compile(r"gmail_quote|moz-cite|yahoo|protonmail_quote|tutanota|mimemail-quote|cite|ydp|quote|^reply")


def html_to_text(html: str) -> str:
    """The words of an HTML mail: one line per line seen, quotations led by ``> ``, links as ``text <url>``."""
    return "\n".join(tidy(marked_lines(html).lines))


def tidy(lines: list[str]) -> list[str]:
    """The lines without empty ones at either end, and never more than one empty line in a row."""
    out: list[str] = []
    for line in lines:
        if line.strip() or (out and out[-1].strip()):
            out.append(line)
    while out and not out[-1].strip():
        out.pop()
    return out


def marked_lines(html: str) -> MarkedLines:
    """The lines of `html` with the mark of the container that each stood in.

    What lies beyond MAX_HTML characters or MAX_HTML_LINES lines is not read; the raw mail still has it.
    """
    html = html[:MAX_HTML]
    if "<" not in html:
        lines = [" ".join(unescape(line).split()) for line in html.split("\n")]
        return MarkedLines(lines, [PLAIN] * len(lines))
    if _too_deep(html):
        text = unescape(_ANY_TAG.sub("\n", _without_code(html)))
        lines = [line.strip() for line in text.split("\n") if line.strip()][:MAX_HTML_LINES]
        return MarkedLines(lines, [PLAIN] * len(lines))
    root = LexborHTMLParser(html).body
    writer = _Writer()
    if root is not None:
        _walk(root, writer)
    writer.end_line()
    return writer.out


def _too_deep(html: str) -> bool:
    if html.count("<") <= _MAX_DEPTH:
        return False
    depth = 0
    deepest = 0
    for match in _TAG.finditer(html):
        if match[2].lower() in _UNCLOSED:
            continue
        depth += -1 if match[1] else 1
        if depth > deepest:
            deepest = depth
            if deepest > _MAX_DEPTH:
                return True
        elif depth < 0:
            depth = 0
    return False


def _without_code(html: str) -> str:
    """Without the contents of script and style, found by plain search: no expression that could run back."""
    kept: list[str] = []
    folded = html.lower()
    if len(folded) != len(html):
        return html
    at = 0
    while match := _CODE.search(folded, at):
        end = folded.find(f"</{match[1]}", match.end())
        kept.append(html[at : match.start()])
        if end < 0:
            return "".join(kept)
        at = end
    kept.append(html[at:])
    return "".join(kept)


class _Writer:
    """Builds lines from runs of text; knows about collapsed white space, margins and the current container."""

    __slots__ = ("blank_wanted", "cells", "mark", "out", "pieces", "pre", "prefix")

    def __init__(self) -> None:
        self.out = MarkedLines()
        self.pieces: list[str] = []
        self.mark = PLAIN
        self.prefix = ""
        self.blank_wanted = False
        self.cells = 0
        self.pre = 0

    def text(self, text: str) -> None:
        if not self.pre:
            self.pieces.append(text)
            return
        first, *rest = text.split("\n")
        self.pieces.append(first.replace(" ", _KEPT_SPACE))
        for part in rest:
            self.break_line()
            self.pieces.append(part.replace(" ", _KEPT_SPACE))

    def _taken(self) -> str:
        if not self.pieces:
            return ""
        line = " ".join("".join(self.pieces).split())
        self.pieces.clear()
        return line.replace(_KEPT_SPACE, " ") if _KEPT_SPACE in line else line

    def break_line(self) -> None:
        """Ends the line even when it is empty: a <br>."""
        line = self._taken()
        self._put(line)

    def end_line(self) -> None:
        """Ends the line if there is one: the edge of a block."""
        if self.pieces:
            line = self._taken()
            if line.strip():
                self._put(line)

    def _put(self, line: str) -> None:
        out = self.out
        if len(out.lines) >= MAX_HTML_LINES:
            return
        if self.blank_wanted:
            self.blank_wanted = False
            if line and out.lines and out.lines[-1].strip("> "):
                out.lines.append("")
                out.marks.append(PLAIN)
        out.lines.append(self.prefix + line if self.prefix else line)
        out.marks.append(self.mark)


def _walk(root: LexborNode, writer: _Writer) -> None:
    """Depth first without recursion: `open_nodes` holds what has to be undone when an element ends."""
    open_nodes: list[tuple[LexborNode, str, int, str, str]] = []
    node: LexborNode | None = root.first_child
    while True:
        if node is None:
            if not open_nodes:
                return
            ended, tag, mark, prefix, tail = open_nodes.pop()
            _leave(writer, tag, tail)
            writer.mark = mark
            writer.prefix = prefix
            node = ended.next
            continue
        tag = node.tag or ""
        if tag == "-text":
            writer.text(node.text_content or "")
        elif tag == "br":
            writer.break_line()
        elif tag not in _DROPPED:
            attributes = node.attributes
            if not _is_hidden(attributes):
                mark, prefix = writer.mark, writer.prefix
                tail = _enter(writer, tag, attributes, node)
                child = node.first_child
                if child is not None:
                    open_nodes.append((node, tag, mark, prefix, tail))
                    node = child
                    continue
                _leave(writer, tag, tail)
                writer.mark, writer.prefix = mark, prefix
        node = node.next


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    if not attributes:
        return False
    style = attributes.get("style")
    return "hidden" in attributes or (style is not None and "n" in style and _HIDDEN.search(style[:500]) is not None)


def _enter(writer: _Writer, tag: str, attributes: dict[str, str | None], node: LexborNode) -> str:
    """Opens an element; returns what is to be written at its end."""
    if tag in _BLOCKS:
        writer.end_line()
        if (
            tag in _SPACED
            and not _NO_MARGIN.search((attributes.get("style") or "")[:300])
            and ("MsoNormal" not in (attributes.get("class") or ""))
        ):
            writer.blank_wanted = True
        if tag == "pre":
            writer.pre += 1
        elif tag == "li":
            writer.pieces.append("- ")
        elif tag == "hr":
            writer.pieces.append("________")
        elif tag == "tr":
            writer.cells = 0
    elif tag in {"td", "th"}:
        if writer.cells and any(piece.strip() for piece in writer.pieces):
            writer.pieces.append(" | ")
        writer.cells += 1
    elif tag == "img":
        alt = attributes.get("alt") or ""
        if 0 < len(alt) <= 4:
            writer.pieces.append(alt)
    if attributes or tag == "blockquote":
        _mark(writer, tag, attributes)
    return _link(attributes, node) if tag == "a" else ""


def _leave(writer: _Writer, tag: str, tail: str) -> None:
    if tail:
        writer.pieces.append(tail)
    if tag in _BLOCKS:
        writer.end_line()
        if tag in _SPACED:
            writer.blank_wanted = writer.blank_wanted or tag != "p"
        if tag == "pre":
            writer.pre -= 1


def _mark(writer: _Writer, tag: str, attributes: dict[str, str | None]) -> None:
    name = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"[:300].lower()
    if writer.mark in {PLAIN, INDENTED, ATTRIBUTION, SIGNED} and len(name) > 1:
        if _QUOTED_NAME.search(name):
            writer.mark = QUOTED
        elif writer.mark == PLAIN and _SIGNED_NAME.search(name):
            writer.mark = SIGNED
        elif writer.mark == PLAIN and _ATTRIBUTION_NAME.search(name):
            writer.mark = ATTRIBUTION
    if tag == "blockquote":
        _mark_blockquote(writer, attributes, name)


def _mark_blockquote(writer: _Writer, attributes: dict[str, str | None], name: str) -> None:
    style = (attributes.get("style") or "")[:500]
    by_client = (
        (attributes.get("type") or "").lower() == "cite" or "cite" in attributes or _CITED_NAME.search(name) is not None
    )
    if by_client or "border-left" in style.lower():
        writer.mark = max(writer.mark, CITED) if writer.mark == QUOTED else CITED
        writer.prefix += "> " if len(writer.prefix) < 40 else ""
    elif writer.mark == PLAIN and not _BORDER_NONE.search(style):
        # Gmail's "indent more" writes a blockquote with border:none; that one is the writer's own text.
        writer.mark = INDENTED


def _link(attributes: dict[str, str | None], node: LexborNode) -> str:
    href = (attributes.get("href") or "").strip()
    if not href.lower().startswith(("http://", "https://")) or len(href) > 2000:
        return ""
    shown = (node.text(deep=True) or "")[:2100].strip()
    if not shown or _same_link(shown, href):
        return ""
    return f" <{href}>"


def _same_link(shown: str, href: str) -> bool:
    def core(url: str) -> str:
        return url.split("://", 1)[-1].rstrip("/").lower()

    return core(shown) == core(href)
