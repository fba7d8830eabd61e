"""Sets apart what is new in a mail from what it quotes and from its signature.

The text is read line by line, once. Each line becomes the writer's own, a quotation, or the header of one; then the
stretches are weighed against each other:

* a header that no marked quotation follows (Outlook, QQ Mail) makes everything below it quoted;
* a header with marked quotation (``>``, blockquote) takes that quotation; what follows it is the writer's own;
* two or more quotations that are each answered are a conversation by interleaving: they stay in sight, because the
  answers mean nothing without them. A single one is bottom-posting, and goes;
* a quotation that nothing announces, with words below it, was put there by the writer, and stays.

Nothing is lost: every line ends up in exactly one of the three parts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from connectors.email import html_text
from connectors.email.quote_headers import (
    attribution_start,
    bare,
    field_of,
    header_block,
    is_rule,
    may_end_attribution,
    next_filled,
    notice,
    titled_rule,
)
from connectors.email.signatures import find_signature, is_footer

# The mail's own words come first in practice; what lies beyond these is filed with the last line that was read.
MAX_TEXT = 200_000
MAX_LINES = 2_000
_MAX_LINE = 2_000

_BLANK, _TEXT, _QUOTE, _HEADER, _CUT = range(5)

_INITIALS = re.compile(r"[A-Z]{1,4}>(?:\s|$)")
_BROKEN_ADDRESS = re.compile(r">\s{0,3}\S{1,14}(?: \S{1,12})?\s?[:：]$")
_ABOVE_THIS_LINE = re.compile(
    r"(?:reply|respond|write|type).{0,30}above this line|oberhalb dieser (?:zeile|linie)|au-dessus de cette ligne|"
    r"(?:在此行|在本行|此线|此線|此行).{0,4}(?:上方|以上|之上).{0,8}(?:回复|回覆|输入|輸入)|(?:回复|回覆).{0,6}(?:此行|本行).{0,4}(?:上方|以上)",
    re.IGNORECASE,
)
_LINE_WORDS = ("this line", "dieser", "cette ligne", "此行", "本行", "此线", "此線")
_SHARED_LINE = re.compile(r"(?<=[^\s-])-{2,}\s?(?=\S.{8,300}[:：]$)")


@dataclass(frozen=True, slots=True)
class Separated:
    """The three parts of a mail's text. Joined they hold every word of it; white space at the seams is not kept."""

    new_text: str
    signature: str
    quoted: str


@dataclass(slots=True)
class _Stretch:
    """Neighbouring lines of one kind. `quotes` is false for a header with nothing marked below it."""

    own: bool
    start: int
    end: int
    announced: bool = False
    quotes: bool = False
    indented: bool = False


def separate(text: str, *, keep_signature: bool = False) -> Separated:
    """Separates a plain-text body. With `keep_signature` the signature stays where it was, in `new_text`."""
    head, tail = text[:MAX_TEXT], text[MAX_TEXT:]
    lines = head.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > MAX_LINES:
        tail = "\n".join(lines[MAX_LINES:]) + tail
        del lines[MAX_LINES:]
    return _separate(lines, [html_text.PLAIN] * len(lines), tail, keep_signature=keep_signature)


def separate_html(html: str, *, keep_signature: bool = False) -> Separated:
    """Separates an HTML body; the parts are plain text, as `html_text.html_to_text` writes it."""
    marked = html_text.marked_lines(html)
    tail = "\n".join(marked.lines[MAX_LINES:])
    return _separate(marked.lines[:MAX_LINES], marked.marks[:MAX_LINES], tail, keep_signature=keep_signature)


def _unshare(lines: list[str], marks: list[int]) -> tuple[list[str], list[int]]:
    """Splits ``my answer--- On Wed, ... wrote:``, which some clients leave on one line."""
    out: list[str] = []
    out_marks: list[int] = []
    for line, mark in zip(lines, marks, strict=True):
        match = _SHARED_LINE.search(line) if "--" in line and len(line) < 600 and line[-1:] in ":：" else None
        if match is not None and attribution_start([line[match.end() :]], 0, quote_follows=False) == 0:
            out += [line[: match.start()], line[match.start() :]]
            out_marks += [mark, mark]
        else:
            out.append(line)
            out_marks.append(mark)
    return out, out_marks


def _separate(lines: list[str], marks: list[int], tail: str, *, keep_signature: bool) -> Separated:
    lines, marks = _unshare(lines, marks)
    kinds = _kinds(lines, marks)
    stretches = _stretches(lines, kinds, marks)
    signature, guessed = _signatures(lines, kinds, marks, stretches)
    shown = _shown_quotes(lines, kinds, stretches, signature | guessed)
    own = {at for at, kind in enumerate(kinds) if kind == _TEXT and at not in signature}
    if guessed and own <= guessed and not shown:
        # Nothing but "Best regards, Li": then that is what was said.
        guessed = set()
    if keep_signature:
        signature, guessed = set(), set()
    signed = signature | guessed
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    current = 0
    for at, (line, kind) in enumerate(zip(lines, kinds, strict=True)):
        if kind != _BLANK:
            if at in signed:
                current = 1
            elif kind == _TEXT or at in shown:
                current = 0
            else:
                current = 2
        parts[current].append(line)
    if tail:
        parts[current].append(tail)
    new_text, signature_text, quoted = ("\n".join(html_text.tidy(part)) for part in parts)
    return Separated(new_text, signature_text, quoted)


def _kinds(lines: list[str], marks: list[int]) -> list[int]:
    kinds = [_BLANK] * len(lines)
    at = 0
    seen_text = False
    seen_header = False
    while at < len(lines):
        line = lines[at]
        if not line or line.isspace():
            at += 1
            continue
        if marks[at] == html_text.QUOTED:
            kinds[at] = _QUOTE
            at += 1
            continue
        if _is_quote(line, marks[at], bar=seen_header and _after_header(kinds, at)) and not (
            _BROKEN_ADDRESS.match(line) and attribution_start(lines, at, quote_follows=False) not in {None, at}
        ):
            kinds[at] = _QUOTE
            at += 1
            continue
        header = _header(lines, marks, at) if len(line) <= _MAX_LINE else None
        if header is None:
            kinds[at] = _TEXT
            seen_text = True
            at += 1
            continue
        start, end, explicit = header
        ruled = _with_rules_above(lines, kinds, start)
        explicit = explicit or ruled < start
        start = ruled
        seen_header = True
        for index in range(start, end):
            kinds[index] = _HEADER if lines[index].strip() else _BLANK
        if start <= at:
            seen_text = _TEXT in kinds[:start]
        if not explicit and not seen_text and end < len(lines):
            # A header with nothing above it: pasted on top by a gateway, or a quotation without marks.
            # Showing too much is the smaller harm.
            at = end
            continue
        if not _quote_follows(lines, marks, end):
            kinds[start:] = [_CUT] * (len(lines) - start)
            break
        at = end
    _mend_wrapped(lines, kinds)
    return kinds


def _is_quote(line: str, mark: int, *, bar: bool) -> bool:
    if mark in {html_text.CITED, html_text.INDENTED}:
        return True
    first = line[0]
    if first.isspace():
        line = line.lstrip()
        first = line[0]
    if first == ">":
        return not line.rstrip().endswith("<<")
    if first == "|":
        return bar
    return first.isupper() and _INITIALS.match(line) is not None


def _after_header(kinds: Sequence[int], at: int) -> bool:
    while at and kinds[at - 1] == _BLANK:
        at -= 1
    return at > 0 and kinds[at - 1] in {_HEADER, _QUOTE}


def _quote_follows(lines: Sequence[str], marks: Sequence[int], at: int) -> bool:
    for index in range(at, min(at + 8, len(lines))):
        line = lines[index]
        if line and not line.isspace():
            return marks[index] == html_text.QUOTED or _is_quote(line, marks[index], bar=True)
    return False


def _header(lines: Sequence[str], marks: Sequence[int], at: int) -> tuple[int, int, bool] | None:
    """(start, end, explicit) of the quotation header at this line; `explicit` ones cannot be anything else."""
    if marks[at] == html_text.ATTRIBUTION:
        end = at + 1
        while end < len(lines) and (marks[end] == html_text.ATTRIBUTION or not lines[end].strip()):
            end += 1
        return at, end, True
    line = lines[at]
    if ("-" in line or "_" in line or "=" in line or "—" in line or "─" in line) and titled_rule(line):
        return at, _block_below(lines, at + 1), True
    if ":" in line or "：" in line or "|" in line:
        block = header_block(lines, at)
        if block is not None:
            return at, block.end, False
        if notice(lines, at):
            return at, at + 1, True
    if len(line) < 200 and any(word in line for word in _LINE_WORDS) and _ABOVE_THIS_LINE.search(line):
        return at, at + 1, True
    if not may_end_attribution(line):
        return None
    evidence = _quote_follows(lines, marks, at + 1) or (at + 1 < len(lines) and field_of(lines[at + 1]) is not None)
    start = attribution_start(lines, at, quote_follows=evidence)
    return None if start is None else (start, at + 1, False)


def _block_below(lines: Sequence[str], at: int) -> int:
    following = next_filled(lines, at)
    if following is None or lines[following].lstrip().startswith(">"):
        return at
    block = header_block(lines, following)
    return at if block is None else block.end


def _with_rules_above(lines: Sequence[str], kinds: Sequence[int], start: int) -> int:
    at = start
    while at and (kinds[at - 1] == _BLANK or is_rule(lines[at - 1])):
        at -= 1
        if kinds[at] != _BLANK:
            start = at
    return start


def _mend_wrapped(lines: Sequence[str], kinds: list[int]) -> None:
    """Gives back to a quotation the ends of its lines that a relay wrapped without repeating the mark."""
    for at in range(1, len(lines) - 1):
        if kinds[at] != _TEXT or kinds[at - 1] != _QUOTE or kinds[at + 1] != _QUOTE:
            continue
        text = lines[at].strip()
        above = lines[at - 1].rstrip()
        single = text.isascii() and " " not in text and (len(text) > 20 or len(above) > 30)
        if single or text.startswith(("(http", "<http", "http")) or (len(above) > 64 and text[0].islower()):
            kinds[at] = _QUOTE


def _stretches(lines: Sequence[str], kinds: Sequence[int], marks: Sequence[int]) -> list[_Stretch]:
    out: list[_Stretch] = []
    for at, kind in enumerate(kinds):
        if kind == _BLANK:
            continue
        own = kind == _TEXT
        last = out[-1] if out else None
        fresh = last is None or last.own != own or (kind == _HEADER and last.quotes)
        if fresh:
            last = _Stretch(own, at, at + 1)
            out.append(last)
        assert last is not None
        last.end = at + 1
        if kind in {_HEADER, _CUT} or marks[at] in {html_text.QUOTED, html_text.CITED}:
            last.announced = True
        elif marks[at] == html_text.INDENTED:
            last.indented = True
        if kind == _QUOTE:
            last.quotes = True
    for stretch in out:
        if stretch.quotes and not stretch.announced:
            stretch.announced = _announces_itself(lines, stretch)
    return out


def _announces_itself(lines: Sequence[str], stretch: _Stretch) -> bool:
    """Apple Mail on phones puts the attribution inside the quotation, behind the mark."""
    inner = [bare(line) for line in lines[stretch.start : min(stretch.end, stretch.start + 12)]]
    seen = 0
    for at, line in enumerate(inner):
        if not line:
            continue
        seen += 1
        if seen > 5:
            break
        if titled_rule(line) or header_block(inner, at) is not None or notice(inner, at):
            return True
        if attribution_start(inner, at, quote_follows=True) is not None:
            return True
    return False


def _signatures(
    lines: Sequence[str], kinds: Sequence[int], marks: Sequence[int], stretches: Sequence[_Stretch]
) -> tuple[set[int], set[int]]:
    """The lines that are signature, and those that only seem so."""
    # People do type into the box of their signature, so the box alone proves nothing.
    guessed = {at for at, mark in enumerate(marks) if mark == html_text.SIGNED and kinds[at] == _TEXT}
    certain = {at for at in guessed if is_footer(lines[at])}
    for rank, stretch in enumerate(stretches):
        if not stretch.own or (rank + 1 < len(stretches) and not stretches[rank + 1].announced):
            continue
        end = stretch.end
        while end > stretch.start and (end - 1 in guessed or kinds[end - 1] == _BLANK):
            end -= 1
        found = find_signature(lines, stretch.start, end)
        certain |= found.certain
        guessed |= found.guessed
    return certain, guessed


def _shown_quotes(
    lines: Sequence[str], kinds: Sequence[int], stretches: Sequence[_Stretch], signed: set[int]
) -> set[int]:
    """Lines of quotations that stay in sight."""
    answered = [
        stretch
        for stretch, following in pairwise(stretches)
        if stretch.quotes
        and following.own
        and any(kinds[at] == _TEXT and at not in signed for at in range(following.start, following.end))
    ]
    if len(answered) < 2:
        answered = [stretch for stretch in answered if not stretch.announced and not stretch.indented]
    if not answered and not any(stretch.own for stretch in stretches):
        answered = [stretch for stretch in stretches if stretch.indented or not stretch.announced]
    return {at for stretch in answered for at in range(stretch.start, stretch.end) if kinds[at] == _QUOTE}
